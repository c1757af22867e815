"""A difference that half of float64's digits hide has an operation and a cause like any other."""

import pytest

from tests.helpers.between import found, pair, same

SMALL = {
    "a constant of torch's": (lambda x: x + 1e-10, same, "offset", "add"),
    "a factor of TensorFlow's": (same, lambda x: x * (1 + 1e-9), "scale", "Mul"),
}


@pytest.mark.parametrize(("ours", "theirs", "name", "word"), SMALL.values(), ids=SMALL)
def test_a_difference_that_half_of_the_digits_hide_has_a_cause(ours, theirs, name, word):
    places, [cause] = found(pair(ours, theirs))

    assert places
    assert cause.name == name
    assert word in cause.told
    assert cause.after < 1e-13 < cause.before < 1e-8
