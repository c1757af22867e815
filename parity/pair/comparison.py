"""Two outputs of any origin -> Comparison: arrays, tensors, any nesting of them; how far apart, and what that means."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.backends.nesting import places
from parity.compare.alone import WORDS, alone
from parity.compare.judge import Verdict
from parity.errors import unknown
from parity.pair.outputs import array_of, judge_outputs

HOLDING = ("identical", "rounding")  # the words of outputs that match


@dataclass(frozen=True, repr=False)
class Comparison(Mapping[str, Verdict]):
    """One verdict for every array of two outputs, by its name or place: "output" of a lone one, "logits", "[0]".

    A word is `identical`, `rounding`, `undecided` (float64 would tell), `unstable` or `different`.
    """

    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        """Whether there is something to compare, and every difference is one that rounding accounts for."""
        return any(verdict.elements for verdict in self.verdicts) and self.word in HOLDING

    @property
    def word(self) -> str:
        """The worst word of all arrays."""
        return max((verdict.word for verdict in self.verdicts), key=WORDS.index, default="different")

    @property
    def max_abs_diff(self) -> float:
        """The largest difference of all floating-point arrays; infinite where there is no number for it."""
        # Integers have a limit of 0, and their figure is a count of elements, not a distance.
        figures = (verdict.figure for verdict in self.verdicts if verdict.limit or np.isinf(verdict.figure))
        return max(figures, default=0.0)

    def __getitem__(self, place: str) -> Verdict:
        """The verdict of one array. Raises KeyError naming those that there are."""
        by_subject = {verdict.subject: verdict for verdict in self.verdicts}
        if place not in by_subject:
            raise KeyError(unknown("array", place, list(by_subject)))
        return by_subject[place]

    def __iter__(self) -> Iterator[str]:
        return (verdict.subject for verdict in self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def __repr__(self) -> str:
        return f"<Comparison of {len(self)} array{'s' * (len(self) != 1)}: {self.summary()}>"

    def __str__(self) -> str:
        """What differs, an array after the other, and the summary last."""
        return "\n".join((*(verdict.message for verdict in self.verdicts if verdict.message), self.summary()))

    def summary(self) -> str:
        """The word in one line, with the largest difference, where there is a number for it."""
        largest = f", max |diff| {self.max_abs_diff:.1e}" if 0 < self.max_abs_diff < np.inf else ""
        nothing = ", but nothing was compared" if self.word in HOLDING and not self.holds else ""
        return f"{self.word}{largest}{nothing}"


def compare(
    first: Any, second: Any, *, float64: tuple[Any, Any] | None = None, sides: tuple[str, str] = ("a", "b")
) -> Comparison:
    """Compare two outputs: arrays, tensors of either framework, or any nesting of them, place by place.

    `float64` are the same two outputs computed in float64, one of which may be None; with them the verdict is that of
    `parity check`: whether the models mean the same. Without, float64 arrays are judged by their own rounding error,
    and a small difference of float32 arrays stays `undecided`. Raises ParityError on a leaf that is no array.
    """
    if float64 is not None:
        subject = "output" if [*places(first)] == [""] else ""
        judged = judge_outputs(subject, sides=sides, float32=(first, second), float64=float64)
        return Comparison(tuple(replace(verdict, subject=_name(verdict.subject)) for verdict in judged))
    ours, theirs = ({_name(place): leaf for place, leaf in places(output).items()} for output in (first, second))
    verdicts = []
    for name in dict.fromkeys((*ours, *theirs)):
        if name in ours and name in theirs:
            pair = array_of(name, ours[name]), array_of(name, theirs[name])
            dtypes = _dtype(ours[name], pair[0]), _dtype(theirs[name], pair[1])
            verdicts.append(alone(name, pair, dtypes, sides))
        else:
            message = f"{name} is only in {sides[0] if name in ours else sides[1]}"
            verdicts.append(Verdict(name, "different", 0, np.inf, 0.0, "equal structure", message))
    return Comparison(tuple(verdicts))


def _name(place: str) -> str:
    """What an array is called: "output", or the name that alone leads to it."""
    named = re.fullmatch(r"\['([^']*)'\]", place)
    return named[1] if named else place or "output"


def _dtype(leaf: Any, array: Any) -> str:
    """The precision of a leaf; NumPy, which has no bfloat16, holds it in a wider one."""
    return "bfloat16" if "bfloat16" in str(getattr(leaf, "dtype", "")) else str(array.dtype.name)
