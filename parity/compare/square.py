"""PrecisionSquare: runs of both sides in several precisions, and how far they are apart.

        torch32 ----- tensorflow32        float32_difference: what the user sees
           |               |              rounding_errors: each side's own, against its float64
        torch64 ----- tensorflow64        float64_difference: what the models mean

A square is arrays only, and computes each edge when it is first asked for. Which edge may be how long is not known
here: that is `judge`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from parity.compare import messages
from parity.compare.divergence import Divergence, divergence, square_sum
from parity.dtypes import Array

# Not a framework's import: only what messages call the sides of a square that was made from bare arrays.
NAMES = ("torch", "tensorflow")  # of sides that nobody named
Runs = tuple[Array | None, Array | None]  # the first and the second side's array in one precision; None: not run


class Perturbation(Protocol):
    """Runs a square's sides again, from weights that rounding moved: how far their arrays move with them.

    A protocol, so that a square stays arrays only: `pair.answer.Answer` implements it with live models, a dumped file
    with what it has stored.
    """

    def largest_change(self, dtype: str, draw: int) -> float | None:
        """The largest change of the steadier side when its weights move by `dtype`'s rounding, in the array's unit.

        `draw` numbers the random moves. None where no side can be run again.
        """


@dataclass(frozen=True)
class PrecisionSquare:
    """Arrays of one shape, dtype -> (first side, second side); float32 and float64 at the least.

    A side that cannot run in float64 has None there, and `reason` says why; the other's float64 then serves both. NumPy
    has no bfloat16: such a run comes as float32 (`dtypes.transport_dtype`). With `own_weights` the sides' weights are
    not the same by construction, so that they may be apart by a converter's rounding.
    """

    rows: Mapping[str, Runs]
    sides: tuple[str, str] = NAMES
    reason: str = ""
    own_weights: bool = False

    @staticmethod
    def of(arrays: Iterable[Array], sides: tuple[str, str] = NAMES) -> "PrecisionSquare":
        """Make a square of four arrays: both sides in float32, then both in float64. Raises ValueError on another
        number of them.
        """
        first32, second32, first64, second64 = arrays
        return PrecisionSquare({"float32": (first32, second32), "float64": (first64, second64)}, sides)

    @staticmethod
    def within(
        side: str, before: "PrecisionSquare", after: "PrecisionSquare", names: tuple[str, str]
    ) -> "PrecisionSquare":
        """Make the square of one side's two runs: does the second of them mean the same as the first?

        A side without float64 is measured against the other side's.
        """
        place = before.sides.index(side)
        rows: dict[str, Runs] = {d: (runs[place], after.rows[d][place]) for d, runs in before.rows.items()}
        alone = rows["float64"][0] is None
        if alone:
            # Against what the other side means: its own float64 it has not.
            rows["float64"] = (before.reference, None)
        return PrecisionSquare(rows, names, before.reason if alone else "")

    def map(self, function: Callable[[Array], Array]) -> "PrecisionSquare":
        """Make the square of a function of each array, as of one row, or of a norm; a side's missing run stays missing.

        Its edges are measured anew: the difference of the functions' values, not a function of the difference.
        """

        def mapped(array: Array | None) -> Array | None:
            return None if array is None else function(array)

        rows = {dtype: (mapped(first), mapped(second)) for dtype, (first, second) in self.rows.items()}
        return PrecisionSquare(rows, self.sides, self.reason, self.own_weights)

    @property
    def has_float64(self) -> tuple[bool, bool]:
        """Whether each side has a float64 run of its own."""
        first, second = self.rows["float64"]
        return first is not None, second is not None

    @property
    def reference(self) -> Array:
        """The float64 array that stands for both: the first side's, or the second's where the first has none.

        Raises ValueError where neither has one: without it there is nothing to measure rounding against.
        """
        first, second = self.rows["float64"]
        array = second if first is None else first
        if array is None:
            raise ValueError("a square needs a float64 corner")
        return array

    @property
    def both(self) -> tuple[Array, Array]:
        """Both sides' arrays in float64; in float32 where one has no float64. Raises ValueError if one has neither."""
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
        """The float64 difference between the sides, where rounding is 2^29 times smaller than in float32 and a bug is
        not.

        Zero where only one side has float64: that run is then compared with itself.
        """
        first, second = self.rows["float64"]
        return divergence(self.reference if first is None else first, self.reference if second is None else second)

    @cached_property
    def float32_difference(self) -> Divergence:
        """The float32 difference between the sides: what a user of both models sees."""
        return self.difference("float32")

    @property
    def noise(self) -> tuple[Divergence, Divergence]:
        """Each side's own float32 rounding error."""
        return self.rounding_errors["float32"]

    @cached_property
    def rounding_errors(self) -> dict[str, tuple[Divergence, Divergence]]:
        """Below float64, dtype -> each side's own rounding error: its run against its float64, or the only one there
        is.
        """
        errors = {}
        for dtype in self.rows:
            if dtype != "float64":
                first, second = (
                    divergence(self._run(dtype, place), self.reference if float64 is None else float64)
                    for place, float64 in enumerate(self.rows["float64"])
                )
                errors[dtype] = first, second
        return errors

    def difference(self, dtype: str) -> Divergence:
        """The difference between the sides in a dtype. Raises ValueError if one did not run in it, KeyError if none."""
        return divergence(self._run(dtype, 0), self._run(dtype, 1))

    def _run(self, dtype: str, place: int) -> Array:
        array = self.rows[dtype][place]
        if array is None:
            raise ValueError(f"{self.sides[place]} has no {dtype} run")
        return array


def norm(squares: Mapping[str, PrecisionSquare]) -> float:
    """The Euclidean norm of the float64 arrays of all squares together: the scale by which gradients are judged."""
    return float(np.sqrt(sum(square_sum(square.reference) for square in squares.values())))
