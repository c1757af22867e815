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
    """The operation and one that makes an operand of it change places, there or wherever the line runs.

    One of the two is of one array; the other may join it with more, as a residual connection.
    """
    operations, whole = spot.run.trace.operations, tuple(spot.alike(spot.number))
    for leaf, operand in enumerate(spot.leaves):
        maker = _maker(spot, operand.place)
        if maker is None or called(operations[maker]) == called(spot.operation):
            continue
        both = f"{called(operations[maker])}{at(operations[maker])} and {called(spot.operation)}{spot.place}"
        for numbers in dict.fromkeys((whole, (spot.number,))):
            for edits in _exchanges(spot, numbers, leaf):
                more = f"; so in {len(numbers)} places" if len(numbers) > 1 else ""
                yield Proposal(
                    always(*edits),
                    "order",
                    f"torch does {both} in this order, and tensorflow the other way round{spot.by}{more}",
                    f"do {both} in one order on both sides",
                )


def _exchanges(spot: Spot, numbers: Sequence[int], leaf: int) -> Iterator[list[Edit]]:
    """The edits by which each of these operations changes places with what makes its operand: the maker goes behind it,
    or else it goes before the maker, on each operand in turn.
    """
    makers = [_maker(spot, of[leaf].place) if leaf < len(of) else None for of in map(spot.run.leaves, numbers)]
    pairs = [(number, maker) for number, maker in zip(numbers, makers, strict=True) if maker is not None]
    if len(pairs) < len(numbers):
        return
    if all(_passes(spot, maker) and _alike(spot, number, leaf) for number, maker in pairs):
        sources = [spot.run.trace.operations[maker].takes[0][1] for _, maker in pairs]
        behind = [Edit(number, after=partial(_through, spot, maker)) for number, maker in pairs]
        yield [*(Edit(number, leaf, take=source) for number, source in zip(numbers, sources, strict=True)), *behind]
    elif all(_passes(spot, number) for number in numbers) and leaf == _first(spot.leaves):
        for place in range(len(spot.run.leaves(pairs[0][1]))):
            if all(_alike(spot, maker, place) for _, maker in pairs):
                before = [Edit(maker, place, partial(_given_through, spot, number, place)) for number, maker in pairs]
                yield [*before, *(Edit(number, None, partial(passed, leaf)) for number in numbers)]


def _maker(spot: Spot, place: int | None) -> int | None:
    """The number of the operation that makes a value, and it alone."""
    return next((n for n, one in enumerate(spot.run.trace.operations) if one.makes == (place,)), None)


def _alike(spot: Spot, number: int, leaf: int) -> bool:
    """Whether an operand, which is no parameter, has the shape of what the operation makes, and is of numbers."""
    place, values = spot.run.leaves(number)[leaf].place, spot.run.trace.values
    array = None if place is None else values[place].array
    numbers = array is not None and array.dtype.kind == "f"
    return (
        numbers
        and place is not None
        and values[place].shape == values[spot.run.trace.operations[number].makes[0]].shape
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


def deferred(spot: Spot) -> Iterator[Proposal]:
    """The operation is done further on, on what a later one makes, as a norm before a block that is one behind it."""
    operations, values, source = spot.run.trace.operations, spot.run.trace.values, _first(spot.leaves)
    if source is None or not _passes(spot, spot.number):
        return
    shape = values[spot.operation.makes[0]].shape
    for number in range(spot.number + 1, min(len(operations), spot.number + NEAR)):
        later = operations[number]
        array = values[later.makes[0]].array if len(later.makes) == 1 else None
        next_to_it = any(place in spot.operation.makes for _, place in later.takes)  # these two are `exchanged`
        if array is None or array.dtype.kind != "f" or array.shape != shape or next_to_it:
            continue
        behind = f"behind torch's {called(later)}{at(later)}"
        yield Proposal(
            always(
                Edit(spot.number, None, partial(passed, source)),
                Edit(number, after=partial(_through, spot, spot.number)),
            ),
            of_omission(spot.run.trace, spot.operation, spot.operation.takes[0][1]),
            f"tensorflow does {called(spot.operation)} {behind}, and torch before, on "
            f"{spot.origin(spot.leaves[source].place or 0)}{spot.place}",
            f"do {called(spot.operation)} at the same place on both sides: {behind}, or before{spot.place}",
        )


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
    whole = values[first].shape == values[operation.makes[0]].shape
    source = not values[first].leaf or values[first].leaf.startswith("input")
    return floats and whole and source and all(values[place].leaf for _, place in rest)


def _through(spot: Spot, number: int, array: Array) -> Array:
    return spot.run.through(number, array)


def _given_through(spot: Spot, number: int, place: int, arguments: Sequence[Any]) -> Array:
    return spot.run.through(number, arguments[place])


def _of(place: int, function: Callable[..., Any], arguments: Sequence[Any]) -> Array:
    """A function of one argument. Raises FloatingPointError where that has no value."""
    with np.errstate(invalid="raise"):  # what has no root
        result: Array = function(arguments[place])
    return result
