"""Rows, or places along an axis, that stand in an order which the run itself has computed: by sorting, or by lengths.

Rows are sorted by their lengths for a recurrence, and are not put back; what reads a sequence backwards reverses each
row within its length, or all of it with the padding first.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.proposal import Proposal, Spot, always, changed, flat
from parity.dtypes import Array

INDEXED = ("gather", "take_along_dim")
FEW = 8  # values of whole numbers that are tried


def reordered(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand's rows stand in an order that a value of the run says, or are put back from it."""
    for leaf, array in spot.arrays.items():
        for place in _indices(spot, len(array)) if array.ndim > 1 and len(array) > 1 else ():
            order = spot.values[place].array
            if order is None or not np.array_equal(np.sort(order), np.arange(len(array))):
                continue
            origin, argument = spot.origin(place), f"{spot.argument(leaf)} of {spot.operation.name}{spot.place}"
            for back, how in ((True, "put back from"), (False, "in")):
                yield Proposal(
                    always(Edit(spot.number, leaf, partial(_taken, leaf, back), beside=(place,))),
                    "order",
                    f"the rows of the {argument} stand in another order than in tensorflow: {how} the order that "
                    f"{origin} says, they are tensorflow's{spot.by}",
                    "bring the rows into one order on both sides: x[torch.argsort(order)] puts back what x[order] has "
                    f"sorted{spot.place}",
                    subject=f"rows {how} the order of {origin} in tensorflow",
                )


def reversed_rows(spot: Spot) -> Iterator[Proposal]:
    """Propose that rows are read in reverse as a whole, or each within its length."""
    axes = [*flat([spot.operation.settings.get("dims", spot.operation.settings.get("dim"))])]
    if len(axes) != 1 or not isinstance(axes[0], int):
        return
    for leaf, index in spot.arrays.items() if spot.operation.name in INDEXED else ():
        if index.dtype.kind == "i" and index.ndim > 1:
            edit = changed(spot.number, leaf, partial(_backwards, axes[0]))
            ours = f"{spot.here} takes positions where {spot.origin(spot.operands[leaf])} says"
            yield _reversed(spot, ours, "in reverse of the whole row", edit)
    for leaf, place in spot.operands.items() if spot.operation.name == "flip" else ():
        for lengths in _indices(spot, spot.values[place].shape[0]):
            for more, words in ((0, ""), (1, ", and one")):
                how = f"in reverse within the length of each row that {spot.origin(lengths)} says{words}"
                edit = Edit(spot.number, None, partial(_within, leaf, axes[0], more), beside=(lengths,))
                yield _reversed(spot, f"{spot.here} reverses whole rows", how, edit)


def _reversed(spot: Spot, ours: str, theirs: str, edit: Edit) -> Proposal:
    return Proposal(
        always(edit),
        "order",
        f"torch's {ours}, and tensorflow reads them {theirs}{spot.by}",
        "read rows backwards alike on both sides: tf.reverse_sequence reverses each within its length, tf.reverse and "
        "flip reverse all of it with the padding, which stands first then",
        subject=f"positions {theirs} in tensorflow",
    )


def _indices(spot: Spot, rows: int) -> list[int]:
    """The places of values of whole numbers, one a row, that are known before the operation."""
    first = min(spot.operation.makes)
    known = [
        place
        for place, value in enumerate(spot.values)
        if (value.leaf or place < first) and value.array is not None and value.shape == (rows,)
        if value.array.dtype.kind in "iu"
    ]
    return known[:FEW]


def _taken(leaf: int, back: bool, arguments: Sequence[Any]) -> Array:
    order = arguments[-1]
    return np.asarray(arguments[leaf][np.argsort(order) if back else order])


def _backwards(axis: int, index: Array) -> Array:
    shape = [1] * index.ndim
    shape[axis] = -1
    return np.broadcast_to(np.arange(index.shape[axis])[::-1].reshape(shape), index.shape).astype(index.dtype)


def _within(leaf: int, axis: int, more: int, arguments: Sequence[Any]) -> Array:
    """An array (rows, ...) with each row reversed within its length, along an axis."""
    array: Array = arguments[leaf]
    lengths = arguments[-1] + more
    places = np.arange(array.shape[axis])[None]
    order = np.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
    shape = [len(array), *[1] * (array.ndim - 1)]
    shape[axis] = -1
    return np.take_along_axis(array, order.reshape(shape), axis)
