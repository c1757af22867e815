"""Edits that move an operation, or reach into one that does several things at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair, strategies
from parity.diagnose import operators
from parity.diagnose.operators import search
from parity.diagnose.operators.examples import recorded
from parity.diagnose.operators.moves import moved, relocated
from parity.diagnose.operators.proposal import Proposal, Spot, always
from parity.pair.models import PairModels
from tests.helpers.between import found, given, pair


def halved(x):
    return x * 0.5


def rooted(x):
    return x / (x.square().mean(1, keepdim=True) + 0.01).sqrt()


def rooted_outside(x):
    return x / (tf.sqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True)) + 0.01)


def attended(x):
    rows = x.permute(0, 2, 3, 1)
    return nn.functional.scaled_dot_product_attention(rows, rows, rows).permute(0, 3, 1, 2)


def attended_otherwise(x):
    return tf.nn.softmax(tf.matmul(x, x, transpose_b=True) / 3.0) @ x


def halved_twice_moved(x):
    return (x.cumsum(2) * 0.5).exp().tanh()


def tanh_first(x):
    return tf.exp(tf.tanh(tf.cumsum(x, 1) * 0.5))


KEPT = torch.arange(6)[:, None, None] < 4


def kept(x):
    return KEPT.to(x.dtype)


def filled(x):
    return x.masked_fill((torch.arange(6) < 3)[:, None, None], 7.0).cumsum(1)


def filled_elsewhere(x):
    return tf.cumsum(tf.where(tf.range(6) % 2 == 0, tf.constant(7.0, x.dtype), x), 3)


def waves(x):
    return sum((2.0**turn * x).sin() for turn in range(3))


def gated(x):
    share = x.sigmoid()
    return share * x.cos() + (1 - share) * x.exp()


def gated_otherwise(x):
    share = tf.sigmoid(x)
    return (1 - share) * tf.cos(x) + share * tf.exp(x)


def by_deviation(x):
    return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-3)


def by_variance(x):
    mean, variance = tf.nn.moments(x, [3], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-3)


def activated_first(x):
    for _ in range(3):
        x = x + torch.relu(x.sin() - 0.2)
    return x


def activated_last(x):
    for _ in range(3):
        x = tf.nn.relu(x + tf.sin(x) - 0.2)
    return x


def joined_first(x):
    for _ in range(3):
        x = torch.tanh(x.sin() + x)
    return x


def joined_last(x):
    for _ in range(3):
        x = tf.tanh(tf.sin(x)) + x
    return x


def normed_behind(x):
    rows = x.permute(0, 2, 3, 1)
    return nn.functional.layer_norm(rows + rows.cumsum(1).cos(), (6,)).permute(0, 3, 1, 2)


def normed_before(x):
    mean, variance = tf.nn.moments(x, [3], keepdims=True)
    return x + tf.cos(tf.cumsum((x - mean) * tf.math.rsqrt(variance + 1e-5), 1))


EDITED = {
    "a norm behind a block, for one before it": (
        normed_behind,
        normed_before,
        ["norm placement"],
        "before torch's cumsum(dim=1) (test_operator_moves.py:",
    ),
    "a factor in each turn of a loop": (
        waves,
        lambda x: sum(tf.sin(2.0**turn * np.pi * x) for turn in range(3)),
        ["scale"],
        "with other=1.0, 2.0, 4.0; with 3.14159265 times each",
    ),
    "a share and its rest": (gated, gated_otherwise, ["order"], "of which it is made, stand in each other's place"),
    "an unbiased deviation, and an epsilon added to it": (
        by_deviation,
        by_variance,
        ["variance", "epsilon placement"],
        "with correction=0 it makes",
    ),
    "a mask that keeps everything": (
        lambda x: ((x * kept(x)).sum(1) / kept(x).sum())[:, None].repeat(1, 6, 1, 1),
        lambda x: tf.repeat(tf.reduce_mean(x, 3, keepdims=True), 6, 3),
        ["mask missing"],
        "with 1 everywhere nothing is left",
    ),
    "a function of one's own": (
        lambda x: (x * (1.702 * x).sigmoid()).cumsum(1),
        lambda x: tf.cumsum(tf.nn.gelu(x), 3),
        ["activation"],
        "with gelu (erf) in its place it makes",
    ),
    "a mask of other places": (filled, filled_elsewhere, ["mask"], "67% of them are the same"),
    "an epsilon outside the root": (rooted, rooted_outside, ["epsilon placement"], "outside, to the deviation"),
    "a scale inside a fused function": (attended, attended_otherwise, ["attention scale"], "other=3.0"),
    "a word, and an argument that does not go with it": (
        lambda x: nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False).cumsum(2),
        lambda x: tf.cumsum(tf.repeat(tf.repeat(x, 2, 1), 2, 2), 1),
        ["argument"],
        "with mode=nearest, align_corners=None it makes",
    ),
    "an activation behind a residual sum, for one before it": (
        activated_first,
        activated_last,
        ["order"],
        "in 3 places",
    ),
    "an activation before a residual sum, for one behind it": (joined_first, joined_last, ["order"], "in 3 places"),
    "two neighbours exchanged": (halved_twice_moved, tanh_first, ["order"], "the other way round"),
}


@pytest.mark.parametrize(("ours", "theirs", "names", "words"), EDITED.values(), ids=EDITED)
def test_what_stands_elsewhere_is_named(monkeypatch, ours, theirs, names, words):
    monkeypatch.setattr(search, "FAULTS", 2)  # edits one behind another: too few for each place by itself
    _, causes = found(pair(ours, theirs))

    assert [cause.name for cause in causes] == names
    assert words in causes[0].told


def long_way(x):
    return tf.where(tf.sin(3.0 * x) > 0.2, tf.exp(-x) + 0.3, x)


def test_what_tensorflow_does_before_torchs_operation_is_told_however_long_it_is():
    _, causes = found(pair(lambda x: x.cumsum(2), lambda x: tf.cumsum(long_way(x), 1)))

    assert [cause.name for cause in causes] == ["extra operation"]
    assert "SelectV2() (test_operator_moves.py:" in causes[0].told
    assert "before torch's cumsum" in causes[0].told


def test_what_tensorflow_does_behind_torchs_operation_is_not_told_as_done_before_it():
    """All of TensorFlow's operations before torch's relu close the difference, too: it has no more to do then."""
    _, causes = found(pair(lambda x: x.relu(), lambda x: tf.exp(tf.sin(tf.nn.relu(x)) * 3.0)))

    assert len(causes) == 1
    assert "before torch's mean" in causes[0].told


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.first(self.second(x).tanh())


class KerasTwice(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = (keras.layers.Dense(3, name=name) for name in ("first", "second"))

    def call(self, x):
        return self.second(tf.tanh(self.first(x)))


class KerasTwiceTurned(KerasTwice):
    def call(self, x):
        return self.first(tf.tanh(self.second(x)))


def test_two_layers_that_are_called_in_each_others_place_are_named():
    corners = PairModels(Pair("twice", Twice, KerasTwice, inputs=strategies.arrays(3)))
    _, [cause] = found(corners)

    assert cause.name == "weights swapped"
    assert "call second and first in one order" in cause.fix


def test_what_tensorflow_does_behind_all_of_torchs_is_named():
    call = {"tensorflow": lambda model, x, training: tf.nn.softmax(model(x, training=training))}
    _, [cause] = found(PairModels(Pair("twice", Twice, KerasTwiceTurned, inputs=strategies.arrays(3), call=call)))

    assert cause.name == "activation"
    assert "tensorflow applies Softmax() (test_operator_moves.py:" in cause.told


def test_an_edit_that_is_not_needed_is_left_out():
    corners = pair(halved, lambda x: x)
    examples = operators.Examples(corners, given(corners, 1.0, 1.0))
    runs = examples.runs(0)
    chosen = next(search.closing(runs, exchange=False))
    idle = Proposal(always(), "argument", "nothing", "nothing")

    assert examples.needed([idle, *chosen], 0, "") == chosen


def test_what_is_inside_of_a_function_is_not_done_elsewhere():
    """The epsilon of a norm, added before a sign, would make the sign of zeros another."""
    corners = pair(lambda x: torch.nn.functional.layer_norm(x, (4,)) + x.relu().sign(), tf.sign)
    runs = recorded(corners, *given(corners, 1.0)[0], form="unfused")
    numbers = range(len(runs.run.trace.operations))
    spots = [Spot(runs.run, number, runs.alignment, runs.alignment.parted[1]) for number in numbers]
    outside = [spot for spot in spots if not spot.operation.part_of]
    told = [proposal.told for spot in outside for kind in (moved, relocated) for proposal in kind(spot)]

    assert len(outside) < len(spots)
    assert any("relu" in words for words in told)
    assert not any("inside layer_norm" in words.partition(" before torch's ")[0] for words in told)
