"""Rows of inputs at the edges of what a model takes, and what a strategy of integers says of itself.

NumPy alone: `strategies` draws the seeds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optree

from parity.dtypes import Array, Inputs

Place = tuple[Any, ...]  # of an array in inputs: the keys and indices that lead to it, () for one alone


@dataclass(frozen=True)
class Ids:
    """The integers of an array: from 0 up to, but not including, `below`; `pad` fills the end of a text.

    Without `pad` they are no texts, and nothing is padded or continued.
    """

    below: int
    pad: int | None = None


def numbers(random: np.random.Generator, rows: int, shape: tuple[int, ...], scale: float, edges: bool) -> Array:
    """Normal float32 numbers (rows, *shape) of this standard deviation. With edges, of every five rows the second has
    some zeros, the third ties, and the fourth nothing but zeros.
    """
    drawn = (scale * random.standard_normal((rows, *shape))).astype(np.float32)
    if edges:
        flat = drawn.reshape(rows, -1)
        flat[1::5] = np.where(random.integers(0, 2, flat[1::5].shape), flat[1::5], 0.0)
        # A few whole multiples of the scale, so that many are equal; `+ 0.0` takes the sign from a zero.
        flat[2::5] = np.round(flat[2::5] / scale) * scale + 0.0
        flat[3::5] = 0.0
    return drawn


def integers(random: np.random.Generator, rows: int, shape: tuple[int, ...], below: int) -> Array:
    """Int64 (rows, *shape) from 0 up to, but not including, `below`: uniform but for three rows of every five, of which
    one begins with the largest and ends in zeros, one begins with 0, and one has a single number all along.
    """
    drawn = random.integers(0, below, (rows, *shape))
    flat = drawn.reshape(rows, -1)
    flat[::5, (flat.shape[1] + 1) // 2 :] = 0
    flat[::5, :1] = below - 1
    flat[1::5, :1] = 0
    flat[2::5] = flat[2::5, :1]
    return drawn


def padded(random: np.random.Generator, rows: int, length: int, ids: Ids, edges: bool) -> Array:
    """Ids (rows, length) int64 with padding nowhere but at the ends of rows: a short row, a whole one, one of one
    token, with edges one of nothing but padding, and so on. They begin with the last id and the first in turn, but for
    that of padding.
    """
    pad = ids.below if ids.pad is None else ids.pad
    drawn = random.integers(0, ids.below - 1, (rows, length))
    drawn += drawn >= pad  # any id but that of padding
    drawn[::2, 0] = ids.below - 1 - (pad == ids.below - 1)
    drawn[1::2, 0] = int(pad == 0)
    half = (length + 1) // 2
    for row in range(rows):
        short = int(random.integers(half, max(half + 1, length)))
        kinds = (short, length, 1, 0) if edges else (short, length, 1)
        drawn[row, kinds[row % len(kinds)] :] = pad
    return drawn


def lengthened(inputs: Inputs, ids: Mapping[Place, Ids], more: int) -> Inputs:
    """Inputs whose texts (batch, time) have so many columns of padding more at the end: (batch, time + more)."""
    return _texts(inputs, ids, lambda array, pad, _: np.pad(array, ((0, 0), (0, more)), constant_values=pad))


def shortened(inputs: Inputs, ids: Mapping[Place, Ids], less: int) -> Inputs:
    """Inputs whose texts end so many columns earlier, in padding: of the same shape. The first column stays."""

    def ended(array: Array, pad: int, _: int) -> Array:
        place = np.arange(array.shape[1])
        return np.where((place > 0) & (place >= array.shape[1] - less), pad, array)

    return _texts(inputs, ids, ended)


def overwritten(inputs: Inputs, ids: Mapping[Place, Ids], filler: int) -> Inputs:
    """Inputs whose padding is overwritten with an id, `filler` of a text's vocabulary and no padding itself."""
    return _texts(inputs, ids, lambda array, pad, below: np.where(array == pad, _no_padding(filler, pad, below), array))


def continued(inputs: Inputs, ids: Mapping[Place, Ids], length: int, shift: int) -> Inputs:
    """Inputs whose texts have other ids from column `length` on, each `shift` further; padding stays."""

    def other(array: Array, pad: int, below: int) -> Array:
        late = (np.arange(array.shape[1]) >= length) & (array != pad)
        return np.where(late, _no_padding(array + shift, pad, below), array)

    return _texts(inputs, ids, other)


def _no_padding(ids: Inputs, pad: int, below: int) -> Inputs:
    """Ids brought into the vocabulary by counting on from 0, and past that of padding."""
    return np.where(ids % below == pad, (ids + 1) % below, ids % below)


def _texts(inputs: Inputs, ids: Mapping[Place, Ids], change: Callable[[Array, int, int], Array]) -> Inputs:
    """Inputs whose texts (batch, time) are replaced by `change(text, pad, below)`; arrays without `pad` stay."""

    def changed(at: Place, array: Array) -> Array:
        replacement = ids.get(at)
        return (
            array
            if replacement is None or replacement.pad is None
            else change(array, replacement.pad, replacement.below)
        )

    return optree.tree_map_with_path(changed, inputs)
