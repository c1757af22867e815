"""A loss of the user's own that takes logits for probabilities has that cause, with smoothed labels, too."""

from functools import partial

import numpy as np
from torch import nn

from parity import Pair, strategies
from parity.canonical.weights import Weights
from parity.checks.results import Finding, Outcome
from parity.diagnose.explain import diagnose
from parity.inputs.arrays import Sample
from parity.pair.models import PairModels

X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
GIVEN = Sample(Weights(3, 1.0), X)


def head():
    import keras

    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head")])


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(x)


def cross_entropy(smoothing, output, x):
    return nn.functional.cross_entropy(output, x[:, :3].argmax(1), label_smoothing=smoothing)


def categorical(smoothing, output, x):
    import keras

    labels = keras.ops.one_hot(keras.ops.argmax(x[:, :3], 1), 3, dtype=output.dtype)
    return keras.ops.mean(keras.losses.categorical_crossentropy(labels, output, False, smoothing))


def test_logits_taken_for_probabilities_are_named():
    losses = {"torch": partial(cross_entropy, 0.1), "tensorflow": partial(categorical, 0.1)}
    corners = PairModels(Pair("classes", Head, head, inputs=strategies.arrays(4), loss=losses))
    [cause] = diagnose(corners, Outcome("loss", "", findings=[Finding("loss", "", "", "", GIVEN)])).causes

    assert (cause.name, cause.where) == ("from_logits", "loss")
    assert "tensorflow takes them for probabilities" in cause.told
    assert cause.fix.startswith("from_logits=True")
    assert cause.after < 1e-5 < cause.before  # Keras takes these losses in float32


def ignored(output, x):
    """Smoothed labels, of which class 0 is none."""
    return nn.functional.cross_entropy(output, x[:, :3].argmax(1), ignore_index=0, label_smoothing=0.1)


def by_hand(output, x):
    """The same, but for the share of all classes, which counts every row."""
    import tensorflow as tf

    logs, classes = tf.nn.log_softmax(output), tf.argmax(x[:, :3], 1)
    counts = tf.cast(tf.not_equal(classes, 0), logs.dtype)
    own, every = -tf.gather(logs, classes, axis=1, batch_dims=1) * counts, -tf.reduce_mean(logs, axis=1)
    return (0.9 * tf.reduce_sum(own) + 0.1 * tf.reduce_sum(every)) / tf.reduce_sum(counts)


def test_a_mask_that_one_part_of_a_loss_lacks_is_named_as_that_of_the_part():
    pair = Pair("classes", Head, head, inputs=strategies.arrays(4), loss={"torch": ignored, "tensorflow": by_hand})
    [cause] = diagnose(PairModels(pair), Outcome("loss", "", findings=[Finding("loss", "", "", "", GIVEN)])).causes

    assert cause.name == "mask missing"
    assert cause.told.startswith("torch does where(other=0.0) inside cross_entropy by the result of ne(other=0) inside")
    assert cause.after < 1e-12 < cause.before
