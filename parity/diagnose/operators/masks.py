"""Masks: one that hides nothing, one that hides other places, and a mean over what one keeps."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Operation, Trace
from parity.diagnose.operators.names import of_masks
from parity.diagnose.operators.others import array_of, given
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called, flat, hides, hiding
from parity.dtypes import Array


def opened(spot: Spot) -> Iterator[Proposal]:
    """A mask that an operation makes hides nothing: everything counts, whichever way round it says so."""
    array = spot.run.trace.values[spot.operation.makes[0]].array if len(spot.operation.makes) == 1 else None
    users = [spot.run.trace.operations[number] for place in spot.operation.makes for number, _ in spot.takers(place)]
    # A condition that holds everywhere, or nowhere, on this example may hide something on others.
    if array is None or not array.size or not (array.dtype.kind == "b" or hiding(array)):
        return
    if array.dtype.kind == "f" and not any(hides(of, array) for of in users):
        return
    here = f"{called(spot.operation)}{spot.place}"
    behind = {one.name for one in spot.run.trace.operations[spot.number :]}
    fills: tuple[tuple[object, Callable[[Array], Array]], ...] = ((1, np.ones_like), (0, np.zeros_like))
    for value, fill in fills:
        if np.array_equal(fill(array), array):
            continue
        yield Proposal(
            always(Edit(spot.number, after=fill)),
            "positions" if "cumsum" in behind else "mask missing",
            f"torch distinguishes elements by {here}, and tensorflow does not: with {_said(array, value)} everywhere "
            f"nothing is left{spot.by}",
            f"distinguish in tensorflow what {here} does in torch, as padding, or leave it out there",
        )


def _said(array: Array | None, value: object) -> str:
    return str(bool(value)) if array is not None and array.dtype.kind == "b" else str(value)


def others(spot: Spot) -> Iterator[Proposal]:
    """A mask that an operation takes is TensorFlow's, which hides other places."""
    for place, leaf in enumerate(spot.leaves):
        mine = None if leaf.place is None else spot.run.trace.values[leaf.place].array
        if mine is None or mine.dtype.kind != "b":
            continue
        for other in spot.near:
            for number, (argument, operand) in enumerate(other.takes):
                mask = spot.there.values[operand].array
                if mask is not None and mask.dtype.kind == "b" and hiding(mask):
                    yield from _other(spot, place, mine, other, number, argument)


def _other(spot: Spot, place: int, mine: Array, other: Operation, number: int, argument: str) -> Iterator[Proposal]:
    """Proposals that leaf `place` is the mask that operation `other` takes, with its axes in each order that fits."""
    mask = array_of(spot.there, other.takes[number][1])
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
        there = f"the {argument} of tensorflow's {called(other)}{at(other)}"
        for change in (_made_so, given):  # by what makes the mask, for all that take it; or in this place alone
            yield Proposal(
                partial(change, spot, place, other, number, axes),
                of_masks(mine, theirs),
                f"{word} and {there} hide other places: {share:.0%} of them are the same; with tensorflow's nothing is "
                "left",
                f"hide the same places on both sides: {word}, and {there}",
            )


def _made_so(
    spot: Spot, place: int, operation: Operation, number: int, axes: Sequence[int], run: Trace
) -> Sequence[Edit]:
    """What makes the mask of leaf `place` makes TensorFlow's. Raises LookupError where nothing does."""
    [edit], leaf = given(spot, place, operation, number, axes, run), spot.leaves[place].place
    maker = next((at for at, one in enumerate(spot.run.trace.operations) if one.makes == (leaf,)), None)
    if maker is None or edit.change is None:
        raise LookupError("no operation makes the mask")
    return [Edit(maker, after=partial(_instead, edit.change, place))]


def _instead(change: Callable[[Sequence[Any]], Any], place: int, array: Array) -> Array:
    result: Array = change([array] * (place + 1))
    return result


def masked(spot: Spot) -> Iterator[Proposal]:
    """A mean over what a mask of TensorFlow's keeps."""
    operation = spot.operation
    if operation.name != "mean" or not operation.takes:
        return
    shape, axes = spot.run.trace.values[operation.takes[0][1]].shape, operation.settings.get("dim")
    axes = tuple(axis % len(shape) for axis in flat([axes]) if type(axis) is int)
    for other in spot.near:
        for number, (_, operand) in enumerate(other.takes):
            mask = spot.there.values[operand].array
            rank = 0 if mask is None else len(mask.shape) - (mask.shape[-1:] == (1,))
            if mask is None or rank <= max(axes, default=rank) or mask.shape[:rank] != shape[:rank]:
                continue
            if mask.dtype.kind in "bf" and ((mask == 0) | (mask == 1)).all() and axes:
                yield Proposal(
                    partial(_of_kept, spot, other, number, axes),
                    "mask missing",
                    f"torch's {called(operation)}{spot.place} counts padding; tensorflow leaves out what a mask hides"
                    f"{spot.by}",
                    f"take the mean over what the mask keeps in torch{spot.place}: the sum of x * mask over the sum of "
                    "mask; or over everything in tensorflow",
                )


def _of_kept(spot: Spot, operation: Operation, number: int, axes: tuple[int, ...], run: Trace) -> Sequence[Edit]:
    """The edit that makes of a mean sum(x * mask) / sum(mask) over `axes`, with a mask of TensorFlow's `run`."""
    mask = array_of(run, spot.there.like(operation, run).takes[number][1]).astype(float)
    at = next(place for place, leaf in enumerate(spot.leaves) if leaf.place is not None)
    keep = bool(spot.operation.settings.get("keepdim"))

    def mean(arguments: Sequence[Any]) -> Array:
        x: Array = arguments[at]
        rank = len(mask.shape) - (mask.shape[-1:] == (1,))
        weights = mask.reshape(*mask.shape[:rank], *[1] * (x.ndim - rank)).astype(x.dtype)
        result = (x * weights).sum(axes, keepdims=keep) / np.maximum(weights.sum(axes, keepdims=keep), 1)
        return np.asarray(result, x.dtype)

    return [Edit(spot.number, None, mean)]
