"""Where two arrays differ, small enough to be written into a report and drawn.

An array may have millions of elements, a page a few hundred: so a picture has the largest difference of each part of a
map, pairs of values for a scatter plot, counts by power of ten, and a window around the worst place.
"""

from dataclasses import dataclass

import numpy as np

from parity.dtypes import Array

CELLS = 16, 32  # rows and columns of a map, at most
WINDOW = 5, 6  # rows and columns of the values around the largest difference, at most
POINTS = 60  # of the values that are furthest apart, and as many of all


@dataclass(frozen=True)
class Around:
    """Both sides' values around the largest difference, which is at `place`.

    They are a window along the picture's axes; on all other axes the index is that of `place`. `start` is the window's
    first index on each of the picture's axes; `values` are its rows, of (first, second) pairs.
    """

    place: tuple[int, ...]
    start: tuple[int, ...]
    values: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class Picture:
    """Two arrays of one `shape` side by side.

    `axes` are the two along which the differences vary most, or the one that there is. `cells` (rows, columns) has
    the largest difference in each part of these axes, the first going down; infinite where one side alone is not
    finite. `values` are pairs of both sides' values, those that are furthest apart and others from all over.
    `decades` counts elements by the power of ten of their difference; `equal` those that do not differ. `around` has
    both sides' values beside the largest difference.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    cells: tuple[tuple[float, ...], ...]
    values: tuple[tuple[float, float], ...]
    decades: tuple[tuple[int, int], ...]
    equal: int
    around: Around


def picture(first: Array, second: Array) -> Picture | None:
    """Reduce two arrays of any shape to what a page can draw; None where shapes differ or there are no numbers, or just
    one.
    """
    if first.shape != second.shape or first.size < 2 or not {first.dtype.kind, second.dtype.kind} <= set("fiu"):
        return None
    difference = _difference(first, second)
    axes = _axes(difference)
    others = tuple(axis for axis in range(difference.ndim) if axis not in axes)
    whole = difference.max(axis=others)  # one or two axes are left: rows go down the page, columns across
    cells = _fewer(_fewer(whole.reshape((1, -1) if whole.ndim == 1 else whole.shape), 0, CELLS[0]), 1, CELLS[1])
    finite = difference[(difference > 0) & np.isfinite(difference)]
    decades, counts = np.unique(np.floor(np.log10(finite)).astype(int), return_counts=True)
    return Picture(
        first.shape,
        axes,
        tuple(tuple(map(float, row)) for row in cells),
        _values(first.ravel(), second.ravel(), difference.ravel()),
        tuple(zip(decades.tolist(), counts.tolist(), strict=True)),
        int(np.count_nonzero(difference == 0)),
        _around(first, second, difference, axes),
    )


def _difference(first: Array, second: Array) -> Array:
    """|first - second| in float64: 0 where both are the same NaN or infinity, infinite where one side is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(first.astype(np.float64) - second.astype(np.float64))
    difference[(first == second) | (np.isnan(first) & np.isnan(second))] = 0.0
    difference[np.isnan(difference)] = np.inf
    return difference


def _axes(difference: Array) -> tuple[int, ...]:
    """The two axes along which differences vary most, in order; of several alike, the last."""

    def varies(axis: int) -> float:
        """0 where the largest difference is the same at every index of an axis, near 1 where it is at one alone."""
        along = difference.max(axis=tuple(other for other in range(difference.ndim) if other != axis))
        largest = float(along.max())
        if not 0 < largest < np.inf:
            # Infinities leave no mean: 1 where some indices have one and others do not.
            return float(np.ptp(np.isinf(along).astype(float)))
        return float(1 - along.mean() / largest)

    axes = sorted(range(difference.ndim), key=lambda axis: (difference.shape[axis] > 1, varies(axis), axis))
    return tuple(sorted(axes[-2:]))


def _fewer(cells: Array, axis: int, most: int) -> Array:
    """The same in at most so many parts along an axis, each with the largest of its elements."""
    size = cells.shape[axis]
    # The largest of a part, not the mean: one wrong element in a thousand is what is looked for.
    return np.maximum.reduceat(cells, np.arange(min(size, most)) * size // min(size, most), axis=axis)


def _around(first: Array, second: Array, difference: Array, axes: tuple[int, ...]) -> Around:
    """The window around the largest difference, moved inwards where it would reach over an edge of the arrays."""
    place = tuple(map(int, np.unravel_index(np.argmax(difference), difference.shape)))
    start, window = list[int](), list[int | slice](place)
    for axis, most in zip(axes, WINDOW[-len(axes) :], strict=True):
        begin = max(0, min(place[axis] - most // 2, first.shape[axis] - most))
        start.append(begin)
        window[axis] = slice(begin, begin + most)
    one, two = (np.atleast_2d(array[tuple(window)]) for array in (first, second))
    rows = (tuple((float(a), float(b)) for a, b in zip(*row, strict=True)) for row in zip(one, two, strict=True))
    return Around(place, tuple(start), tuple(rows))


def _values(first: Array, second: Array, difference: Array) -> tuple[tuple[float, float], ...]:
    """(first, second) pairs of two vectors' elements: those furthest apart, and as many from all over.

    Without the second half a scatter plot would show nothing but what is wrong. Pairs that are not finite are left out.
    """
    most = min(POINTS, difference.size)
    furthest = np.argpartition(difference, difference.size - most)[-most:]
    places = np.unique([*furthest, *np.linspace(0, difference.size - 1, most).astype(int)])
    pairs = ((float(first[place]), float(second[place])) for place in places)
    return tuple((one, other) for one, other in pairs if np.isfinite(one) and np.isfinite(other))
