"""Operands and results that stand in another order than on the other side, as a counterpart has it or turned round."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.names import CHOICES, PRODUCTS, SUMS
from parity.diagnose.operators.operands import changed
from parity.diagnose.operators.orders import orders, taken, turns
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called, hides
from parity.dtypes import Array

FLATTENING = {"flatten", "reshape", "view", "ravel"}


def arranged(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand's elements stand in the order of the other side's counterpart."""
    for place, leaf in enumerate(spot.leaves):
        value = None if leaf.place is None else spot.run.trace.values[leaf.place].array
        if value is None or leaf.place is None:
            continue
        argument = f"{spot.argument(place)} of {spot.operation.name}{spot.place}"
        # A constant has a cause of its own where it is made.
        whole = leaf.place in spot.alignment.of_weights[0] - spot.alignment.constants[0]
        for twin in sorted(spot.alignment.twins[0].get(leaf.place, ())):
            array = spot.there.values[twin].array
            for order, description in orders(value, array, spot.alignment.digits, whole) if array is not None else ():
                edit = Edit(spot.number, place, partial(_reordered, place, order))
                words, flattened = f"{description}{_by_both(spot, leaf.place, twin)}", _flattens(spot, leaf.place)
                yield _order(argument, words, [edit], flattened)
                for numbers in spot.makers_at(leaf.place):
                    edits = [Edit(number, after=partial(_ordered, order)) for number in numbers]
                    yield _order(argument, f"{words}; so in {len(numbers)} places", edits, flattened)


def _by_both(spot: Spot, place: int, twin: int) -> str:
    """What has made the two values last, on each side."""
    here, there = spot.run.trace.makers().get(place), spot.makers.get(twin)
    makers = [f"{called(here)}{at(here)} in torch"] if here else []
    makers += [f"{called(there)}{at(there)} in tensorflow"] if there else []
    return f"; it comes from {' and from '.join(makers)}" if makers else ""


def broadcast(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand is broadcast along another axis, as long: [batch, 1, time] for [batch, time, 1]."""
    operation, values = spot.operation, spot.run.trace.values
    shape = values[operation.makes[0]].shape if len(operation.makes) == 1 else ()
    for place, leaf in enumerate(spot.leaves) if operation.name in SUMS | PRODUCTS | CHOICES else ():
        array = None if leaf.place is None else values[leaf.place].array
        if array is None or not array.ndim or array.ndim > len(shape):
            continue
        lengths = (1,) * (len(shape) - array.ndim) + array.shape
        for one, two in permutations(range(1, len(shape)), 2):
            if lengths[one] == shape[one] == shape[two] > 1 == lengths[two]:
                yield Proposal(
                    always(Edit(spot.number, place, partial(_along_another, place, len(shape), one, two))),
                    "mask" if array.dtype.kind == "b" or hides(operation, array) else "order",
                    f"the {spot.argument(place)} of {operation.name}{spot.place} goes along axis {one} in torch, and "
                    f"is repeated along axis {two}; in tensorflow the other way round{spot.by}",
                    f"the axis of one element at the same place on both sides{spot.place}: of scores [..., queries, "
                    "keys], a mask [..., None, :] hides keys and [..., :, None] hides queries",
                    subject=f"the {spot.argument(place)} along axis {two} in tensorflow",
                )


def _along_another(place: int, rank: int, one: int, two: int, arguments: Sequence[Any]) -> Array:
    array: Array = arguments[place]
    return np.swapaxes(array[(None,) * (rank - array.ndim)], one, two)


def rearranged(spot: Spot) -> Iterator[Proposal]:
    """Propose that what an operation makes stands in the order that the other side has."""
    operation, alignment = spot.operation, spot.alignment
    if len(operation.makes) != 1:
        return
    value, blind = spot.run.trace.values[operation.makes[0]], replace(alignment, strict=False)
    for place in alignment.wanted:
        other = spot.there.values[place]
        if value.array is None or other.array is None or not blind.same(value, other):
            continue
        for order, description in orders(value.array, other.array, alignment.digits):
            argument = f"result of {operation.name}{spot.place}"
            yield _order(argument, description, [Edit(spot.number, after=partial(_ordered, order))])


def turned(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand is turned round, whatever its counterpart is."""
    for place, leaf in enumerate(spot.leaves):
        value = None if leaf.place is None else spot.run.trace.values[leaf.place].array
        for turn, description in turns(value) if value is not None else ():
            argument = f"{spot.argument(place)} of {spot.operation.name}{spot.place}"
            edit = Edit(spot.number, place, partial(changed, place, turn))
            yield replace(_order(argument, description, [edit]), only="alone")


def _flattens(spot: Spot, place: int) -> bool:
    """Whether an operation flattens a value, or takes what one has flattened."""
    values = spot.run.trace.values
    makers = [operation for operation in spot.run.trace.operations if place in operation.makes]
    return any(
        operation.name in FLATTENING
        and len(values[operation.makes[0]].shape) < len(values[operation.takes[0][1]].shape)
        for operation in (spot.operation, *makers)
    )


def _order(argument: str, description: str, edits: Sequence[Edit], flattened: bool = False) -> Proposal:
    return Proposal(
        always(*edits),
        "flatten order" if flattened else "order",
        f"the {argument} stands in another order than in tensorflow: {description}",
        f"bring the {argument} into the same order: permute or transpose it as the other side does",
    )


def _ordered(order: Array, array: Array) -> Array:
    return taken(array, order)


def _reordered(place: int, order: Array, arguments: Sequence[Any]) -> Any:
    return taken(arguments[place], order)
