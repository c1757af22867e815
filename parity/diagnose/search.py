"""What a proof is: nothing is left of a difference, wherever it was seen.

What a side came to is `Evidence`, a fault to try is a `Candidate`, and `proved` tries them: a candidate is proved if it
gives what was found everywhere. Batches, files, ids of texts, losses and generated logits are evidence alike. Of a
segment, wherever it was captured, a cause `holds` that leaves nothing there. `gap` says how far two arrays are apart.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from parity.compare.divergence import divergence
from parity.compare.judge import MAX_FLOAT64_ULPS, judge_difference
from parity.diagnose import Cause
from parity.diagnose.locate.segment import Segment
from parity.dtypes import EPS, Array
from parity.strategies import Case

Explained = tuple[list[Cause], list[str]]
HALVINGS = 80  # of an interval that holds a constant: what is left is float64's rounding
Left = Callable[[Segment], float | None]  # what is left of a difference with a cause corrected; None if not computable
LEAST = 4  # different numbers at least, in all captures together: fewer are explained by chance
DIGITS = 6  # in which numbers count as different


Value = TypeVar("Value")
Compared = TypeVar("Compared", contravariant=True)
Change = TypeVar("Change")


class Evidence(Protocol[Compared]):
    """An outcome of a side, to be explained. What is compared bit by bit has a limit of 0."""

    @property
    def before(self) -> float:
        """How far it is from what it should be, before any undoing."""

    @property
    def limit(self) -> float:
        """How far rounding error takes it from what it is compared with."""

    def apart(self, value: Compared, /) -> float:
        """How far it is from what a formula gives."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A side's array, what the clean formula gives, and the magnitude that rounding is measured by."""

    found: Array
    clean: Array
    scale: float

    @property
    def limit(self) -> float:
        """What rounding error accounts for: the lower edge's limit of a square of this scale."""
        return MAX_FLOAT64_ULPS * EPS["float64"] * self.scale

    @cached_property
    def before(self) -> float:
        """How far the array is from the one that it should be, before any undoing."""
        return gap(self.found, self.clean)

    def apart(self, value: Array) -> float:
        """How far the array is from what a formula gives."""
        return gap(self.found, value)

    def explains(self, value: Array) -> bool:
        """Whether a formula gives what was found."""
        return self.apart(value) <= self.limit


@dataclass(frozen=True)
class Candidate(Generic[Value]):
    """A cause by its name, what a side that has it does, what to change, and what it gives for each piece of evidence.

    The `values` are taken one by one, to the first that is wrong: a lazy iterable computes no more than that. There may
    be more of them than evidence, as of what is the same for all; too few raise a ValueError.
    """

    name: str
    told: str
    fix: str
    values: Iterable[Value]


def case_of(example: Any) -> Case:
    """The weights and rows in a check's example."""
    drawn: Any = example[0] if isinstance(example, tuple) else example
    case: Case = getattr(drawn, "case", drawn)
    return case


def within(first: Array, second: Array, limit: float) -> bool:
    """Whether no element is further apart than the limit; equal infinities are not apart, nor is NaN from NaN."""
    with np.errstate(invalid="ignore"):
        near = (first == second) | (np.abs(first - second) <= limit)
    return bool(near.all() or (near | (np.isnan(first) & np.isnan(second))).all())


def gap(first: Array, second: Array) -> float:
    """The largest difference, of integers as well; infinite where the shapes differ, or a NaN is on one side only."""
    if first.shape != second.shape:
        return np.inf
    numbers = [array if array.dtype.kind == "f" else array.astype(np.float64) for array in (first, second)]
    return divergence(*numbers).max_abs_diff


def unlike(first: Mapping[str, Array], second: Mapping[str, Array]) -> float:
    """How many values differ, by name; of an array that the second has not, or of another shape, all of them."""
    lost = sum(array.size for name, array in first.items() if name not in second)
    both = [(array, second[name]) for name, array in first.items() if name in second]
    return float(
        lost
        + sum(np.count_nonzero((a != b) & ((a == a) | (b == b))) if a.shape == b.shape else a.size for a, b in both)
    )


def outputs_apart(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> tuple[float, float]:
    """The largest difference of what floats, and what rounding error accounts for; infinite where shapes differ."""
    floats = {place: array for place, array in ours.items() if array.dtype.kind == "f"}
    if any(place not in theirs or theirs[place].shape != array.shape for place, array in floats.items()):
        return np.inf, 0.0
    gaps = [divergence(array, theirs[place]) for place, array in floats.items()]
    limits = [judge_difference(gap, (0.0, 0.0))[1] for gap in gaps]
    return max((gap.max_abs_diff for gap in gaps), default=0.0), max(limits, default=0.0)


AnyEvidence = TypeVar("AnyEvidence", bound=Evidence[Any])


def differing(evidence: Sequence[AnyEvidence]) -> AnyEvidence | None:
    """The piece of evidence that is furthest above its limit, if one is; one that is finite, if there is."""
    failing = [piece for piece in evidence if piece.before > piece.limit]
    return max(failing, key=lambda piece: (piece.before < np.inf, piece.before / (piece.limit or 1.0)), default=None)


def proved(
    where: str, side: str, evidence: Sequence[Evidence[Value]], candidates: Iterable[Candidate[Value]]
) -> Iterator[Cause]:
    """Yield a `Cause` for each candidate that explains every piece of evidence, the first of each name.

    Nothing if no evidence is above its limit. `where` and `side` are the cause's; before and after are those of the
    piece that differs most.
    """
    worst, names = differing(evidence), set[str]()
    if worst is None:
        return
    for one in candidates:
        gaps = [] if one.name in names else _gaps(evidence, one.values)
        if gaps:
            names.add(one.name)
            after = gaps[evidence.index(worst)]
            yield Cause(one.name, where, f"{side} {one.told}", one.fix, worst.before, after)


def needed(changes: Sequence[Change], closed: Callable[[list[Change]], bool]) -> list[Change]:
    """Those of changes that together leave nothing without which something is left; each is tried without once.

    The order may decide which of two that do the same is kept. Never none, where there are any.
    """
    rest = [*changes]
    for one in changes if len(rest) > 1 else ():
        fewer = [other for other in rest if other is not one]
        rest = fewer if fewer and closed(fewer) else rest
    return rest


def _gaps(evidence: Sequence[Evidence[Value]], values: Iterable[Value]) -> list[float]:
    """How far each piece of evidence is from its value; nothing, if one is further than its limit."""
    gaps = []
    for piece, value in zip(evidence, islice(values, len(evidence)), strict=True):
        gaps.append(piece.apart(value))
        if not gaps[-1] <= piece.limit:
            return []
    return gaps


def constants(missed: Callable[[float], float], grid: Sequence[float]) -> list[float]:
    """The roots of a function between neighbours of a grid, by bisection: each to one, two and three digits, and whole.

    `missed(x)` is by how much a constant x misses, with its sign; `grid` ascends.
    """
    roots: list[float] = []
    with np.errstate(all="ignore"):
        values = [missed(x) for x in grid]
        for low, high, at_low, at_high in zip(grid, grid[1:], values, values[1:], strict=False):
            if at_low * at_high > 0 or not np.isfinite(at_low + at_high):
                continue
            for _ in range(HALVINGS):  # bisection: it needs no derivative, and a loss may have corners
                middle = (low + high) / 2
                if missed(middle) * at_low > 0:
                    low = middle
                else:
                    high = middle
            roots += [*(float(f"{high:.{digits}e}") for digits in range(3)), high]
    return list(dict.fromkeys(roots))


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
    # Enough different numbers for a formula of numbers to be proved by them.
    rich = segment.found[0].dtype.kind != "f" or sum(map(distinct, [segment, *captured])) >= LEAST
    return bool(known) and all(_nothing(rest, other) for other, rest in known) and rich


def _nothing(left: float | None, segment: Segment) -> bool:
    """Whether what is left is rounding error alone; a NaN is not."""
    return left is not None and left <= segment.limit


def distinct(segment: Segment) -> int:
    """How many different pairs of numbers the two sides made, to `DIGITS` of the largest."""
    pairs = np.stack([np.asarray(array, np.float64).ravel() for array in segment.found])
    size = np.abs(pairs[np.isfinite(pairs)]).max(initial=0.0) or 1.0
    return len(np.unique(np.round(pairs / size, DIGITS), axis=1).T)
