"""Rows of inputs at the edges of what a model takes, and what a strategy of integers says of itself.

NumPy alone: `strategies` draws the seeds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.layers import Array

Place = tuple[Any, ...]  # of an array in inputs: its name, or () of one alone


@dataclass(frozen=True)
class Ids:
    """The integers of an array: from 0 up to, but not including, `below`; `pad` fills the end of a text."""

    below: int
    pad: int | None = None


def numbers(random: np.random.Generator, rows: int, shape: tuple[int, ...], scale: float, edges: bool) -> Array:
    """Normal float32 numbers (rows, *shape); with edges some zeros in every second row of five, ties in every
    third, and nothing but zeros in every fourth."""
    drawn = (scale * random.standard_normal((rows, *shape))).astype(np.float32)
    if edges:
        flat = drawn.reshape(rows, -1)
        flat[1::5] = np.where(random.integers(0, 2, flat[1::5].shape), flat[1::5], 0.0)
        flat[2::5] = np.round(flat[2::5] / scale) * scale + 0.0  # no zero has a sign
        flat[3::5] = 0.0
    return drawn


def integers(random: np.random.Generator, rows: int, shape: tuple[int, ...], below: int) -> Array:
    """Int64 (rows, *shape) from 0 up to `below`, uniform but for three rows of every five: one begins with the largest
    and ends in zeros, one begins with 0, one has a single number all along."""
    drawn = random.integers(0, below, (rows, *shape))
    flat = drawn.reshape(rows, -1)
    flat[::5, (flat.shape[1] + 1) // 2 :] = 0
    flat[::5, :1] = below - 1
    flat[1::5, :1] = 0
    flat[2::5] = flat[2::5, :1]
    return drawn


def padded(random: np.random.Generator, rows: int, length: int, ids: Ids, edges: bool) -> Array:
    """Ids (rows, length) int64 with padding at the ends of rows alone: a short row, a whole one, one of one token,
    with edges one of nothing but padding, and so on. They begin with the last id and the first in turn."""
    pad = ids.below if ids.pad is None else ids.pad
    drawn = random.integers(0, ids.below - 1, (rows, length))
    drawn += drawn >= pad  # any id but that of padding
    drawn[::2, 0] = ids.below - 1 - (pad == ids.below - 1)
    drawn[1::2, 0] = int(pad == 0)
    kinds = (None, length, 1, 0) if edges else (None, length, 1)
    for row in range(rows):
        kept = kinds[row % len(kinds)]
        drawn[row, int(random.integers(1, max(2, length))) if kept is None else kept :] = pad
    return drawn
