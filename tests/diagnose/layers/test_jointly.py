"""Settings of several layers that differ at once, where shapes keep them from being compared layer by layer."""

from functools import partial

import pytest
from torch import nn

from parity import Pair, backends, strategies
from parity.diagnose import explain, located, specimens
from parity.diagnose.layers import jointly
from parity.diagnose.locate import locate
from parity.diagnose.operators import search
from parity.inputs.arrays import Sample
from parity.pair.models import PairModels

backends.load()  # the order of the imports

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402


class Block(nn.Module):
    """The stride is in the second convolution."""

    def __init__(self, size, padding):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.second, self.head = nn.Conv2d(4, 6, size, stride=2, padding=padding), nn.Linear(6, 5)

    def forward(self, x):
        return self.head(self.second(self.norm(self.first(x)).relu()).relu().mean((2, 3)))


def block(size, padding, epsilon=1e-5, factor=1.0):
    """The stride is in the first one, which what stands behind it then gets fewer places from."""
    layers, x = keras.layers, keras.Input((8, 8, 3))
    y = layers.BatchNormalization(epsilon=epsilon, name="norm")(layers.Conv2D(4, 1, strides=2, name="first")(x))
    y = layers.ReLU()(layers.Conv2D(6, size, padding="same" if padding else "valid", name="second")(layers.ReLU()(y)))
    return keras.Model(x, factor * layers.Dense(5, name="head")(layers.GlobalAveragePooling2D()(y)))


def call(model, x, training):
    return model(tf.transpose(x, (0, 2, 3, 1)), training=training)


def loaded(size=3, padding=1, **options):
    sides = partial(Block, size, padding), partial(block, size, padding, **options)
    corners = PairModels(Pair("block", *sides, inputs=strategies.arrays(3, 8, 8), call={"tensorflow": call}))
    weights, inputs = specimens.specimen(corners, 0)
    corners.load(weights)
    return corners, inputs


KERAS = {"strides=(1, 1) in Conv2D first", "strides=(2, 2) in Conv2D second"}
CASES = {
    # torch's padding fits both strides, and Keras's "same" does not.
    "strides": (3, 1, 1e-5, {"stride=(2, 2) in torch's first", "stride=(1, 1) in torch's second"}),
    "strides without padding": (3, 0, 1e-5, KERAS),
    "an epsilon beside them": (3, 0, 1e-3, KERAS | {"epsilon=1e-05 in BatchNormalization norm"}),
    # Which of two convolutions of single places leaves the others out comes to the same.
    "strides that are no matter": (1, 0, 1e-3, {"epsilon=1e-05 in BatchNormalization norm"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_stride_in_another_convolution_is_a_cause_of_both_and_so_is_what_differs_beside_it(case):
    size, padding, epsilon, fixes = CASES[case]
    corners, inputs = loaded(size, padding, epsilon=epsilon)
    causes = located.located(corners, inputs)[1].causes

    assert {cause.fix for cause in causes} == fixes
    assert {cause.name for cause in causes} == {fix.partition("=")[0].removesuffix("s") for fix in fixes}
    assert all(cause.after < 1e-12 < cause.before for cause in causes)


def test_where_something_else_differs_too_no_settings_are_blamed_for_all():
    corners, inputs = loaded(factor=2.0)
    others = partial(specimens.elsewhere, corners)

    assert jointly.jointly(corners, inputs, locate(corners, inputs), others) == []


def test_models_are_as_they_were_behind_it():
    corners, inputs = loaded(epsilon=1e-3)
    before = [corners.widest(side).outputs(inputs, eager=True)[""] for side in corners.sides]
    jointly.jointly(corners, inputs, locate(corners, inputs), partial(specimens.elsewhere, corners))
    after = [corners.widest(side).outputs(inputs, eager=True)[""] for side in corners.sides]

    assert all((one == other).all() for one, other in zip(before, after, strict=True))


class Strided(nn.Module):
    """A convolution that pads alike at both ends, and a norm."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.head = nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Linear(4, 5)

    def forward(self, x):
        return self.head(self.norm(self.first(x)).relu().mean((2, 3)))


def strided():
    """Keras's "same" pads behind alone here, and its epsilon is another."""
    layers, x = keras.layers, keras.Input((8, 8, 3))
    y = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, strides=2, padding="same", name="first")(x))
    return keras.Model(x, layers.Dense(5, name="head")(layers.GlobalAveragePooling2D()(layers.ReLU()(y))))


def test_what_settings_do_not_explain_is_looked_for_with_these_corrected(monkeypatch):
    monkeypatch.setattr(search, "FAULTS", 1)  # the epsilon would be another edit, and in many norms as many
    corners = PairModels(
        Pair("strided", Strided, strided, inputs=strategies.arrays(3, 8, 8), call={"tensorflow": call})
    )
    weights, inputs = specimens.specimen(corners, 0)
    corners.load(weights)
    diagnosis = located.located(corners, inputs, whole=False)[1]
    found = explain.by_operation(corners, diagnosis, Sample(weights, inputs))

    assert diagnosis.open == ("first",)
    assert [(cause.name, cause.where) for cause in found.causes] == [("epsilon", "norm"), ("padding", "first")]
    assert found.settled
    assert corners.models["torch", "float64"].module.norm.eps == 1e-5
