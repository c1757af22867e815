"""How the numbers of an array run through those of others: how far its neighbours along an axis lie apart there."""

from itertools import pairwise

import numpy as np

from parity.dtypes import Array

LINES = 64  # along an axis, by which its order is read


def stride(steps: Array) -> int:
    """The commonest distance between neighbours along an axis: its stride."""
    return commonest(np.abs(np.diff(steps)))


def commonest(numbers: Array) -> int:
    """The number that most of these are."""
    values, counts = np.unique(numbers, return_counts=True)
    return int(values[counts.argmax()])


def along(at: Array, axis: int) -> Array | None:
    """Offset of each place along an axis from the first, in the source's numbers: (length,); None where unknown.

    A vote over up to `LINES` lines along that axis, since some of their numbers may not be found. A place of which
    none is, as a row of zeros, lies as far from its neighbour as most do.
    """
    lines = np.moveaxis(at, axis, 0).reshape(at.shape[axis], -1)
    lines = lines[:, (lines >= 0).sum(0).argsort(kind="stable")[::-1][:LINES]]
    known = np.flatnonzero((lines >= 0).any(1))
    usual: Array = np.zeros(len(lines), np.int64)
    for before, place in pairwise(known):
        both = (lines[place] >= 0) & (lines[before] >= 0)
        if not both.any():
            return None
        usual[place] = usual[before] + commonest((lines[place] - lines[before])[both])
    if len(known) == len(lines) or len(lines) == 1:
        return usual
    beside = np.diff(usual[known])[np.diff(known) == 1]
    if not len(beside):
        return None
    places = np.arange(len(lines))
    nearest = known[np.abs(places[:, None] - known).argmin(1)]
    whole: Array = usual[nearest] + (places - nearest) * commonest(beside)
    whole -= whole[0]
    return whole
