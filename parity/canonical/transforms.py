"""Transforms: how a framework's variables become one canonical parameter, and back, bit for bit.

A transform moves whole axes and never casts. A reshape can hide a wrong layout where a transposition
cannot: there is one only where a framework packs two axes of the other into one, and its name says so.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from parity.dtypes import Array


@dataclass(frozen=True)
class Transform:
    """One way there and back.

    `pack` takes the variables' arrays, in order, to the canonical array, which may be a view of them; `unpack` is its
    inverse on canonical arrays, bit for bit; `gradient` does for gradients what `pack` does for values, with None in
    the place of a variable that is not trained. At least one is.
    """

    name: str
    pack: Callable[..., Array]
    unpack: Callable[[Array], tuple[Array, ...]]
    gradient: Callable[..., Array]


def _one(name: str, pack: Callable[[Array], Array], unpack: Callable[[Array], Array]) -> Transform:
    """The transform of one variable, whose gradient is packed as its value is."""
    return Transform(name, pack, lambda array: (unpack(array),), pack)


def _several(name: str, pack: Callable[..., Array], unpack: Callable[[Array], tuple[Array, ...]]) -> Transform:
    """The transform of several variables of one shape; the gradient of one that is not trained is zero."""

    def gradient(*arrays: Array | None) -> Array:
        known = next(array for array in arrays if array is not None)
        return pack(*(np.zeros_like(known) if array is None else array for array in arrays))

    return Transform(name, pack, unpack, gradient)


def _same(array: Array) -> Array:
    return array


def _transposed(array: Array) -> Array:
    """A contiguous copy with the axes in reverse order, in blocks that fit the cache: twice as fast."""
    # `np.ascontiguousarray(array.T)` reads a whole row for each element that it writes.
    result = np.empty(array.shape[::-1], array.dtype)
    for start in range(0, len(array), BLOCK):
        result[..., start : start + BLOCK] = array[start : start + BLOCK].T
    return result


def _swapped(array: Array, axis: int) -> Array:
    """The first and the second of three gates in each other's place: its own inverse."""
    first, second, third = np.split(array, 3, axis)
    return np.concatenate([second, first, third], axis)


BLOCK = 512  # rows that `_transposed` takes at once
SAME = _one("same", _same, _same)
TRANSPOSED = _one("transposed", lambda array: array.T, _transposed)  # a view: comparing does not need a copy
# Two biases that only ever act as their sum: the value rests in the first and the second is zero,
# so that the way back is exact. Each one's gradient is the gradient of the sum.
SUMMED = Transform(
    "summed",
    lambda first, second: first + second,
    lambda array: (array, np.zeros_like(array)),
    lambda first, second: second if first is None else first,
)
# Two biases that do not act as their sum alone: one row each.
STACKED = _several("stacked", lambda *arrays: np.stack(arrays), lambda array: tuple(array))
# Keras's GRU has the update gate before the reset gate.
SWAPPED = _one("swapped", lambda array: _swapped(array, -1), lambda array: _swapped(array, -1))
TRANSPOSED_SWAPPED = _one(
    "transposed and swapped", lambda array: _swapped(array.T, 0), lambda array: _transposed(_swapped(array, 0))
)
# A convolution's channels, the last two axes: in the reverse order before all others.
CHANNELS_FIRST = _one(
    "channels first",
    lambda array: np.moveaxis(array, (-1, -2), (0, 1)),
    lambda array: np.ascontiguousarray(np.moveaxis(array, (0, 1), (-1, -2))),
)


def _of_parts(array: Array) -> Array:
    """Complex numbers from a last axis of their real and imaginary parts."""
    return np.ascontiguousarray(array).view(np.result_type(array.dtype, np.complex64))[..., 0]


# Complex numbers as a last axis of two: what they are trained by, and how the other side may hold them.
COMPLEX = _one("real and imaginary parts", lambda array: np.stack([array.real, array.imag], -1), _of_parts)


def own_transform(dtype: object) -> Transform:
    """The transform of a variable of a user's own layer: `COMPLEX` where its dtype is complex, else `SAME`."""
    return COMPLEX if "complex" in str(dtype) else SAME


def multiplied(channels: int) -> Transform:
    """A depthwise kernel (..., in, multiplier) -> (in * multiplier, 1, ...): the multiplier runs fastest in the rows.

    `channels` is how many inputs there are, which the canonical array does not tell.
    """

    def unpack(array: Array) -> Array:
        split = array.reshape(channels, -1, *array.shape[2:])
        return np.ascontiguousarray(np.moveaxis(split, (0, 1), (-2, -1)))

    return _one(
        "channels first, channels and multiplier as rows",
        lambda array: np.moveaxis(array, (-2, -1), (0, 1)).reshape(-1, 1, *array.shape[:-2]),
        unpack,
    )


def shared(axes: int) -> Transform:
    """A slope for each channel, (1, ..., 1, channels) with `axes` leading axes over which it is shared: (channels)."""
    return _one(
        "without the shared axes",
        lambda array: array.reshape(array.shape[axes:]),
        lambda array: array.reshape((1,) * axes + array.shape),
    )


def rows(heads: int, stacked: bool) -> Transform:
    """Attention's packed rows, ([part *] heads * head width, ...) -> ([part,] heads, head width, ...).

    `stacked` says that query, key and value stand in one array.
    """
    lead = (3, heads) if stacked else (heads,)
    return _one(
        f"rows as {'3 x ' if stacked else ''}{heads} heads",
        lambda array: array.reshape(*lead, -1, *array.shape[1:]),
        lambda array: array.reshape(-1, *array.shape[len(lead) + 1 :]),
    )


def columns(heads: int) -> Transform:
    """Attention's packed columns, (out, heads * head width) -> (out, heads, head width)."""
    return _one(
        f"columns as {heads} heads",
        lambda array: array.reshape(len(array), heads, -1),
        lambda array: array.reshape(len(array), -1),
    )


# Keras's attention has an axis of heads, and its kernels the input first and the output last.
LAST_FIRST = _one(
    "output first",
    lambda array: np.moveaxis(array, -1, 0),
    lambda array: np.ascontiguousarray(np.moveaxis(array, 0, -1)),
)
FIRST_LAST = _one(
    "input last",
    lambda array: np.moveaxis(array, 0, -1),
    lambda array: np.ascontiguousarray(np.moveaxis(array, -1, 0)),
)
STACKED_FIRST_LAST = _several(
    "input last, stacked",
    lambda *arrays: np.stack([np.moveaxis(array, 0, -1) for array in arrays]),
    lambda array: tuple(np.ascontiguousarray(np.moveaxis(part, -1, 0)) for part in array),
)


def einsum(out: tuple[int, ...], within: tuple[int, ...], shape: tuple[int, ...]) -> Transform:
    """A kernel of any axes as a dense one (out, in): the axes `out` joined as rows, those in `within` as columns.

    `shape` is the kernel's own.
    """
    order = (*out, *within)

    def unpack(array: Array) -> Array:
        return np.ascontiguousarray(array.reshape([shape[axis] for axis in order]).transpose(np.argsort(order)))

    rows = math.prod(shape[axis] for axis in out)
    return _one("output as rows, input as columns", lambda array: array.transpose(order).reshape(rows, -1), unpack)


def flat(shape: tuple[int, ...]) -> Transform:
    """An array of this shape as a vector, in row-major order."""
    return _one("flat", lambda array: array.reshape(-1), lambda array: array.reshape(shape)) if len(shape) > 1 else SAME
