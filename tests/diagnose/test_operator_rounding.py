"""What one side rounds in another way than the other, as a proved cause."""

import pytest
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
    assert "__floordiv__(other=2) (test_operator_rounding.py:12) rounds down" in cause.told


HALVES = {
    "up": lambda x: tf.floor(x + 0.5),
    "away from zero": lambda x: tf.sign(x) * tf.floor(tf.abs(x) + 0.5),
}


@pytest.mark.parametrize("words", HALVES)
def test_halves_that_are_rounded_otherwise_are_told_so(words):
    rows = torch.arange(6) - 2.5
    theirs = HALVES[words]
    _, [cause] = found(
        pair(
            lambda x: x * (rows.to(x.dtype)[:, None]).round(),
            lambda x: x * theirs(tf.range(6, dtype=x.dtype)[:, None, None] - 2.5),
        )
    )

    assert cause.name == "operation"
    assert f"rounds halves to the even number, 0.5 to 0 and 1.5 to 2; tensorflow rounds them {words}" in cause.told
