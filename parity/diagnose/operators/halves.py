"""Which elements are pairs where halves of an array are taken and joined again, as a rotary embedding does.

Neighbours, as RoFormer has them (https://arxiv.org/abs/2104.09864), or an element of the first half with the one of the
second, as GPT-NeoX has them: a port that takes the other ones rotates other pairs by the same angles.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called
from parity.dtypes import Array

TOLD = {True: "the even and the odd elements", False: "the first and the second half"}
Group = tuple[list[tuple[int, int]], int]  # the takers of an array, by number and leaf, and what joins their results


def paired(spot: Spot) -> Iterator[Proposal]:
    """Propose that TensorFlow takes neighbours where torch takes halves, or the other way round, and joins them so."""
    if len(spot.operation.takes) != 1:
        return
    source = spot.operation.takes[0][1]
    neighbours = _parts(spot, spot.number, source)
    if neighbours is None:
        return
    like = [number for number in spot.alike(spot.number) if len(spot.run.trace.operations[number].takes) == 1]
    sources = dict.fromkeys(spot.run.trace.operations[number].takes[0][1] for number in like)
    for whole in (False, True):  # the parts alone, or all that is done with the array, as a product with cosines
        for of in dict.fromkeys((tuple(sources), (source,))):
            groups = [group for one in of if (group := _group(spot, one, whole))]
            if len(groups) == len(of):
                yield _proposal(spot, source, neighbours, groups)


def _parts(spot: Spot, number: int, source: int) -> bool | None:
    """Whether an operation makes every other element of an array's last axis; False for a half, None for neither."""
    values = spot.run.trace.values
    array = _merged(values[source].array)
    if array is None or array.shape[-1] % 2 or array.shape[-1] < 4:
        return None
    half = array.shape[-1] // 2
    ways = {True: (array[..., ::2], array[..., 1::2]), False: (array[..., :half], array[..., half:])}
    for place in spot.run.trace.operations[number].makes:
        result = values[place].array
        for neighbours, parts in ways.items():
            if result is not None and any(np.array_equal(result, part) for part in parts):
                return neighbours
    return None


def _merged(array: Array | None) -> Array | None:
    """An array whose last axis is of pairs with its last two axes as one."""
    if array is None or array.ndim < 2 or array.dtype.kind != "f":
        return None
    return array.reshape(*array.shape[:-2], -1) if array.shape[-1] == 2 and array.ndim > 2 else array


def _group(spot: Spot, source: int, whole: bool) -> Group | None:
    """What takes an array, parts of it alone or all, and the first operation behind all of these that is as large."""
    operations, values = spot.run.trace.operations, spot.run.trace.values
    takers = [(number, leaf) for number, leaf in spot.takers(source) if whole or _split(spot, number, source)]
    reached = [{*operations[number].makes} for number in dict.fromkeys(number for number, _ in takers)]
    pieces = set().union(*reached)
    if len(pieces) < 2:
        return None
    reached = [{piece} for piece in pieces]
    for number, one in enumerate(operations):
        taken = {place for _, place in one.takes}
        for of in reached:
            of |= {*one.makes} if taken & of else set()
        if all(of & {*one.makes} for of in reached) and values[one.makes[0]].shape == values[source].shape:
            return takers, number
    return None


def _split(spot: Spot, number: int, source: int) -> bool:
    return len(spot.run.trace.operations[number].takes) == 1 and _parts(spot, number, source) is not None


def _proposal(spot: Spot, source: int, neighbours: bool, groups: Sequence[Group]) -> Proposal:
    edits = [Edit(number, leaf, partial(_given, leaf, neighbours)) for takers, _ in groups for number, leaf in takers]
    edits += [Edit(join, after=partial(_turned, not neighbours)) for _, join in groups]
    join = spot.run.trace.operations[groups[0][1]]
    more = f"; so in {len(groups)} places" if len(groups) > 1 else ""
    return Proposal(
        always(*edits),
        "rotary halves",
        f"torch takes {TOLD[neighbours]} of {spot.origin(source)}{spot.place} and joins them so, {called(join)}"
        f"{at(join)}; tensorflow takes {TOLD[not neighbours]}{spot.by}{more}",
        "pair the same elements on both sides: x[..., ::2] with x[..., 1::2], or x[..., :n // 2] with x[..., n // 2:]",
    )


def _given(leaf: int, neighbours: bool, arguments: Sequence[Any]) -> Array:
    return _turned(neighbours, arguments[leaf])


def _turned(interleave: bool, array: Array) -> Array:
    """The halves of the last axis, or of pairs, as neighbours, or neighbours as halves."""
    flat = _merged(array)
    if flat is None:
        raise ValueError("no array of pairs")
    length = flat.shape[-1]
    order = np.concatenate([np.arange(0, length, 2), np.arange(1, length, 2)])
    return flat[..., np.argsort(order) if interleave else order].reshape(array.shape)
