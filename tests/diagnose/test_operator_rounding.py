"""A quotient that one side rounds down and the other towards zero, as a proved cause."""

import tensorflow as tf
import torch

from tests.helpers.between import found, pair


def halved(x):
    distances = torch.arange(6) - 3
    return x * (distances // 2).to(x.dtype)[:, None]


def halved_there(x):
    distances = tf.cast(tf.range(6) - 3, x.dtype)
    return x * tf.cast(tf.cast(distances / 2, tf.int32), x.dtype)[:, None, None]


def test_a_quotient_that_is_rounded_towards_zero_is_told_so():
    places, [cause] = found(pair(halved, halved_there))

    assert places
    assert cause.name == "operation"
    assert "__floordiv__(other=2) (test_operator_rounding.py:11) rounds down" in cause.told
