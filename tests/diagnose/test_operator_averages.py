"""A mean over all that counts, and the mean of each row's own; a variance for a mean of squares: proved causes."""

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


def by_squares(x):
    return x / torch.sqrt(x.square().mean(1, keepdim=True) + 1e-3)


def by_variance(x):
    return x / torch.sqrt(x.var(1, correction=0, keepdim=True) + 1e-3)


def by_squares_there(x):
    return x / tf.sqrt(tf.reduce_mean(tf.square(x), 3, keepdims=True) + 1e-3)


def by_variance_there(x):
    return x / tf.sqrt(tf.math.reduce_variance(x, 3, keepdims=True) + 1e-3)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (by_squares, by_variance_there, "makes the mean of squares of the result of conv, and tensorflow the variance"),
        (by_variance, by_squares_there, "makes the variance of the result of conv, and tensorflow the mean of squares"),
        (lambda x: torch.nn.functional.rms_norm(x, (4,), eps=1e-3), None, "inside rms_norm"),
    ],
    ids=["squares", "variance", "inside"],
)
def test_a_variance_for_a_mean_of_squares_is_told_so(ours, theirs, words):
    theirs = theirs or (lambda x: x / tf.sqrt(tf.math.reduce_variance(x, 2, keepdims=True) + 1e-3))
    _, [cause] = found(pair(ours, theirs))

    assert cause.name == "variance"
    assert words in cause.told
