"""What is counted of an array that a model draws in training mode: the shares of its elements that a draw decides.

Nothing is assumed of how a layer draws. An array of many draws is turned into a few shares a draw, numbers between 0
and 1 whose means `parity.compare.chance` can hold against the other side's: elements that are zero (a dropout), rows
and channels that are zero throughout (a dropout of whole features), and elements below a bound (noise that is added).
"""

from typing import NamedTuple

import numpy as np

from parity.compare.divergence import divergence
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.dtypes import EPS, Array

SHARES = (0.25, 0.75)  # of a pilot's draws lie below the bounds: quartiles, where a share moves most with a scale

Arrays = dict[str, Array]


class Place(NamedTuple):
    """Where an array stands in a run: the "input" or "output" of a call of a layer; without a path, of the model."""

    what: str
    path: str = ""
    number: int = 0  # of several in a call
    call: int = 1

    def __str__(self) -> str:
        number = f" {self.number + 1}" if self.number else ""
        again = f", call {self.call}" if self.call > 1 else ""
        layer = f" of {self.path}" if self.path else ""
        return f"{self.what}{number}{layer}{again}"


def same(first: Array, second: Array) -> bool:
    """Whether two arrays are equal but for float32's rounding."""
    gap = divergence(first, second)
    return gap.max_abs_diff <= MAX_FLOAT64_ULPS * EPS["float32"] * gap.scale


class Event:
    """An array of every run, and what is counted of it.

    `whole` (rows, ...) is the array in evaluation mode, and `pilot` (copies, rows, ...) draws of it in training mode,
    from which the bounds come. Both sides are counted by one event, so that they are held against the same bounds.
    """

    def __init__(self, place: Place, whole: Array, pilot: Array) -> None:
        self.place = place
        self._tiny = MAX_FLOAT64_ULPS * EPS["float32"] * float(np.abs(whole).max())  # what may be rounding alone
        self._bounds = [_between(pilot, share) for share in SHARES]

    def counted(self, run: Array) -> Arrays:
        """Count a run of the event's array (draws, rows, ...): what is counted -> its share in each draw (draws,)."""
        zero: Array = np.abs(run) <= self._tiny
        masks: Arrays = {"zeros": zero}
        # Axes 0 and 1 are draws and rows of inputs; a whole row of zeros is a row that was dropped as one.
        if run.ndim > 2:
            masks["rows of zeros"] = np.all(zero, tuple(range(2, run.ndim)))
        for axis in range(2, run.ndim) if run.ndim > 3 else ():
            others = tuple(other for other in range(2, run.ndim) if other != axis)
            masks[f"zeros along all axes but {axis - 1}"] = np.all(zero, others)
        for share, bound in zip(SHARES, self._bounds, strict=True):
            masks[f"values below a bound at {share:.0%}"] = run < bound
        return {what: mask.reshape(len(run), -1).mean(1) for what, mask in masks.items()}


class Taken:
    """What one side draws of an event, collected call by call."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self._calls: list[Arrays] = []
        self._firsts: list[Array] = []
        self._alike = True

    def take(self, run: Array) -> None:
        """Count one call's copies, an array (copies, rows, ...)."""
        self._calls.append(self.event.counted(run))
        self._firsts.append(run[0].copy())
        self._alike = self._alike and same(run, np.broadcast_to(run[:1], run.shape))

    @property
    def shared(self) -> bool:
        """Whether copies are drawn together: alike in every call, and calls are not."""
        return self._alike and not all(same(self._firsts[0], first) for first in self._firsts)

    @property
    def shares(self) -> Arrays:
        """The shares of all calls: what is counted -> its share in each draw (draws,)."""
        return {what: np.concatenate([call[what] for call in self._calls]) for what in self._calls[0]}


def _between(pilot: Array, share: float) -> Array:
    """For each element a value that about this share of its draws (draws, ...) is below, between two that differ.

    Rounding must not decide on which side of the bound a draw lies: the bound stands in the middle of a gap that is
    wider than sqrt(eps) of the largest value. Where an element has no such gap its bound is infinite, which counts
    every draw on both sides.
    """
    values = np.sort(pilot, 0)
    gaps = np.diff(values, axis=0)
    wide = gaps > EPS["float32"] ** 0.5 * np.abs(values).max()
    wanted = share * len(values)
    distance = np.abs(np.arange(len(gaps)) + 1 - wanted).reshape(-1, *[1] * (pilot.ndim - 1))
    place = np.where(wide, distance, np.inf).argmin(0)[None]
    middle = np.take_along_axis(values, place, 0) + np.take_along_axis(gaps, place, 0) / 2
    margin: Array = np.where(wide.any(0), middle[0], np.inf)
    return margin
