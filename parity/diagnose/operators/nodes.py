"""The place in a graph that is run as a file: a node does several things, and may lack one of the other side's."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from parity.backends.operations import Operation, Trace, Value
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.names import ACTIVATIONS, BOUNDS, PRODUCTS, SUMS
from parity.diagnose.operators.search import Runs

TERMS = SUMS | PRODUCTS
FUNCTIONS = ACTIVATIONS | BOUNDS


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
        if any(at in results for _, at in one.takes):
            results |= {*one.makes}
    behind = bool(first) and all(any(at in results for _, at in one.takes) for one in first)
    return ordering if behind else first


def _levelled(alignment: Alignment, place: int, one: Operation) -> Operation:
    """The operation that made an array of one repeated number, on which operation `one` goes on; or `one` itself.

    An array of one number is matched with nothing, so that what takes it is the first that shows a difference.
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
    """The operations of this side behind which the other side does one that this side lacks.

    What is lacking is a term, a bias or a gain, or a function, as an activation.
    """
    own, other = alignment.traces[place], alignment.traces[1 - place]
    twins, fixed = alignment.twins[1 - place], alignment.of_weights[1 - place]
    for step in (_reaching(other, one, fixed) for one in alignment.parted[1 - place]):
        operands = [at for _, at in step.takes if at in twins and at not in fixed]
        same = {at for operand in operands for at in twins[operand]}
        takers = [one for one in first if not same.isdisjoint(at for _, at in one.takes)]
        if not operands or not _lacks(alignment, place, step, takers, fixed):
            continue
        makers = [one for one in own.operations if not same.isdisjoint(one.makes)]
        if first and makers and own.operations.index(makers[0]) > own.operations.index(first[0]):
            continue  # what differs before it is the reason
        idle = [one for one in makers if one.name in TERMS and not same.isdisjoint(at for _, at in one.takes)]
        yield from (idle or makers)[:1]


def _reaching(trace: Trace, one: Operation, fixed: set[int]) -> Operation:
    """The operation that takes a parameter which `one` only turns or shapes; or `one` itself."""
    while fixed.issuperset(one.makes) and (
        users := [of for of in trace.operations if any(at in one.makes for _, at in of.takes)]
    ):
        one = users[0]
    return one


def _lacks(alignment: Alignment, place: int, step: Operation, takers: Sequence[Operation], fixed: set[int]) -> bool:
    """Whether a side lacks a step of the other's: what takes its operand is none that does it another way."""
    other = alignment.traces[1 - place]
    added = [other.values[at] for _, at in step.takes if at in fixed]
    if step.name in TERMS and any(value.sketch.size > 1 for value in added):
        own = alignment.of_weights[place]  # a residual adds what the inputs reach
        terms = [one for one in takers if one.name in TERMS and any(at in own for _, at in one.takes)]
        return not terms  # else it has the term, and another one
    alone = step.name in FUNCTIONS or (step.name in TERMS and bool(added))  # and no part of what a node does at once
    return alone and any(_goes_on(alignment, place, one, step) for one in takers)


def _goes_on(alignment: Alignment, place: int, one: Operation, step: Operation) -> bool:
    """Whether an operation is what the other side does behind a step: by its name, or by what else it takes."""
    behind = [of for of in alignment.traces[1 - place].operations if any(at in step.makes for _, at in of.takes)]
    if any(_plain(one.name).startswith(_plain(of.name)) for of in behind):
        return True
    taken = {at for _, at in step.takes}
    twins = [alignment.twins[place].get(at, set()) for _, at in one.takes]
    return any(of and of.isdisjoint(taken) for of in twins)


def _plain(name: str) -> str:
    """The name of an operation without what frameworks write otherwise."""
    return name.lower().replace("_", "")
