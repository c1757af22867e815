"""At which end a recurrence's outputs are taken, and in which order a reshape reads two axes, as proved causes."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair, strategies
from parity.canonical.weights import Weights
from parity.diagnose import operators
from parity.diagnose.operators import search
from parity.pair.models import PairModels
from tests.helpers.between import found, pair


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    monkeypatch.setattr(search, "WORK", 500)


class Torch(nn.Module):
    """A recurrence in two directions, and a dense layer of what `taken` takes of its outputs and its states."""

    def __init__(self, taken):
        super().__init__()
        self.rnn, self.head, self.taken = nn.GRU(5, 4, bidirectional=True, batch_first=True), nn.Linear(8, 3), taken

    def forward(self, x):
        return self.head(self.taken(*self.rnn(x)))


class Keras(keras.Model):
    """As `Torch`, of all outputs, or with a layer that gives its final states."""

    def __init__(self, taken):
        super().__init__()
        self.head, self.taken = keras.layers.Dense(3, name="head"), taken
        self.rnn = keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=taken is not None), name="rnn")

    def call(self, x):
        outputs = self.rnn(x)
        return self.head(self.taken(outputs) if self.taken else outputs)


def states(_, state):
    return torch.cat([state[0], state[1]], 1)


def last(outputs, _=None):
    return outputs[:, -1]


def final(outputs):
    return tf.concat([outputs[:, -1, :4], outputs[:, 0, 4:]], 1)


def first_backward(outputs, _):
    return torch.cat([outputs[:, 0, :4], outputs[:, 0, 4:]], 1)


STATES = "forward at the last position and backward at the first position (the final states)"
CASES = {
    "torch reads the last position": (last, None, f"{STATES} in tensorflow"),
    "tensorflow reads the last position": (states, last, "backward at the last position in tensorflow"),
    "torch reads the first position": (first_backward, final, f"and {STATES} in tensorflow"),
}


def recurrent(ours, theirs):
    return PairModels(Pair("rnn", partial(Torch, ours), partial(Keras, theirs), inputs=strategies.arrays(6, 5)))


@pytest.mark.parametrize(("ours", "theirs", "words"), CASES.values(), ids=CASES)
def test_the_end_at_which_outputs_are_taken_is_the_cause(ours, theirs, words):
    places, [cause] = found(recurrent(ours, theirs))

    assert places
    assert (cause.name, cause.where) == ("positions", "rnn")
    assert words in cause.told
    assert cause.after < 1e-9 * cause.before


def test_final_states_are_the_same_however_they_are_taken():
    assert found(recurrent(states, final)) == ([], [])


def rows(x):
    return torch.softmax(x.flatten(2).transpose(1, 2) * 3, 1).transpose(1, 2).reshape(x.shape) * weights(x)


def weights(x):
    return torch.arange(1, 25, dtype=x.dtype).reshape(6, 4)


def columns(x):
    turned = tf.reshape(tf.transpose(x, (0, 2, 1, 3)), (-1, 24, 6))
    shares = tf.reshape(tf.nn.softmax(turned * 3, 1), (-1, 6, 4, 6))
    return shares * tf.reshape(tf.range(1, 25, dtype=x.dtype), (6, 4, 1))


def test_two_axes_that_a_reshape_reads_as_if_exchanged_are_an_order():
    """All numbers are there, and a transposed picture, reshaped to its own lengths, has them one behind the other."""
    places, [cause] = found(pair(rows, columns))

    assert places
    assert cause.name in ("order", "flatten order")


def routed(axis, x):
    """Capsules, as a matrix of shares that begin equal."""
    votes = x.reshape(len(x), 6, -1)[:, :, :4]
    logits = torch.zeros_like(votes)
    for _ in range(2):
        shares = torch.softmax(logits, axis)
        logits = logits + votes * torch.tanh((shares * votes).sum(1, keepdim=True))
    return (shares * votes)[..., None]


def routed_there(axis, x):
    votes = tf.reshape(tf.transpose(x, (0, 3, 1, 2)), (-1, 6, 24))[:, :, :4]
    logits = tf.zeros_like(votes)
    for _ in range(2):
        shares = tf.nn.softmax(logits, axis)
        logits += votes * tf.tanh(tf.reduce_sum(shares * votes, 1, keepdims=True))
    return tf.transpose((shares * votes)[..., None], (0, 2, 3, 1))


def test_an_axis_of_a_softmax_that_is_constant_in_the_first_turn_is_no_factor():
    places, [cause] = found(pair(lambda x: routed(1, x), lambda x: routed_there(2, x)))

    assert places
    assert cause.name == "softmax axis"
    assert cause.told.endswith("so in 2 places")


def turned(x, angles):
    return x * torch.cos(angles * 0.5) + x.flip(2) * torch.sin(angles * 0.5)


def both_turned(x):
    places = torch.arange(1, 5, dtype=x.dtype) ** 1.5
    return turned(torch.tanh(x), scaled(places)) * turned(torch.exp(x), scaled(places))


def scaled(places):
    return torch.sqrt(places)


def turned_there(x):
    angles = tf.constant(1.7 * (np.arange(1, 5) ** 1.5) ** 0.5, x.dtype)[:, None]
    angles, x = angles * 0.5, tf.transpose(x, (0, 1, 2, 3))

    def by(x):
        return x * tf.cos(angles) + tf.reverse(x, [1]) * tf.sin(angles)

    return by(tf.tanh(x)) * by(tf.exp(x))


def test_a_factor_of_a_line_that_runs_twice_is_one_cause():
    _, [cause] = found(pair(both_turned, turned_there))

    assert cause.name == "scale"
    assert cause.told.endswith("so in 2 places")


def distances(sign, x):
    places = torch.arange(7)
    table = torch.sin(torch.arange(13, dtype=x.dtype) * 1.7)
    scores = x[:, :, :, :1] + table[sign * (places[None] - places[:, None]) + 6][:6, :6]
    return scores.softmax(3) * torch.arange(1, 7, dtype=x.dtype)


def distances_there(sign, x):
    places = tf.range(7)
    table = tf.sin(tf.range(13, dtype=x.dtype) * 1.7)
    bias = tf.gather(table, sign * (places[None] - places[:, None]) + 6)[:6, :6]
    scores = tf.transpose(x, (0, 3, 1, 2))[:, :, :, :1] + bias
    return tf.transpose(tf.nn.softmax(scores, 3) * tf.range(1, 7, dtype=x.dtype), (0, 2, 3, 1))


def test_one_edit_is_told_instead_of_two_that_come_to_the_same():
    _, [cause] = found(pair(lambda x: distances(1, x), lambda x: distances_there(-1, x)))

    assert cause.name in ("order", "scale", "operand")
    assert found(pair(lambda x: distances(1, x), lambda x: distances_there(1, x))) == ([], [])


class Recurrent(nn.Module):
    """The outputs of a recurrence at each row's last valid position."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x, last):
        outputs = self.rnn(x)[0]
        return self.head(outputs[torch.arange(len(outputs)), last])


class AtTheEnd(keras.Model):
    """As `Recurrent`, at the last position of all."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = keras.layers.GRU(6, return_sequences=True, name="rnn"), keras.layers.Dense(3, name="head")

    def call(self, inputs):
        return self.head(self.rnn(inputs["x"])[:, -1])


def test_an_index_of_the_inputs_is_told_as_one_whatever_it_says_on_the_example():
    """Of rows of one position it says the first: that torch takes the first one would be false."""
    lasts = strategies.together(x=strategies.arrays(6, 4), last=strategies.arrays(below=6))
    corners = PairModels(Pair("last", Recurrent, AtTheEnd, inputs=lasts))
    x = np.random.default_rng(0).standard_normal((3, 6, 4))
    lasts_of = ([0, 0, 0], [3, 1, 5], [2, 0, 4])
    runs = operators.Examples(corners, [(Weights(1, 1.0), {"x": x, "last": np.array(of)}) for of in lasts_of])

    assert operators.operations(runs)
    [cause] = operators.causes(runs)
    assert cause.name == "positions"
    assert "where input['last'] says, and tensorflow what stands at the last position of every row" in cause.told


def gated(axes, x):
    """Pictures of (rows, columns), cut to squares, by a gate along one of the axes."""
    gate = torch.tanh(x.mean(1)).mean(1, keepdim=True) * 3
    return x[:, :, :4] * gate[:, :, None].permute(axes)


def gated_there(x):
    gate = tf.reduce_mean(tf.tanh(tf.reduce_mean(x, 3)), 1, keepdims=True) * 3
    return x[:, :4] * gate[:, :, :, None]


def hidden(x):
    return x[:, :, :4].masked_fill((x.mean(1).mean(1) > 0)[:, None, None, :], -1.0)


def hidden_there(x):
    mask = tf.reduce_mean(tf.reduce_mean(x, 3), 1) > 0
    return tf.where(mask[:, :, None, None], tf.constant(-1.0, x.dtype), x[:, :4])


@pytest.mark.parametrize(
    ("ours", "theirs", "name"),
    [(partial(gated, (0, 1, 3, 2)), gated_there, "order"), (hidden, hidden_there, "mask")],
    ids=("numbers", "a mask"),
)
def test_an_operand_that_is_broadcast_along_another_axis_is_the_cause(ours, theirs, name):
    places, [cause] = found(pair(ours, theirs))

    assert places
    assert cause.name == name
    assert "goes along axis " in cause.told
    assert cause.after < 1e-9 * cause.before
