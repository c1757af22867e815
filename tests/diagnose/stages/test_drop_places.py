"""A dropout that stands elsewhere, or on one side alone, is named with what each side drops; noise is none."""

from functools import partial
from types import SimpleNamespace

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


class Pictures(nn.Module):
    """Drops what a convolution makes of a picture, by the layer that it is given."""

    def __init__(self, drop):
        super().__init__()
        self.conv, self.drop, self.out = nn.Conv2d(3, 5, 2), drop(0.2), nn.Linear(5, 4)

    def forward(self, x):
        return self.out(self.drop(torch.tanh(self.conv(x))).mean((2, 3)))


def pictures_in_keras(drop):
    import keras

    kl = keras.layers
    layers = kl.Conv2D(5, 2, activation="tanh", name="conv"), getattr(kl, drop)(0.2), kl.GlobalAveragePooling2D()
    return keras.Sequential([keras.Input((7, 9, 3)), *layers, kl.Dense(4, name="out")])


def channels_last(model, x, training=False):
    import tensorflow as tf

    return model(tf.transpose(x, (0, 2, 3, 1)), training=training)


WHOLE = (
    "torch drops what tanh() makes at rate 0.2, along axes 2 and 3 all numbers as one (",
    "Tanh() makes at rate 0.2 (",
)
SINGLE = (
    "torch drops what tanh() makes at rate 0.2 (",
    "Tanh() makes at rate 0.2, along axes 1 and 2 all numbers as one (",
)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (nn.Dropout2d, "Dropout", WHOLE),
        (nn.Dropout, "SpatialDropout2D", SINGLE),
        (nn.Dropout2d, "SpatialDropout2D", ()),
    ],
)
def test_whole_channels_dropped_for_single_numbers_are_named(ours, theirs, words):
    """The two sides have their axes in different orders."""
    sides = partial(Pictures, ours), partial(pictures_in_keras, theirs)
    pair = Pair("pictures", *sides, inputs=strategies.arrays(3, 7, 9), call={"tensorflow": channels_last})
    pictures = np.random.default_rng(0).standard_normal((3, 3, 7, 9)).astype(np.float32)
    causes = drop_places.explain(PairModels(pair), Weights(1, 1.0), pictures)

    assert len(causes) == bool(words)
    assert all(word in cause.told for cause in causes for word in words)


def test_equal_dropouts_have_no_cause():
    assert causes("") == []


def test_a_place_that_does_not_explain_what_is_drawn_is_no_cause(monkeypatch):
    """torch adds noise, which no dropout of the other side is."""
    monkeypatch.setattr(Sum, "noisy", True)

    assert causes("behind the sum") == []


def test_what_a_graph_drops_is_read_off_several_draws(monkeypatch):
    """The first drops nothing, and the second a whole axis more than it always does."""
    operation = SimpleNamespace(layer="drop")
    draws = iter(
        [[], [drop_places.Drop(operation, 0.2, 3, (1, 2))]]
        + [[drop_places.Drop(operation, 0.2, 3, (2,))]] * drop_places.DRAWS
    )
    monkeypatch.setattr(drop_places, "_dropped_once", lambda *_: next(draws))
    model = SimpleNamespace(record=lambda *_, **__: SimpleNamespace(trace=None))

    assert drop_places.drawn_by(model, ROWS, None) == [drop_places.Drop(operation, 0.2, 3, (2,))]
