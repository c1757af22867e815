"""Layers of the user's own: taught with one function a side, they are verified like any other."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import torch
from torch import nn

import parity
from parity import backends
from parity.checks import determinism, forward, gradients, reload, resume, runner, training, weights
from parity.errors import ParityError
from parity.pair.models import PairModels
from parity.pair.pair import Pair

VOCAB, WIDTH, UNITS = 1000, 11, 13


class TorchGated(nn.Module):
    """A product of two maps, one of them scaled."""

    def __init__(self):
        super().__init__()
        self.value, self.gate = nn.Linear(WIDTH, UNITS), nn.Linear(WIDTH, UNITS, bias=False)
        self.scale = nn.Parameter(torch.ones(UNITS))

    def forward(self, x):
        return self.value(x) * (self.gate(x) * self.scale).sigmoid()  # (batch, time, width) -> (batch, time, units)


@keras.saving.register_keras_serializable("tests")
class KerasGated(keras.layers.Layer):
    def build(self, shape):
        self.value = self.add_weight(name="value", shape=(shape[-1], UNITS))
        self.offset = self.add_weight(name="offset", shape=(UNITS,))
        self.gate = self.add_weight(name="gate", shape=(shape[-1], UNITS))
        self.scale = self.add_weight(name="scale", shape=(UNITS,))

    def call(self, x):
        return (x @ self.value + self.offset) * keras.ops.sigmoid(x @ self.gate * self.scale)


class KerasTied(KerasGated):
    """The gate is not scaled."""

    def call(self, x):
        return (x @ self.value + self.offset) * keras.ops.sigmoid(x @ self.gate)


def torch_model():
    return nn.Sequential(nn.Embedding(VOCAB, WIDTH), TorchGated(), nn.Linear(UNITS, VOCAB))


def keras_model(gated=KerasGated):
    embedding, head = keras.layers.Embedding(VOCAB, WIDTH, name="0"), keras.layers.Dense(VOCAB, name="2")
    return keras.Sequential([keras.Input((None,), dtype="int64"), embedding, gated(name="1"), head])


def unscaled():
    return keras_model(KerasTied)


def of_torch(layer):
    return {
        "value": layer.value.weight,
        "value_bias": layer.value.bias,
        "gate": layer.gate.weight,
        "scale": layer.scale,
    }


def of_keras(layer):
    return {
        "value": (layer.value, parity.TRANSPOSED),
        "value_bias": layer.offset,
        "gate": (layer.gate, parity.TRANSPOSED),
        "scale": layer.scale,
    }


@pytest.fixture(scope="module")
def pair(small):
    return Pair("gated", torch_model, keras_model, small, custom={TorchGated: of_torch, KerasGated: of_keras})


@pytest.mark.parametrize(
    "module", [weights, forward, gradients, training, determinism, reload, resume], ids=lambda of: of.__name__
)
def test_a_layer_of_ones_own_holds_what_others_do(module, pair):
    outcome = runner.run_check(module, PairModels(pair), 0, 10, "parity check")

    assert outcome.findings == []
    assert outcome.elements > 0


def test_its_parameters_cross_by_the_names_that_they_were_given(pair):
    corners = PairModels(pair)
    values = corners.load(parity.canonical.weights.Weights(5, 1.0))
    own = {name: corners.layout[name] for name in corners.layout if name.startswith("1.")}
    keras_layer = corners.models["tensorflow", "float32"].module.layers[1]

    assert own == {
        "1.value": ("custom", (UNITS, WIDTH)),
        "1.value_bias": ("custom", (UNITS,)),
        "1.gate": ("custom", (UNITS, WIDTH)),
        "1.scale": ("custom", (UNITS,)),
    }
    np.testing.assert_array_equal(keras_layer.gate.numpy(), values["1.gate"].T)
    assert np.abs(values["1.scale"] - 1).max() <= 0.5
    assert np.abs(values["1.value_bias"]).max() <= 0.5


def test_a_fault_in_it_is_found(pair, message_of):
    assert "torch and tensorflow are different" in message_of(
        forward, PairModels(replace(pair, tensorflow=unscaled)), 5
    )


def test_untaught_its_parameters_are_related_by_their_shapes(pair):
    corners = PairModels(replace(pair, custom={}))

    assert runner.run_check(forward, corners, 0, 2, "parity check").findings == []


def failing(layer):
    return {"value": layer.kernel}


def without(name):
    return lambda layer: {key: value for key, value in of_torch(layer).items() if key != name}


WRONG = {
    "no dict": (lambda layer: [layer.scale], "its function in custom= returned list; it must return a dict"),
    "no variable": (
        lambda layer: {**of_torch(layer), "scale": layer.scale.detach()},
        "its function in custom= gives Tensor for scale; it must be a variable of the layer, or (variable, transform)",
    ),
    "no transform": (
        lambda layer: {**of_torch(layer), "scale": (layer.scale, "transposed")},
        "its function in custom= gives tuple for scale; it must be a variable of the layer, or (variable, transform)",
    ),
    "left out": (
        without("scale"),
        "its function in custom= leaves out 1.scale; each variable is one parameter",
    ),
    "twice": (
        lambda layer: {**of_torch(layer), "again": layer.scale},
        "its function in custom= has twice 1.scale; each variable is one parameter",
    ),
    "a dot": (
        lambda layer: {f"{name}.weight": variable for name, variable in of_torch(layer).items()},
        "its function in custom= calls a parameter value.weight; leave out the dot",
    ),
    "an error": (
        failing,
        "its function in custom= failed: AttributeError: 'TorchGated' object has no attribute 'kernel'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_function_that_tells_something_else_is_named(name):
    tell, message = WRONG[name]
    with pytest.raises(ParityError) as caught:
        list(backends.load()["torch"].layers.layers(torch_model(), {TorchGated: tell}))

    assert str(caught.value) == f"1: TorchGated: {message}"
