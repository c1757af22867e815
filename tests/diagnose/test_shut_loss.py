"""A loss that is cut off at zero on most samples: where training alone shows that it differs, the loss is to blame."""

from dataclasses import replace

import keras
import pytest
import tensorflow as tf
from torch import nn

from parity import Pair, strategies
from parity.checks import loss as check
from parity.checks import training
from parity.checks.runner import run_check
from parity.diagnose.explain import diagnose
from parity.diagnose.stages import criterion
from parity.pair import criterion as of_losses
from parity.pair.models import PairModels
from tests.diagnose.test_own_loss import (
    PAIR,
    diagnosed_gradients,
    keras_loss,
    one_scaled,
    one_stopped,
    summed_over_rows,
)


def keras_head():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, name="0")])


def hinge(output, inputs):  # noqa: ARG001 as a loss is called
    return (output.square().sum(-1) - 20.0).relu().mean()


def keras_hinge(bound, output, inputs):  # noqa: ARG001 as a loss is called
    return tf.reduce_mean(tf.nn.relu(tf.reduce_sum(tf.square(output), -1) - bound))


def hinged(bound):
    losses = {"torch": hinge, "tensorflow": lambda output, inputs: keras_hinge(bound, output, inputs)}
    head = lambda: nn.Sequential(nn.Linear(5, 4))  # noqa: E731 built anew each time
    return PairModels(Pair("hinged", head, keras_head, inputs=strategies.arrays(5), loss=losses))


def test_a_loss_that_is_shut_on_the_examples_of_its_check_is_blamed_and_not_the_optimizer():
    corners = hinged(10.0)
    diagnosis = diagnose(corners, run_check(training, corners, 0, 2, ""))

    assert diagnosis.where == ("loss",)
    [cause] = diagnosis.causes
    assert "; with other=10.0 it makes what tensorflow does" in cause.told


def test_losses_that_are_the_same_differ_on_no_sample_and_train_alike():
    corners = hinged(20.0)

    assert criterion.telling(corners) == []
    assert not run_check(training, corners, 0, 2, "").findings


def test_one_value_says_nothing_of_a_factor(monkeypatch):
    corners = hinged(10.0)
    [(sample, _), *_] = criterion.telling(corners)
    corners.ensure(sample.weights)
    outputs = of_losses.outputs_of(corners, sample.inputs)
    monkeypatch.setattr(criterion, "_outputs", lambda *_: [(sample.inputs, outputs)])
    causes, _ = criterion.explain(corners, sample, backward=False)

    assert "scale" not in [cause.name for cause in causes]


@pytest.mark.parametrize(
    ("loss", "name", "told"),
    [
        (one_stopped, "gradient stopped", "torch's gradient is 0 times tensorflow's"),
        (one_scaled, "gradient scaled", "tensorflow's gradient is 0.333333 times torch's"),
    ],
)
def test_where_no_gradient_can_be_edited_the_factor_between_the_losses_is_told(monkeypatch, loss, name, told):
    corners = PairModels(replace(PAIR, loss={"torch": loss, "tensorflow": keras_loss}))
    monkeypatch.setattr(corners.backends["torch"], "EDITABLE", False)
    [cause] = diagnosed_gradients(corners).causes

    assert (cause.name, cause.where) == (name, "loss")
    assert cause.told == f"by output['spread'] of the same outputs, {told}"
    assert cause.after < 1e-9 < cause.before


def test_where_no_loss_can_be_edited_a_sum_for_a_mean_is_told(monkeypatch):
    corners = PairModels(replace(PAIR, loss={"torch": PAIR.loss["torch"], "tensorflow": summed_over_rows}))
    monkeypatch.setattr(corners.backends["torch"], "EDITABLE", False)
    [cause] = diagnose(corners, run_check(check, corners, 0, 2, "")).causes

    assert (cause.name, cause.told) == ("reduction", "tensorflow gives torch's loss times the number of rows")


def margin(output, inputs):  # noqa: ARG001 as a loss is called
    return ((output[:, 0] - output[:, 1] + 0.5).relu() + output[:, 2].square()).mean()


def other_margin(output, inputs):  # noqa: ARG001 as a loss is called
    return tf.reduce_mean(tf.nn.relu(output[:, 0] - output[:, 1] - 0.5) + tf.square(output[:, 2]))


def test_a_slope_that_is_zero_in_part_is_no_factor():
    """Between the two margins TensorFlow's slope is zero where torch's is not."""
    losses = {"torch": margin, "tensorflow": other_margin}
    head = lambda: nn.Sequential(nn.Linear(5, 4))  # noqa: E731 built anew each time
    corners = PairModels(Pair("margins", head, keras_head, inputs=strategies.arrays(5), loss=losses))
    [cause] = diagnose(corners, run_check(check, corners, 0, 2, "")).causes

    assert cause.name == "offset"
    assert "with other=-0.5 it makes what tensorflow does" in cause.told
