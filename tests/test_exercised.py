"""Ids with padding, and inputs at their edges: what a plain batch never shows is found, nothing equal is."""

import keras
import pytest
import torch
from keras import ops
from torch import nn

import parity
from parity import strategies
from parity.checks import forward, gradients
from parity.corners import Corners
from parity.drawing import simplest
from parity.run import run_one

VOCABULARY, TIME, WIDTH, CLASSES = 30_000, 7, 3, 2


class TorchMean(nn.Module):
    """The mean of the embeddings of all that is no padding."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, ids):
        kept = (ids != 0).unsqueeze(-1)
        return self.head(
            (self.table(ids) * kept).sum(1) / kept.sum(1).clamp(min=1)
        )  # (batch, time) -> (batch, classes)


class KerasMean(keras.Model):
    def __init__(self, masked=True, least=1, **kwargs):
        super().__init__(**kwargs)
        self.table, self.head = keras.layers.Embedding(VOCABULARY, WIDTH), keras.layers.Dense(CLASSES)
        self.masked, self.least = masked, least

    def call(self, ids):
        kept = ops.cast(ops.not_equal(ids, 0), self.compute_dtype)[..., None]
        kept = kept if self.masked else ops.ones_like(kept)
        return self.head(ops.sum(self.table(ids) * kept, 1) / ops.maximum(ops.sum(kept, 1), self.least))


def unmasked():
    return KerasMean(masked=False)


def undefined():
    return KerasMean(least=0)


class TorchPacked(TorchMean):
    """Refuses a text of no token, as packing does."""

    def forward(self, ids):
        nn.utils.rnn.pack_padded_sequence(self.table(ids), (ids != 0).sum(1), True, False)
        return super().forward(ids)


IDS = strategies.ids(TIME, VOCABULARY)


def outcome(module, corners, examples=1):
    return run_one(module, corners, 0, examples, "")


@pytest.fixture(scope="module")
def equal():
    return Corners(parity.Pair("masked", TorchPacked, KerasMean, inputs=IDS))


@pytest.fixture(scope="module")
def forgotten():
    return Corners(parity.Pair("unmasked", TorchMean, unmasked, inputs=IDS))


@pytest.mark.parametrize("module", [forward, gradients])
def test_one_example_shows_a_forgotten_mask_and_one_row_of_it(forgotten, module):
    found = outcome(module, forgotten)

    assert len(found.findings) == 1
    ids = found.findings[0].given.inputs
    assert ids.shape == (1, TIME)
    assert 0 in ids


def test_a_model_that_refuses_texts_of_no_token_is_given_none(equal):
    assert "Length of all samples has to be greater than 0" in equal.edgeless
    assert not outcome(forward, equal, 3).findings


def test_a_side_that_is_undefined_for_padding_alone_is_found():
    corners = Corners(parity.Pair("undefined", TorchMean, undefined, inputs=IDS))
    (found,) = outcome(forward, corners).findings

    assert not corners.edgeless
    assert not found.given.inputs.any()
    assert not outcome(gradients, corners).findings


class TorchLength(nn.Module):
    """At zero, where it has no derivative, torch says 0 and TensorFlow NaN."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(TIME, CLASSES, bias=False)

    def forward(self, x):
        return torch.linalg.vector_norm(self.a(x), dim=1, keepdim=True)


def keras_length():
    x = keras.Input((TIME,))
    a = keras.layers.Dense(CLASSES, use_bias=False, name="a")(x)
    return keras.Model(x, ops.sqrt(ops.sum(ops.square(a), 1, keepdims=True)))


def test_gradients_are_not_compared_where_there_is_none():
    corners = Corners(parity.Pair("length", TorchLength, keras_length, inputs=strategies.arrays(TIME)))

    assert not outcome(forward, corners, 3).findings
    assert not outcome(gradients, corners, 4).findings
    assert any(verdict.fails for verdict in gradients.verify(corners, simplest(strategies.examples(corners))))
