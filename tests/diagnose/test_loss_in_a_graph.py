"""A loss that is another one run eagerly than in a graph, where Keras sees what its probabilities were made of."""

import keras
import pytest
import tensorflow as tf
from torch import nn

from parity import Pair, strategies
from parity.checks import loss, runner
from parity.diagnose.explain import diagnose
from parity.pair.models import PairModels


def torch_model():
    return nn.Sequential(nn.Linear(4, 3))


def keras_model():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="0")])


def torch_loss(output, inputs):
    return nn.functional.binary_cross_entropy_with_logits(output, (inputs[:, :3] > 0).to(output.dtype))


def keras_loss(output, inputs):
    targets = tf.cast(inputs[:, :3] > 0, output.dtype)
    return tf.reduce_mean(keras.losses.binary_crossentropy(targets, tf.sigmoid(output), from_logits=True))


@pytest.mark.filterwarnings("ignore:.*binary_crossentropy")  # Keras says it, too, once
def test_probabilities_that_keras_takes_for_logits_outside_of_a_graph_alone_are_told():
    losses = {"torch": torch_loss, "tensorflow": keras_loss}
    corners = PairModels(Pair("own", torch_model, keras_model, inputs=strategies.arrays(4), loss=losses))
    [cause] = diagnose(corners, runner.run_check(loss, corners, 0, 1, "parity check")).causes

    assert (cause.name, cause.where) == ("from_logits", "loss")
    assert "what Sigmoid() (test_loss_in_a_graph.py:" in cause.told
    assert 0 <= cause.after < 1e-9 * cause.before
