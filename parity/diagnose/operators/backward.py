"""Where gradients part, down to the operation and the line: two losses that agree, followed back from their end.

Both losses run once, and the gradient by every value is kept, and what of it comes through each operation that takes
the value. The first operations are those of whose results the gradients agree, and of whose operands they do not,
though the operands' numbers do: a detach() or stop_gradient, a gradient of one's own, another slope in a corner.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from parity.backends.operations import Operation, Trace
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.diagnose.operators.align import Alignment
from parity.diagnose.search import gap, within
from parity.dtypes import EPS, Array


@dataclass
class Backward:
    """One side's gradients, at place `side` (0 or 1), beside the other's.

    `alignment` matches the values of both runs forward; a gradient is compared with that by the value's counterpart.
    """

    alignment: Alignment
    side: int
    _right: dict[int, bool] = field(default_factory=dict)

    @property
    def own(self) -> Trace:
        """This side's run."""
        return self.alignment.traces[self.side]

    @property
    def other(self) -> Trace:
        """The other side's run."""
        return self.alignment.traces[1 - self.side]

    @cached_property
    def _takers(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Value -> the operations that take it, of this side and of the other."""
        users: tuple[dict[int, list[int]], dict[int, list[int]]] = ({}, {})
        for trace, takers in zip((self.own, self.other), users, strict=True):
            for number, one in enumerate(trace.operations):
                for place in {place for _, place in one.takes}:
                    takers.setdefault(place, []).append(number)
        return users

    @cached_property
    def limit(self) -> float:
        """What rounding error accounts for in any gradient."""
        largest = [np.abs(of).max(initial=0.0) for trace in self.alignment.traces for of in trace.gradients.values()]
        return MAX_FLOAT64_ULPS * EPS["float64"] * float(max(largest, default=0.0))

    def parted(self) -> Iterator[Operation]:
        """The operations that make other gradients of equal ones, nearest to the loss first; none that leads to one."""
        before = set[int]()  # the values that lead to one
        for number, one in reversed([*enumerate(self.own.operations)]):
            takes = {place for _, place in one.takes}
            leads = not before.isdisjoint(one.makes)
            results = [place for place in one.makes if np.any(self.own.gradients.get(place, 0.0))]
            parts = not leads and results and all(map(self.right, results))
            # Only the first on the way back: all that it leads to have other gradients because of it.
            if parts and any(self.parts(number, place) for place in takes):
                yield one
                leads = True
            if leads:
                before |= takes

    def right(self, place: int) -> bool:
        """Whether the gradient by a value, or a part of it, is the other side's by a value of the same numbers.

        Where no value has the same numbers: whether those are right that are made of it.
        """
        if place not in self._right:
            self._right[place] = True  # of what goes round in a circle nothing speaks against it
            own, twins = self.own.gradients.get(place), self.twins(place)
            if twins:
                theirs = [self.other.gradients.get(twin) for twin in twins]
                theirs += [use for (_, twin), use in self.other.uses.items() if twin in twins]
                self._right[place] = any(self.alike(own, other) for other in theirs)
            elif own is not None:
                taken = [self.own.operations[number] for number in self._takers[0].get(place, ())]
                self._right[place] = all(self.right(result) for one in taken for result in one.makes)
        return self._right[place]

    def parts(self, number: int, place: int) -> bool:
        """Whether an operation gives a value other than its counterpart gives one of the same numbers.

        Where it has no counterpart that takes such a value: other than any operation does.
        """
        own, twins = self.own.gradients.get(place), self.twins(place)
        if not twins or place in self.own.fixed or not self.other.fixed.isdisjoint(twins):
            return False
        if any(self.alike(own, self.other.gradients.get(twin)) for twin in twins):
            return False
        return not any(self.alike(self.use(number, place), use) for use in self.theirs(number, place))

    def theirs(self, number: int, place: int) -> list[Array | None]:
        """What the counterparts of an operation give the same numbers; where it has none, what any operation does."""
        twins = self.twins(place)
        uses = [(at, twin) for twin in twins for at in self._takers[1].get(twin, ())]
        results = {twin for of in self.own.operations[number].makes for twin in self.twins(of)}
        like = [(at, twin) for at, twin in uses if not results.isdisjoint(self.other.operations[at].makes)]
        theirs = [self._use(1, *use) for use in like or uses]
        return theirs + ([] if like else [self.other.gradients.get(twin) for twin in twins])

    def reached(self, one: Operation) -> set[int]:
        """The other side's first values that are made of what an operation of this side's makes, and are others."""
        own, waiting, reached = {twin for _, at in one.takes for twin in self.twins(at)}, [*one.makes], set[int]()
        while waiting:
            place = waiting.pop()
            twins = self.twins(place) - own
            reached |= twins
            takers = () if twins else self._takers[0].get(place, ())
            waiting += [result for number in takers for result in self.own.operations[number].makes]
        return reached

    def left(self, gradients: Mapping[str, Array]) -> float:
        """The largest difference of this side's gradients by parameters from these, by name, where both have one.

        0 where rounding accounts for all of them.
        """
        return max((gap(*pair) for pair in self._both(gradients) if not self._rounding(*pair)), default=0.0)

    def gap(self, gradients: Mapping[str, Array]) -> float:
        """As `left`, with what rounding accounts for: what a proof is printed with."""
        return max((gap(*pair) for pair in self._both(gradients)), default=0.0)

    def _both(self, gradients: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """The gradients by parameters, this side's beside these, where both have one."""
        return [(own, gradients[name]) for name, own in self.own.trained.items() if name in gradients]

    def _rounding(self, own: Array, other: Array) -> bool:
        """Whether rounding accounts for how far two gradients of a parameter are apart."""
        largest = max(np.abs(own).max(initial=0.0), np.abs(other).max(initial=0.0))
        return within(own, other, self._noise(largest))

    def _noise(self, largest: float) -> float:
        """What rounding may account for in a gradient whose largest element is this."""
        return max(self.limit, self.alignment.digits * largest)

    def use(self, number: int, place: int) -> Array | None:
        """The gradient by a value that comes through one of this side's operations alone; None where none is seen."""
        return self._use(0, number, place)

    def twins(self, place: int) -> set[int]:
        """The other side's values of the same numbers, but for those of which no gradient is seen."""
        return self.alignment.twins[self.side].get(place, set()) - self._unseen

    @cached_property
    def _unseen(self) -> set[int]:
        """The other side's values that lead to no output by what floats, and have no gradient for that alone.

        A loop reads a variable itself, and not what was made of it for its first step.
        """
        makers, reached, waiting = self.other.makers(), set[int](), [*self.other.outputs.values()]
        while waiting:
            place = waiting.pop()
            array = self.other.values[place].array
            if place not in reached and (array is None or array.dtype.kind not in "iub"):
                reached.add(place)
                waiting += [taken for _, taken in makers[place].takes] if place in makers else []
        return {*range(len(self.other.values))} - reached - self.other.gradients.keys()

    def _use(self, which: int, number: int, place: int) -> Array | None:
        """As `use`, of this side (0) or the other (1)."""
        trace = (self.own, self.other)[which]
        alone = len(self._takers[which].get(place, ())) == 1
        return trace.uses.get((number, place), trace.gradients.get(place) if alone else None)

    def alike(self, first: Array | None, second: Array | None) -> bool:
        """Whether two gradients have the same elements, in any order; none is one of zeros."""
        one, other = (np.zeros(1) if of is None else np.sort(of.ravel()) for of in (first, second))
        if first is not None and second is not None and one.size != other.size:
            return False
        own = max(np.abs(one).max(initial=0.0), np.abs(other).max(initial=0.0))
        return within(one, other, self._noise(own))
