"""Attention of a model's own code: what an edit of it is called, and which of its values are exchanged."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair, strategies
from parity.diagnose.operators.attention import attentions
from parity.pair.models import PairModels
from tests.helpers.between import found

WIDTH, HEADS, HEAD, TIME = 5, 2, 3, 7
INPUTS = strategies.arrays(TIME, WIDTH)
ROLES = "query", "key", "value"
AHEAD = np.arange(TIME)[None] - np.arange(TIME)[:, None]
CAUSAL = AHEAD <= 0


class Attention(nn.Module):
    """Causal attention, to the nearest if `near`; `split` lays out heads, `hides` is what hidden scores get."""

    def __init__(self, scale=HEAD**-0.5, split=None, roles=ROLES, hides=-np.inf, turned=False, near=0):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, HEADS * HEAD) for _ in range(3))
        self.head = nn.Linear(HEADS * HEAD, 4)
        self.scale, self.split, self.roles, self.hides, self.turned = scale, split or in_blocks, roles, hides, turned
        self.near = near

    def forward(self, x):
        query, key, value = (self.split(getattr(self, role)(x)) for role in self.roles)
        value = value.flip(1) if self.turned else value
        places = torch.arange(x.shape[1])
        scores = query @ key.mT * self.scale
        seen = places[None] <= places[:, None]
        if self.near:
            seen = seen & (places[None] > places[:, None] - self.near)
        scores = torch.where(seen, scores, self.hides)
        x = torch.softmax(scores, -1) @ value
        return self.head(x.permute(0, 2, 1, 3).reshape(len(x), TIME, HEADS * HEAD))


def in_blocks(x):
    return x.reshape(len(x), TIME, HEADS, HEAD).permute(0, 2, 1, 3)


def in_turn(x):
    return x.reshape(len(x), TIME, HEAD, HEADS).permute(0, 3, 1, 2)


class KerasAttention(keras.Model):
    """As `Attention`; `seen` is which keys a query sees, if others."""

    def __init__(self, seen=None, hides=-np.inf):
        super().__init__()
        self.query, self.key, self.value = (keras.layers.Dense(HEADS * HEAD, name=role) for role in ROLES)
        self.head, self.seen, self.hides = keras.layers.Dense(4, name="head"), seen, hides

    def call(self, x):
        query, key, value = (
            tf.transpose(tf.reshape(layer(x), (-1, TIME, HEADS, HEAD)), (0, 2, 1, 3))
            for layer in (self.query, self.key, self.value)
        )
        scores = tf.matmul(query, key, transpose_b=True) / HEAD**0.5
        places = tf.range(tf.shape(x)[1])
        seen = places[None] <= places[:, None] if self.seen is None else tf.constant(self.seen)
        scores = tf.where(seen, scores, tf.constant(self.hides, scores.dtype))
        x = tf.matmul(tf.nn.softmax(scores), value)
        return self.head(tf.reshape(tf.transpose(x, (0, 2, 1, 3)), (-1, TIME, HEADS * HEAD)))


def pair(ours, theirs):
    return PairModels(Pair("own", lambda: Attention(**ours), lambda: KerasAttention(**theirs), inputs=INPUTS))


CASES = {
    "another scale": ({"scale": 1 / HEAD}, {}, "attention scale", "other="),
    "heads in turn": ({"split": in_turn}, {}, "head split", "so in 3 places"),
    "heads of the values reversed": ({"turned": True}, {}, "head split", "flip"),
    "query and key": (
        {"roles": ("key", "query", "value")},
        {},
        "query key value",
        "takes the result of key, the result of query, the result of value",
    ),
    "key and value": (
        {"roles": ("query", "value", "key")},
        {},
        "query key value",
        "tensorflow's takes the result of query, the result of key, the result of value",
    ),
    "all in turn": (
        {"roles": ("key", "value", "query")},
        {},
        "query key value",
        "takes the result of key, the result of value, the result of query",
    ),
    "a mask of -10 in torch": ({"hides": -10.0}, {}, "mask value", "with other=-inf"),
    "a mask of -10 in Keras": ({}, {"hides": -10.0}, "mask value", "with other=-10.0"),
    "the next one seen": ({}, {"seen": AHEAD <= 1}, "mask offset", "hide other places"),
    "a window": ({"near": 3}, {}, "mask window", "missing in tensorflow"),
    "turned round": ({}, {"seen": AHEAD >= 0}, "mask inverted", "hide other places"),
    "a hidden key": ({}, {"seen": CAUSAL & (np.arange(TIME) != 3)}, "mask missing", "SelectV2"),
}


@pytest.mark.parametrize(("ours", "theirs", "name", "words"), CASES.values(), ids=CASES)
def test_an_edit_of_an_attention_is_called_by_what_it_is_there(ours, theirs, name, words):
    _, [cause] = found(pair(ours, theirs))

    assert cause.name == name
    assert words in cause.told
    assert cause.after < 1e-11 < cause.before


def test_an_attention_is_two_products_with_a_softmax_between():
    corners = pair({}, {})
    trace = corners.models["torch", "float64"].record(corners.given(0)[0], False, "").trace
    [one] = attentions(trace)
    names = [operation.name for operation in trace.operations]

    assert [names[number] for number in sorted(one.products)] == ["matmul", "matmul"]
    assert [names[number] for number in sorted(one.scores)] == ["matmul", "mul", "where", "softmax"]
    assert [names[number] for number in sorted(one.queries)] == ["reshape", "permute", "reshape", "permute", "mT"]
    assert {names[number] for number in one.heads} == {"reshape", "permute", "mT"}
