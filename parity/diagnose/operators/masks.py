"""Masks: one that hides nothing, one that hides other places; and means over what counts."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Operation, Trace
from parity.diagnose.operators.names import hides, hiding, of_masks
from parity.diagnose.operators.others import There, array_of, as_laid, given
from parity.diagnose.operators.proposal import Proposal, Spot, always, cited, flat, passed
from parity.dtypes import Array

QUOTIENTS = ("div", "divide", "true_divide", "__truediv__")


def opened(spot: Spot) -> Iterator[Proposal]:
    """A mask that an operation makes hides nothing: everything counts, whichever way round it says so."""
    array = spot.result
    users = [spot.operations[number] for place in spot.operation.makes for number, _ in spot.takers(place)]
    # A condition that holds everywhere, or nowhere, on this example may hide something on others.
    if array is None or not array.size or not (array.dtype.kind == "b" or hiding(array)):
        return
    if array.dtype.kind == "f" and not any(hides(of, array) for of in users):
        return
    behind = {one.name for one in spot.operations[spot.number :]}
    for value in (1, 0):
        if (array == value).all():
            continue
        word = bool(value) if array.dtype.kind == "b" else value
        yield Proposal(
            always(Edit(spot.number, after=partial(np.full_like, fill_value=value))),
            "positions" if "cumsum" in behind else "mask missing",
            f"torch distinguishes elements by {spot.here}, and tensorflow does not: with {word} everywhere nothing is "
            f"left{spot.by}",
            f"distinguish in tensorflow what {spot.here} does in torch, as padding, or leave it out there",
        )


def others(spot: Spot) -> Iterator[Proposal]:
    """A mask that an operation takes is TensorFlow's, which hides other places."""
    masks = [
        (other, number, argument)
        for other in spot.near
        for number, (argument, operand) in enumerate(other.takes)
        if (mask := spot.there.values[operand].array) is not None and mask.dtype.kind == "b" and hiding(mask)
    ]
    for leaf, mine in spot.arrays.items():
        for other, number, argument in masks if mine.dtype.kind == "b" else ():
            yield from _other(spot, leaf, mine, other, number, argument)


def _other(spot: Spot, place: int, mine: Array, other: Operation, number: int, argument: str) -> Iterator[Proposal]:
    """Proposals that leaf `place` is the mask that operation `other` takes, with its axes in each order that fits."""
    mask = array_of(spot.there, other.operands[number])
    whole = mask.ndim == mine.ndim
    mask = mask if whole else mask.squeeze()
    lengths = [length for length in mine.shape if whole or length > 1]
    for axes in permutations(range(mask.ndim)):
        theirs = mask.transpose(axes)
        if [*theirs.shape] != lengths or np.array_equal(theirs.ravel(), mine.ravel()):
            continue
        theirs = theirs.reshape(mine.shape)
        share = float((theirs == mine).mean())
        word = f"the {spot.leaves[place].argument} of {spot.operation.name}{spot.place}"
        other_mask = f"the {argument} of tensorflow's {cited(other)}"
        for change in (_made_so, given):  # by what makes the mask, for all that take it; or in this place alone
            yield Proposal(
                partial(change, spot, place, There(spot.there, other, number, axes, taken=True)),
                of_masks(mine, theirs),
                f"{word} and {other_mask} hide other places: {share:.0%} of them are the same; with tensorflow's "
                "nothing is left",
                f"hide the same places on both sides: {word}, and {other_mask}",
            )


def _made_so(spot: Spot, place: int, there: There, run: Trace) -> Sequence[Edit]:
    """What makes the mask of leaf `place` makes TensorFlow's. Raises LookupError where nothing does."""
    maker = next((at for at, one in enumerate(spot.operations) if one.makes == (spot.operands[place],)), None)
    if maker is None:
        raise LookupError("no operation makes the mask")
    return [Edit(maker, after=partial(as_laid, there.array(run)))]


def masked(spot: Spot) -> Iterator[Proposal]:
    """A mean over what a mask of TensorFlow's keeps."""
    operation = spot.operation
    if operation.name != "mean" or not operation.takes:
        return
    shape, axes = spot.values[operation.operands[0]].shape, operation.settings.get("dim")
    axes = tuple(axis % len(shape) for axis in flat([axes]) if type(axis) is int)
    for other in spot.near:
        for number, operand in enumerate(other.operands):
            mask = spot.there.values[operand].array
            rank = 0 if mask is None else len(mask.shape) - (mask.shape[-1:] == (1,))
            if mask is None or rank <= max(axes, default=rank) or mask.shape[:rank] != shape[:rank]:
                continue
            if mask.dtype.kind in "bf" and ((mask == 0) | (mask == 1)).all() and axes:
                yield Proposal(
                    partial(_of_kept, spot, other, number, axes),
                    "mask missing",
                    f"torch's {spot.here} counts padding; tensorflow leaves out what a mask hides{spot.by}",
                    f"take the mean over what the mask keeps in torch{spot.place}: the sum of x * mask over the sum of "
                    "mask; or over everything in tensorflow",
                )


def _of_kept(spot: Spot, operation: Operation, number: int, axes: tuple[int, ...], run: Trace) -> Sequence[Edit]:
    """The edit that makes of a mean sum(x * mask) / sum(mask) over `axes`, with a mask of TensorFlow's `run`."""
    mask = array_of(run, spot.there.like(operation, run).operands[number]).astype(float)
    keep = bool(spot.operation.settings.get("keepdim"))

    def mean(x: Array) -> Array:
        rank = len(mask.shape) - (mask.shape[-1:] == (1,))
        weights = mask.reshape(*mask.shape[:rank], *[1] * (x.ndim - rank)).astype(x.dtype)
        result = (x * weights).sum(axes, keepdims=keep) / np.maximum(weights.sum(axes, keepdims=keep), 1)
        return np.asarray(result, x.dtype)

    return [passed(spot.number, next(iter(spot.operands)), mean)]


def regrouped(spot: Spot) -> Iterator[Proposal]:
    """Propose that a quotient of two sums is taken of each row, and the mean of it; or the other way round.

    Of rows of unequal length both differ: a loss by token weighs long texts more than short ones, one by text does not.
    """
    if spot.operation.name not in QUOTIENTS or len(spot.operation.takes) != 2:
        return
    makers, places = spot.run.trace.makers(), [*spot.operands]
    sums = [one for place in spot.operation.operands if (one := makers.get(place)) is not None and one.name == "sum"]
    if len(places) != 2 or len(sums) != 2:
        return
    sources, shape = [one.operands[0] for one in sums], spot.values[spot.operation.makes[0]].shape
    each, whole = "of each row, then the mean over rows", "over all rows"
    if not shape and all(len(spot.values[of].shape) > 1 for of in sources):
        takes = [Edit(spot.number, leaf, take=of) for leaf, of in zip(places, sources, strict=True)]
        yield _averaged(spot, whole, each, *takes, Edit(spot.number, None, partial(_by_row, places)))
    elif len(shape) == 1 and all(spot.values[one.makes[0]].shape == shape for one in sums):
        yield _averaged(spot, each, whole, Edit(spot.number, None, partial(_of_all, places)))


def _averaged(spot: Spot, ours: str, theirs: str, *edits: Edit) -> Proposal:
    return Proposal(
        always(*edits),
        "reduction",
        f"torch's {spot.here} divides one sum by another {ours}, and tensorflow {theirs}{spot.by}",
        f"average alike on both sides: the sum of x * mask over the sum of mask {ours}, or {theirs}",
        subject=f"{theirs} in tensorflow",
    )


def _by_row(places: Sequence[int], arguments: Sequence[Any]) -> Array:
    """The mean over rows of each row's sum, divided by that of its weights: arrays of (rows, ...)."""
    above, below = (arguments[place].reshape(len(arguments[place]), -1).sum(1) for place in places)
    return np.asarray((above / below).mean(), above.dtype)


def _of_all(places: Sequence[int], arguments: Sequence[Any]) -> Array:
    """For every row, the quotient of the sums over all rows: arrays of (rows,)."""
    above, below = (arguments[place] for place in places)
    return np.full_like(above, above.sum() / below.sum())
