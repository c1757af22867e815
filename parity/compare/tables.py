"""Constant tables, as of positions or of a mask, that one side computes in float32 and the other in float64."""

import numpy as np

from parity.dtypes import EPS, Array

# Two tables are one that float32 rounds if they are apart by this, times eps32 and the largest number: what a product
# and a function of it, each rounded, are off at most. Fewer different numbers than SOME may agree by chance.
ROUNDINGS, SOME = 8.0, 4


def rounded_alike(one: Array, other: Array) -> bool:
    """Whether two tables hold the same numbers, of which one was rounded to float32 on the way.

    Axes of one index do not count. False for equal tables, for those of another shape or of integers, and for tables of
    fewer than `SOME` different numbers.
    """
    one, other = np.squeeze(one), np.squeeze(other)
    if one.shape != other.shape or one.dtype.kind != "f" or np.array_equal(one, other) or len(np.unique(one)) < SOME:
        return False
    limit = ROUNDINGS * EPS["float32"] * float(np.abs(one).max())
    return not (wider(one) and wider(other)) and bool((np.abs(one - other) <= limit).all())


def wider(table: Array) -> bool:
    """Whether a table holds numbers that are none of float32: one that was computed in it comes back unchanged."""
    return not np.array_equal(table, table.astype(np.float32))
