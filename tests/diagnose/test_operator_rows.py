"""Rows and positions in an order that the run computes, as proved causes: sorted rows, rows read backwards."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair
from parity.canonical.weights import Weights
from parity.diagnose import operators
from parity.diagnose.operators.families import in_turn
from parity.pair.models import PairModels
from parity.strategies import arrays, together


class Torch(nn.Module):
    """A dense layer, what is done with its outputs (rows, 7, 6) and each row's last position, and a sum over time."""

    def __init__(self, between):
        super().__init__()
        self.own, self.head, self.between = nn.Linear(5, 6), nn.Linear(6, 3), between

    def forward(self, x, last):
        time = torch.arange(1, 8, dtype=x.dtype)[:, None]
        return self.head(torch.tanh(self.own(x) + self.between(x, last).sum(-1, keepdim=True) * time).sum(1))


class Keras(keras.Model):
    """As `Torch`."""

    def __init__(self, between):
        super().__init__()
        self.own, self.head, self.between = keras.layers.Dense(6), keras.layers.Dense(3), between

    def call(self, inputs):
        x, last = inputs["x"], inputs["last"]
        time = tf.range(1, 8, dtype=x.dtype)[:, None]
        between = tf.reduce_sum(self.between(x, last), -1, keepdims=True)
        return self.head(tf.reduce_sum(tf.tanh(self.own(x) + between * time), 1))


def causes(ours, theirs):
    inputs = together(x=arrays(7, 5), last=arrays(below=7))
    corners = PairModels(Pair("rows", lambda: Torch(ours), lambda: Keras(theirs), inputs=inputs))
    random = np.random.default_rng(1)
    drawn = [{"x": random.standard_normal((5, 7, 5)).astype("f"), "last": random.integers(7, size=5)} for _ in range(3)]
    examples = [(Weights(seed, 1.0), of) for seed, of in enumerate(drawn)]
    return operators.causes(operators.Examples(corners, examples))


def same(x, _):
    return x


def sorted_rows(x, last):
    return x[torch.sort(last, stable=True)[1]]


def sorted_rows_there(x, last):
    return tf.gather(x, tf.argsort(last, stable=True))


def within(x, last):
    places = torch.arange(7)[None]
    order = torch.where(places <= last[:, None], last[:, None] - places, places)
    return torch.gather(x, 1, order[..., None].expand(-1, -1, 5))


def within_there(x, last):
    return tf.reverse_sequence(x, last + 1, seq_axis=1)


def whole(x, _):
    return x.flip(1)


def whole_there(x, _):
    return tf.reverse(x, [1])


CASES = {
    "sorted and not put back": (sorted_rows, same, "put back from the order that result 1 of sort"),
    "sorted there": (
        lambda x, last: x + 0 * torch.argsort(last, stable=True)[:, None, None],
        sorted_rows_there,
        "in the",
    ),
    "within lengths, and whole there": (within, whole_there, "tensorflow reads them in reverse of the whole row"),
    "whole, and within lengths there": (
        whole,
        within_there,
        "within the length of each row that input['last'] says, and one",
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "words"), CASES.values(), ids=CASES)
def test_an_order_that_the_run_computes_is_told_by_what_says_it(ours, theirs, words):
    [cause] = causes(ours, theirs)

    assert cause.name == "order"
    assert words in cause.told
    assert "; torch's" not in cause.told  # looked for blind to order and not, it is one cause
    assert cause.after < 1e-12 < cause.before


def test_every_operation_is_tried_before_one_is_tried_again():
    assert in_turn([(4, "a"), (4, "b"), (4, "c"), (7, "d"), (7, "e")]) == [
        (4, "a"),
        (7, "d"),
        (4, "b"),
        (7, "e"),
        (4, "c"),
    ]
