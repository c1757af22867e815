"""The place in a graph that is run as a file: a node does several things, and may lack one of the other side's."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from parity.backends.operations import Operation, Value
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.names import PRODUCTS, SUMS
from parity.diagnose.operators.search import Runs

TERMS = SUMS | PRODUCTS


def placed(runs: Runs, alignment: Alignment, place: int) -> tuple[Operation, ...]:
    """The first operations of one side that differ: where the other's adds a term that this one lacks, what lacks it.

    Where all that they are given stands in another order than on the other side, what made that order.
    """
    first = alignment.parted[place]
    lacking = [*_lacking(alignment, place, first)]
    if lacking:
        return tuple(one for at, one in enumerate(lacking) if one not in lacking[:at])
    ordering = replace(runs, strict=True).alignment.parted[place]
    results = {at for one in ordering for at in one.makes}
    for one in alignment.traces[place].operations:
        if any(at in results for _, at in one.takes):
            results |= {*one.makes}
    behind = bool(first) and all(any(at in results for _, at in one.takes) for one in first)
    levelled = (_levelled(alignment, place, one) for one in first)
    return ordering if behind else tuple({id(one): one for one in levelled}.values())


def _levelled(alignment: Alignment, place: int, one: Operation) -> Operation:
    """What made one number of numbers that both sides have, where an operation goes on from that; or itself.

    Nobody knows such a value again, and so what takes it is the first that differs.
    """
    trace = alignment.traces[place]
    makers, last = trace.makers(), one
    both = {of for value in alignment.traces[1 - place].values if (of := _level(value))}
    while level := [at for _, at in last.takes if at in makers and (of := _level(trace.values[at])) and of not in both]:
        last = makers[level[0]]
    return last if any(at in alignment.twins[place] for _, at in last.takes) else one


def _level(value: Value) -> tuple[int, float] | None:
    """The size and the number of a value that holds one alone; None of another."""
    array = value.array
    if array is None or array.dtype.kind != "f" or array.size < 2 or not (array == array.flat[0]).all():
        return None
    return array.size, float(array.flat[0])


def _lacking(alignment: Alignment, place: int, first: Sequence[Operation]) -> Iterator[Operation]:
    """What makes the value that the other side goes on from by a term of its own, a bias or a gain."""
    own, other = alignment.traces[place], alignment.traces[1 - place]
    twins = alignment.twins[1 - place]
    for term in alignment.parted[1 - place]:
        parameters = [at for _, at in term.takes if other.values[at].leaf]
        operands = [at for _, at in term.takes if at in twins and not other.values[at].leaf]
        if term.name not in TERMS or not parameters or not operands:
            continue
        same = {at for operand in operands for at in twins[operand]}
        if any(one.name in TERMS and not same.isdisjoint(at for _, at in one.takes) for one in first):
            continue  # it has the term, and another one
        makers = [one for one in own.operations if not same.isdisjoint(one.makes)]
        if first and makers and own.operations.index(makers[0]) > own.operations.index(first[0]):
            continue  # what differs before it is the reason
        idle = [one for one in makers if one.name in TERMS and not same.isdisjoint(at for _, at in one.takes)]
        yield from (idle or makers)[:1]
