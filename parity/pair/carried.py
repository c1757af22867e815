"""What the builders of a pair gave their models: whether one side's values were made from the other's.

Such a pair was converted: somebody carried a checkpoint over. Two models that each drew their own numbers have nothing
in common but what is constant, or computed by one formula on both sides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from parity.compare import exact
from parity.compare.computed import judge_computed
from parity.compare.judge import Verdict, judge_exact
from parity.dtypes import Array, round_to

CASTS = ("float32", "float16", "bfloat16")  # that values may have gone through
# Zeros and ones have two different numbers, and every model has them.
SAMPLE, FEWEST = 64, 3  # numbers that are looked at, of which so many are different where an array says something
LIKE = 0.99  # the correlation of two arrays of which one is made from the other, number by number
DIGITS = 6  # in which a float32 is written that nothing has rounded
LEAST = 16  # numbers whose correlation means something

Values = dict[str, Array]


@dataclass(frozen=True)
class Carried:
    """Side -> canonical parameter -> the value that the builder gave it, of a pair that was converted.

    `idle` are parameters of layers that do nothing for the output on either side: what they hold is no matter.
    `computed` are those of layers of which a side computes its weights, as a weight norm's kernel.
    """

    values: Mapping[str, Values]
    idle: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()

    @property
    def judged(self) -> list[str]:
        """The parameters whose values have to be equal: all but the idle ones."""
        return [name for name in next(iter(self.values.values())) if name not in self.idle]

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Whether each judged parameter is the other side's: bit for bit, or, where one is computed, but for that."""
        (one, ours), (other, theirs) = self.values.items()
        judges = {name: judge_computed if name in self.computed else judge_exact for name in self.judged}
        return {
            name: judge(f"{name} as loaded", ours[name], theirs[name], (one, other)) for name, judge in judges.items()
        }

    @cached_property
    def alike(self) -> bool:
        """Whether both sides have the same values, bit for bit: the conversion was right."""
        ours, theirs = self.values.values()
        return all(exact.equal(ours[name], theirs[name]) for name in self.judged)


def equal(ours: Values, theirs: Values) -> int:
    """How many parameters were loaded as their twins were."""
    return sum(name in theirs and exact.equal(of, theirs[name]) for name, of in ours.items())


def same_numbers(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> bool:
    """Whether two sides hold the same float32 numbers, in whatever arrays and order: none was rounded on its way.

    Only constants may stand on one side alone: single numbers that are written in a few digits, or wider than float32.
    `ours` and `theirs` are each side's arrays by name, of any shapes.
    """
    sides = [*ours.values()], [*theirs.values()]
    numbers = [np.unique(np.concatenate([array.ravel() for array in of] or [np.empty(0)])) for of in sides]
    for of, (first, second) in zip(sides, (numbers, numbers[::-1]), strict=True):
        constants = [array.item() for array in of if array.size == 1]
        alone = np.setdiff1d(first, second)
        if not np.isin(alone, [number for number in constants if _exact(number)]).all():
            return False
    return True


def _exact(number: float) -> bool:
    """Whether a number is a constant that somebody wrote: in a few digits, or wider than a float32."""
    return number != np.float32(number).item() or number == float(f"{number:.{DIGITS}g}")


def related(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> bool:
    """Whether one side's values were made from the other's, as at least half of the arrays that say something show.

    One that is constant says nothing; nor do the same few tables that both sides compute by one formula.
    """
    if ours.keys() != theirs.keys():
        return False
    telling = [name for name, array in ours.items() if tells(array) or tells(theirs[name])]
    known = {mark for name in telling for mark in _marks(theirs[name])}
    kin = [name for name in telling if _like(ours[name], theirs[name]) or not known.isdisjoint(_marks(ours[name]))]
    # Half: a converter may transpose, scale or fuse some of them beyond recognition.
    return bool(telling) and 2 * len(kin) >= len(telling)


def tells(array: Array) -> bool:
    """Whether an array has enough different numbers to say where it comes from: of zeros or ones, two models have the
    same.
    """
    flat = array.reshape(-1)
    return len(np.unique(flat[:: max(1, flat.size // SAMPLE)])) >= FEWEST


def _marks(array: Array) -> Iterable[tuple[int, str, int]]:
    """Fingerprints that do not depend on the order of the numbers, one for each dtype that they may have been cast to.

    Each is (count, dtype, sum of the rounded numbers' float32 bits): arrays that share one hold, but for chance, the
    same numbers transposed, reshaped or cast.
    """
    for dtype in CASTS:
        # A sum of bits as whole numbers does not depend on the order, as a sum of floating-point numbers would.
        bits = round_to(array.astype(np.float32), dtype).reshape(-1).view(np.uint32)
        yield array.size, dtype, int(bits.astype(np.uint64).sum())


def _like(one: Array, other: Array) -> bool:
    """Whether, in arrays of one shape, half of the numbers are equal or the correlation exceeds `LIKE` either way."""
    if one.shape != other.shape or not one.size:
        return False
    if 2 * np.count_nonzero(one == other) >= one.size and tells(one):
        return True
    if one.size < LEAST:
        return False
    first, second = (array.reshape(-1) - array.mean() for array in (one, other))
    with np.errstate(all="ignore"):
        return bool(abs(first @ second) > LIKE * np.sqrt((first @ first) * (second @ second)) > 0)
