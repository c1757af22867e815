"""Recomputing what a side came to: the clean formula, the same with a fault in it, and what each leaves."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from parity.compare.divergence import divergence
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.diagnose import Cause
from parity.dtypes import EPS, Array
from parity.strategies import Case

Explained = tuple[list[Cause], list[str]]
HALVINGS = 80  # of an interval that holds a constant: what is left is float64's rounding


@dataclass(frozen=True, eq=False)
class Probe:
    """What a side came to once, what the clean formula gives, and the magnitude that rounding is measured by."""

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

    def explains(self, value: Array) -> bool:
        """Whether a formula gives what was found."""
        return gap(self.found, value) <= self.limit


@dataclass(frozen=True)
class Candidate:
    """A cause by its name, what a side that has it does, what to change, and what the formula gives at each probe."""

    name: str
    told: str
    fix: str
    values: Sequence[Array]


def case_of(example: Any) -> Case:
    """The weights and rows in a check's example."""
    drawn: Any = example[0] if isinstance(example, tuple) else example
    case: Case = getattr(drawn, "case", drawn)
    return case


def within(first: Array, second: Array, limit: float) -> bool:
    """Whether no element is further apart than the limit; equal infinities are not apart."""
    with np.errstate(invalid="ignore"):
        return bool(((first == second) | (np.abs(first - second) <= limit)).all())


def gap(first: Array, second: Array) -> float:
    """The largest difference, of integers as well; infinite where the shapes differ, or a NaN is on one side only."""
    if first.shape != second.shape:
        return np.inf
    numbers = [array if array.dtype.kind == "f" else array.astype(np.float64) for array in (first, second)]
    return divergence(*numbers).max_abs_diff


def differing(probes: Sequence[Probe]) -> Probe | None:
    """The probe that is furthest above its limit, if one is; one that is finite, if there is."""
    failing = [probe for probe in probes if probe.before > probe.limit]
    return max(failing, key=lambda probe: (probe.before < np.inf, probe.before / probe.limit), default=None)


def proved(where: str, side: str, probes: Sequence[Probe], candidates: Iterable[Candidate]) -> list[Cause]:
    """The candidates that give what was found at every probe, the first of each name.

    None if the clean formula gives it.
    """
    causes: dict[str, Cause] = {}
    worst = differing(probes)
    if worst is None:
        return []
    for one in candidates:
        if one.name not in causes and all(
            probe.explains(value) for probe, value in zip(probes, one.values, strict=True)
        ):
            after = gap(worst.found, one.values[probes.index(worst)])
            causes[one.name] = Cause(one.name, where, f"{side} {one.told}", one.fix, worst.before, after)
    return list(causes.values())


def constants(missed: Callable[[float], float], grid: Sequence[float]) -> list[float]:
    """Where a function is zero between two points of a grid: each to one, two and three digits, and as found."""
    roots: list[float] = []
    with np.errstate(all="ignore"):
        values = [missed(x) for x in grid]
        for low, high, at_low, at_high in zip(grid, grid[1:], values, values[1:], strict=False):
            if at_low * at_high > 0 or not np.isfinite(at_low + at_high):
                continue
            for _ in range(HALVINGS):
                middle = (low + high) / 2
                if missed(middle) * at_low > 0:
                    low = middle
                else:
                    high = middle
            roots += [*(float(f"{high:.{digits}e}") for digits in range(3)), high]
    return list(dict.fromkeys(roots))
