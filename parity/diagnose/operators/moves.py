"""Operations in another order: one exchanged with its neighbour, done before another, or added under a root."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Leaf
from parity.diagnose.operators.names import SMALL, SUMS, of_omission
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called, changed, cited, passed, so_in
from parity.dtypes import Array

NEAR = 24  # operations before and behind that may stand elsewhere
ADDITIONS = SUMS - {"sub", "rsub", "__sub__", "Sub", "SUB"}
BOUNDS = ("clamp", "clamp_min", "clip", "maximum")


def exchanged(spot: Spot) -> Iterator[Proposal]:
    """The operation and one that makes an operand of it change places, there or wherever the line runs.

    One of the two is of one array; the other may join it with more, as a residual connection.
    """
    operations, whole = spot.operations, tuple(spot.alike(spot.number))
    for leaf, place in spot.operands.items():
        maker = _maker(spot, place)
        if maker is None or called(operations[maker]) == called(spot.operation):
            continue
        both = f"{cited(operations[maker])} and {spot.here}"
        for numbers in dict.fromkeys((whole, (spot.number,))):
            for edits in _exchanges(spot, numbers, leaf):
                yield Proposal(
                    always(*edits),
                    "order",
                    f"torch does {both} in this order, and tensorflow the other way round{spot.by}"
                    f"{so_in(len(numbers))}",
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
        sources = [spot.operations[maker].operands[0] for _, maker in pairs]
        behind = [Edit(number, after=partial(spot.run.through, maker)) for number, maker in pairs]
        yield [*(Edit(number, leaf, take=source) for number, source in zip(numbers, sources, strict=True)), *behind]
    elif all(_passes(spot, number) for number in numbers) and leaf == _first(spot.leaves):
        for place in range(len(spot.run.leaves(pairs[0][1]))):
            if all(_alike(spot, maker, place) for _, maker in pairs):
                before = [changed(maker, place, partial(spot.run.through, number)) for number, maker in pairs]
                yield [*before, *(passed(number, leaf) for number in numbers)]


def _maker(spot: Spot, place: int | None) -> int | None:
    """The number of the operation that makes a value, and it alone."""
    return next((n for n, one in enumerate(spot.operations) if one.makes == (place,)), None)


def _alike(spot: Spot, number: int, leaf: int) -> bool:
    """Whether an operand, which is no parameter, has the shape of what the operation makes, and is of numbers."""
    place = spot.run.leaves(number)[leaf].place
    array = None if place is None else spot.values[place].array
    if array is None or array.dtype.kind != "f":
        return False
    return array.shape == spot.values[spot.operations[number].makes[0]].shape


def moved(spot: Spot) -> Iterator[Proposal]:
    """An operand goes through another operation of torch's first, which stands elsewhere there."""
    for number, place, through in _through_others(spot):
        yield _moved(spot, number, place, through, "where torch does not", "or not")


def relocated(spot: Spot) -> Iterator[Proposal]:
    """As `moved`, and nothing is done where that other operation stands, as a norm before a block is behind another."""
    for number, place, through in _through_others(spot):
        other, source = spot.operations[number], _first(spot.run.leaves(number))
        if source is not None:
            edits, ours = [*through, passed(number, source)], f"which torch does elsewhere{at(other)}"
            yield _moved(spot, number, place, edits, ours, f"or where torch does{at(other)}")


def deferred(spot: Spot) -> Iterator[Proposal]:
    """The operation is done further on, on what a later one makes, as a norm before a block that is one behind it."""
    operations, values, source = spot.operations, spot.values, _first(spot.leaves)
    if source is None or not _passes(spot, spot.number):
        return
    shape = values[spot.operation.makes[0]].shape
    for number in range(spot.number + 1, min(len(operations), spot.number + NEAR)):
        later = operations[number]
        array = values[later.makes[0]].array if len(later.makes) == 1 else None
        next_to_it = any(place in spot.operation.makes for place in later.operands)  # these two are `exchanged`
        if array is None or array.dtype.kind != "f" or array.shape != shape or next_to_it:
            continue
        behind = f"behind torch's {cited(later)}"
        yield Proposal(
            always(
                passed(spot.number, source),
                Edit(number, after=partial(spot.run.through, spot.number)),
            ),
            of_omission(spot.run.trace, spot.operation, spot.operation.operands[0]),
            f"tensorflow does {called(spot.operation)} {behind}, and torch before, on "
            f"{spot.origin(spot.operands[source])}{spot.place}",
            f"do {called(spot.operation)} at the same place on both sides: {behind}, or before{spot.place}",
        )


def _through_others(spot: Spot) -> Iterator[tuple[int, int, list[Edit]]]:
    """The numbers of near operations of one array, places of operands that go through one of them first, and how."""
    operations, seen = spot.operations, set[Any]()
    for number in range(max(0, spot.number - NEAR), min(len(operations), spot.number + NEAR)):
        other = operations[number]
        key = other.name, other.layer, str(other.settings)
        whole = other.part_of == spot.operation.part_of  # what is inside of a function nobody does elsewhere
        if number == spot.number or key in seen or not whole or not _passes(spot, number):
            continue
        seen.add(key)
        for leaf, array in spot.arrays.items():
            place = spot.operands[leaf]
            if place not in other.makes and array.dtype.kind == "f":
                alike = [n for n, at in spot.takers(place) if (operations[n].name, at) == (spot.operation.name, leaf)]
                yield number, leaf, [changed(n, leaf, partial(spot.run.through, number)) for n in alike]


def _moved(spot: Spot, number: int, leaf: int, edits: Sequence[Edit], ours: str, rest: str) -> Proposal:
    other = spot.operations[number]
    before = f"before torch's {spot.here}, on {spot.origin(spot.operands[leaf])}"
    return Proposal(
        always(*edits),
        of_omission(spot.run.trace, other, other.operands[0]),
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
            always(changed(spot.number, leaf, partial(_of, before)), Edit(spot.number, after=after)),
            name,
            f"torch {does} {here}{spot.place}, tensorflow {there}{spot.by}",
            f"bring {number:g} to the same place on both sides: x / (sqrt(v) + e) is not x / sqrt(v + e)",
        )
    array = spot.arrays.get(leaf)
    if array is None or (sums and (array >= number).all()):
        return  # a maximum that changes nothing is the sum left out
    other = partial(np.maximum, number) if sums else partial(np.add, number)
    yield Proposal(
        always(passed(spot.number, leaf, other)),
        name,
        f"torch {does}{spot.place}, where tensorflow "
        f"{f'takes the maximum with {number:g}' if sums else f'adds {number:g}'}{spot.by}",
        f"either the sum with {number:g} or the maximum, on both sides",
    )


def swapped(spot: Spot) -> Iterator[Proposal]:
    """Two layers that are alike are called in each other's place: each has the other's parameters."""
    operations, values, own = spot.operations, spot.values, spot.operation
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
    name = "" if leaf.place is None else spot.values[leaf.place].leaf
    return bool(name) and name != "constant" and not name.startswith("input")


def _first(leaves: Sequence[Leaf]) -> int | None:
    """The first operand that is a tensor."""
    return next((place for place, leaf in enumerate(leaves) if leaf.place is not None), None)


def _passes(spot: Spot, number: int) -> bool:
    """Whether an operation makes of one array, and parameters or constants, another of its shape."""
    operation, values = spot.operations[number], spot.values
    if len(operation.makes) != 1 or not operation.takes:
        return False
    (_, first), *rest = operation.takes
    array = values[operation.makes[0]].array
    floats = array is not None and array.dtype.kind == "f"
    whole = values[first].shape == values[operation.makes[0]].shape
    source = not values[first].leaf or values[first].leaf.startswith("input")
    return floats and whole and source and all(values[place].leaf for _, place in rest)


def _of(function: Callable[..., Any], array: Array) -> Array:
    """A function of an array. Raises FloatingPointError where that has no value."""
    with np.errstate(invalid="raise"):  # what has no root
        result: Array = function(array)
    return result
