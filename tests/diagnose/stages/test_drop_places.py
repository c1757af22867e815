"""A dropout that stands elsewhere, or on one side alone, is named with what each side drops; noise is none."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair, strategies
from parity.canonical.weights import Weights
from parity.diagnose.stages import drop_places
from parity.pair.models import PairModels

ROWS = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)


class Sum(nn.Module):
    """Drops within each of two branches' functions."""

    noisy = False

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(6, 9), nn.Linear(9, 6), nn.Linear(6, 4)
        self.first, self.second = nn.Dropout(0.2), nn.Dropout(0.3)

    def forward(self, x):
        h = self.second(self.b(self.first(torch.tanh(self.a(x)))))
        return self.out(torch.tanh(x + h + 0.3 * torch.randn_like(h) * (self.training and self.noisy)))


def in_keras(place):
    import keras
    import tensorflow as tf

    kl = keras.layers

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.out = kl.Dense(9, activation="tanh"), kl.Dense(6), kl.Dense(4)
            self.first, self.second = kl.Dropout(0.2), kl.Dropout(0.3)

        def call(self, x, training=False):
            h = self.a(x)
            h = self.b(h if place == "one alone" else self.first(h, training=training))
            if place == "behind the sum":
                return self.out(tf.tanh(self.second(x + h, training=training)))
            z = tf.tanh(x + self.second(h, training=training))
            return self.out(tf.nn.dropout(z, 0.25) if training and place == "of a function" else z)

    return Model()


def causes(place):
    corners = PairModels(Pair("sum", Sum, partial(in_keras, place), inputs=strategies.arrays(6)))
    return drop_places.explain(corners, Weights(1, 1.0), ROWS)


@pytest.mark.parametrize(
    ("place", "where", "start", "end"),
    [
        ("behind the sum", "second", "torch drops what linear() makes at rate 0.3 (", "tensorflow what AddV2() makes"),
        ("one alone", "first", "torch drops what tanh() makes at rate 0.2 (", "; tensorflow does not"),
        ("of a function", "", "tensorflow drops what Tanh() makes at rate 0.25 (", "; torch does not"),
    ],
)
def test_where_each_side_drops_is_named_where_it_differs(place, where, start, end):
    [cause] = causes(place)

    assert (cause.name, cause.where) == ("dropout", where)
    assert cause.told.startswith(start)
    assert end in cause.told
    assert cause.before > cause.after > 0


def test_equal_dropouts_have_no_cause():
    assert causes("") == []


def test_a_place_that_does_not_explain_what_is_drawn_is_no_cause(monkeypatch):
    """torch adds noise, which no dropout of the other side is."""
    monkeypatch.setattr(Sum, "noisy", True)

    assert causes("behind the sum") == []
