"""Edits that move an operation, or reach into one that does several things at once."""

import pytest
import tensorflow as tf
from torch import nn

from parity.diagnose import operators
from parity.diagnose.operators import search
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


EDITED = {
    "an epsilon outside the root": (rooted, rooted_outside, ["epsilon placement"], "outside, to the deviation"),
    "a scale inside a fused function": (attended, attended_otherwise, ["scale"], "other=3.0"),
    "a word, and an argument that does not go with it": (
        lambda x: nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False).cumsum(2),
        lambda x: tf.cumsum(tf.repeat(tf.repeat(x, 2, 1), 2, 2), 1),
        ["argument"],
        "with mode=nearest, align_corners=None it makes",
    ),
    "two neighbours exchanged": (halved_twice_moved, tanh_first, ["order"], "the other way round"),
}


@pytest.mark.parametrize(("ours", "theirs", "names", "words"), EDITED.values(), ids=EDITED)
def test_what_stands_elsewhere_is_named(ours, theirs, names, words):
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


def test_an_edit_that_is_not_needed_is_left_out():
    corners = pair(halved, lambda x: x)
    examples = operators.Examples(corners, given(corners, 1.0, 1.0))
    runs = examples.runs(0)
    chosen = next(search.closing(runs, exchange=False))
    idle = search.Proposal(search.always(), "argument", "nothing", "nothing")

    assert examples.needed([idle, *chosen], 0, "") == chosen
