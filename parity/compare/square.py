"""Runs of both sides in several precisions: the corners of a square, and how far they are apart."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from parity.compare import messages
from parity.compare.divergence import Divergence, divergence, square_sum
from parity.dtypes import Array

NAMES = ("torch", "tensorflow")  # of sides that nobody named
Runs = tuple[Array | None, Array | None]


class Perturbation(Protocol):
    """What tells how far a square's arrays move with the weights that they come from."""

    def largest_change(self, dtype: str, draw: int) -> float | None:
        """How far the steadier side moves when its weights do, by a dtype's rounding; None where no side can be run."""


@dataclass(frozen=True)
class PrecisionSquare:
    """Arrays of one shape, dtype -> (first side, second side); float32 and float64 at the least.

    A side that cannot run in float64 has None there, and `reason` says why. NumPy has no bfloat16:
    such a run comes as float32 (`dtypes.transport_dtype`). With `own_weights` the sides' weights are not the same by
    construction.
    """

    rows: Mapping[str, Runs]
    sides: tuple[str, str] = NAMES
    reason: str = ""
    own_weights: bool = False

    @staticmethod
    def of(arrays: Iterable[Array], sides: tuple[str, str] = NAMES) -> "PrecisionSquare":
        """Four arrays: both sides in float32, then both in float64."""
        first32, second32, first64, second64 = arrays
        return PrecisionSquare({"float32": (first32, second32), "float64": (first64, second64)}, sides)

    @staticmethod
    def within(
        side: str, before: "PrecisionSquare", after: "PrecisionSquare", names: tuple[str, str]
    ) -> "PrecisionSquare":
        """One side of two squares: does the second run of that side mean the same as its first?

        A side without float64 is measured against the other side's.
        """
        place = before.sides.index(side)
        rows: dict[str, Runs] = {d: (runs[place], after.rows[d][place]) for d, runs in before.rows.items()}
        alone = rows["float64"][0] is None
        if alone:
            rows["float64"] = (before.reference, None)
        return PrecisionSquare(rows, names, before.reason if alone else "")

    def map(self, function: Callable[[Array], Array]) -> "PrecisionSquare":
        """The square of a function of each array."""

        def mapped(array: Array | None) -> Array | None:
            return None if array is None else function(array)

        rows = {dtype: (mapped(first), mapped(second)) for dtype, (first, second) in self.rows.items()}
        return PrecisionSquare(rows, self.sides, self.reason, self.own_weights)

    @property
    def has_float64(self) -> tuple[bool, bool]:
        """Which sides have a float64 corner of their own."""
        first, second = self.rows["float64"]
        return first is not None, second is not None

    @property
    def reference(self) -> Array:
        """A float64 array: the first side's, or the second's where the first has none."""
        first, second = self.rows["float64"]
        array = second if first is None else first
        if array is None:
            raise ValueError("a square needs a float64 corner")
        return array

    @property
    def both(self) -> tuple[Array, Array]:
        """Both sides' arrays in float64; in float32 where one has no float64."""
        first, second = self.rows["float64"] if all(self.has_float64) else self.rows["float32"]
        if first is None or second is None:
            raise ValueError("a square has both sides in float32")
        return first, second

    @property
    def present(self) -> list[tuple[str, str, Array]]:
        """Every run there is: (its short name, dtype, array)."""
        return [
            (messages.corner(side, dtype), dtype, array)
            for dtype in self.rows
            for side, array in zip(self.sides, self.rows[dtype], strict=True)
            if array is not None
        ]

    @cached_property
    def float64_difference(self) -> Divergence:
        """The lower edge; of three corners, the one that is left against itself."""
        first, second = self.rows["float64"]
        return divergence(self.reference if first is None else first, self.reference if second is None else second)

    @cached_property
    def float32_difference(self) -> Divergence:
        """The upper edge."""
        return self.difference("float32")

    @property
    def noise(self) -> tuple[Divergence, Divergence]:
        """Each side's own float32 error."""
        return self.rounding_errors["float32"]

    @cached_property
    def rounding_errors(self) -> dict[str, tuple[Divergence, Divergence]]:
        """Below float64, dtype -> each side's own error, against its float64 or the only one there is."""
        errors = {}
        for dtype in self.rows:
            if dtype != "float64":
                first, second = (
                    divergence(self._run(dtype, place), self.reference if exact is None else exact)
                    for place, exact in enumerate(self.rows["float64"])
                )
                errors[dtype] = first, second
        return errors

    def difference(self, dtype: str) -> Divergence:
        """How far the sides are apart in a dtype that both run in."""
        return divergence(self._run(dtype, 0), self._run(dtype, 1))

    def _run(self, dtype: str, place: int) -> Array:
        array = self.rows[dtype][place]
        if array is None:
            raise ValueError(f"{self.sides[place]} has no {dtype} run")
        return array


def norm(squares: Mapping[str, PrecisionSquare]) -> float:
    """The Euclidean norm of the float64 arrays of all squares together."""
    return float(np.sqrt(sum(square_sum(square.reference) for square in squares.values())))
