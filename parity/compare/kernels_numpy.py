"""The arithmetic of `compare` on one chunk of two arrays, in NumPy: few passes over buffers that stay in the cache.

A model's gradients are compared array by array, in every precision, many times a check: this is the inner loop of a
run. So buffers are made once, and what cannot change the result is not computed.
"""

from functools import cached_property
from math import expm1
from typing import Any

import numpy as np

from parity.dtypes import Array

BLOCK = 4096  # elements of one dot product, too few for BLAS to start threads for it


class Kernels:
    """Measure pairs of finite vectors of one dtype, one pair after the other, by `edges` or by `measure`.

    It remembers the largest values so far, and skips what cannot exceed them. `size` is that of the
    largest vector, `tiny` the smallest difference that counts, and `limit` what `above` counts from.
    """

    def __init__(self, dtype: np.dtype[Any], size: int, tiny: float, limit: float = 0.0) -> None:
        self.dtype, self.tiny, self.limit = dtype, dtype.type(tiny), dtype.type(limit)
        self.gap = np.empty(size, dtype)
        self.scale = self.relative = 0.0
        self.ulps = 0

    @cached_property
    def more(self) -> Array:
        """The buffer that only measures need."""
        return np.empty_like(self.gap)

    def edges(self, a: Array, b: Array) -> tuple[float, float, int]:
        """The largest magnitude, or one that is no larger than before; the largest difference; how many count.

        The largest magnitude is not finite if an element is not; the others then mean nothing.
        """
        gap = self.gap[: a.size]
        with np.errstate(invalid="ignore", over="ignore"):
            np.abs(np.subtract(a, b, out=gap), out=gap)
        # The second array's magnitude is at most the first's and the gap together; where that cannot exceed the record,
        # the array need not be read again. (2 * `largest`: room for rounding. `not <=`: a NaN in either has it read.)
        top, largest = _top(a), float(gap.max())
        if not top + 2 * largest <= self.scale:
            other = _top(b)
            top = max(top, other) if top < np.inf and other < np.inf else np.inf
            if top == np.inf:
                return top, 0.0, 0
            self.scale = max(self.scale, top)
        return top, largest, int(np.count_nonzero(gap >= self.tiny)) if largest else 0

    def measure(self, a: Array, b: Array) -> tuple[Any, ...]:
        """The fields of `compare.ChunkStatistics`, in their order."""
        gap, size = self.gap[: a.size], self.more[: a.size]
        np.maximum(np.abs(a, out=gap), np.abs(b, out=size), out=size)
        top = float(size.max())
        if not top < np.inf:
            return top, 0, 0, 0
        with np.errstate(over="ignore"):
            np.subtract(a, b, out=gap)
            np.abs(gap, out=gap)
            ratio = np.divide(gap, np.maximum(size, self.tiny, out=size), out=size)
        ulps, relative = self._ulps(a, b, ratio), self._relative(gap, ratio)
        return top, relative, ulps, int(np.count_nonzero(gap > self.limit))

    def _relative(self, gap: Array, ratio: Array) -> float:
        """The largest ratio of a gap that counts."""
        relative = float(ratio.max())
        # A denormal over a small number is a large ratio and no difference: taken out, and only where it would win.
        if relative > self.relative and gap[ratio.argmax()] < self.tiny:
            ratio[gap < self.tiny] = 0.0
            relative = float(ratio.max())
        self.relative = max(self.relative, relative)
        return relative

    def _ulps(self, a: Array, b: Array, ratio: Array) -> int:
        """The largest distance in representable numbers, if more than before; counted where the ratio allows it.

        Counting takes several passes over integers, so it is done only for elements whose relative difference leaves
        room for a larger distance. In the binade of 1 + f the count grows by (1 + f) ln 2 / eps for each doubling, at
        most by 2 ln 2 / eps; so n ULPs apart, a ratio is at least 1 - exp(-n eps / 2).
        """
        eps = float(np.finfo(self.dtype).eps)
        least = -expm1(-(self.ulps + 1) * eps / 2) * (1 - 4 * eps)  # a little less: the ratio itself is rounded
        if ratio.max() >= least:
            near = ratio >= self.dtype.type(least)
            self.ulps = max(self.ulps, ulps(a[near], b[near], self.tiny))
        return self.ulps


def ulps(a: Array, b: Array, tiny: float) -> int:
    """The largest distance in representable numbers, counted through zero; denormals count as zero.

    The bits of a floating-point number without its sign, read as an integer, count the numbers below it (IEEE 754).
    """
    bits = np.dtype(f"u{a.itemsize}")
    lowest = np.array(tiny, a.dtype).view(bits)[()] - bits.type(1)
    p, q = (np.maximum(np.abs(array).view(bits), lowest) - lowest for array in (a, b))
    return int(np.where(np.signbit(a) == np.signbit(b), np.maximum(p, q) - np.minimum(p, q), p + q).max())


def _top(array: Array) -> float:
    """The largest magnitude, not finite if an element is not."""
    return max(float(array.max()), -float(array.min()))


def square_sum(array: Array) -> float:
    """The sum of squares, in blocks: for a long vector BLAS starts threads, and on a busy machine they take
    a hundred times as long."""
    flat = array.ravel(order="K")
    whole = flat[: flat.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    rest = flat[whole.size :]
    return float(np.vecdot(whole, whole).sum()) + float(np.vecdot(rest, rest))
