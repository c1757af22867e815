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


CASES = {
    "padding of a pooling": (window, window_of_the_same, "max_pool2d", "tensorflow pads 0 before and 1 after"),
    "padding of a mean": (
        averaged,
        averaged_of_the_same,
        "avg_pool2d",
        "0 before and 1 after, each axis in turn that",
    ),
    "padding of a convolution": (convolved, convolved_of_the_same, "conv2d", "pads [1, 1] at both ends"),
    "padding of a pooling with zeros": (
        lambda x: window(x - 1.0),
        window_of_zeros,
        "max_pool2d",
        "each axis in turn of zeros",
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
