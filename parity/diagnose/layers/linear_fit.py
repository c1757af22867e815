"""What a model's own code made, as a sum of links' outputs: with factors, one through a function or moved in time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from parity.diagnose.constants import factor, fits, proposals
from parity.diagnose.gaps import gap, holds
from parity.diagnose.layers.terms import Bases, Term, again, candidates
from parity.diagnose.locate.segment import Segment
from parity.dtypes import Array


@dataclass(frozen=True)
class Sum:
    """factor * term + ... + constant. `names` is number -> how it is told, `left` how far the sum is from a target."""

    terms: Mapping[Term, float]
    constant: float = 0.0
    names: Mapping[float, str] = field(default_factory=dict)
    left: float = 0.0

    def __str__(self) -> str:
        parts = [self._times(number, str(term)) for term, number in self.terms.items()]
        if self.constant:
            parts.append(self.names[self.constant])
        return " + ".join(parts) or "zeros"

    def _times(self, number: float, term: str) -> str:
        return term if number == 1 else f"{self.names[number]} * {term}"


def sums(segment: Segment, place: int) -> list[Sum]:
    """Every sum that gives what a side made wherever it was captured: the plain ones, or else with one function.

    What has no factor comes first: one array as it stands, and a function of one.
    """
    target = np.asarray(segment.found[place], np.float64)
    if not np.isfinite(target).all():
        return []
    for sort in (_single, _plain, _through):
        matches = [one for one in sort(segment, target) if holds(segment, partial(_left, one, place))]
        if matches:
            return sorted(matches, key=lambda one: len(one.terms))
    return []


def _left(one: Sum, place: int, segment: Segment) -> float | None:
    """How far a side is from a sum; None where a term cannot be computed."""
    target = np.asarray(segment.found[place], np.float64)
    total = np.full(target.shape, one.constant)
    for term, number in one.terms.items():
        array = again(term, segment, target)
        if array is None:
            return None
        total = total + number * array
    return gap(total, target)


def _single(segment: Segment, target: Array) -> Iterator[Sum]:
    """Given arrays as they stand; if none is it, through a function or moved. Nothing is fitted."""
    whole = {Term(name): array for name, array in segment.given.items() if array.shape == target.shape}
    plain = [Sum({term: 1.0}, left=gap(array, target)) for term, array in whole.items() if array.dtype.kind != "b"]
    yield from (one for one in plain if one.left <= segment.limit)


def _plain(segment: Segment, target: Array) -> Iterator[Sum]:
    """The sum of the segment's arrays as they are, with factors."""
    fitted = _fitted(target, independent(segment, target), segment.limit)
    if fitted:
        yield fitted


def _through(segment: Segment, target: Array) -> Iterator[Sum]:
    """One of the given arrays through a function, or moved."""
    bases = independent(segment, target)
    base = _orthogonal(bases, target.size)
    rest = _apart(target.reshape(-1), base)
    spare = fits(target, len(bases) + 2)
    for term, array in candidates(segment, target):
        if not np.isfinite(array).all() or not array.any():
            continue
        left = gap(array, target)
        if left <= segment.limit:
            yield Sum({term: 1.0}, left=left)
        if not spare:
            continue
        column = _apart(array.reshape(-1), base)
        number = factor(column, rest)
        # The rest is what no plain sum explains; a candidate must explain all of it.
        if np.isfinite(number) and np.abs(rest - number * column).max() <= segment.limit:
            fitted = _fitted(target, [*bases, (term, array)], segment.limit)
            if fitted and term in fitted.terms:
                yield fitted


def independent(segment: Segment, target: Array) -> Bases:
    """The given arrays that fit what was found, without those that are sums of the ones before."""
    bases: Bases = []
    kinds = "f" if (target % 1).any() else "fiu"  # ids and positions add up to whole numbers alone
    for name, array in segment.given.items():
        if array.dtype.kind not in kinds or array.ndim > target.ndim or not np.isfinite(array).all():
            continue
        try:
            whole = np.broadcast_to(array, target.shape)
        except ValueError:
            continue
        column = whole.reshape(-1).astype(np.float64)
        size = np.abs(column).max(initial=0.0)
        # Less than 2^-30 of its size is rounding error: it is a sum of those before, and factors would be arbitrary.
        new = _apart(column, _orthogonal(bases, target.size))
        if size and np.abs(new).max() > 2.0**-30 * size and fits(target, len(bases) + 2):
            bases.append((Term(name), column.reshape(target.shape)))
    return bases


def _orthogonal(bases: Bases, size: int) -> Array:
    """An orthonormal basis of the arrays and a constant, by columns, each scaled first: one may be 1e-8 of another."""
    columns = np.stack([np.ones(size), *(array.reshape(-1) for _, array in bases)], 1)
    base: Array = np.linalg.qr(columns / np.maximum(np.abs(columns).max(0), 1e-300))[0]
    return base


def _apart(column: Array, base: Array) -> Array:
    """A column less its projection on an orthonormal base; projected twice, since the first leaves rounding error."""
    for _ in range(2):
        column = column - base @ (base.T @ column)
    return column


def _fitted(target: Array, bases: Bases, limit: float) -> Sum | None:
    """The least-squares sum of the bases and a constant, or None if it is further off than `limit`.

    Each factor is replaced by the simplest number, as sqrt(48), with which the sum stays within the limit.
    """
    columns = np.stack([*(array.reshape(-1) for _, array in bases), np.ones(target.size)], 1)
    numbers = np.linalg.lstsq(columns, target.reshape(-1), rcond=None)[0].tolist()
    if gap(columns @ np.array(numbers), target.reshape(-1)) > limit:
        return None
    names = {}
    for place, number in enumerate(numbers):
        for name, simple in proposals(number, target.shape):
            trial = [*numbers[:place], simple, *numbers[place + 1 :]]
            left = gap(columns @ np.array(trial), target.reshape(-1))
            if left <= limit:
                numbers[place], names[simple] = simple, name
                break
        names.setdefault(numbers[place], f"{numbers[place]:.6g}")
    terms = {term: number for (term, _), number in zip(bases, numbers, strict=False) if number}
    return Sum(terms, numbers[-1], names, gap(columns @ np.array(numbers), target.reshape(-1)))
