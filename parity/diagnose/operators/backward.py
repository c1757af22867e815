"""Where gradients part, down to the operation and the line: two losses that agree, followed back from their end.

Both losses run once, and the gradient by every value is kept, and what of it comes through each operation that takes
the value. The first operations are those of whose results the gradients agree, and of whose operands they do not,
though the operands' numbers do: a detach() or stop_gradient, a gradient of one's own, another slope in a corner. What
one side's gradient is of the other's there is a `Form`: stopped, a multiple, cut off, or that of another function.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from parity.backends.operations import Operation, Trace
from parity.canonical.activations import FUNCTIONS, Function
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.diagnose.operators.align import FINE, Alignment
from parity.diagnose.operators.walks import reached, takers
from parity.diagnose.search import gap, within
from parity.dtypes import EPS, Array

STEP = 1e-5  # to either side, for the slope of a function
CLIPPED = "cut the gradient off on both sides, or on neither"
STOPPED = "let the gradient pass on both sides, or on neither: look for detach(), no_grad() or stop_gradient"


def rounding(traces: Iterable[Trace]) -> float:
    """What rounding error accounts for in any gradient of these runs."""
    largest = [np.abs(of).max(initial=0.0) for trace in traces for of in trace.gradients.values()]
    return MAX_FLOAT64_ULPS * EPS["float64"] * float(max(largest, default=0.0))


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
        return takers(self.own), takers(self.other)

    @cached_property
    def limit(self) -> float:
        """What rounding error accounts for in any gradient."""
        return rounding(self.alignment.traces)

    def parted(self) -> Iterator[Operation]:
        """The operations that make other gradients of equal ones, nearest to the loss first; none that leads to one."""
        before = set[int]()  # the values that lead to one
        for number, one in reversed([*enumerate(self.own.operations)]):
            takes = {*one.operands}
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
        own = {twin for at in one.operands for twin in self.twins(at)}

        def behind(place: int) -> list[int]:
            users = () if self.twins(place) - own else self._takers[0].get(place, ())
            return [result for number in users for result in self.own.operations[number].makes]

        return {twin for place in reached(one.makes, behind) for twin in self.twins(place) - own}

    def left(self, gradients: Mapping[str, Array], whole: bool = False) -> float:
        """The largest difference of this side's gradients by parameters from these, by name, where both have one.

        0 where rounding accounts for all of them; `whole`, with what rounding accounts for, as a proof is printed.
        """
        both = [(own, gradients[name]) for name, own in self.own.trained.items() if name in gradients]
        return max((gap(*pair) for pair in both if whole or not self._rounding(*pair)), default=0.0)

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
        makers = self.other.makers()

        def floats(place: int) -> bool:
            array = self.other.values[place].array
            return array is None or array.dtype.kind not in "iub"

        def operands(place: int) -> list[int]:
            return [taken for taken in makers[place].operands if floats(taken)] if place in makers else []

        seen = {*reached(filter(floats, self.other.outputs.values()), operands)}
        return {*range(len(self.other.values))} - seen - self.other.gradients.keys()

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


@dataclass(frozen=True)
class Form:
    """A relation of the other side's gradient to this one's: the cause's name, how it is told, and the change.

    `change(gradient, value)` makes the other's of this one's; where `past`, of the gradient behind the operation, as if
    that were not there. `claim` has a place {} for the operation.
    """

    name: str
    claim: str
    fix: str
    change: Callable[[Array, Array], Array] = lambda gradient, _: gradient
    past: bool = False


def forms(use: Array | None, other: Array | None, result: Array | None, value: Array | None) -> Iterator[Form]:
    """The forms by which TensorFlow's gradient `other` may come from torch's, the likeliest first.

    `use` is torch's gradient by a `value` through an operation, `result` that by what the operation makes; None of what
    is not known.
    """
    none, nothing = (of is None or not of.any() for of in (use, other))
    if nothing:
        claim = "torch's gradient passes {}; no gradient passes there in tensorflow"
        yield Form("gradient stopped", claim, STOPPED, lambda of, _: np.zeros_like(of))
    if none and result is not None:
        claim = "no gradient passes torch's {}; in tensorflow it does"
        yield Form("gradient stopped", claim, STOPPED, lambda of, _: of, past=True)
    if use is not None and other is not None and not none and not nothing:
        factor = float(np.sqrt((other**2).sum() / (use**2).sum()))
        for sign in (1, -1):
            plain = sign * float(f"{factor:.6g}")
            for times in dict.fromkeys((plain, sign * factor)):
                claim = f"tensorflow's gradient is {times:.9g} times torch's through {{}}"
                fix = "take the factor out, or have it on both sides: what leads from there to the loss has it"
                yield Form("gradient scaled", claim, fix, partial(_times, times))
        for change, how in _ends(other):
            yield Form("clipped", f"tensorflow's gradient is torch's through {{}}, {how}", CLIPPED, change)
    if result is not None and value is not None and not nothing:
        yield from _clipped(use, other, result)
        claim = "tensorflow's gradient goes past torch's {} as if it were the identity"
        fix = "a straight-through gradient on both sides, x + (f(x) - x).detach(), or on neither"
        yield Form("straight through", claim, fix, lambda of, _: of, past=True)
        for name, function in FUNCTIONS.items():
            claim = f"tensorflow's gradient of {{}} is that of {name}, and torch's is another"
            fix = f"the gradient of one function on both sides, {name}'s or the other"
            yield Form("activation", claim, fix, partial(_sloped, function), past=True)


def _clipped(use: Array | None, other: Array | None, result: Array) -> Iterator[Form]:
    """The forms of a gradient that torch's operation cuts off or scales down, and TensorFlow not, or elsewhere."""
    if use is None or other is None or use.shape != result.shape:
        return
    rounding = FINE * EPS["float64"] * np.abs(result).max()
    for here, how in _ends(use):
        if np.abs(here(result, use) - use).max() > rounding or np.abs(result - use).max() <= rounding:
            continue
        ends = [(lambda of, _: of, "passes as it is"), *((there, f"is {what}") for there, what in _ends(other))]
        for there, what in ends:
            claim = f"torch's gradient through {{}} is {how}; tensorflow's {what}"
            yield Form("clipped", claim, CLIPPED, there, past=True)


def _ends(gradient: Array) -> Iterator[tuple[Callable[[Array, Array], Array], str]]:
    """How a gradient may have become what it is: each change with its words."""
    bound, norm = float(np.abs(gradient).max()), float(np.sqrt((gradient**2).sum()))
    yield lambda of, _: np.clip(of, -bound, bound), f"cut off at {bound:.6g}"
    yield partial(_to_norm, norm), f"scaled down to a norm of {norm:.6g}"


def _times(factor: float, gradient: Array, _: Array) -> Array:
    return factor * gradient


def _to_norm(norm: float, gradient: Array, _: Array) -> Array:
    """A gradient scaled down to a norm, if it has a larger one."""
    own = float(np.sqrt((gradient**2).sum()))
    return gradient * min(1.0, norm / own) if own else gradient


def _sloped(function: Function, gradient: Array, value: Array) -> Array:
    """The gradient through a function of single elements, by its slope at the value (central differences)."""
    slope: Array = (function(value + STEP) - function(value - STEP)) / (2 * STEP)
    return gradient * slope
