"""Two arrays -> Divergence: one chunked pass, no temporaries of the arrays' size. Imports NumPy only."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from parity.layers import Array

CHUNK = 1 << 16  # elements; the buffers of a chunk stay in the second-level cache


@dataclass(frozen=True)
class Divergence:
    """How far two arrays of one shape are apart.

    `worst` is the largest absolute difference and `index` its place, `first` and `second` the two
    values there; it is infinite where a NaN or an infinity stands on one side only. `scale` is the
    largest finite magnitude in either array, `unequal` counts the elements that differ.
    """

    elements: int
    unequal: int
    worst: float
    index: tuple[int, ...]
    first: float
    second: float
    scale: float


def divergence(first: Array, second: Array) -> Divergence:
    """Compare two floating-point arrays of equal shape in float64, denormals counted as zero.

    NaN equals NaN and an infinity equals the same infinity. Raises ValueError on unequal shapes.
    """
    if first.shape != second.shape:
        raise ValueError(f"shapes {first.shape} and {second.shape} differ")
    if first.size == 0:
        return Divergence(0, 0, 0.0, (), np.nan, np.nan, 0.0)
    tiny = float(np.finfo(first.dtype).tiny) if first.dtype == second.dtype else 0.0
    worst, place, scale, unequal = -1.0, 0, 0.0, 0
    buffer = np.empty(0)
    for start, a, b in _chunks(first, second):
        if buffer.size < a.size:
            buffer = np.empty(a.size)
        gap, top = _gap(a, b, buffer[: a.size].reshape(a.shape))
        at = int(gap.argmax())
        # TensorFlow flushes denormals to zero and torch keeps them: neither is wrong.
        largest = float(gap.flat[at]) if gap.flat[at] >= tiny else 0.0
        if largest > worst:
            worst, place = largest, start + at
        scale = max(scale, top)
        unequal += int(np.count_nonzero(gap)) if largest else 0
    index = tuple(int(i) for i in np.unravel_index(place, first.shape))
    return Divergence(first.size, unequal, worst, index, float(first[index]), float(second[index]), scale)


def _chunks(first: Array, second: Array) -> Iterator[tuple[int, Array, Array]]:
    """Parts of two arrays of one shape, each with its place in the flat order; views, never copies."""
    if first.flags.c_contiguous and second.flags.c_contiguous:
        first, second, rows, width = first.reshape(-1), second.reshape(-1), CHUNK, 1
    else:  # a transposed matrix
        width = first.size // len(first)
        rows = max(1, CHUNK // width)
    for start in range(0, len(first), rows):
        yield start * width, first[start : start + rows], second[start : start + rows]


def _gap(a: Array, b: Array, buffer: Array) -> tuple[Array, float]:
    """|a - b| in float64, infinite where one side alone is not finite; the largest finite magnitude."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(np.subtract(a, b, out=buffer, dtype=np.float64), out=buffer)
    tops = np.array([a.max(), -a.min(), b.max(), -b.min()], np.float64)
    if not np.isfinite(tops).all():
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        gap = np.where(same, 0.0, np.where(np.isfinite(a) & np.isfinite(b), gap, np.inf))
        tops = np.abs(np.concatenate([a[np.isfinite(a)], b[np.isfinite(b)], [0.0]], dtype=np.float64))
    return gap, float(tops.max())
