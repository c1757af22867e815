"""Two arrays -> Divergence, or Statistics: one chunked pass, no temporaries of the arrays' size.

`divergence` finds what a verdict needs and `statistics` what a person wants to know of a difference.
NumPy only.
"""

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
    nonfinite: int = 0


def divergence(first: Array, second: Array) -> Divergence:
    """Compare two floating-point arrays of equal shape in the wider of their dtypes, denormals as zero.

    NaN equals NaN and an infinity equals the same infinity. Raises ValueError on unequal shapes.
    """
    if first.shape != second.shape:
        raise ValueError(f"shapes {first.shape} and {second.shape} differ")
    if first.size == 0:
        return Divergence(0, 0, 0.0, (), np.nan, np.nan, 0.0)
    tiny = float(np.finfo(first.dtype).tiny) if first.dtype == second.dtype else 0.0
    worst, place, scale, unequal = -1.0, 0, 0.0, 0
    buffer = np.empty(0, np.result_type(first, second))
    for start, a, b in _chunks(first, second):
        if buffer.size < a.size:
            buffer = np.empty(a.size, buffer.dtype)
        gap, top = _gap(a, b, buffer[: a.size].reshape(a.shape))
        at = int(gap.argmax())
        # TensorFlow flushes denormals to zero and torch keeps them: neither is wrong.
        largest = float(gap.flat[at]) if gap.flat[at] >= tiny else 0.0
        if largest > worst:
            worst, place = largest, start + at
        scale = max(scale, top)
        unequal += int(np.count_nonzero(gap != 0)) if largest else 0
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
    """|a - b|, infinite where one side alone is not finite; the largest finite magnitude."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(np.subtract(a, b, out=buffer), out=buffer)
    tops = np.array([a.max(), -a.min(), b.max(), -b.min()], np.float64)
    if not np.isfinite(tops).all():
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        gap = np.where(same, 0.0, np.where(np.isfinite(a) & np.isfinite(b), gap, np.inf))
        tops = np.abs(np.concatenate([a[np.isfinite(a)], b[np.isfinite(b)], [0.0]], dtype=np.float64))
    return gap, float(tops.max())


def square_sum(array: Array) -> float:
    """The sum of squares. Not by BLAS: on a busy machine its threads take a hundred times as long."""
    flat = array.ravel(order="K")
    return float(np.einsum("i,i->", flat, flat))


@dataclass(frozen=True)
class Statistics:
    """How two arrays of one shape and dtype differ, over all of their elements.

    `relative` is the largest |a - b| / max(|a|, |b|), and `relative_index` its place; `ulps` the
    largest distance in representable numbers; `above` counts differences above a limit; `mean` and
    `rms` are of |a - b|, `bias` is the mean of a - b; `distance` is |a - b| / |a| in Euclidean norm
    and `angle` 1 - cosine; `agreement` is the share of rows (along the last axis) whose largest
    element stands at the same place, 1 for an array of fewer than two axes. Elements that are not finite count for
    `above`, where they differ, and for nothing else.
    """

    elements: int
    above: int
    largest: float
    relative: float
    relative_index: tuple[int, ...]
    ulps: int
    mean: float
    rms: float
    bias: float
    distance: float
    angle: float
    agreement: float


def statistics(first: Array, second: Array, limit: float = 0.0) -> Statistics:
    """Measure all of it in one pass."""
    rows = (first, second) if first.ndim >= 2 else (first.reshape(-1, 1), second.reshape(-1, 1))
    ours, theirs = (np.ascontiguousarray(a).reshape(-1, a.shape[-1]) for a in rows)
    step = max(1, CHUNK // ours.shape[1])
    buffers = [np.empty((min(step, len(ours)), ours.shape[1])) for _ in range(4)]
    total = _Totals()
    for start in range(0, len(ours), step):
        a, b = ours[start : start + step], theirs[start : start + step]
        total.add(a, b, start * ours.shape[1], limit, [buffer[: len(a)] for buffer in buffers])
    return total.result(first, ours.shape)


class _Totals:
    """The running sums and maxima of a pass."""

    def __init__(self) -> None:
        self.above = self.ulps = self.agreeing = 0
        self.largest = self.sum = self.bias = self.relative = 0.0
        self.place = 0
        self.square = self.ours = self.theirs = self.inner = 0.0

    def add(self, a: Array, b: Array, start: int, limit: float, buffers: list[Array]) -> None:
        x, y, gap, size = buffers
        self.agreeing += int(np.count_nonzero(a.argmax(-1) == b.argmax(-1)))
        np.copyto(x, a)
        np.copyto(y, b)
        finite = np.isfinite(x.sum()) and np.isfinite(y.sum())
        if not finite:
            lost = ~(np.isfinite(x) & np.isfinite(y))
            same = (x == y) | (np.isnan(x) & np.isnan(y))
            self.above += int(np.count_nonzero(lost & ~same))
            x[lost] = y[lost] = 0.0
        self.ulps = max(self.ulps, _ulps(a, b, finite))
        self.ours += square_sum(x)
        self.theirs += square_sum(y)
        np.subtract(x, y, out=gap)
        self.bias += float(gap.sum())
        self.square += square_sum(gap)
        np.abs(gap, out=gap)
        self.sum += float(gap.sum())
        self.largest = max(self.largest, float(gap.max()))
        self.above += int(np.count_nonzero(gap > limit))
        np.maximum(np.abs(x, out=x), np.abs(y, out=y), out=size)
        size += np.finfo(np.float64).tiny  # nothing over nothing is no difference
        np.divide(gap, size, out=gap)
        at = int(gap.argmax())
        if gap.flat[at] > self.relative:
            self.relative, self.place = float(gap.flat[at]), start + at

    def result(self, first: Array, shape: tuple[int, ...]) -> Statistics:
        count, ours, theirs = first.size, self.ours**0.5, self.theirs**0.5
        product = ours * theirs
        return Statistics(
            elements=count,
            above=self.above,
            largest=self.largest,
            relative=self.relative,
            relative_index=tuple(int(i) for i in np.unravel_index(self.place, first.shape)),
            ulps=self.ulps,
            mean=self.sum / count,
            rms=(self.square / count) ** 0.5,
            bias=self.bias / count,
            distance=self.square**0.5 / ours if ours else 0.0,
            # |a - b|^2 = (|a| - |b|)^2 + 2 |a| |b| (1 - cosine): no digits are lost near 1.
            angle=max(0.0, (self.square - (ours - theirs) ** 2) / (2 * product)) if product else 0.0,
            agreement=self.agreeing / shape[0] if first.ndim >= 2 else 1.0,
        )


def _ulps(a: Array, b: Array, finite: bool) -> int:
    """The largest distance in representable numbers, counted through zero; denormals count as zero."""
    if not finite or a.dtype != b.dtype or a.dtype.itemsize not in (2, 4, 8):
        return 0
    bits = np.dtype(f"i{a.dtype.itemsize}")
    lowest = int(np.array(np.finfo(a.dtype).tiny, a.dtype).view(bits)) - 1
    ordered = []
    for array in (a, b):
        whole = array.view(bits)
        magnitude = whole & np.iinfo(bits).max
        np.subtract(np.maximum(magnitude, lowest, out=magnitude), lowest, out=magnitude)
        ordered.append(np.where(whole < 0, -magnitude, magnitude))
    apart = np.maximum(*ordered) - np.minimum(*ordered)  # may wrap, which unsigned it has not
    return int(apart.view(f"u{a.dtype.itemsize}").max())
