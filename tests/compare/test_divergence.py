"""compare against the plain NumPy spelling of each figure by either arithmetic."""

import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from parity.compare import divergence as compare
from parity.compare.divergence import CHUNK, divergence, statistics

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, max_side=5)


@pytest.fixture(scope="module", params=["numpy", "compiled"], autouse=True)
def arithmetic(request):
    """Every test here runs by NumPy and by the compiled loops."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "LARGE", 0 if request.param == "compiled" else sys.maxsize)
        assert compare._compiled(), "the compiled loops need numba"
        yield request.param


@pytest.mark.parametrize("dtypes", [("float32", "float32"), ("float64", "float64"), ("float32", "float64")])
@given(data=st.data())
def test_figures_are_those_of_numpy(dtypes, data):
    shape = data.draw(SHAPES, label="shape")
    first, second = (
        data.draw(hnp.arrays(dtype, shape, elements=st.floats(-1000, 1000, width=16)), label=dtype) for dtype in dtypes
    )
    found = divergence(first, second)
    gap = np.abs(first - second)

    assert found.elements == first.size
    assert found.max_abs_diff == gap.max()
    assert gap[found.index] == gap.max()
    assert (found.first, found.second) == (first[found.index], second[found.index])
    assert found.scale == max(np.abs(first).max(), np.abs(second).max())
    assert found.unequal == np.count_nonzero(gap)


@pytest.mark.parametrize("place", [0, CHUNK - 1, CHUNK, 2 * CHUNK + 5, 3 * CHUNK - 1])
def test_one_element_is_found_in_any_chunk(place):
    first = np.linspace(0, 1, 3 * CHUNK).reshape(3, CHUNK)
    second = first.copy()
    second.reshape(-1)[place] += 1e-9
    found = divergence(first, second)

    assert found.unequal == 1
    assert found.index == divmod(place, CHUNK)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("swap", [False, True])
def test_non_finite_on_one_side_is_an_infinite_difference(value, swap):
    arrays = [np.array([1.0, 2.0, 3.0]), np.array([1.0, value, 3.0])]
    found = divergence(*(arrays[::-1] if swap else arrays))

    assert found.max_abs_diff == np.inf
    assert found.index == (1,)
    assert found.scale == 3.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_on_both_sides_is_equal(value):
    array = np.array([1.0, value])

    assert divergence(array, array.copy()).max_abs_diff == 0.0


def test_what_is_not_finite_on_both_sides_is_counted():
    first = np.array([np.nan, np.inf, np.inf, -np.inf, 1.0, np.nan])
    second = np.array([np.nan, np.inf, -np.inf, -np.inf, 1.0, 1.0])
    found = divergence(first, second)

    assert (found.nonfinite, found.unequal, found.index) == (3, 2, (2,))
    assert divergence(np.ones(3), np.zeros(3)).nonfinite == 0


def test_opposite_infinities_differ():
    assert divergence(np.array([np.inf]), np.array([-np.inf])).max_abs_diff == np.inf


def test_denormals_count_as_zero():
    found = divergence(np.array([1e-40, 1.0], np.float32), np.array([0.0, 1.0], np.float32))
    told = statistics(np.array([1e-40, 1.0], np.float32), np.array([0.0, 1.0], np.float32))

    assert (found.max_abs_diff, found.unequal) == (0.0, 0)
    assert (told.relative, told.ulps, told.above) == (0.0, 0, 0)


def test_denormals_count_as_zero_beside_differences_that_count():
    first, second = np.array([1e-40, 1.0], np.float32), np.array([0.0, 1.0 + 2.0**-20], np.float32)
    found, told = divergence(first, second), statistics(first, second)

    assert (found.max_abs_diff, found.unequal, found.index) == (2.0**-20, 1, (1,))
    assert (told.above, told.relative_index, told.ulps) == (1, (1,), 8)


def test_the_largest_numbers_are_an_infinite_difference_apart_and_still_finite():
    largest = np.finfo(np.float32).max
    found = divergence(np.array([largest], np.float32), np.array([-largest], np.float32))

    assert (found.max_abs_diff, found.scale, found.unequal) == (np.inf, largest, 1)


def test_nothing_compared_is_said():
    assert divergence(np.empty((0, 3)), np.empty((0, 3))).elements == 0


def test_unequal_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\) differ"):
        divergence(np.zeros(2), np.zeros(3))


def test_large_integers_of_float32_and_float64_are_compared_in_float64():
    assert divergence(np.array([2.0**24], np.float32), np.array([2.0**24 + 1])).max_abs_diff == 1.0


@pytest.mark.parametrize("rows", [1, 3, 700])
def test_transposed_matrices_are_compared_in_place(rows):
    first = np.arange(rows * 1000.0).reshape(1000, rows).T
    second = first.copy(order="C")
    second[rows - 1, 321] += 0.5
    found = divergence(first, second)

    assert (found.max_abs_diff, found.unequal, found.index) == (0.5, 1, (rows - 1, 321))
    assert found.second - found.first == 0.5


def neighbours(value, steps):
    for _ in range(abs(steps)):
        value = np.nextafter(value, value.dtype.type(np.inf if steps > 0 else -np.inf))
    return value


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [0, 1, -3, 40])
@pytest.mark.parametrize("value", [1.0, -0.7, 1e-30, -1e30])
def test_ulps_count_representable_numbers(value, steps, dtype):
    first = np.array([value, value], dtype)
    second = np.array([value, neighbours(first[0], steps)], dtype)

    assert statistics(first, second).ulps == abs(steps)


def test_ulps_are_counted_through_zero_and_not_among_denormals():
    tiny = np.finfo(np.float32).tiny

    assert statistics(np.array([tiny], np.float32), np.array([-tiny], np.float32)).ulps == 2
    assert statistics(np.array([1e-40], np.float32), np.array([-1e-41], np.float32)).ulps == 0


@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (2, 3, 40_000)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_statistics_are_those_of_numpy(shape, dtype):
    random = np.random.default_rng(1)
    first = random.standard_normal(shape).astype(dtype)
    second = (first + 0.1 * random.standard_normal(shape)).astype(dtype)
    found = statistics(first, second, 0.05)
    gap = np.abs(first - second)
    relative = gap / np.maximum(np.abs(first), np.abs(second))

    assert (found.elements, found.above) == (gap.size, np.count_nonzero(gap > 0.05))
    assert found.relative == relative.max()
    assert relative[found.relative_index] == relative.max()


def test_a_limit_between_two_float32_numbers_is_not_rounded_up():
    """The float32 number next to 0.1 lies above it."""
    first, second = np.array([0.1], np.float32), np.array([0.0], np.float32)

    assert statistics(first, second, 0.1).above == 1
    assert statistics(first, second, float(first[0])).above == 0


def test_statistics_leave_out_what_is_not_finite():
    found = statistics(np.array([[1.0, np.nan, 3.0]]), np.array([[1.5, 2.0, np.inf]]))

    assert (found.relative, found.above) == (1 / 3, 3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@given(data=st.data())
def test_the_largest_distance_in_representable_numbers_is_found_in_any_chunk(dtype, data):
    """NumPy looks only where the relative difference allows more than was found before."""
    array = hnp.arrays(dtype, 40, elements=hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False))
    first = data.draw(array, label="first")
    bits, steps = f"i{first.itemsize}", data.draw(hnp.arrays("i1", 40, elements=st.integers(0, 60)), label="steps")
    second = (first.view(bits) + steps).astype(bits).view(dtype)
    second = np.where(np.isfinite(second), second, first)
    if data.draw(st.booleans(), label="far"):
        second = data.draw(array, label="second")

    def place(value):
        lowest = int(np.finfo(dtype).tiny.view(bits)) - 1
        return (-1 if np.signbit(value) else 1) * (max(int(np.abs(value).view(bits)), lowest) - lowest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "CHUNK", 4)
        found = statistics(first, second).ulps
    assert found == max(abs(place(a) - place(b)) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory_does_not_grow_with_the_arrays(turned, dtype):
    first = np.linspace(-1, 1, 1 << 22, dtype=dtype).reshape(2, -1)
    second = (first * 1.01).astype(dtype)
    second = np.asfortranarray(second) if turned else second
    tracemalloc.start()
    divergence(first, second)
    statistics(first, second)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 8 << 20 < first.nbytes
