"""An answer: the square of what both sides gave to one question, and how to ask it again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from parity.compare.divergence import divergence
from parity.compare.judge import Verdict, judge
from parity.compare.square import PrecisionSquare
from parity.dtypes import Array

Again = Callable[[int, str, int], Array | None]  # (side's place, dtype, draw) -> the array, run once more


@dataclass(frozen=True)
class Answer(PrecisionSquare):
    """A square whose sides are live models: each can be asked again with its weights moved by rounding.

    `again(place, dtype, draw)` runs one side (0 or 1) in float64 from weights moved by a dtype's rounding unit, each
    draw otherwise, and puts the weights back; None of a side that cannot be run. It raises RuntimeError where the
    models have other weights by now: an answer is judged before the next weights are loaded.
    """

    again: Again = field(kw_only=True, repr=False, compare=False)

    @classmethod
    def to_both(cls, side: str, before: "Answer", after: "Answer", names: tuple[str, str]) -> "Answer":
        """Make the square of one side's two runs, as `PrecisionSquare.within`; both can be run again."""
        own, place = PrecisionSquare.within(side, before, after, names), before.sides.index(side)
        # A side without float64 is measured against the other's, so that one is asked again as well.
        asked = place if before.has_float64[place] else 1 - place

        # The new square's two places are the two runs, and one and the same side gives both.
        def again(which: int, dtype: str, draw: int) -> Array | None:
            return (before, after)[which].again(asked, dtype, draw)

        return cls(own.rows, own.sides, own.reason, own.own_weights, again=again)

    def map(self, function: Callable[[Array], Array]) -> "Answer":
        """Apply a function to every array, and to those of later runs."""

        def again(place: int, dtype: str, draw: int) -> Array | None:
            array = self.again(place, dtype, draw)
            return None if array is None else function(array)

        mapped = super().map(function)
        return Answer(mapped.rows, mapped.sides, mapped.reason, mapped.own_weights, again=again)

    def largest_change(self, dtype: str, draw: int) -> float | None:
        """Largest absolute change of the steadier side's float64 output when its weights move by `dtype`'s rounding.

        None where no side can be run. The steadier one, as with the quieter side's noise: a side with a bug that
        amplifies rounding must not loosen its own limit.
        """
        changes = []
        for place, exact in enumerate(self.rows["float64"]):
            array = None if exact is None else self.again(place, dtype, draw)
            if exact is not None and array is not None:
                changes.append(divergence(array, exact).max_abs_diff)
        return min(changes, default=None)

    def judge(self, subject: str, scale: float | None = None, places: Array | None = None) -> Verdict:
        """As `parity.compare.judge.judge`; where a verdict comes near a limit, the models are asked again."""
        return judge(subject, self, scale, places, self)
