"""What a report draws of two arrays that differ: where, by how much, how many."""

import numpy as np
import pytest

from parity.compare.judge import judge, judge_exact
from parity.compare.picture import CELLS, POINTS, picture
from parity.compare.square import PrecisionSquare


def test_the_axes_are_those_along_which_the_differences_vary():
    first = np.random.default_rng(0).normal(size=(3, 5, 2, 7))
    second = first.copy()
    second[:, 4, :, 2] += 1.0
    second[:, 4, :, 3] += 0.5
    found = picture(first, second)

    assert found.axes == (1, 3)
    assert np.argwhere(np.array(found.cells)).tolist() == [[4, 2], [4, 3]]
    np.testing.assert_allclose(found.cells[4][2:4], [1.0, 0.5])


def test_differences_are_counted_by_their_power_of_ten():
    second = np.array([0.0, 2e-3, 9e-3, 0.5, 0.0])
    found = picture(np.zeros(5), second)

    assert (found.decades, found.equal) == (((-3, 2), (-1, 1)), 2)
    assert found.cells == (tuple(second),)


def test_a_large_array_is_drawn_small_and_keeps_its_largest():
    first = np.zeros((200, 300))
    second = first.copy()
    second[199, 299] = 1.0
    found = picture(first, second)

    assert np.shape(found.cells) == CELLS
    assert found.cells[-1][-1] == np.max(found.cells) == 1.0
    assert (0.0, 1.0) in found.values
    assert len(found.values) <= 2 * POINTS


def test_what_one_side_alone_has_as_no_number_is_infinitely_apart():
    first, second = np.array([np.nan, np.inf, np.nan, 1.0]), np.array([np.nan, np.inf, 1.0, 1.0])
    found = picture(first, second)

    assert found.cells == ((0.0, 0.0, np.inf, 0.0),)
    assert (found.decades, found.equal, found.values) == ((), 3, ((1.0, 1.0),))


@pytest.mark.parametrize(
    ("first", "second"), [(np.zeros(3), np.zeros(4)), (np.zeros(1), np.ones(1)), (np.array(["a", "b"]),) * 2]
)
def test_there_is_none_of_what_cannot_be_compared(first, second):
    assert picture(first, second) is None


def test_a_verdict_has_one_if_it_fails():
    numbers = np.random.default_rng(0).normal(size=6)
    runs = [numbers.astype(np.float32), numbers.astype(np.float32)]

    assert judge("output", PrecisionSquare.of([*runs, numbers, numbers])).picture is None
    assert judge("output", PrecisionSquare.of([*runs, numbers, numbers + 1e-3])).picture.equal == 0
    assert judge_exact("ids", np.arange(4), np.arange(4), ("a", "b")).picture is None
    assert judge_exact("ids", np.arange(4), np.array([0, 1, 2, 9]), ("a", "b")).picture.equal == 3
    assert judge_exact("ids", np.arange(4), np.arange(5), ("a", "b")).picture is None


def test_of_a_side_without_float64_float32_is_drawn():
    numbers = np.arange(1, 5, dtype=np.float32)
    square = PrecisionSquare({"float32": (numbers, numbers * 2), "float64": (numbers.astype(np.float64), None)})

    assert judge("output", square).picture.equal == 0
