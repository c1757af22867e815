"""Operands in another order, or not given at all: each is told by a name of its own, and two sides never read alike."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair, strategies
from parity.diagnose.operators import search
from parity.diagnose.operators.orders import orders
from parity.pair.models import PairModels
from tests.helpers.between import found, pair

EDITED = {
    "two joined in another order": (
        lambda x: torch.cat([x[:, :2], x[:, 2:].abs()], 1),
        lambda x: tf.concat([tf.abs(x[..., 2:]), x[..., :2]], 3),
        "tensors[0] (the result of __getitem__",
    ),
    "three joined in another order": (
        lambda x: torch.cat([x[:, :2], x[:, :2].abs(), x[:, :2].exp()], 1),
        lambda x: tf.concat([tf.exp(x[..., :2]), x[..., :2], tf.abs(x[..., :2])], 3),
        "stand in the order tensors[2], tensors[0], tensors[1] in tensorflow",
    ),
    "a running sum without the element itself": (
        lambda x: x.cumsum(1),
        lambda x: tf.cumsum(x, 3, exclusive=True),
        "tensorflow does so exclusive: Cumsum(",
    ),
    "a running sum from the end": (
        lambda x: x.cumsum(2),
        lambda x: tf.cumsum(x, 1, reverse=True),
        "tensorflow does so reverse: Cumsum(",
    ),
    "a difference that a maximum would hide": (
        lambda x: x.abs().clamp(min=1.0) - 1.0,
        lambda x: tf.maximum(tf.abs(x), 1.0),
        "torch does sub(other=1.0)",
    ),
    "a sum for a maximum": (
        lambda x: x.abs() + 0.5,
        lambda x: tf.maximum(tf.abs(x), 0.5),
        "torch adds 0.5 (test_operator_operands.py:",
    ),
}


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    monkeypatch.setattr(search, "WORK", 500)


@pytest.mark.parametrize(("ours", "theirs", "words"), EDITED.values(), ids=EDITED)
def test_an_edit_of_operands_is_the_cause(ours, theirs, words):
    _, [cause] = found(pair(ours, theirs))

    assert words in cause.told


def test_a_square_that_is_turned_is_not_told_by_the_same_numbers_twice():
    array = np.random.default_rng(0).normal(size=(3, 4))
    turned = array.reshape(3, 2, 2).swapaxes(1, 2).reshape(3, 4)

    [description] = [description for _, description in orders(array, turned, 1e-9)]
    assert description == "axis 1 of 4, read as 2 x 2, has rows and columns exchanged"


class Read(nn.Module):
    """An LSTM that starts from what it is given, and a dense layer."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x, h, c):
        return self.head(self.rnn(x, (h[None], c[None]))[0][:, -1])


class KerasRead(keras.Model):
    """As `Read`, starting from `first(h, c)`."""

    def __init__(self, first):
        super().__init__()
        self.rnn, self.head = keras.layers.LSTM(5, name="rnn"), keras.layers.Dense(4, name="head")
        self.first = first

    def call(self, x, h, c):
        return self.head(self.rnn(x, initial_state=self.first(h, c)))


def read_from(first):
    inputs = strategies.together(x=strategies.arrays(4, 3), h=strategies.arrays(5), c=strategies.arrays(5))
    return PairModels(Pair("read", Read, lambda: KerasRead(first), inputs=inputs))


STATES = {
    "no state at all": (lambda *_: None, "first state", "starts from hx[0] (input['h']) and hx[1] (input['c'])"),
    "no cell": (lambda h, c: [h, tf.zeros_like(c)], "first state", "starts from hx[1] (input['c']); in tensorflow"),
    "state and cell exchanged": (lambda h, c: [c, h], "order", "hx[0] (input['h']) and hx[1] (input['c']) of lstm"),
}


@pytest.mark.parametrize(("first", "name", "words"), STATES.values(), ids=STATES)
def test_the_first_state_is_told_part_by_part(first, name, words):
    _, [cause] = found(read_from(first))

    assert cause.name == name
    assert words in cause.told


def test_the_same_first_state_has_no_cause():
    places, causes = found(read_from(lambda h, c: [h, c]))

    assert not places
    assert not causes
