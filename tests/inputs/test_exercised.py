"""Ids with padding, and inputs at their edges: what a plain batch never shows is found, nothing equal is."""

import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from keras import ops
from torch import nn

import parity
from parity import strategies
from parity.canonical.weights import Weights
from parity.checks import causality, checks_of, forward, gradients, left_out, loss, masking, padding
from parity.checks.runner import report, run_check
from parity.inputs.arrays import Sample
from parity.inputs.edges import Ids
from parity.inputs.sampling import Drawn, simplest
from parity.pair.exercised import Exercised
from parity.pair.models import PairModels

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
    def __init__(self, masked=True, least=1, pad=0, **kwargs):
        super().__init__(**kwargs)
        self.table, self.head = keras.layers.Embedding(VOCABULARY, WIDTH), keras.layers.Dense(CLASSES)
        self.masked, self.least, self.pad = masked, least, pad

    def call(self, ids):
        kept = ops.cast(ops.not_equal(ids, self.pad), self.compute_dtype)[..., None]
        kept = kept if self.masked else ops.ones_like(kept)
        return self.head(ops.sum(self.table(ids) * kept, 1) / ops.maximum(ops.sum(kept, 1), self.least))


def unmasked():
    return KerasMean(masked=False)


def other_padding():
    return KerasMean(pad=1)


def undefined():
    return KerasMean(least=0)


class TorchPacked(TorchMean):
    """Refuses a text of no token, as packing does."""

    def forward(self, ids):
        nn.utils.rnn.pack_padded_sequence(self.table(ids), (ids != 0).sum(1), True, False)
        return super().forward(ids)


def torch_flat():
    return nn.Sequential(nn.Embedding(9, WIDTH), nn.Flatten(), nn.Linear(TIME * WIDTH, CLASSES))


def keras_flat():
    layers = keras.layers
    return keras.Sequential([keras.Input((TIME,)), layers.Embedding(9, WIDTH), layers.Flatten(), layers.Dense(CLASSES)])


class TorchOne(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(2, 3, batch_first=True)
        self.rnn.bias_hh_l0.requires_grad_(False)

    def forward(self, x):
        return self.rnn(x)[0]


def keras_one():
    x = keras.Input((1, 2))
    return keras.Model(x, keras.layers.SimpleRNN(3, return_sequences=True, name="rnn")(x))


IDS = strategies.ids(TIME, VOCABULARY)


def outcome(module, corners, examples=1):
    return run_check(module, corners, 0, examples, "")


@pytest.fixture(scope="module")
def equal():
    return PairModels(parity.Pair("masked", TorchPacked, KerasMean, inputs=IDS))


@pytest.fixture(scope="module")
def forgotten():
    return PairModels(parity.Pair("unmasked", TorchMean, unmasked, inputs=IDS))


@pytest.mark.parametrize("module", [forward, gradients])
def test_one_example_shows_a_forgotten_mask_and_one_row_of_it(forgotten, module):
    found = outcome(module, forgotten)

    assert len(found.findings) == 1
    ids = found.findings[0].given.inputs
    assert ids.shape == (1, TIME)
    assert 0 in ids


def test_a_model_that_refuses_texts_of_no_token_is_given_none(equal):
    assert "Length of all samples has to be greater than 0" in equal.exercised.refused
    assert not outcome(forward, equal, 3).findings


PADDED = [padding, causality, masking]


def test_ids_have_the_checks_of_padding_too(equal):
    assert set(PADDED) < set(checks_of(equal.pair))
    assert set(left_out(equal.pair)) == {"tokenizer", "feeds", "vocabulary", "loss", "generation"}
    assert not set(PADDED) & set(
        checks_of(parity.Pair("ids", TorchMean, KerasMean, inputs=strategies.arrays(TIME, below=9)))
    )
    assert [found.findings for found in (outcome(module, equal, 4) for module in PADDED)] == [[], [], []]


@pytest.mark.parametrize("module", PADDED)
def test_each_check_of_padding_can_fail(forgotten, module):
    corners = PairModels(parity.Pair("other", TorchMean, other_padding, inputs=IDS)) if module is masking else forgotten

    assert outcome(module, corners).findings


def test_models_of_one_length_have_more_padding_in_it(equal):
    fixed = PairModels(parity.Pair("fixed", torch_flat, keras_flat, inputs=strategies.ids(TIME, 9)))

    def length(corners):
        return simplest(padding.examples(corners)).inputs.shape[1]

    assert (length(equal), length(fixed)) == (TIME + 1, TIME)
    assert "texts of another length: the torch model cannot be called" in fixed.exercised.missing([])[-1]
    assert not outcome(padding, fixed, 3).findings


def test_what_was_not_exercised_is_said():
    corners = PairModels(parity.Pair("packed", TorchPacked, KerasMean, inputs=IDS))
    outcome(gradients, corners)
    outcome(forward, corners)
    ids, refused = report(corners, 0, 1, "", []).not_exercised

    assert re.fullmatch(r"ids of inputs: \d+ of 30,000 ids were drawn", ids)
    assert refused.startswith(
        "exact zeros, ties and rows of padding alone: the torch model cannot be called on int64 (5, 7): "
    )
    assert not PairModels(corners.pair).exercised.missing([])[0].startswith("ids")


def test_parameters_that_no_example_moves_are_named():
    """Of one token a row, a recurrence has nothing behind it."""
    corners = PairModels(parity.Pair("one", TorchOne, keras_one, inputs=strategies.arrays(1, 2)))
    outcome(gradients, corners)

    assert corners.exercised.missing(["torch cannot run in float64: x"]) == (
        "parameters that no example moves, their gradient is zero in all: rnn.recurrent_kernel",
        "torch cannot run in float64: x",
    )


@pytest.mark.parametrize(
    ("ids", "line"),
    [
        ({(): Ids(9)}, "ids of inputs: 3 of 9 ids were drawn, and 0 and 8 never"),
        ({}, "integers of inputs: 0, which may be padding, never occurred"),
    ],
)
def test_ids_at_the_ends_of_a_vocabulary_that_were_never_drawn_are_named(ids, line):
    drawn = Drawn(st.just(np.array([[3, 4, 5]])), ids)
    exercised = Exercised(parity.Pair("x", TorchMean, KerasMean, inputs=drawn), {})
    exercised.see(np.array([[3, 4, 5]]))

    assert exercised.missing([])[0] == line


def test_a_side_that_is_undefined_for_padding_alone_is_found():
    corners = PairModels(parity.Pair("undefined", TorchMean, undefined, inputs=IDS))
    (found,) = outcome(forward, corners).findings

    assert not corners.exercised.refused
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
    corners = PairModels(parity.Pair("length", TorchLength, keras_length, inputs=strategies.arrays(TIME)))

    assert not outcome(forward, corners, 3).findings
    assert not outcome(gradients, corners, 4).findings
    assert any(verdict.fails for verdict in gradients.verify(corners, simplest(strategies.examples(corners))))


class TorchLog(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(TIME, CLASSES)

    def forward(self, x):
        return self.a(x.log())


def keras_log():
    x = keras.Input((TIME,))
    return keras.Model(x, keras.layers.Dense(CLASSES, name="a")(ops.log(x)))


def test_an_example_without_a_finite_output_on_either_side_proves_nothing_and_is_no_finding():
    ones = np.ones((2, TIME), np.float32)
    corners = PairModels(parity.Pair("log", TorchLog, keras_log, inputs=st.just(ones)))

    def tried(*inputs):
        drawn = st.sampled_from([Sample(Weights(0, 1.0), one) for one in inputs])
        module = SimpleNamespace(__name__="any", __doc__="", examples=lambda _: drawn, verify=forward.verify)
        return outcome(module, corners, 9)

    some, none = tried(ones, -ones), tried(-ones)
    assert (some.findings, some.elements, some.nonfinite) == ([], 2 * CLASSES, 2 * CLASSES)
    assert [found.message for found in none.findings] == ["any: compared nothing in 1 examples; it proves nothing"]


def torch_square(output, _):
    return (output**2).mean()


def keras_square(output, _):
    """As an operation of TensorFlow's may: it takes no other precision."""
    if output.dtype != "float32":
        raise TypeError("float32 alone")
    return ops.mean(ops.square(output))


def test_a_loss_that_raises_in_float64_leaves_the_models_theirs():
    losses = {"torch": torch_square, "tensorflow": keras_square}
    corners = PairModels(parity.Pair("loss", TorchLength, keras_length, inputs=strategies.arrays(TIME), loss=losses))

    assert not corners.weaker
    assert report(corners, 0, 1, "", []).not_exercised[-1].startswith("the loss of tensorflow cannot run in float64")
    assert "TypeError: " in corners.weaker_loss["tensorflow"]
    assert not outcome(loss, corners, 2).findings
