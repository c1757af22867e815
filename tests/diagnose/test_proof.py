"""A proof holds elsewhere too: with other weights, other inputs and other sizes, or it is none."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import strategies
from parity.canonical.weights import Weights
from parity.diagnose import explain as blame
from parity.diagnose.layers import explain
from parity.diagnose.locate.lockstep import matched
from parity.inputs.arrays import Sample
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from tests.helpers.segments import drawn, leaf, proved, weights_of

WIDTH = 4
IDS = strategies.arrays(6, below=8)


class Ends(nn.Module):
    """Two dense layers, and what is made of the second one's output."""

    def __init__(self, end, out):
        super().__init__()
        self.first, self.second, self.end = nn.Linear(WIDTH, 5), nn.Linear(5, out), end

    def forward(self, x):
        return self.end(self.second(torch.tanh(self.first(x))))


class KerasEnds(keras.Model):
    def __init__(self, end, out):
        super().__init__()
        self.first, self.second, self.end = keras.layers.Dense(5), keras.layers.Dense(out), end

    def call(self, x):
        return self.end(self.second(tf.tanh(self.first(x))))


def same(x):
    return x


def located(pair, inputs):
    corners = PairModels(pair)
    corners.load(Weights(1, 1.0))
    return blame.located(corners, inputs)


def rows(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def ended(torch_end, keras_end, out=3, scale=1.0):
    """The cause of one row's difference."""
    pair = Pair(
        "ends", lambda: Ends(torch_end, out), lambda: KerasEnds(keras_end, out), inputs=strategies.arrays(WIDTH)
    )
    example = Sample(Weights(1, scale), rows(1, WIDTH))
    corners = PairModels(pair)
    corners.load(example.weights)
    found, diagnosis = blame.located(corners, example.inputs)
    assert found.introduces
    assert diagnosis.where == ("",)
    return [(cause.name, cause.told) for cause in blame.by_operation(corners, diagnosis, example).causes]


# Of 3 numbers, or 1, the output of the second layer is small enough to be its own hard_tanh.
FEW = {
    "logits and probabilities": ((same, tf.nn.softmax, 3), "activation", "tensorflow applies Softmax()"),
    "one logit and its probability": ((torch.sigmoid, same, 1), "activation", "torch does sigmoid()"),
    "two hard sigmoids": (
        (nn.Hardsigmoid(), lambda x: tf.clip_by_value(0.2 * x + 0.5, 0, 1), 3),
        "activation",
        "with hard_sigmoid (0.2 x + 0.5) in its place",
    ),
    "tanh so small that it is almost nothing": (
        (lambda x: (x * 1e-3).tanh() * 1e3, same, 3),
        "activation",
        "torch does tanh()",
    ),
    "another alpha": ((nn.ELU(0.5), tf.nn.elu, 3, 0.01), "argument", "with alpha=1.0"),
    "a product": ((lambda x: x * x.mean(-1, keepdim=True), same, 2), "extra operation", "torch does mul()"),
    "a bound that large numbers alone meet": (
        (lambda x: x.clamp(-1.5, 1.5), same, 3, 30.0),
        "clipped",
        "torch does clamp(min=-1.5, max=1.5)",
    ),
}


@pytest.mark.parametrize("name", FEW)
def test_few_numbers_have_the_true_cause(name):
    ends, cause, words = FEW[name]
    [(actual, claim)] = ended(*ends)

    assert actual == cause
    assert words in claim


def elsewhere(segment, *others):
    return replace(segment, others=lambda: others)


RIGHT = {name: 2 * array for name, array in weights_of("dense").items()}
FAULT = leaf("dense", weights={"bias": np.zeros(7)})
DOUBLED = leaf("dense", weights={**RIGHT, "bias": np.zeros(7)})
CONSISTENT = replace(DOUBLED, found=(leaf("dense", weights=RIGHT).found[1], DOUBLED.found[1]), weights=RIGHT)


def test_a_capture_in_which_a_side_overflows_neither_proves_nor_refutes():
    spoilt = replace(FAULT, found=(FAULT.found[0], np.full_like(FAULT.found[1], np.nan)))

    assert proved(elsewhere(FAULT, CONSISTENT, spoilt)) == ["bias missing"]
    assert explain(elsewhere(FAULT, spoilt))[0] == []


def test_a_place_that_was_captured_once_proves_nothing():
    assert proved(FAULT) == ["bias missing"]
    assert explain(elsewhere(FAULT))[0] == []


def test_a_layers_weights_read_otherwise_hold_with_others_of_its_weights():
    assert proved(elsewhere(FAULT, CONSISTENT)) == ["bias missing"]
    assert explain(elsewhere(FAULT, leaf("dense")))[0] == []  # there, it has its bias


class Pooled(nn.Module):
    """A convolution behind a pooling that keeps what is unmatched at the end."""

    def __init__(self):
        super().__init__()
        self.pool, self.conv = nn.MaxPool1d(2, ceil_mode=True), nn.Conv1d(4, 6, 3, padding=1, groups=2)

    def forward(self, x):
        return self.conv(self.pool(x.movedim(-1, 1))).mean(-1)


def keras_pooled(padding, factor=1.0):
    pool = keras.layers.MaxPooling1D(2, padding=padding, name="pool")
    conv = keras.layers.Conv1D(6, 3, padding="same", groups=2, name="conv")
    scaled = keras.layers.Lambda(lambda x: factor * x + (1 - factor) * tf.stop_gradient(x), name="scaled")
    return keras.Sequential([pool, conv, keras.layers.GlobalAveragePooling1D(), scaled])


def pooled(**changes):
    return Pair("pooled", Pooled, lambda: keras_pooled(**changes), inputs=strategies.arrays(7, 4))


def test_a_layer_whose_input_has_another_shape_inherits():
    found, diagnosis = located(pooled(padding="valid"), rows(2, 7, 4))

    assert {node.path: node.mark for node in found.nodes} == {
        "": "inherits",
        "pool": "introduces",
        "conv": "inherits",
    }
    assert diagnosis.causes == ()


def test_gradients_of_a_grouped_convolution_which_tensorflow_has_in_a_graph_alone():
    found, _ = located(pooled(padding="same"), rows(2, 7, 4))
    assert found.introduces == []

    found, _ = located(pooled(padding="same", factor=0.5), rows(2, 7, 4))
    assert [(piece.path, piece.place.partition(" of ")[0]) for piece in found.introduces] == [("", "gradient")]


class Tabled(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(9, 5), nn.Linear(5, 3)

    def forward(self, ids):
        return self.head(self.table(ids).mean(1))


class KerasTabled(keras.Model):
    def __init__(self, trainable=True):
        super().__init__()
        self.table = keras.layers.Embedding(9, 5, trainable=trainable)
        self.head = keras.layers.Dense(3)

    def call(self, ids):
        return self.head(tf.reduce_mean(self.table(ids), 1))


def failing(pair, check):
    """The diagnosis of one check's finding."""
    from parity.checks import checks_of
    from parity.checks.runner import run_check

    corners = PairModels(pair)
    (module,) = (module for module in checks_of(pair) if module.__name__.endswith(f".{check}"))
    return blame.diagnose(corners, run_check(module, corners, 0, 1, "", shrink=False))


class Read(nn.Module):
    """A recurrence in both directions over ids: every step, or the last states side by side."""

    def __init__(self, last):
        super().__init__()
        self.table, self.read = nn.Embedding(9, 5), nn.GRU(5, 4, batch_first=True, bidirectional=True)
        self.head, self.last = nn.Linear(8, 3), last

    def forward(self, ids):
        steps, states = self.read(self.table(ids))
        return self.head(torch.cat([states[0], states[1]], -1) if self.last else steps)


def read(last, masked, factor):
    def build():
        gru = keras.layers.GRU(4, return_sequences=not last)
        table = keras.layers.Embedding(9, 5, mask_zero=masked, name="table")
        head = keras.layers.Dense(3, activation=lambda x: factor * x, name="head")
        return keras.Sequential([table, keras.layers.Bidirectional(gru, name="read"), head])

    example = Sample(Weights(1, 1.0), np.array([[3, 0, 5, 1, 0, 0], [1, 2, 3, 4, 5, 6]]))
    corners = PairModels(Pair("read", lambda: Read(last), build, inputs=IDS))
    corners.load(example.weights)
    found, diagnosis = blame.located(corners, example.inputs)
    return found, blame.by_operation(corners, diagnosis, example)


def test_a_mask_that_a_wrapper_hands_on_is_the_cause():
    found, diagnosis = read(last=False, masked=True, factor=1)

    assert [piece.path for piece in found.introduces] == ["read"]
    assert [(cause.name, cause.where) for cause in diagnosis.causes] == [("mask of the inputs", "table")]


def test_outputs_of_other_shapes_of_which_the_same_is_made_are_no_difference():
    found, _ = read(last=True, masked=False, factor=2)
    assert [piece.path for piece in found.introduces] == ["head"]

    found, _ = read(last=True, masked=True, factor=1)
    assert [piece.path for piece in found.introduces] == ["read"]


def test_gradients_of_a_pair_with_inputs_are_explained_by_its_inputs():
    found = failing(Pair("frozen", Tabled, lambda: KerasTabled(trainable=False), inputs=IDS), "gradients")
    (cause,) = found.causes

    assert (cause.name, cause.where) == ("gradient stopped", "table")
    assert cause.told == "tensorflow does not train table.table: it is frozen"
    assert 0 <= cause.after < 1e-6 * cause.before


def test_a_difference_of_the_loss_is_not_blamed_on_call():
    loss = {
        "torch": lambda output, ids: output.square().mean(),
        "tensorflow": lambda output, ids: 2 * tf.reduce_mean(tf.square(output)),
    }
    call = {"torch": lambda model, ids, training: model(ids)}
    found = failing(Pair("loss", Tabled, KerasTabled, inputs=IDS, call=call, loss=loss), "gradients")

    assert not any("call=" in line for line in found.ruled_out)


def test_arrays_of_two_sorts_go_together_only_if_they_are_equal():
    ids = np.arange(10).reshape(2, 5)
    mask, features = ids > 3, drawn(2, 5)

    assert [(m.ours, m.theirs) for m in matched([ids, mask], [mask, ids])] == [(1, 0), (0, 1)]
    assert [(m.ours, m.theirs) for m in matched([ids], [mask, ids])] == [(0, 1)]
    assert [(m.ours, m.theirs) for m in matched([features, ids], [features.astype(np.float32), mask, ids])] == [
        (0, 0),
        (1, 2),
    ]
    assert [(m.ours, m.theirs) for m in matched([ids, ~mask], [ids, mask])] == [(0, 0), (1, 1)]
    assert [(m.ours, m.theirs) for m in matched([ids, mask * 1], [mask * 1, ids], anyhow=True)] == [(1, 0), (0, 1)]
    assert len(matched([ids], [ids, mask])) == 1
