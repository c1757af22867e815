"""How far two arrays are apart, and what a proof is: nothing is left of a difference, wherever it was captured."""

from collections.abc import Callable, Mapping

import numpy as np

from parity.diagnose.locate.segment import Segment
from parity.diagnose.search import gap as gap
from parity.dtypes import Array

Left = Callable[[Segment], float | None]  # what is left of a difference with a cause corrected; None if not computable
LEAST = 4  # different numbers at least, in all captures together: fewer are explained by chance
DIGITS = 6  # in which numbers count as different


def unlike(first: Mapping[str, Array], second: Mapping[str, Array]) -> float:
    """How many values differ, by name; of an array that the second has not, or of another shape, all of them."""
    lost = sum(array.size for name, array in first.items() if name not in second)
    both = [(array, second[name]) for name, array in first.items() if name in second]
    return float(
        lost
        + sum(np.count_nonzero((a != b) & ((a == a) | (b == b))) if a.shape == b.shape else a.size for a, b in both)
    )


def apart(segment: Segment) -> float:
    """The largest absolute difference between the two sides' outputs of a segment."""
    return gap(*segment.found)


def holds(segment: Segment, left: Left) -> bool:
    """Whether nothing is left of a difference: in the segment, and in each other capture of the same place.

    `left` is what is left with a cause corrected, by the same formula and constants everywhere; None where that
    cannot be computed, which says nothing. One other capture at least has to confirm it; one in which a side overflowed
    cannot.
    """
    if not _nothing(left(segment), segment):
        return False
    if segment.others is None:
        return True
    captured = [other for other in segment.others() if not any(np.isnan(array).any() for array in other.found)]
    others = [(other, left(other)) for other in captured]
    known = [(other, rest) for other, rest in others if rest is not None]
    return bool(known) and all(_nothing(rest, other) for other, rest in known) and _rich([segment, *captured])


def _nothing(left: float | None, segment: Segment) -> bool:
    """Whether what is left is rounding error alone; a NaN is not."""
    return left is not None and left <= segment.limit


def _rich(segments: list[Segment]) -> bool:
    """Whether the captures hold enough different numbers for a formula of numbers to be proved by them."""
    return segments[0].found[0].dtype.kind != "f" or sum(map(distinct, segments)) >= LEAST


def distinct(segment: Segment) -> int:
    """How many different pairs of numbers the two sides made, to `DIGITS` of the largest."""
    pairs = np.stack([np.asarray(array, np.float64).ravel() for array in segment.found])
    size = np.abs(pairs[np.isfinite(pairs)]).max(initial=0.0) or 1.0
    return len(np.unique(np.round(pairs / size, DIGITS), axis=1).T)
