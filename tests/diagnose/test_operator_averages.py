"""A mean over all that counts, and the mean of each row's own, as a proved cause."""

import pytest
import tensorflow as tf
import torch

from tests.helpers.between import found, pair


def sums(x):
    weights = torch.sigmoid(x[:, 0])
    return x[:, 1] * weights, weights


def whole(x):
    above, below = sums(x)
    return x * (above.sum() / below.sum())


def by_row(x):
    above, below = sums(x)
    return x * (above.sum((1, 2)) / below.sum((1, 2))).mean()


def sums_there(x):
    weights = tf.sigmoid(x[..., 0])
    return x[..., 1] * weights, weights


def whole_there(x):
    above, below = map(tf.reduce_sum, sums_there(x))
    return x * (above / below)


def by_row_there(x):
    above, below = (tf.reduce_sum(of, (1, 2)) for of in sums_there(x))
    return x * tf.reduce_mean(above / below)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (whole, by_row_there, "over all rows, and tensorflow of each row"),
        (by_row, whole_there, "of each row, then the mean over rows, and tensorflow over all rows"),
    ],
    ids=("of all in torch", "by row in torch"),
)
def test_a_mean_of_each_rows_own_is_a_reduction(ours, theirs, words):
    places, [cause] = found(pair(ours, theirs))

    assert places
    assert cause.name == "reduction"
    assert words in cause.told
    assert cause.after < 1e-9 * cause.before


def test_means_that_are_taken_alike_have_no_cause():
    assert found(pair(by_row, by_row_there)) == ([], [])
