"""Halves for neighbours in a rotation of pairs, as a proved cause: in the rotation alone, or in all of it."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf
import torch

from tests.helpers.between import found, pair

ANGLES = np.array([0.3, 0.8])


def cosines(x, function, neighbours):
    angles = torch.as_tensor(ANGLES, dtype=x.dtype)
    return function(angles.repeat_interleave(2) if neighbours else torch.cat([angles, angles]))


def rotated(neighbours, x):
    """The last axis, of 4, in pairs: the angles of `cosines` lie in the same way."""
    if neighbours:
        other = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(3)
    else:
        first, second = x.chunk(2, -1)
        other = torch.cat([-second, first], -1)
    return x * cosines(x, torch.cos, neighbours) + other * cosines(x, torch.sin, neighbours)


def rotated_there(neighbours, like, x):
    """As `rotated`, with its channels last, and the angles for halves, or `like` the rotation."""
    x = tf.transpose(x, (0, 3, 1, 2))
    angles = np.repeat(ANGLES, 2) if like else np.concatenate([ANGLES, ANGLES])
    if neighbours:
        other = tf.reshape(tf.stack([-x[..., 1::2], x[..., ::2]], -1), tf.shape(x))
    else:
        other = tf.concat([-x[..., 2:], x[..., :2]], -1)
    y = x * tf.constant(np.cos(angles), x.dtype) + other * tf.constant(np.sin(angles), x.dtype)
    return tf.transpose(y, (0, 2, 3, 1))


@pytest.mark.parametrize(
    ("neighbours", "ours", "theirs"),
    [
        (False, partial(rotated, False), partial(rotated_there, True, False)),
        (False, partial(rotated, False), partial(rotated_there, True, True)),
        (True, partial(rotated, True), partial(rotated_there, False, False)),
    ],
    ids=("the rotation alone", "all of it", "halves in tensorflow"),
)
def test_halves_for_neighbours_are_the_cause(neighbours, ours, theirs):
    places, [cause] = found(pair(ours, theirs))

    assert places
    assert cause.name == "rotary halves"
    halves, others = "takes the first and the second half", "takes the even and the odd elements"
    assert f"torch {others if neighbours else halves}" in cause.told
    assert f"tensorflow {halves if neighbours else others}" in cause.told
    assert cause.after < 1e-9 * cause.before


def test_pairs_that_are_taken_alike_have_no_cause():
    assert found(pair(partial(rotated, True), partial(rotated_there, True, True))) == ([], [])
