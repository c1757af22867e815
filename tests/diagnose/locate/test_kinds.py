"""Locating in layers whose axes, outputs, masks or activations are elsewhere in the other framework."""

from functools import partial

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import check, strategies
from parity.canonical.weights import Weights
from parity.diagnose import explain
from parity.diagnose.locate.lockstep import Match, matched
from parity.pair.models import PairModels
from parity.pair.pair import Pair

TIME, WIDTH = 7, 6
INPUTS = strategies.arrays(TIME, WIDTH)
layers = keras.layers


class Chain(nn.Module):
    """Layers one behind the other; of an attention or a recurrent layer, its first output."""

    def __init__(self, *chain, first=False):
        super().__init__()
        self.chain, self.first = nn.Sequential(*chain), first

    def forward(self, x):
        if self.first:  # channels stand behind the batch
            x = x.movedim(-1, 1)
        for layer in self.chain:
            x = layer(x, x, x, **HIDDEN) if isinstance(layer, nn.MultiheadAttention) else layer(x)
            x = x[0] if isinstance(x, tuple) else x
        return x.movedim(1, -1) if self.first else x


HIDDEN = {"attn_mask": torch.ones(TIME, TIME, dtype=torch.bool).triu(1)}


class Attending(layers.Layer):
    def __init__(self, mask, **kwargs):
        super().__init__(**kwargs)
        self.attention, self.mask = layers.MultiHeadAttention(2, 3, name="attention"), mask

    def call(self, x):
        return self.attention(x, x, attention_mask=None if self.mask is None else self.mask[None])


class Last(nn.Module):
    """Time before the batch, and the last state of a recurrent layer."""

    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(WIDTH, 11), nn.Linear(11, 5)

    def forward(self, x):
        _, (hidden, _) = self.lstm(x.swapaxes(0, 1))
        return self.head(hidden[0])


def attending(mask):
    return [Attending(mask), layers.Dense(5)]


CAUSAL = np.tri(TIME, dtype=bool)
# Name -> torch, Keras, the shape of the input, a faulty Keras: the layer and the cause.
FORMS = {
    "groups": (
        lambda: Chain(nn.GroupNorm(2, WIDTH, eps=1e-3), first=True),
        lambda **changed: [layers.GroupNormalization(**{"groups": 2, "epsilon": 1e-3, **changed})],
        {"groups": 3},
        ("chain.0", "groups", "torch groups 2, tensorflow groups 3"),
    ),
    "group epsilon": (
        lambda: Chain(nn.GroupNorm(2, WIDTH), first=True),
        lambda epsilon=1e-5: [layers.GroupNormalization(2, epsilon=epsilon)],
        {"epsilon": 1e-3},
        ("chain.0", "epsilon", "torch epsilon 1e-05, tensorflow epsilon 0.001"),
    ),
    "root mean square": (
        lambda: Chain(nn.RMSNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, 5)),
        lambda epsilon=1e-6: [layers.RMSNormalization(epsilon=epsilon), layers.Dense(5)],
        {"epsilon": 1e-5},
        ("chain.0", "epsilon", "torch epsilon 1e-06, tensorflow epsilon 1e-05"),
    ),
    "recurrence": (
        lambda: Chain(nn.RNN(WIDTH, 11, batch_first=True), nn.Linear(11, 5)),
        lambda **changed: [layers.SimpleRNN(11, return_sequences=True, **changed), layers.Dense(5)],
        {"activation": "relu"},
        ("chain.0", "activation", "torch activation 'tanh', tensorflow activation 'relu'"),
    ),
    "last state": (
        Last,
        lambda **changed: [layers.LSTM(11, **changed), layers.Dense(5)],
        {"go_backwards": True},
        ("lstm", "time shift", "torch go_backwards False, tensorflow go_backwards True"),
    ),
    "padded outside": (
        lambda: Chain(nn.ZeroPad1d((2, 0)), nn.Conv1d(WIDTH, 5, 3), first=True),
        lambda padding="causal": [layers.Conv1D(5, 3, padding=padding)],
        {"padding": "same"},
        ("chain.1", "padding", "torch pads causal"),
    ),
    "attention, inverted": (
        lambda: Chain(nn.MultiheadAttention(WIDTH, 2, batch_first=True), nn.Linear(WIDTH, 5)),
        lambda mask=CAUSAL: attending(mask),
        {"mask": ~CAUSAL},
        (
            "chain.0",
            "mask inverted",
            "torch sees the positions up to its own, tensorflow sees what positions up to its own hides",
        ),
    ),
    "attention, shifted": (
        lambda: Chain(nn.MultiheadAttention(WIDTH, 2, batch_first=True), nn.Linear(WIDTH, 5)),
        lambda mask=CAUSAL: attending(mask),
        {"mask": np.tri(TIME, k=1, dtype=bool)},
        (
            "chain.0",
            "mask offset",
            "torch sees the positions up to its own, tensorflow sees the positions up to the one after it",
        ),
    ),
}
LEFT = {"padded outside": ["chain.0"]}  # torch's layers that Keras has in others


def located(torch, layers):
    pair = Pair("chain", torch, lambda: keras.Sequential(layers()), inputs=INPUTS)
    corners = PairModels(pair)
    corners.load(Weights(1, 1.0))
    found, diagnosis = explain.located(corners, np.random.default_rng(0).standard_normal((3, TIME, WIDTH), np.float32))
    return found, diagnosis


@pytest.mark.parametrize("form", FORMS)
def test_a_clean_pair_is_clean_and_a_faulty_one_explained(form):
    torch, keras_layers, change, (where, name, told) = FORMS[form]
    clean, _ = located(torch, keras_layers)
    _, diagnosis = located(torch, lambda: keras_layers(**change))

    assert clean.introduces == []
    assert clean.unlinked["torch"] == LEFT.get(form, [])
    assert not [path for path in clean.unlinked["tensorflow"] if "query" in path]
    assert diagnosis.where == (("", where) if form == "padded outside" else (where,))  # the code that pads, too
    assert [(cause.name, cause.where, cause.told) for cause in diagnosis.causes] == [(name, where, told)]


@pytest.mark.parametrize("other", ["gelu", partial(keras.activations.gelu, approximate=False), layers.LeakyReLU(0.3)])
def test_an_activation_that_one_side_has_in_a_layer_is_explained_by_its_operation(other):
    def torch():
        return Chain(nn.Linear(WIDTH, 11), nn.ReLU(), nn.Linear(11, 5))

    def fused(activation="relu"):
        return [layers.Dense(11, activation=activation), layers.Dense(5)]

    clean, _ = located(torch, fused)
    pair = Pair("chain", torch, lambda: keras.Sequential(fused(other)), inputs=INPUTS)
    [finding] = check(pair, checks=["forward"], examples=3).findings
    [cause] = finding.diagnosis.causes

    assert clean.introduces == []
    assert clean.unlinked["torch"] == ["chain.1"]
    assert finding.diagnosis.where == ("",)
    assert (cause.name, cause.where) == ("activation", "chain.1")
    assert "with gelu in its place it makes what tensorflow does" in cause.told or other != "gelu"
    assert cause.after < 1e-15 < cause.before


def arrays(*shapes):
    random = np.random.default_rng(0)
    return [random.standard_normal(shape) for shape in shapes]


def test_arrays_go_together_by_place_and_then_by_shape():
    output, hidden, cell = arrays((2, 7, 5), (2, 5), (2, 5))

    assert matched([output, hidden, cell], [hidden]) == [Match(1, 0, (0, 0))]
    assert [m.ours for m in matched([output, hidden, cell], [hidden, hidden, cell])] == [1, 1, 2]
    assert matched([output], arrays((2, 7, 4))) is None
    assert matched([], [output]) is None
    assert matched([], []) == []


def test_an_image_is_turned_by_its_shape_or_if_that_is_square_by_its_values():
    image, square = arrays((2, 3, 7, 5), (2, 4, 4, 4))

    assert matched([image], [np.moveaxis(image, 1, -1)]) == [Match(0, 0, (1, -1))]
    assert matched([np.moveaxis(image, 1, -1)], [image]) == [Match(0, 0, (-1, 1))]
    assert matched([square], [np.moveaxis(square, 1, -1)]) == [Match(0, 0, (1, -1))]
    assert matched([square], [square + 1e-3]) == [Match(0, 0, (0, 0))]
    np.testing.assert_array_equal(Match(0, 0, (1, -1)).back(np.moveaxis(image, 1, -1)), image)
