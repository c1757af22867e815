"""Of several edits that explain a difference, the one after which the run is most like the other side's is told."""

import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from tests.helpers.between import found, pair


def squashed(x):
    size = x.square().sum(1, keepdim=True)
    return size / (1 + size) * x / (size + 0.1).sqrt()


def squashed_alone(x):
    return x / tf.sqrt(tf.reduce_sum(tf.square(x), 3, keepdims=True) + 0.1)


EDGES = np.array([[abs(row - column) < 2 for column in range(6)] for row in range(6)]) + np.diag([0.0, 1, 2, 3, 4, 5])


def joined(x):
    edges = torch.tensor(EDGES, dtype=x.dtype)
    return torch.einsum("gc,nchw->nghw", edges + torch.eye(6, dtype=x.dtype), x)


def joined_without_itself(x):
    return tf.einsum("gc,nhwc->nhwg", tf.constant(EDGES, x.dtype), x)


def by_both_degrees(x):
    edges = torch.tensor(EDGES, dtype=x.dtype)
    degrees = edges.sum(-1)
    return torch.einsum("gc,nchw->nghw", edges / degrees[:, None] ** 0.5 / degrees[None] ** 0.5, x)


def by_rows(x):
    edges = tf.constant(EDGES, x.dtype)
    return tf.einsum("gc,nhwc->nhwg", edges / tf.reduce_sum(edges, -1)[:, None], x)


def normed_first(x):
    rows = x.permute(0, 2, 3, 1)
    return (rows + nn.functional.layer_norm(rows, (6,)).cumsum(1).cos()).permute(0, 3, 1, 2)


def normed_last(x):
    total = x + tf.cos(tf.cumsum(x, 1))
    mean, variance = tf.nn.moments(total, [3], keepdims=True)
    return (total - mean) * tf.math.rsqrt(variance + 1e-5)


EDITED = {
    "a share that cancels where its 1 is left out": (
        squashed,
        squashed_alone,
        ["extra operation"],
        "torch does mul() by the result of div()",
    ),
    "an identity that is added, which masks nothing": (
        joined,
        joined_without_itself,
        ["offset"],
        "torch does add() by",
    ),
    "a division of two that divide by as much": (
        by_both_degrees,
        by_rows,
        ["extra operation", "scale"],
        "torch does __pow__(",
    ),
    "a norm before a block, for one behind it": (
        normed_first,
        normed_last,
        ["norm placement"],
        "behind torch's add() (test_operator_likeness.py:",
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "names", "text"), EDITED.values(), ids=EDITED)
def test_the_likeliest_cause_is_named(ours, theirs, names, text):
    _, causes = found(pair(ours, theirs))

    assert [cause.name for cause in causes] == names
    assert text in causes[0].told
