"""Verdict: what one comparison came to, in words and figures. How it comes about is in judge.py.

The four words are in files that users keep (baselines, JSON documents), so they do not change: `identical` (equal
bits), `rounding` (a difference that rounding error accounts for), `unstable` (the sides mean the same, but one of them
loses precision) and `different`.
"""

from dataclasses import dataclass

import numpy as np

from parity.compare.picture import Picture
from parity.compare.square import NAMES

FAILING = ("unstable", "different")
ORDER = ("identical", "rounding", *FAILING)  # from best to worst


@dataclass(frozen=True)
class PrecisionResult:
    """The comparison in one precision: the difference between the sides, and each side's own rounding error.

    `apart` is that difference and `errors` those of the first and the second side, in the array's unit; `ratio` is the
    larger error over the smaller, which is taken as no less than rounding makes it. Of float64, which errors are
    measured against, `errors` are 0 and `ratio` is 1.
    """

    dtype: str
    word: str
    apart: float
    errors: tuple[float, float] = (0.0, 0.0)
    ratio: float = 1.0


@dataclass(frozen=True)
class Curve:
    """The losses of a training, step by step: corner ("torch32") -> its losses."""

    subject: str
    losses: dict[str, tuple[float, ...]]

    @property
    def steps(self) -> int:
        """The number of steps of the longest training."""
        return max(map(len, self.losses.values()))


@dataclass(frozen=True)
class Verdict:
    """What one comparison came to: a word of `ORDER`, how much was compared, and the worst figure.

    `figure` is the largest float64 difference and `limit` what it was measured against, in the array's own unit;
    `basis` says where the limit comes from. Of exact comparisons `figure` counts unequal elements, and `limit` is 0.

    `brief` is what of the message somebody reads who knows the cause, where that is less. `rows` has what each
    precision came to, `weaker` why there were only three corners, `nonfinite` how many places hold
    the same NaN or infinity on both sides, `ties` how many choices rounding decided. `message` is empty unless it
    fails. `empty` is true where no place is finite and both sides are alike in that: nothing was compared. `sides` are
    what was compared with what, `values` those of both at the worst `place`, where there is one, `curve` the losses of
    a training, and `picture` where both differ, of what fails.
    """

    subject: str
    word: str
    elements: int
    figure: float
    limit: float
    basis: str
    message: str = ""
    brief: str = ""
    rows: tuple[PrecisionResult, ...] = ()
    weaker: str = ""
    nonfinite: int = 0
    ties: int = 0
    empty: bool = False
    sides: tuple[str, str] = NAMES
    place: tuple[int, ...] = ()
    values: tuple[str, str] | None = None
    curve: Curve | None = None
    picture: Picture | None = None

    @property
    def fails(self) -> bool:
        """Whether this verdict is one of those that fail a check."""
        return self.word in FAILING

    def summary(self, what: str) -> str:
        """What differs, which the caller says in a few words, and by how much, on one line."""
        # Its float64 difference is within the limit, so the figure would say that nothing is wrong: tell the error
        # instead.
        if self.word == "unstable":
            row = next(row for row in self.rows if row.word == "unstable")
            side = self.sides[int(row.errors[1] > row.errors[0])]
            return f"{side} loses precision in {row.dtype}: its error is {row.ratio:.3g} times the other side's"
        if np.isinf(self.figure):
            return f"{what}: one side is not finite" if self.rows else self.message.partition("\n")[0]
        if self.limit == 0:
            return f"{what}: {self.figure:,.0f} of {self.elements:,} elements are not bitwise equal"
        return f"{what}, max |diff| {self.figure:.1e} (limit {self.limit:.1e})"

    @property
    def limit_ratio(self) -> float:
        """The figure over the limit: above 1 is different; an exact comparison, whose limit is 0, has 0 or infinity."""
        if self.limit == 0:
            return 0.0 if self.figure == 0 else np.inf
        return self.figure / self.limit
