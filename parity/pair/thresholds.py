"""Thresholds: numbers that a model's operations end at or compare with, and weights and inputs that come beyond them.

What is drawn at random hardly comes to all of them: behind a norm nothing is above 6, and a factor that is trained is
not above a hundred. Of two models that differ there alone every example would agree. So both are recorded once,
operation by operation; of a threshold that lies beyond all that it is held against, the parameters that feed this are
multiplied by powers of two until it is reached. What no factor reaches is said in the report.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optree

from parity.backends.operations import Operation, Trace
from parity.backends.protocol import Recordable
from parity.canonical.custom import VALUE
from parity.canonical.weights import OWN
from parity.compare.divergence import divergence
from parity.dtypes import EPS, Array
from parity.inputs.arrays import Sample
from parity.pair.models import PairModels

# Operation -> its arguments that are an upper end, and a lower one; a number where it is the operation's own. As each
# framework calls them, in small letters.
ENDS: dict[str, tuple[tuple[str | float, ...], tuple[str | float, ...]]] = {
    **dict.fromkeys(("clamp", "clip", "clamp_", "clip_"), (("max",), ("min",))),
    **dict.fromkeys(("clamp_max", "clamp_max_"), (("max",), ())),
    **dict.fromkeys(("clamp_min", "clamp_min_"), ((), ("min",))),
    **dict.fromkeys(("hardtanh", "hardtanh_"), (("max_val",), ("min_val",))),
    "clipbyvalue": (("clip_value_max",), ("clip_value_min",)),
    **dict.fromkeys(("relu6", "relu6_"), ((6.0,), ())),
    **dict.fromkeys(("hardswish", "hardsigmoid"), ((3.0,), (-3.0,))),
    "minimum": (("other", "x", "y"), ()),
    "maximum": ((), ("other", "x", "y")),
    **dict.fromkeys(("gt", "lt", "ge", "le", "__gt__", "__lt__", "__ge__", "__le__"), (("other",), ("other",))),
    **dict.fromkeys(("greater", "less", "greaterequal", "lessequal"), (("x", "y"), ("x", "y"))),
    **dict.fromkeys(("add", "__add__", "__radd__", "addv2"), ((), ("other", "x", "y"))),
}
SUMS = ("add", "__add__", "__radd__", "addv2")
SMALL = 1e-3  # numbers below it that are added, or that are a lower end, keep what is divided by from zero
LARGEST = 1e30  # of a threshold: beyond it is the largest number that there is
VISIBLE = 2.0**20  # times a small number that is added: what is no larger shows it
# By what parameters are multiplied in turn, behind the factor that would do where a value is proportional to them.
FACTORS = (8.0, 64.0, 512.0, -8.0, -64.0, 2.0**-8, 2.0**-16, 2.0**-24)
POWER = 24  # of two, at most
GROUPS = 4  # of parameters that feed a value, nearest first
RUNS = 32  # of the first side that are tried, for all thresholds together; of the second, each counts for several
SLOW = 4
EXAMPLES = 3  # that come beyond thresholds, at most


@dataclass(frozen=True)
class Threshold:
    """A number of an operation, to be exceeded by the value at this place or, unless `above`, fallen short of.

    `added` says that the number is added to the value, which has to be near zero.
    """

    side: str
    operation: Operation
    number: float
    place: int
    above: bool
    added: bool = False

    @property
    def key(self) -> tuple[bool, float]:
        """What it has in common with its counterpart on the other side."""
        return self.above, float(f"{self.number:.6g}")

    @property
    def small(self) -> bool:
        """Whether it keeps what is divided by from zero."""
        return not self.above and 0 < self.number <= SMALL

    def reached(self, array: Array | None) -> bool:
        """Whether some element of its value comes beyond it; of a large value, which is not kept, that is assumed."""
        if array is None or not array.size:
            return True
        if self.added:
            return bool((np.abs(array) < VISIBLE * self.number).any())
        return bool((array > self.number).any() if self.above else (array < self.number).any())

    def missed(self, array: Array | None) -> str:
        """How far the value came, in words."""
        if array is None:
            return "never reached"
        most = array.max() if self.above else array.min()
        return f"never reached; the {'largest' if self.above else 'smallest'} value there was {most:.3g}"

    def __str__(self) -> str:
        line = self.operation.line or self.operation.layer
        return f"{self.side}'s {self.operation.name} at {self.number:.6g}{f' ({line})' if line else ''}"


def thresholds(side: str, trace: Trace) -> Iterator[Threshold]:
    """The thresholds of a run, but for zero, which everything comes to."""
    for operation in trace.operations:
        name = operation.name.lower()
        for above, arguments in zip((True, False), ENDS.get(name, ((), ())), strict=True):
            for argument in arguments:
                number = argument if isinstance(argument, float) else operation.settings.get(argument)
                if not isinstance(number, int | float) or not 0 < abs(number) < LARGEST:
                    continue
                others = [at for of, at in operation.takes if of != argument or isinstance(argument, float)]
                value = trace.values[others[0]] if others else None
                added = name in SUMS
                if value is None or value.leaf.startswith("constant") or (added and not 0 < number <= SMALL):
                    continue
                yield Threshold(side, operation, float(number), others[0], above, added)


def beyond(corners: PairModels, example: Any) -> Iterator[Any]:
    """Examples like this one whose values come beyond thresholds of either side that its own do not come to.

    What no example reaches, of those that one side alone has, is noted as not exercised.
    """
    if corners.pair.lacking((Recordable,)):
        return
    if corners.lean:  # a record holds views of the weights, which then cannot be put aside
        corners.exercised.leave_out(
            "thresholds that no drawn example comes to", "memory is scarce, so no run is recorded"
        )
        return
    search = _Reaching(corners, example)
    yield from search.examples()
    for one in search.left:
        if one.key in search.lone:
            corners.exercised.leave_out(str(one), one.missed(search.array(one)))


class _Reaching:
    """A search for examples that come beyond the thresholds in `left`."""

    def __init__(self, corners: PairModels, example: Any) -> None:
        self._corners, self._example, self._runs = corners, example, RUNS
        self._sides = dict(zip(corners.sides, (self._record(side, example) for side in corners.sides), strict=True))
        every = {side: [*thresholds(side, trace)] for side, trace in self._sides.items()}
        numbers = {side: {*_numbers(trace)} for side, trace in self._sides.items()}
        one, other = corners.sides
        unlike = [
            of
            for side, there in ((one, other), (other, one))
            for of in every[side]
            if of.key not in {twin.key for twin in every[there]} and of.key[1] not in numbers[there]
        ]
        self.lone = {of.key for of in unlike}
        once = {(str(of), of.above): of for side in (one, other) for of in every[side]}.values()
        # A number that keeps a division from zero is the same harmless one on both sides, as a rule.
        wanted = (of for of in once if of.key in self.lone or not of.small)
        left = [of for of in wanted if not of.reached(self.array(of))]
        # Those of one side alone first, and the furthest of them: what comes there comes beyond the nearer ones.
        self.left = sorted(left, key=lambda of: (of.key not in self.lone, -abs(math.log(abs(of.number)))))

    def array(self, threshold: Threshold) -> Array | None:
        """What a threshold is held against, in the run of the first example."""
        return self._sides[threshold.side].values[threshold.place].array

    def examples(self) -> Iterator[Any]:
        """Examples that come beyond thresholds, until all are reached or nothing more is tried."""
        for threshold in [*self.left]:
            if threshold in self.left and (reached := self._reaching(threshold)):
                example, runs = reached
                self.left = [of for of in self.left if not of.reached(self._array(of, runs))]
                yield example

    def _reaching(self, threshold: Threshold) -> tuple[Any, dict[str, Trace]] | None:
        """An example in which a value comes beyond a threshold, and the run of a side that shows it.

        That is the first side, which is run faster, if it has the value; else the threshold's own.
        """
        side, array = self._corners.sides[0], self.array(threshold)
        place = self._place(threshold, side)
        if place is None:
            side, place = threshold.side, threshold.place
        if array is None or array.dtype.kind != "f":
            return None
        for names in _feeding(self._sides[side], place, self._corners.layout)[:GROUPS]:
            for factor in _factors(threshold, array):
                example = _stretched(self._example, names, factor)
                if example is None or self._runs <= 0:
                    break
                self._runs -= 1 if side == self._corners.sides[0] else SLOW
                runs = {side: self._record(side, example)}
                at = self._array(threshold, runs)
                if at is not None and np.isfinite(at).all() and threshold.reached(at):
                    return example, runs
        return None

    def _array(self, threshold: Threshold, runs: Mapping[str, Trace]) -> Array | None:
        """What a threshold is held against, in another run of a side; that number where it is not known."""
        [(side, run)] = runs.items()
        place = self._place(threshold, side)
        alike = len(run.values) == len(self._sides[side].values)
        return run.values[place].array if place is not None and alike else np.full(1, threshold.number)

    def _place(self, threshold: Threshold, side: str) -> int | None:
        """The place in a side's run of the value that a threshold is held against; None if it has none."""
        return threshold.place if threshold.side == side else _counterpart(self.array(threshold), self._sides[side])

    def _record(self, side: str, example: Any) -> Trace:
        self._corners.ensure(example.weights)
        trace: Trace = self._corners.widest(side).record(self._corners.batch(example).ids).trace
        return trace


def _numbers(trace: Trace) -> Iterator[float]:
    """All numbers that the operations of a run are called with."""
    for operation in trace.operations:
        for value in operation.settings.values():
            if type(value) in (int, float):
                yield float(f"{value:.6g}")


def _counterpart(array: Array | None, trace: Trace) -> int | None:
    """The place of the first value of a run that holds the same numbers, in any order."""
    if array is None or array.dtype.kind != "f":
        return None
    ordered = np.sort(array, axis=None)
    for place, value in enumerate(trace.values):
        if value.array is not None and value.array.size == array.size and value.array.dtype.kind == "f":
            apart = divergence(ordered, value.ordered.astype(array.dtype))
            if apart.max_abs_diff <= EPS[str(array.dtype)] ** 0.5 * apart.scale:
                return place
    return None


def _feeding(trace: Trace, place: int, layout: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The groups of parameters that feed a value, each of one layer, nearest first; the inputs are an empty group."""
    number = {result: at for at, one in enumerate(trace.operations) for result in one.makes}
    groups, waiting, seen = dict[tuple[str, ...], None](), [place], set[int]()
    while waiting:
        here = waiting.pop(0)
        if here in seen:
            continue
        seen.add(here)
        leaf, operands, layer = trace.values[here].leaf, list[int](), ""
        if here in number:
            operation = trace.operations[number[here]]
            layer, operands = operation.layer, [of for _, of in operation.takes]
        if leaf.startswith("input"):
            groups[()] = None
        names = tuple(name for name in layout if _of(name, leaf, layer))
        groups |= {names: None} if names else {}
        waiting += operands
    return [*groups]


def _of(name: str, leaf: str, layer: str) -> bool:
    """Whether a parameter is this leaf, or one of this layer by which its outputs grow in proportion."""
    path, _, own = name.rpartition(".")
    return name.removesuffix(f".{VALUE}") == leaf or (path == layer != "" and own not in ("mean", "variance"))


def _factors(threshold: Threshold, array: Array) -> Iterable[float]:
    """By what to multiply what feeds a value so that it comes beyond a threshold, the likeliest first."""
    number = threshold.number * (VISIBLE / 2 if threshold.added else 1)
    ends = [end for end in (float(array.max()), float(array.min())) if end and np.isfinite(end)]
    if threshold.above == (number > 0):  # beyond is further from zero
        shares = [1.5 * number / end for end in sorted(ends, key=lambda end: end * number < 0)]
        powers = [math.copysign(2.0 ** math.ceil(math.log2(abs(share))), share) for share in shares]
    else:
        powers = [2.0 ** math.floor(math.log2(abs(number / end) / 2)) for end in sorted(ends, key=abs)[:1]]
    nearest = [power for power in powers if abs(math.log2(abs(power))) <= POWER]
    return dict.fromkeys((*nearest, *FACTORS))


def _stretched(example: Any, names: tuple[str, ...], factor: float) -> Any:
    """The example with these parameters, or its inputs, multiplied by a factor; None where they cannot be."""
    if names:
        if example.weights == OWN:
            return None
        weights = replace(example.weights, stretched=tuple((name, factor) for name in names))
        return replace(example, weights=weights)
    if not isinstance(example, Sample):
        return None
    times = np.float32(factor)
    return Sample(example.weights, optree.tree_map(lambda a: a * times if a.dtype.kind == "f" else a, example.inputs))
