"""Two arrays -> Divergence, or Statistics: one chunked pass, no temporaries of the arrays' size.

`divergence` finds what a verdict needs and `statistics` what a person wants to know of a difference.
The arithmetic of a chunk is that of `kernels_numpy` or, for large arrays, of `kernels_numba`, where
numba is installed, to the last bit the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from parity.compare.kernels_numpy import Kernels, square_sum
from parity.dtypes import Array

__all__ = ["Divergence", "Statistics", "divergence", "square_sum", "statistics"]

CHUNK = 1 << 15  # elements; the buffers of a chunk, 256 KiB each in float64, stay in the second-level cache
# Elements from which it pays to load the compiled kernels, which takes 0.5 s, and 1.5 s the first time. Below it
# NumPy's passes over a chunk in the cache are as quick as they need to be.
LARGE = 1 << 24


@dataclass(frozen=True)
class Divergence:
    """How far two arrays of one shape are apart.

    `max_abs_diff` is the largest absolute difference and `index` its place, `first` and `second` the two values there;
    it is infinite where a NaN or an infinity stands on one side only. `scale` is the largest finite magnitude in either
    array, `unequal` counts the elements that differ and `nonfinite` those that are the same NaN or infinity on both
    sides, and so count as equal.
    """

    elements: int
    unequal: int
    max_abs_diff: float
    index: tuple[int, ...]
    first: float
    second: float
    scale: float
    nonfinite: int


def divergence(first: Array, second: Array) -> Divergence:
    """Compare two floating-point arrays of equal shape in the wider of their dtypes.

    NaN equals NaN and an infinity equals the same infinity. A difference below the smallest normal
    number counts as none: TensorFlow flushes denormals to zero and torch keeps them, and neither is
    wrong. Raises ValueError on unequal shapes.
    """
    if first.shape != second.shape:
        raise ValueError(f"shapes {first.shape} and {second.shape} differ")
    if first.size == 0:
        return Divergence(0, 0, 0.0, (), np.nan, np.nan, 0.0, 0)
    dtype = np.result_type(first, second)
    tiny = float(np.finfo(dtype).tiny)
    kernels = _kernels(dtype, first.size, tiny)
    max_abs_diff, place, scale, unequal, nonfinite = 0.0, 0, 0.0, 0, 0
    for start, a, b in _chunks(first, second, dtype):
        top, largest, count = kernels.edges(a, b)
        # Not `top >= np.inf`: a NaN among the elements makes `top` a NaN, of which every comparison is false.
        if not top < np.inf:
            a, b, lost, same = _finite(a, b)
            top, largest, count = kernels.edges(a, b)
            unequal += int(np.count_nonzero(lost))
            nonfinite += same
            # The first such place stands: nothing can be further apart.
            if lost.any() and max_abs_diff < np.inf:
                max_abs_diff, place = np.inf, start + int(lost.argmax())
        # Only where the record falls is its place looked for, which takes another pass over the chunk. A gap below
        # `tiny` sets no record: denormals are flushed on one side.
        if tiny <= largest > max_abs_diff:
            max_abs_diff, place = largest, start + int(_gap(a, b).argmax())
        scale = max(scale, top)
        unequal += count
    index = tuple(int(i) for i in np.unravel_index(place, first.shape))
    return Divergence(
        first.size, unequal, max_abs_diff, index, float(first[index]), float(second[index]), scale, nonfinite
    )


def _kernels(dtype: np.dtype[Any], size: int, tiny: float, limit: float = 0.0) -> Kernels:
    """Make the arithmetic for two arrays of this size: compiled for large ones, where loading it pays, else NumPy's.

    `tiny` is the dtype's smallest normal number; `limit` is what `Statistics.above` counts from.
    """
    if size >= LARGE and dtype in (np.float32, np.float64) and (compiled := _compiled()):
        kernels: Kernels = compiled.Kernels(dtype, tiny, limit)  # has the same methods
        return kernels
    return Kernels(dtype, min(size, CHUNK), tiny, limit)


@cache
def _compiled() -> ModuleType | None:
    """The compiled kernels, or None: numba is optional, and often lags behind the newest NumPy."""
    try:
        from parity.compare import kernels_numba
    except ImportError:  # no numba, or one that does not know this NumPy
        return None
    return kernels_numba


def _chunks(first: Array, second: Array, dtype: np.dtype[Any]) -> Iterator[tuple[int, Array, Array]]:
    """Contiguous parts of two arrays as vectors of one dtype, each with its place in the flat order.

    They are whole rows along the last axis, or parts of one; views where they can be, else copied to a buffer, which
    the next part overwrites.
    """
    buffers: dict[int, Array] = {}  # 0 for the first array, 1 for the second; made only where one is needed
    for start, *parts in _parts(first, second, 0):
        for i, part in enumerate(parts):
            if part.dtype != dtype or not part.flags.c_contiguous:
                if i not in buffers:
                    buffers[i] = np.empty(min(first.size, CHUNK), dtype)
                parts[i] = buffers[i][: part.size]
                np.copyto(parts[i].reshape(part.shape), part)
        yield start, parts[0].reshape(-1), parts[1].reshape(-1)


def _parts(first: Array, second: Array, start: int) -> Iterator[tuple[int, Array, Array]]:
    """Split two arrays into pieces of whole rows that fit a chunk, each with its place in the flat order."""
    if first.ndim == 0:
        first, second = first.reshape(1), second.reshape(1)
    # A stack of short rows would come one row a chunk otherwise: as a matrix, many of them go together.
    if first.ndim > 1 and first.flags.c_contiguous and second.flags.c_contiguous:
        first, second = first.reshape(-1, first.shape[-1]), second.reshape(-1, first.shape[-1])
    width = first.size // len(first)
    # A row longer than a chunk is cut along its own first axis, or into stretches where it has but one.
    if width > CHUNK:
        for i in range(len(first)):
            yield from _parts(first[i], second[i], start + i * width)
        return
    for i in range(0, len(first), CHUNK // width):
        yield start + i * width, first[i : i + CHUNK // width], second[i : i + CHUNK // width]


def _gap(a: Array, b: Array) -> Array:
    """|a - b| of two finite vectors, in their dtype; float16 overflows to infinity, which is told as such."""
    with np.errstate(over="ignore"):
        gap: Array = a - b
    return np.abs(gap, out=gap)


def _finite(a: Array, b: Array) -> tuple[Array, Array, Array, int]:
    """Put zeros wherever either of two vectors is not finite, so that the kernels can measure the rest.

    Returns both, the mask of places where one alone is not finite or the two are so otherwise, and how many places
    hold the same NaN or infinity.
    """
    finite = np.isfinite(a) & np.isfinite(b)
    same = ~finite & ((a == b) | (np.isnan(a) & np.isnan(b)))
    return np.where(finite, a, 0), np.where(finite, b, 0), ~(finite | same), int(np.count_nonzero(same))


@dataclass(frozen=True)
class Statistics:
    """How two arrays of one shape differ, in the wider of their dtypes, over all of their elements.

    `above` counts differences above a limit; `relative` is the largest |a - b| / max(|a|, |b|), and
    `relative_index` its place; `ulps` the largest distance in representable numbers, counted through
    zero. Elements that are not finite count, where they differ, for `above`, and for nothing else.
    Differences below the smallest normal number are none.
    """

    elements: int
    above: int
    relative: float
    relative_index: tuple[int, ...]
    ulps: int


class ChunkStatistics(NamedTuple):
    """What the kernels measure of two finite vectors.

    `top` is their largest magnitude, not finite if an element is not, and then the other figures mean nothing.
    """

    top: float
    relative: float
    ulps: int
    above: int


def statistics(first: Array, second: Array, limit: float = 0.0) -> Statistics:
    """Measure how two arrays differ, in one pass: what a message tells. `limit` is what `above` counts from.

    Raises ValueError on unequal shapes and on empty arrays.
    """
    if first.shape != second.shape or first.size == 0:
        raise ValueError(f"shapes {first.shape} and {second.shape} differ or hold nothing")
    dtype = np.result_type(first, second)
    tiny = np.finfo(dtype).tiny
    kernels = _kernels(dtype, first.size, float(tiny), _beneath(limit, tiny))
    relative, place, ulps, above = 0.0, 0, 0, 0
    for start, a, b in _chunks(first, second, dtype):
        part = ChunkStatistics(*kernels.measure(a, b))
        if not part.top < np.inf:
            a, b, apart, _ = _finite(a, b)
            part = ChunkStatistics(*kernels.measure(a, b))
            above += int(np.count_nonzero(apart))
        if part.relative > relative:
            relative, place = part.relative, start + _farthest(a, b, tiny)
        ulps, above = max(ulps, part.ulps), above + part.above
    index = tuple(int(i) for i in np.unravel_index(place, first.shape))
    return Statistics(first.size, above, relative, index, ulps)


def _beneath(limit: float, tiny: np.floating[Any]) -> float:
    """The largest value of a dtype that is no more than a limit, or the one before `tiny`.

    The kernels count what is above it in the arrays' own dtype: a limit that is rounded up would miss a difference, and
    one below `tiny` would count denormals.
    """
    with np.errstate(over="ignore"):
        rounded = type(tiny)(limit)
    return float(max(rounded if float(rounded) <= limit else np.nextafter(rounded, 0), np.nextafter(tiny, 0)))


def _farthest(a: Array, b: Array, tiny: np.floating[Any]) -> int:
    """The place of the largest relative difference in a chunk, by the same arithmetic as the kernels'."""
    gap, size = _gap(a, b), np.abs(a)
    # As in the kernels: what one framework flushes to zero and the other keeps is no difference.
    gap[gap < tiny] = 0.0
    np.maximum(np.maximum(size, np.abs(b), out=size), tiny, out=size)
    return int(np.divide(gap, size, out=gap).argmax())
