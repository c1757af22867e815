"""Which values of two runs mean the same, and the first operations that make of such values something else.

Names do not help: TensorFlow's operations are others, in another number. Numbers do: two values that hold the same
float64 numbers to half of their digits mean the same, whatever made them. Values are compared blind to the order of
their elements, and so to layout: images with their channels first or last, transposed kernels, what is flattened. Where
the same numbers stand in another order, what takes them makes something else of them, and is found.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations

import numpy as np

from parity.backends.operations import Operation, Trace, Value
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.diagnose.operators.walks import reached, takers
from parity.diagnose.search import gap, within
from parity.dtypes import EPS, Array

FINE = 256  # times a dtype's rounding: what the same operations by other kernels stay below
# By which values may be apart where an exporter has folded one layer's weights into another's: float32's own rounding,
# and room for the few sums that folding takes.
FOLDED = 32 * EPS["float32"]


@dataclass
class Alignment:
    """Two runs, torch's first, matched by values that differ by a share `digits` of the largest element at most.

    Where `strict`, the elements of values that are the same stand in one order, but for that of their axes. `rounding`
    is the share by which rounding error takes outputs apart.
    """

    traces: tuple[Trace, Trace]
    digits: float
    rounding: float
    strict: bool = False

    @cached_property
    def twins(self) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
        """Of each side: value -> the other side's values that hold the same numbers, in any order.

        Several, as a rule: a copy, a view and a reshape all hold them.
        """
        first, second = self.traces
        there = defaultdict[int, set[int]](set)
        back = defaultdict[int, set[int]](set)
        for one, other in _candidates(first.values, second.values, self.digits):
            if self.same(first.values[one], second.values[other]):
                there[one].add(other)
                back[other].add(one)
        return there, back

    def same(self, first: Value, second: Value) -> bool:
        """Whether two values hold the same numbers, in any order."""
        if not close(first, second, self.digits):
            return False
        if first.array is None or second.array is None:
            return True
        limit = self.digits * max(first.sketch.largest, second.sketch.largest)
        equal = within(first.ordered, second.ordered, limit)
        return equal and (not self.strict or laid_out(first.array, second.array, limit))

    @cached_property
    def constants(self) -> tuple[set[int], set[int]]:
        """Of each side: the values that are made of constants alone."""
        first, second = (trace.made_of(lambda leaf: leaf.startswith("constant")) for trace in self.traces)
        return first, second

    @cached_property
    def of_weights(self) -> tuple[set[int], set[int]]:
        """Of each side: the values that no input reaches, which are made of parameters and constants alone."""
        first, second = (trace.made_of(lambda leaf: not leaf.startswith("input")) for trace in self.traces)
        return first, second

    @cached_property
    def alone(self) -> tuple[set[int], set[int]]:
        """Of each side: the values that are made of constants, and of variables that hold nothing of the other's."""
        first, second = (_alone(trace, twins) for trace, twins in zip(self.traces, self.twins, strict=True))
        return first, second

    @cached_property
    def wanted(self) -> list[int]:
        """TensorFlow's values, by place, that reach an output and mean nothing in torch's run."""
        there = self.traces[1]
        unlike = _unlike(there.outputs.values(), there.makers(), self.twins[1])
        return [place for place in sorted(unlike) if there.values[place].sketch.rich]

    def counterparts(self, values: Sequence[Value]) -> int:
        """How many of the `wanted` values hold the same numbers as one of these."""
        wanted = [self.traces[1].values[place] for place in self.wanted]
        matched = set[int]()
        for one, other in _candidates(values, wanted, self.digits):
            if other not in matched and self.same(values[one], wanted[other]):
                matched.add(other)
        return len(matched)

    @cached_property
    def gap(self) -> float:
        """The largest difference between the outputs; infinite where their shapes or places differ."""
        here, there = self.traces
        pairs = [
            (here.values[place], there.values[there.outputs[at]])
            for at, place in here.outputs.items()
            if at in there.outputs
        ]
        if not pairs or any(a.shape != b.shape or a.array is None or b.array is None for a, b in pairs):
            return np.inf
        return max(gap(a.array, b.array) for a, b in pairs if a.array is not None and b.array is not None)

    @property
    def telling(self) -> bool:
        """Whether outputs of TensorFlow's are finite somewhere: else whatever spoils torch's makes the same."""
        there = self.traces[1]
        arrays = [there.values[place].array for place in there.outputs.values()]
        return any(array is None or bool(np.isfinite(array).any()) for array in arrays)

    @property
    def size(self) -> float:
        """The largest element of torch's outputs."""
        here = self.traces[0]
        return max((here.values[place].sketch.largest for place in here.outputs.values()), default=0.0)

    @property
    def limit(self) -> float:
        """The largest difference of the outputs that rounding error accounts for: nothing is left below it."""
        return self.rounding * self.size

    @cached_property
    def parted(self) -> tuple[tuple[Operation, ...], tuple[Operation, ...]]:
        """Of each side: the operations whose operands all mean the same on the other side, and whose result does not.

        Only those whose result reaches an output through values that mean nothing on the other side: another way to
        compute the same is nobody's fault.
        """
        first, second = (_first(trace, of) for trace, of in zip(self.traces, self.twins, strict=True))
        return first, second

    @property
    def shown(self) -> tuple[tuple[Operation, ...], tuple[Operation, ...]]:
        """Of each side: the operations that are the place, `parted`; else, where outputs are numbers of the other's way
        alone, those that make them.
        """
        if any(self.parted) or self.gap <= self.limit:
            return self.parted
        here, there = (trace.outputs for trace in self.traces)
        unlike = [at for at, place in here.items() if at in there and there[at] not in self.twins[0].get(place, ())]
        makers = [(trace.makers(), [trace.outputs[at] for at in unlike]) for trace in self.traces]
        first, second = (tuple(of[place] for place in places if place in of) for of, places in makers)
        return first, second


def opposite(before: Alignment, after: Alignment, places: Iterable[int]) -> Operation | None:
    """TensorFlow's operation that stands in the place of what made these values of torch's, as an edit shows it.

    It makes the first value behind them that has a counterpart after the edit, and had none before it.
    """
    here, makers = after.traces[0], after.traces[1].makers()
    users = takers(here)

    def results(place: int) -> list[int]:
        return [result for number in users.get(place, ()) for result in here.operations[number].makes]

    for place in reached(places, results):
        new = [of for of in after.twins[0].get(place, ()) if of not in before.twins[1]] or _masks(before, after, place)
        if known := [of for of in new if of in makers]:
            return makers[min(known)]
    return None


def _masks(before: Alignment, after: Alignment, place: int) -> list[int]:
    """TensorFlow's masks that hide, or show, the places that an edited one of torch's does, and did not before it."""
    mine, was = (of.traces[0].values[place].array for of in (after, before))
    if mine is None or was is None or mine.dtype.kind != "b" or mine.all() or not mine.any():
        return []
    of_size = [(at, of.array) for at, of in enumerate(after.traces[1].values) if of.sketch.size == mine.size]
    masks = [(at, of.ravel()) for at, of in of_size if of is not None and of.dtype.kind == "b"]
    same = [(at, of) for at, of in masks if any(np.array_equal(of, one) for one in (mine.ravel(), ~mine.ravel()))]
    return [at for at, of in same if not any(np.array_equal(of, one) for one in (was.ravel(), ~was.ravel()))]


def aligned(
    first: Trace, second: Trace, dtype: str, strict: bool = False, rounded: bool = False, fine: bool = False
) -> Alignment:
    """Match two runs of counterparts in a precision: numbers are the same if half of its digits are.

    Or, where weights were `rounded` once more to float32, as those that an exporter folds, if that explains it. Where
    `fine`, all digits count but what rounding takes: half of float32's would hide weights in half precision. Where
    outputs are apart by less than that, half of the digits between rounding and their difference: else it would hide.
    """
    digits = max(FINE * EPS[dtype] if fine else EPS[dtype] ** 0.5, FOLDED * rounded)
    alignment = Alignment((first, second), digits, min(MAX_FLOAT64_ULPS * digits**2, digits), strict)
    gap = alignment.gap
    if alignment.limit < gap < digits * alignment.size and not (fine or rounded):
        alignment = replace(alignment, digits=(EPS[dtype] * gap / alignment.size) ** 0.5)
    return alignment


def laid_out(first: Array, second: Array, limit: float) -> bool:
    """Whether one array is the other with its axes in some order, and reshaped where that gives it other axes.

    Of the same lengths a reshape is no layout: what stands at two axes of a picture is read as if at exchanged ones.
    """
    lengths = [[length for length in array.shape if length > 1] for array in (first, second)]
    if sorted(lengths[0]) == sorted(lengths[1]) and len(lengths[0]) <= 5:
        one, other = first.squeeze(), second.squeeze()
        orders = (axes for axes in permutations(range(one.ndim)) if one.transpose(axes).shape == other.shape)
        return any(within(one.transpose(axes), other, limit) for axes in orders)
    for one, other in ((first, second.ravel()), (second, first.ravel())):
        for axes in permutations(range(one.ndim)) if one.ndim <= 5 else ():
            if within(one.transpose(axes).ravel(), other, limit):
                return True
    return False


def close(first: Value, second: Value, digits: float) -> bool:
    """Whether two sketches can be of the same numbers: their largest elements and sums agree.

    A sketch is a few figures of an array; most pairs are told apart by it, without a look at their elements.
    """
    one, other = first.sketch, second.sketch
    # Arrays of equal numbers, as masks and zeros are, stand everywhere and match by chance.
    if one.size != other.size or not (one.rich and other.rich):
        return False
    bound = digits * one.size  # the numbers and their largest are apart by `digits` each, their squares by twice that
    return abs(one.largest - other.largest) <= digits * max(one.largest, other.largest) and all(
        abs(a - b) <= times * bound for a, b, times in zip(one.sums, other.sums, (2, 2, 4), strict=True)
    )


def _candidates(first: Sequence[Value], second: Sequence[Value], digits: float) -> Iterator[tuple[int, int]]:
    """Pairs of values of one size whose largest elements are the same: sorted by these, only neighbours can be."""
    sizes = defaultdict[int, list[tuple[float, int]]](list)
    for place, value in enumerate(second):
        if value.sketch.rich:
            sizes[value.sketch.size].append((value.sketch.largest, place))
    for of in sizes.values():
        of.sort()
    for place, value in enumerate(first):
        of = sizes.get(value.sketch.size, [])
        if not of or not value.sketch.rich:
            continue
        largest = value.sketch.largest
        start, end = np.searchsorted([key for key, _ in of], [largest * (1 - 2 * digits), largest * (1 + 2 * digits)])
        yield from ((place, other) for _, other in of[start : end + 1])


def _alone(trace: Trace, twins: Mapping[int, set[int]]) -> set[int]:
    unlike = {of.leaf for place, of in enumerate(trace.values) if of.sketch.rich and place not in twins}
    own = {leaf for leaf in unlike if not leaf.startswith("input")}
    return trace.made_of(lambda leaf: leaf in own or leaf.startswith("constant"))


def _first(trace: Trace, twins: dict[int, set[int]]) -> tuple[Operation, ...]:
    """The first operations of a run whose results have no counterpart, though all of their operands have.

    What is made of such a result has none either, and is not told: it is tainted.
    """
    makers = trace.makers()

    def parts(place: int) -> bool:
        return trace.values[place].sketch.rich and place not in twins and place in makers

    unlike = _unlike(trace.outputs.values(), makers, twins)
    tainted = set[int]()
    operations: list[Operation] = []
    for operation in trace.operations:
        taint = not tainted.isdisjoint(operation.operands)
        for place in operation.makes:
            if place in twins:
                continue
            if taint or parts(place):
                tainted.add(place)
            if parts(place) and place in unlike and not taint and operation not in operations:
                operations.append(operation)
    return tuple(operations)


def _unlike(outputs: Iterable[int], makers: dict[int, Operation], twins: dict[int, set[int]]) -> set[int]:
    """The values that reach an output without a value on the way that means the same on the other side."""

    def operands(place: int) -> list[int]:
        return [of for of in makers[place].operands if of not in twins] if place in makers else []

    return {*reached((place for place in outputs if place not in twins), operands)}
