"""Both runs as they are shown: every operation with its counterpart, in the order in which they ran, and the first.

Of a graph that is run as a file the first are its nodes: a node does several things, and may lack one of the other
side's.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from parity.backends.operations import Operation, Trace, Value
from parity.checks.results import DifferingOperation, OperationPair
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.names import ACTIVATIONS, BOUNDS, PRODUCTS, SUMS
from parity.diagnose.operators.proposal import called
from parity.diagnose.operators.search import Runs
from parity.diagnose.operators.walks import behind

FEW = 3  # operations of a side that are told
TERMS = SUMS | PRODUCTS
FUNCTIONS = ACTIVATIONS | BOUNDS


def differing(side: str, operations: Iterable[Operation], words: str = "") -> list[DifferingOperation]:
    """A few of these operations of a side, the first at each place, as a report has them, with `words` before each."""
    entries: dict[Any, DifferingOperation] = {}
    for one in operations:
        line = (one.line.file, one.line.number, one.line.code) if one.line else ("", 0, "")
        entries.setdefault((one.layer, line), DifferingOperation(side, f"{words}{called(one)}", one.layer, *line))
    return [*entries.values()][:FEW]


def table(alignment: Alignment, first: Collection[int], named: Sequence[bool]) -> list[OperationPair]:
    """The first side's operations in order, each beside the second's that makes the same numbers; others alone.

    What has no counterpart stands with the others of its layer. Operations that make no numbers that one could know
    again, as shapes and masks, are left out unless they differ: `first` has the identities of those that do. A side
    that is `named` is a graph, whose nodes are called by their names.
    """
    here, there = alignment.traces
    makers, numbers = there.makers(), {id(one): number for number, one in enumerate(there.operations)}
    ours, theirs = (partial(_called, name) for name in named)
    rows, done = list[OperationPair](), 0
    for one in _shown(here, first):
        equal = [twin for result in one.makes for twin in alignment.twins[0].get(result, ())]
        twins = {numbers[id(makers[twin])] for twin in equal if twin in makers}
        place = min((number for number in twins if number >= done), default=None)
        start = _begins(there, one.layer, done) if place is None else place
        rows += [_alone(other, theirs, first) for other in _shown(there, first, done, start)]
        twin = "" if place is None else theirs(there.operations[place])
        rows.append(OperationPair(ours(one), twin, one.layer, id(one) in first))
        done = start if place is None else place + 1
    return rows + [_alone(other, theirs, first) for other in _shown(there, first, done, len(there.operations))]


def _called(named: bool, one: Operation) -> str:
    return f"{called(one)} ({one.layer})" if named else called(one)


def _begins(trace: Trace, layer: str, start: int) -> int:
    """Where a layer's operations begin, from a place on; that place, if it has none."""
    places = (at for at, one in enumerate(trace.operations[start:], start) if one.layer == layer)
    return next(places, start) if layer else start


def _alone(other: Operation, name: Callable[[Operation], str], first: Collection[int]) -> OperationPair:
    return OperationPair("", name(other), other.layer, id(other) in first)


def _shown(trace: Trace, first: Collection[int], start: int = 0, end: int | None = None) -> Iterator[Operation]:
    for one in trace.operations[start:end]:
        if id(one) in first or any(trace.values[result].sketch.rich for result in one.makes):
            yield one


def placed(runs: Runs, alignment: Alignment, place: int) -> tuple[Operation, ...]:
    """The first operations of one side that differ: where the other's adds a term that this one lacks, what lacks it.

    Where all that they are given stands in another order than on the other side, what made that order.
    """
    levelled = (_levelled(alignment, place, one) for one in alignment.parted[place])
    first = tuple({id(one): one for one in levelled}.values())
    lacking = [*_lacking(alignment, place, first)]
    if lacking:
        return tuple(one for at, one in enumerate(lacking) if one not in lacking[:at])
    ordering = replace(runs, strict=True).alignment.parted[place]
    results = {at for one in ordering for at in one.makes}
    for one in alignment.traces[place].operations:
        if not results.isdisjoint(one.operands):
            results |= {*one.makes}
    behind = bool(first) and all(not results.isdisjoint(one.operands) for one in first)
    return ordering if behind else first


def _levelled(alignment: Alignment, place: int, one: Operation) -> Operation:
    """The operation that made an array of one repeated number, on which operation `one` goes on; or `one` itself.

    An array of one number is matched with nothing, so that what takes it is the first that shows a difference.
    """
    trace = alignment.traces[place]
    makers, last = trace.makers(), one
    both = {of for value in alignment.traces[1 - place].values if (of := _level(value))}
    while level := [at for at in last.operands if at in makers and (of := _level(trace.values[at])) and of not in both]:
        last = makers[level[0]]
    return last if any(at in alignment.twins[place] for at in last.operands) else one


def _level(value: Value) -> tuple[int, float] | None:
    """The size and the number of a value that holds one alone; None of another."""
    array = value.array
    if array is None or array.dtype.kind != "f" or array.size < 2 or not (array == array.flat[0]).all():
        return None
    return array.size, float(array.flat[0])


def _lacking(alignment: Alignment, place: int, first: Sequence[Operation]) -> Iterator[Operation]:
    """The operations of this side behind which the other side does one that this side lacks.

    What is lacking is a term, a bias or a gain, or a function, as an activation.
    """
    own, other = alignment.traces[place], alignment.traces[1 - place]
    twins, fixed = alignment.twins[1 - place], alignment.of_weights[1 - place]
    for step in (_reaching(other, one, fixed) for one in alignment.parted[1 - place]):
        operands = [at for at in step.operands if at in twins and at not in fixed]
        same = {at for operand in operands for at in twins[operand]}
        takers = [one for one in first if not same.isdisjoint(one.operands)]
        if not operands or not _lacks(alignment, place, step, takers, fixed):
            continue
        makers = [one for one in own.operations if not same.isdisjoint(one.makes)]
        if first and makers and own.operations.index(makers[0]) > own.operations.index(first[0]):
            continue  # what differs before it is the reason
        idle = [one for one in makers if one.name in TERMS and not same.isdisjoint(one.operands)]
        yield from (idle or makers)[:1]


def _reaching(trace: Trace, one: Operation, fixed: set[int]) -> Operation:
    """The operation that takes a parameter which `one` only turns or shapes; or `one` itself."""
    while fixed.issuperset(one.makes) and (users := behind(trace, one)):
        one = users[0]
    return one


def _lacks(alignment: Alignment, place: int, step: Operation, takers: Sequence[Operation], fixed: set[int]) -> bool:
    """Whether a side lacks a step of the other's: what takes its operand is none that does it another way."""
    other = alignment.traces[1 - place]
    added = [other.values[at] for at in step.operands if at in fixed]
    if step.name in TERMS and any(value.sketch.size > 1 for value in added):
        own = alignment.of_weights[place]  # a residual adds what the inputs reach
        terms = [one for one in takers if one.name in TERMS and not own.isdisjoint(one.operands)]
        return not terms  # else it has the term, and another one
    alone = step.name in FUNCTIONS or (step.name in TERMS and bool(added))  # and no part of what a node does at once
    return alone and any(_goes_on(alignment, place, one, step) for one in takers)


def _goes_on(alignment: Alignment, place: int, one: Operation, step: Operation) -> bool:
    """Whether an operation is what the other side does behind a step: by its name, or by what else it takes."""
    if any(_plain(one.name).startswith(_plain(of.name)) for of in behind(alignment.traces[1 - place], step)):
        return True
    taken = {*step.operands}
    twins = [alignment.twins[place].get(at, set()) for at in one.operands]
    return any(of and of.isdisjoint(taken) for of in twins)


def _plain(name: str) -> str:
    """The name of an operation without what frameworks write otherwise."""
    return name.lower().replace("_", "")
