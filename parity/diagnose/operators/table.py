"""Both runs beside each other: every operation with its counterpart, in the order in which they ran."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

from parity.backends.operations import Operation, Trace
from parity.checks.results import OperationPair
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.proposal import called


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
        twins = {numbers[id(makers[twin])] for twin in _twins(alignment, one) if twin in makers}
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


def _twins(alignment: Alignment, one: Operation) -> Iterator[int]:
    for result in one.makes:
        yield from alignment.twins[0].get(result, ())


def _alone(other: Operation, name: Callable[[Operation], str], first: Collection[int]) -> OperationPair:
    return OperationPair("", name(other), other.layer, id(other) in first)


def _shown(trace: Trace, first: Collection[int], start: int = 0, end: int | None = None) -> Iterator[Operation]:
    for one in trace.operations[start:end]:
        if id(one) in first or any(trace.values[result].sketch.rich for result in one.makes):
            yield one
