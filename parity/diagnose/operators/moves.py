"""Operations in another order: one exchanged with its neighbour, done before another, or added under a root."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Leaf
from parity.diagnose.operators.names import SMALL, SUMS, of_omission
from parity.diagnose.operators.operands import passed
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called
from parity.dtypes import Array

NEAR = 24  # operations before and behind that may stand elsewhere
ADDITIONS = SUMS - {"sub", "rsub", "__sub__", "Sub", "SUB"}
BOUNDS = ("clamp", "clamp_min", "clip", "maximum")


def exchanged(spot: Spot) -> Iterator[Proposal]:
    """The operation and the one that makes its operand change places."""
    operations, leaf = spot.run.trace.operations, _first(spot.leaves)
    if leaf is None or not _passes(spot, spot.number):
        return
    before = [n for n in range(spot.number) if spot.leaves[leaf].place in operations[n].makes and _passes(spot, n)]
    for number in before:
        first = _first(spot.run.leaves(number))
        source = None if first is None else spot.run.leaves(number)[first].place
        if source is None or called(operations[number]) == called(spot.operation):
            continue
        both = f"{called(operations[number])}{at(operations[number])} and {called(spot.operation)}{spot.place}"
        yield Proposal(
            always(Edit(spot.number, leaf, take=source), Edit(spot.number, after=partial(_through, spot, number))),
            "order",
            f"torch does {both} in this order, and tensorflow the other way round{spot.by}",
            f"do {both} in one order on both sides",
        )


def moved(spot: Spot) -> Iterator[Proposal]:
    """An operand goes through another operation of torch's first, which stands elsewhere there."""
    for number, place, through in _through_others(spot):
        yield _moved(spot, number, place, through, "where torch does not", "or not")


def relocated(spot: Spot) -> Iterator[Proposal]:
    """As `moved`, and nothing is done where that other operation stands, as a norm before a block is behind another."""
    for number, place, through in _through_others(spot):
        other, source = spot.run.trace.operations[number], _first(spot.run.leaves(number))
        for first in () if source is None else (source,):
            edits = [*through, Edit(number, None, partial(passed, first))]
            ours = f"which torch does elsewhere{at(other)}"
            yield _moved(spot, number, place, edits, ours, f"or where torch does{at(other)}")


def _through_others(spot: Spot) -> Iterator[tuple[int, int, list[Edit]]]:
    """The numbers of near operations of one array, places of operands that go through one of them first, and how."""
    operations, values, seen = spot.run.trace.operations, spot.run.trace.values, set[Any]()
    for number in range(max(0, spot.number - NEAR), min(len(operations), spot.number + NEAR)):
        other = operations[number]
        key = other.name, other.layer, str(other.settings)
        if number == spot.number or key in seen or not _passes(spot, number):
            continue
        seen.add(key)
        for place, leaf in enumerate(spot.leaves):
            array = None if leaf.place is None else values[leaf.place].array
            if leaf.place is None or leaf.place in other.makes or array is None or array.dtype.kind != "f":
                continue
            alike = [n for n, one in enumerate(operations) if one.name == spot.operation.name]
            takers = [n for n in alike if [of.place for of in spot.run.leaves(n)][place : place + 1] == [leaf.place]]
            yield number, place, [Edit(n, place, partial(_given_through, spot, number, place)) for n in takers]


def _moved(spot: Spot, number: int, place: int, edits: Sequence[Edit], ours: str, rest: str) -> Proposal:
    other, operand = spot.run.trace.operations[number], spot.leaves[place].place or 0
    before = f"before torch's {called(spot.operation)}{spot.place}, on {spot.origin(operand)}"
    return Proposal(
        always(*edits),
        of_omission(spot.run.trace, other, other.takes[0][1]),
        f"tensorflow does {called(other)} {before}, {ours}{spot.by}",
        f"do {called(other)} at the same place on both sides: before {spot.operation.name}{spot.place}, {rest}",
    )


def floored(spot: Spot) -> Iterator[Proposal]:
    """A constant is added under the root, or behind it; or the value is no less than it, in the place of a sum."""
    operation, leaf = spot.operation, _first(spot.leaves)
    constants = [one.plain for one in spot.leaves if type(one.plain) in (int, float) and one.argument != "alpha"]
    if leaf is None or len(constants) != 1 or operation.name not in (*ADDITIONS, *BOUNDS):
        return
    [number] = constants
    name = "epsilon placement" if 0 < number <= SMALL else "operand"
    sums = operation.name in SUMS
    does = f"adds {number:g}" if sums else f"takes the maximum with {number:g} (clamp)"
    for before, after, here, there in (
        (np.sqrt, np.square, "inside the root, to the variance", "outside, to the deviation"),
        (np.square, np.sqrt, "to the deviation, outside the root", "inside the root, to the variance"),
    ):
        yield Proposal(
            always(Edit(spot.number, leaf, partial(_of, leaf, before)), Edit(spot.number, after=after)),
            name,
            f"torch {does} {here}{spot.place}, tensorflow {there}{spot.by}",
            f"bring {number:g} to the same place on both sides: x / (sqrt(v) + e) is not x / sqrt(v + e)",
        )
    array = spot.run.trace.values[spot.leaves[leaf].place or 0].array
    if array is None or (sums and (array >= number).all()):
        return  # a maximum that changes nothing is the sum left out
    other = partial(np.maximum, number) if sums else partial(np.add, number)
    yield Proposal(
        always(Edit(spot.number, None, partial(_of, leaf, other))),
        name,
        f"torch {does}{spot.place}, where tensorflow "
        f"{f'takes the maximum with {number:g}' if sums else f'adds {number:g}'}{spot.by}",
        f"either the sum with {number:g} or the maximum, on both sides",
    )


def swapped(spot: Spot) -> Iterator[Proposal]:
    """Two layers that are alike are called in each other's place: each has the other's parameters."""
    operations, values, own = spot.run.trace.operations, spot.run.trace.values, spot.operation
    mine = {place: leaf.place for place, leaf in enumerate(spot.leaves) if _held(spot, leaf)}
    for number, other in enumerate(operations):
        if number == spot.number or not mine or (other.name, other.settings) != (own.name, own.settings):
            continue
        leaves = spot.run.leaves(number)
        theirs = {place: leaf.place for place, leaf in enumerate(leaves) if _held(spot, leaf)}
        shapes = [[values[at].shape for at in of.values() if at is not None] for of in (mine, theirs)]
        if mine.keys() != theirs.keys() or shapes[0] != shapes[1] or mine == theirs:
            continue
        edits = [Edit(spot.number, place, take=at) for place, at in theirs.items()]
        edits += [Edit(number, place, take=at) for place, at in mine.items()]
        yield Proposal(
            always(*edits),
            "weights swapped",
            f"torch's {own.name} with the parameters of {own.layer}{spot.place} and that with those of {other.layer}"
            f"{at(other)} stand in each other's place in tensorflow{spot.by}",
            f"call {own.layer} and {other.layer} in one order on both sides, or load each with the other's weights",
        )


def _held(spot: Spot, leaf: Leaf) -> bool:
    """Whether a leaf is a parameter or a buffer of a layer."""
    name = "" if leaf.place is None else spot.run.trace.values[leaf.place].leaf
    return bool(name) and name != "constant" and not name.startswith("input")


def _first(leaves: Sequence[Leaf]) -> int | None:
    """The first operand that is a tensor."""
    return next((place for place, leaf in enumerate(leaves) if leaf.place is not None), None)


def _passes(spot: Spot, number: int) -> bool:
    """Whether an operation makes of one array, and parameters or constants, another of its shape."""
    operation, values = spot.run.trace.operations[number], spot.run.trace.values
    if len(operation.makes) != 1 or not operation.takes:
        return False
    (_, first), *rest = operation.takes
    array = values[operation.makes[0]].array
    floats = array is not None and array.dtype.kind == "f"
    whole = values[first].shape == values[operation.makes[0]].shape and not values[first].leaf
    return floats and whole and all(values[place].leaf for _, place in rest)


def _through(spot: Spot, number: int, array: Array) -> Array:
    return spot.run.through(number, array)


def _given_through(spot: Spot, number: int, place: int, arguments: Sequence[Any]) -> Array:
    return spot.run.through(number, arguments[place])


def _of(place: int, function: Callable[..., Any], arguments: Sequence[Any]) -> Array:
    """A function of one argument. Raises FloatingPointError where that has no value."""
    with np.errstate(invalid="raise"):  # what has no root
        result: Array = function(arguments[place])
    return result
