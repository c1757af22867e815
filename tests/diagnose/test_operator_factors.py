"""A factor or a number at each place along an axis, that one side has alone."""

import numpy as np
import pytest
import tensorflow as tf
import torch

from parity.diagnose.operators.examples import recorded
from parity.diagnose.operators.formulas import scaled_along
from parity.diagnose.operators.proposal import Spot
from tests.helpers.between import found, given, pair

FIRST = np.array([np.sqrt(2), 1, 1, 1, 1, 1])
MEANS = np.linspace(0.2, 0.7, 6)
PLACES, FREQUENCIES = np.arange(6)[:, None], np.arange(6)
COSINES = np.cos(np.pi / 6 * (PLACES + 0.5) * FREQUENCIES) * np.where(FREQUENCIES, np.sqrt(2 / 6), np.sqrt(1 / 6))


def orthonormal(x):
    return (x.movedim(1, 3) @ torch.tensor(COSINES, dtype=x.dtype)).movedim(3, 1).tanh()


def of_the_library(x):
    return tf.tanh(tf.signal.mfccs_from_log_mel_spectrograms(x))


def halved(x):
    return (x / 2.0).tanh()


def without_means(x):
    return tf.tanh((x - tf.constant(MEANS, x.dtype)) / tf.constant(1 + MEANS, x.dtype))


CASES = {
    "at one place": (
        orthonormal,
        of_the_library,
        "times 1.41421 at place 0, and as it is elsewhere",
    ),
    "at each place, with a number": (
        halved,
        without_means,
        "along axis 1 of torch's array, times 1.66667, 1.53846, 1.42857, ... and plus -0.166667, -0.230769",
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "words"), CASES.values(), ids=CASES)
def test_factors_along_an_axis_are_told_where_they_are_unlike(ours, theirs, words):
    _, [cause] = found(pair(ours, theirs))

    assert cause.name == "scale"
    assert words in cause.told
    assert cause.after < 1e-9 * cause.before


def test_what_changes_with_the_input_is_no_factor():
    _, causes = found(pair(lambda x: x.tanh(), lambda x: tf.tanh(x) * tf.reduce_mean(x, (0, 1, 2))))

    assert not any("along axis" in cause.told for cause in causes)


@pytest.mark.parametrize(("theirs", "count"), [(lambda x: 3.0 * tf.sin(x), 0), (lambda x: tf.sin(x) * FIRST, 1)])
def test_a_factor_of_all_places_is_none_along_an_axis(theirs, count):
    corners = pair(lambda x: x.sin(), theirs)
    runs = recorded(corners, *given(corners, 1.0)[0], loss=False)
    [number] = [at for at, one in enumerate(runs.run.trace.operations) if one.name == "sin"]

    assert len([*scaled_along(Spot(runs.run, number, runs.alignment, ()))]) == count
