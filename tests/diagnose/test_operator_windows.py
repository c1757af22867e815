"""Padding of convolutions and poolings that torch has no argument for, as the cause that an edit proves."""

import pytest
import tensorflow as tf
import torch
from torch import nn

from parity.diagnose.operators import search
from tests.helpers.between import found, pair


def window(x):
    return nn.functional.max_pool2d(x, 3, 2, 1)


def window_of_the_same(x):
    return tf.nn.max_pool2d(x, 3, 2, "SAME")


def kernel(x):
    return torch.ones(6, 1, 3, 3, dtype=x.dtype) * torch.arange(1, 10, dtype=x.dtype).reshape(3, 3)


def convolved(x):
    return nn.functional.conv2d(x, kernel(x), stride=2, padding=1, groups=6)


def convolved_of_the_same(x):
    weight = tf.ones((3, 3, 6, 1), x.dtype) * tf.reshape(tf.range(1, 10, dtype=x.dtype), (3, 3, 1, 1))
    return tf.nn.depthwise_conv2d(x, weight, (1, 2, 2, 1), "SAME")


def window_of_zeros(x):
    return tf.nn.max_pool2d(tf.pad(x - 1.0, ((0, 0), (1, 1), (1, 1), (0, 0))), 3, 2, "VALID")


def averaged(x):
    return nn.functional.avg_pool2d(x, 3, 2, 1)


def averaged_of_the_same(x):
    return tf.nn.avg_pool2d(x, 3, 2, "SAME")


def edged(x):
    """The edge repeated once at every end, as torch joins it by hand."""
    for axis in (2, 3):
        x = torch.cat([x.narrow(axis, 0, 1), x, x.narrow(axis, x.shape[axis] - 1, 1)], axis)
    return x


def average_of_edges(x):
    return nn.functional.avg_pool2d(edged(x), 3, 1) ** 2


def average_of_the_same(x):
    return tf.nn.avg_pool2d(x, 3, 1, "SAME") ** 2


def averaged_all(x):
    return nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False) ** 2


def average_of_edges_there(x):
    return tf.nn.avg_pool2d(tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "SYMMETRIC"), 3, 1, "VALID") ** 2


CASES = {
    "padding of a pooling": (window, window_of_the_same, "max_pool2d", "tensorflow pads 0 before and 1 after"),
    "padding of a mean": (
        averaged,
        averaged_of_the_same,
        "avg_pool2d",
        "0 before and 1 after, on each axis that",
    ),
    "padding of a convolution": (convolved, convolved_of_the_same, "conv2d", "pads [1, 1] at both ends"),
    "padding of a pooling with zeros": (
        lambda x: window(x - 1.0),
        window_of_zeros,
        "max_pool2d",
        "on each axis of zeros",
    ),
}


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    monkeypatch.setattr(search, "WORK", 500)


@pytest.mark.parametrize(("ours", "theirs", "name", "words"), CASES.values(), ids=CASES)
def test_what_is_padded_at_either_end_is_the_cause(ours, theirs, name, words):
    places, [cause] = found(pair(ours, theirs))

    assert name in places[0].call
    assert cause.name == "padding"
    assert words in cause.told
    assert cause.after <= 1e-11 < 1e-7 < cause.before


def joined_by_the_edge(x):
    return torch.cat([x[:, :, :1].expand(-1, -1, 2, -1), x], 2).cumsum(2)


def joined_there(mode):
    return lambda x: tf.cumsum(tf.pad(x, ((0, 0), (2, 0), (0, 0), (0, 0)), mode), 1)


PADDED = {
    "all before": (
        lambda x: nn.functional.pad(x, (1, 1)).cumsum(3),
        lambda x: tf.cumsum(tf.pad(x, ((0, 0), (0, 0), (2, 0), (0, 0))), 2),
        "padding",
        "1 before and 1 behind, and tensorflow 2 before and 0 behind",
    ),
    "all behind, of the other side": (
        lambda x: nn.functional.pad(x, (3, 0)).cumsum(3),
        lambda x: tf.cumsum(tf.pad(x, ((0, 0), (0, 0), (1, 2), (0, 0))), 2),
        "padding",
        "3 before and 0 behind, and tensorflow 1 before and 2 behind",
    ),
    "ends of a mean that are joined in torch": (
        average_of_edges,
        average_of_the_same,
        "padding value",
        "tensorflow pads there, with what does not count",
    ),
    "ends of a mean that are joined in tensorflow": (
        averaged_all,
        average_of_edges_there,
        "padding value",
        "and tensorflow with the edge's own values",
    ),
    "the edge for zeros, joined by hand": (
        joined_by_the_edge,
        joined_there("CONSTANT"),
        "padding value",
        "torch pads with the edge's own values (test_operator_windows.py:",
    ),
    "the edge for a reflection, joined by hand": (
        joined_by_the_edge,
        joined_there("REFLECT"),
        "padding value",
        "and tensorflow with a reflection without the edge",
    ),
    "zeros for the doubled edge": (
        lambda x: nn.functional.pad(x, (0, 0, 2, 0)).cumsum(2),
        joined_there("SYMMETRIC"),
        "argument",
        "torch pads with mode=constant (test_operator_windows.py:",
    ),
    "zeros for what stands at the other end": (
        lambda x: nn.functional.pad(x, (0, 0, 2, 0)).cumsum(2),
        lambda x: tf.cumsum(tf.concat([x[:, -2:], x], 1), 1),
        "argument",
        "and tensorflow with what stands at the other end",
    ),
}


def bins(kind, size):
    return lambda x: getattr(nn.functional, f"adaptive_{kind}_pool2d")(x, size).sin()


def windows(kind, reach):
    return lambda x: tf.sin(getattr(tf.nn, f"{kind}_pool2d")(x, reach, reach, "VALID"))


POOLED = {  # of an image of 6 x 4: 6 // 4 places is a window of one
    "of a mean": (bins("avg", (4, 2)), windows("avg", (1, 2)), "0:2, 1:3, 3:5, 4:6, then 0:2, 2:4", "[1, 2] by steps"),
    "of a maximum": (bins("max", (4, 2)), windows("max", (1, 2)), "0:2, 1:3, 3:5, 4:6, then 0:2, 2:4", "[1, 2] by"),
    "of two sizes": (
        lambda x: nn.functional.max_pool2d(x, (3, 2), (1, 2)).sin(),
        windows("max", (2, 1)),
        "pools other windows; tensorflow pools",
        "[2, 1] by steps of [2, 1]",
    ),
    "padded": (
        lambda x: nn.functional.max_pool2d(x, (3, 2), (1, 2)).sin(),
        lambda x: tf.sin(tf.nn.max_pool2d(x, (4, 3), (3, 2), "SAME")),
        "pools other windows; tensorflow pools",
        "[4, 3] by steps of [3, 2]",
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "mine", "others"), POOLED.values(), ids=POOLED)
def test_windows_of_another_width_and_step_are_told_with_the_bins_of_an_adaptive_pooling(ours, theirs, mine, others):
    _, [cause] = found(pair(ours, theirs))

    assert cause.name == "argument"
    assert mine in cause.told
    assert others in cause.told


@pytest.mark.parametrize(("ours", "theirs", "name", "words"), PADDED.values(), ids=PADDED)
def test_what_a_padding_holds_is_the_cause_however_it_is_written(ours, theirs, name, words):
    _, [cause] = found(pair(ours, theirs))

    assert cause.name == name
    assert words in cause.told


def test_what_is_joined_and_is_no_padding_is_not_told_as_one():
    joined = pair(
        lambda x: torch.cat([x[:, :, :2].exp(), x], 2).cumsum(2),
        lambda x: tf.cumsum(tf.pad(x, ((0, 0), (2, 0), (0, 0), (0, 0))), 1),
    )
    _, causes = found(joined)

    assert "padding value" not in [cause.name for cause in causes]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (joined_by_the_edge, lambda x: tf.cumsum(tf.concat([x[:, :1], x[:, :1], x], 1), 1)),
        (lambda x: nn.functional.pad(x, (0, 0, 1, 0), "circular"), lambda x: tf.concat([x[:, -1:], x], 1)),
    ],
)
def test_the_same_padding_written_otherwise_is_no_cause(ours, theirs):
    assert found(pair(ours, theirs)) == ([], [])
