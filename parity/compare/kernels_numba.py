"""The kernels of `compare`, compiled by numba: one pass where NumPy makes a dozen. Optional, one thread.

Every operation is the one written, and what is found is what NumPy finds, to the last bit. The largest values
are found among bits: read as whole numbers, the magnitudes of floating-point numbers keep their order, and every
infinity and NaN stands above every finite value, which no comparison of floating-point numbers promises.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from parity.dtypes import Array


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call; the code is kept beside this file, else in the user's cache, else for this
    process.
    """
    compiled: Callable[..., Any]
    try:
        # error_model="numpy": dividing by zero gives infinity, as in NumPy, where Python would raise.
        compiled = njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # no folder may be written
        compiled = njit(nogil=True, error_model="numpy")(function)
    return compiled


def _bits(value: Any) -> Any:
    """The bits of a number as a whole number of its width."""
    raise NotImplementedError("only for compiled code")


@overload(_bits, strict=False)  # strict would compare the annotations too
def _(value: Any) -> Callable[[Any], Any]:
    if value == types.float32:
        return lambda value: np.float32(value).view(np.uint32)
    return lambda value: np.float64(value).view(np.uint64)


def _value(bits: Any) -> Any:
    """The number that has these bits, in float64."""
    raise NotImplementedError("only for compiled code")


@overload(_value, strict=False)
def _(bits: Any) -> Callable[[Any], Any]:
    if bits == types.uint32:
        return lambda bits: np.float64(np.uint32(bits).view(np.float32))
    return lambda bits: np.uint64(bits).view(np.float64)


@_jit
def _larger(first: Any, second: Any) -> Any:
    return first if first > second else second


@_jit
def _edges(a: Any, b: Any, bits: Any, tiny: Any) -> Any:
    """`Kernels.edges` of two vectors. `bits` is of any content: its dtype is the integer as wide as their elements."""
    whole = bits.dtype.type
    top, largest, unequal = whole(0), whole(0), 0
    for i in range(a.size):
        gap = abs(a[i] - b[i])
        top = _larger(top, _larger(_bits(abs(a[i])), _bits(abs(b[i]))))
        largest = _larger(largest, _bits(gap))
        unequal += gap >= tiny
    return _value(top), _value(largest), unequal


@_jit
def _measure(a: Any, b: Any, bits: Any, tiny: Any, lowest: Any, limit: Any) -> Any:
    """`Kernels.measure` of two vectors; `lowest` are the bits of the number before `tiny`, from which ULPs count."""
    whole, real = bits.dtype.type, a.dtype.type
    top, relative, ulps, above = whole(0), whole(0), whole(0), 0
    for i in range(a.size):
        size, gap = _larger(abs(a[i]), abs(b[i])), abs(a[i] - b[i])
        top = _larger(top, _larger(_bits(abs(a[i])), _bits(abs(b[i]))))
        above += gap > limit
        gap = gap if gap >= tiny else real(0)  # a denormal is no difference, though one over `tiny` may be large
        relative = _larger(relative, _bits(gap / _larger(size, tiny)))
        p = whole(_larger(_bits(abs(a[i])), lowest) - lowest)
        q = whole(_larger(_bits(abs(b[i])), lowest) - lowest)
        # Of two signs the count goes through zero. Not `abs(p - q)`: the integers have no sign.
        apart = whole(_larger(p, q) - min(p, q)) if (a[i] < 0) == (b[i] < 0) else whole(p + q)
        ulps = _larger(ulps, apart)
    return _value(top), _value(relative), ulps, above


class Kernels:
    """What `kernels_numpy.Kernels` does, for vectors of float32 or float64."""

    def __init__(self, dtype: np.dtype[Any], tiny: float, limit: float = 0.0) -> None:
        self.bits = np.dtype(f"u{dtype.itemsize}")
        self.tiny, self.limit = dtype.type(tiny), dtype.type(limit)
        # The bits of the largest denormal: what counts ULPs from there counts every denormal as zero.
        self.lowest = self.tiny.view(self.bits) - self.bits.type(1)

    def edges(self, a: Array, b: Array) -> Any:
        """As in `kernels_numpy`: the largest magnitude, the largest difference and how many count."""
        a, b = _frozen(a), _frozen(b)
        return _edges(a, b, a.view(self.bits), self.tiny)

    def measure(self, a: Array, b: Array) -> Any:
        """As in `kernels_numpy`: the fields of `compare.ChunkStatistics`, in their order."""
        a, b = _frozen(a), _frozen(b)
        return _measure(a, b, a.view(self.bits), self.tiny, self.lowest, self.limit)


def _frozen(array: Array) -> Array:
    """A view that may not be written: for arrays that may, numba would compile everything once more."""
    view = array.view()
    view.flags.writeable = False
    return view
