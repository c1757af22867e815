"""What a model's own code made, as a sum of links' outputs: with factors, one through a function or moved in time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from parity.diagnose.gaps import gap
from parity.diagnose.numbers import factor, proposals
from parity.diagnose.terms import Bases, Term, candidates
from parity.layers import Array
from parity.segment import Segment

SPARE = 8  # elements at least for every factor that is fitted: more equations than unknowns, by far


@dataclass(frozen=True)
class Sum:
    """factor * term + ... + constant; each number with the name by which it is told."""

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
    """Every sum that gives what a side made: as they stand, or else with one function or movement."""
    found = np.asarray(segment.found[place], np.float64)
    if not np.isfinite(found).all():
        return []
    bases = independent(segment, found)
    plain = _fitted(found, bases, segment.limit)
    if plain:
        return [plain]
    matches = []
    base = _orthogonal(bases, found.size)
    rest = _apart(found.reshape(-1), base)
    for term, array in candidates(segment, found):
        column = _apart(array.reshape(-1), base)
        number = factor(column, rest)
        # The rest is what no plain sum explains; a candidate must explain all of it.
        if np.isfinite(number) and np.abs(rest - number * column).max() <= segment.limit:
            fitted = _fitted(found, [*bases, (term, array)], segment.limit)
            if fitted and term in fitted.terms:
                matches.append(fitted)
    return sorted(matches, key=lambda one: len(one.terms))


def independent(segment: Segment, found: Array) -> Bases:
    """The given arrays that fit what was found, without those that are sums of the ones before."""
    bases: Bases = []
    kinds = "f" if (found % 1).any() else "fiu"
    for name, array in segment.given.items():
        if array.dtype.kind not in kinds or array.ndim > found.ndim or not np.isfinite(array).all():
            continue
        try:
            whole = np.broadcast_to(array, found.shape)
        except ValueError:
            continue
        column = whole.reshape(-1).astype(np.float64)
        size = np.abs(column).max(initial=0.0)
        new = _apart(column, _orthogonal(bases, found.size))
        if size and np.abs(new).max() > 2.0**-30 * size and (len(bases) + 2) * SPARE <= found.size:
            bases.append((Term(name), column.reshape(found.shape)))
    return bases


def _orthogonal(bases: Bases, size: int) -> Array:
    columns = np.stack([np.ones(size), *(array.reshape(-1) for _, array in bases)], 1)
    base: Array = np.linalg.qr(columns / np.maximum(np.abs(columns).max(0), 1e-300))[0]
    return base


def _apart(column: Array, base: Array) -> Array:
    """What is left of a column without its part along a base; twice, against rounding."""
    for _ in range(2):
        column = column - base @ (base.T @ column)
    return column


def _fitted(found: Array, bases: Bases, limit: float) -> Sum | None:
    """The sum in least squares, its factors recognised one by one as far as the proof holds."""
    columns = np.stack([*(array.reshape(-1) for _, array in bases), np.ones(found.size)], 1)
    numbers = np.linalg.lstsq(columns, found.reshape(-1), rcond=None)[0].tolist()
    if gap(columns @ np.array(numbers), found.reshape(-1)) > limit:
        return None
    names = {}
    for place, number in enumerate(numbers):
        for name, simple in proposals(number, found.shape):
            trial = [*numbers[:place], simple, *numbers[place + 1 :]]
            left = gap(columns @ np.array(trial), found.reshape(-1))
            if left <= limit:
                numbers[place], names[simple] = simple, name
                break
        names.setdefault(numbers[place], f"{numbers[place]:.6g}")
    terms = {term: number for (term, _), number in zip(bases, numbers, strict=False) if number}
    return Sum(terms, numbers[-1], names, gap(columns @ np.array(numbers), found.reshape(-1)))
