"""Attention that a model's own code computes: which operations it is made of, and what an edit of them is called.

A softmax whose operand comes from a product and whose result goes into another, whatever moves, scales or hides on the
way: https://arxiv.org/abs/1706.03762

Before it a rotary embedding takes halves of an array and joins them again. Which elements are pairs: neighbours, as
RoFormer has them (https://arxiv.org/abs/2104.09864), or an element of the first half with the one of the second, as
GPT-NeoX has them. A port that takes the other ones rotates other pairs by the same angles.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations

import numpy as np

from parity.backends.operations import Edit, Trace
from parity.diagnose.operators.names import ORDERS, PRODUCTS, SUMS, of_masks
from parity.diagnose.operators.proposal import Proposal, Spot, always, changed, cited, so_in
from parity.dtypes import Array

FUSED = "scaled_dot_product_attention"
MATRICES = {"matmul", "bmm", "einsum", "baddbmm", "__matmul__", "__rmatmul__", FUSED}
MOVES = {
    *("reshape", "view", "permute", "transpose", "swapaxes", "movedim", "mT", "T", "t", "flip", "roll", "contiguous"),
    *("flatten", "unflatten", "squeeze", "unsqueeze", "expand", "split", "chunk", "unbind", "__getitem__", "clone"),
}
ON_THE_WAY = MOVES | PRODUCTS | SUMS | {"where", "masked_fill", "masked_fill_", "dropout", "clamp", "to", "type_as"}
SPLITS = (*ORDERS, "argument", "extra operation")  # of what moves elements alone
NEAR = 12  # operations from one of query, key and value to the next
ROLES = 3
TOLD = {True: "the even and the odd elements", False: "the first and the second half"}
Group = tuple[list[tuple[int, int]], int]  # the takers of an array, by number and leaf, and what joins their results


@dataclass(frozen=True)
class Attention:
    """The operations of one attention, by number: its products, what makes scores, and what lays out heads.

    `scores` has the first product and all from there to the softmax, `queries` what lays out or scales what that takes,
    `heads` what lays out anything.
    """

    products: frozenset[int]
    scores: frozenset[int]
    queries: frozenset[int]
    heads: frozenset[int]


def attentions(trace: Trace) -> list[Attention]:
    """Every attention that a run computes."""
    of_run = []
    for number, one in enumerate(trace.operations):
        fused = {number} if one.name == FUSED else set[int]()
        if one.name != "softmax" and not fused:
            continue
        before, first = (set[int](), fused) if fused else _along(trace, [number], ON_THE_WAY, back=True)
        before &= _along(trace, first, ON_THE_WAY)[0]  # and nothing that makes a bias or a mask
        last = fused or _along(trace, [number], ON_THE_WAY)[1]
        if first and last:
            queries = _along(trace, first, MOVES | PRODUCTS, back=True)[0]
            heads = queries | _along(trace, last, MOVES, back=True)[0] | _along(trace, last, MOVES)[0]
            parts = (first | last, before | first | {number}, queries, heads)
            of_run.append(Attention(*map(frozenset, parts)))
    return of_run


def _along(trace: Trace, starts: Iterable[int], way: set[str], back: bool = False) -> tuple[set[int], set[int]]:
    """The operations on the way from these to products of matrices, by their names, and those products."""
    reached, products, waiting = set[int](), set[int](), [*starts]
    while waiting:
        one = trace.operations[waiting.pop()]
        places = {*one.operands} if back else {*one.makes}
        for number, other in enumerate(trace.operations):
            if places.isdisjoint(other.makes if back else other.operands):
                continue
            if other.name in MATRICES:
                products.add(number)
            elif other.name in way and number not in reached:
                reached.add(number)
                waiting.append(number)
    return reached, products


def named(trace: Trace, after: Trace, name: str, edits: Sequence[Edit]) -> str:
    """A cause's name, where what is edited is a part of an attention: its scale, its heads, or what it may see.

    `after` is the run with the edits.
    """
    edited = {edit.operation for edit in edits}
    moved = all(trace.operations[number].name in MOVES for number in edited)
    for one in attentions(trace):
        if name == "scale" and edited & (one.scores | one.queries):
            return "attention scale"
        if (name in ORDERS or (moved and name in SPLITS)) and edited & (one.heads | one.products):
            return "head split"
        taken = (place for number in one.scores for place in trace.operations[number].operands)
        for mine, theirs in ((trace.values[place].array, after.values[place].array) for place in taken):
            if mine is None or theirs is None or mine.dtype != bool or mine.shape != theirs.shape:
                continue
            if not np.array_equal(mine, theirs) and (kind := of_masks(mine, theirs)) != "mask":
                return kind
    return name


def interchanged(spot: Spot) -> Iterator[Proposal]:
    """Propose that query, key and value of an attention stand in each other's place."""
    operations, values, own = spot.operations, spot.values, spot.operation
    group = [
        number
        for number, one in enumerate(operations[spot.number : spot.number + 2 * NEAR], spot.number)
        if (one.name, str(one.settings)) == (own.name, str(own.settings))
        and len(one.makes) == 1
        and values[one.makes[0]].shape == values[own.makes[0]].shape
    ][:ROLES]
    if len(group) < 2:
        return
    takers = [spot.takers(operations[number].makes[0]) for number in group]
    parts = {number for one in attentions(spot.run.trace) for number in (*one.products, *one.heads)}
    if not all(of and parts.issuperset(number for number, _ in of) for of in takers):
        return
    origins = [spot.origin(operations[number].makes[0]) for number in group]
    for order in [*permutations(range(len(group)))][1:]:
        edits = [
            Edit(number, leaf, take=operations[group[place]].makes[0])
            for place, of in zip(order, takers, strict=True)
            for number, leaf in of
        ]
        there = ", ".join(origins[place] for place in order)
        yield Proposal(
            always(*edits),
            "query key value",
            f"where torch's attention takes {', '.join(origins)}{spot.place}, tensorflow's takes {there}{spot.by}",
            f"take query, key and value from the same layers on both sides, behind {spot.here}",
        )


def paired(spot: Spot) -> Iterator[Proposal]:
    """Propose that TensorFlow takes neighbours where torch takes halves, or the other way round, and joins them so."""
    source = spot.operation.operands[0] if spot.operation.takes else 0
    neighbours = _parts(spot, spot.number, source)
    if neighbours is None:
        return
    alike = [spot.operations[number] for number in spot.alike(spot.number)]
    sources = dict.fromkeys(one.operands[0] for one in alike if len(one.takes) == 1)
    for whole in (False, True):  # the parts alone, or all that is done with the array, as a product with cosines
        for of in dict.fromkeys((tuple(sources), (source,))):
            groups = [group for one in of if (group := _group(spot, one, whole))]
            if len(groups) == len(of):
                yield _other_pairs(spot, source, neighbours, groups)


def _parts(spot: Spot, number: int, source: int) -> bool | None:
    """Whether an operation makes every other element of an array's last axis; False for a half, None for neither."""
    array = _merged(spot.values[source].array) if len(spot.operations[number].takes) == 1 else None
    if array is None or array.shape[-1] % 2 or array.shape[-1] < 4:
        return None
    half = array.shape[-1] // 2
    ways = {True: (array[..., ::2], array[..., 1::2]), False: (array[..., :half], array[..., half:])}
    for place in spot.operations[number].makes:
        result = spot.values[place].array
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
    operations, values = spot.operations, spot.values
    takers = [
        (number, leaf) for number, leaf in spot.takers(source) if whole or _parts(spot, number, source) is not None
    ]
    made_of = [{piece} for piece in {result for number, _ in takers for result in operations[number].makes}]
    for number, one in enumerate(operations) if len(made_of) > 1 else ():
        behind = [of for of in made_of if not of.isdisjoint(one.operands)]
        for of in behind:
            of |= {*one.makes}
        if len(behind) == len(made_of) and values[one.makes[0]].shape == values[source].shape:
            return takers, number
    return None


def _other_pairs(spot: Spot, source: int, neighbours: bool, groups: Sequence[Group]) -> Proposal:
    turn, back = partial(_turned, neighbours), partial(_turned, not neighbours)
    edits = [changed(number, leaf, turn) for takers, _ in groups for number, leaf in takers]
    edits += [Edit(join, after=back) for _, join in groups]
    join = spot.operations[groups[0][1]]
    return Proposal(
        always(*edits),
        "rotary halves",
        f"torch takes {TOLD[neighbours]} of {spot.origin(source)}{spot.place} and joins them so, {cited(join)}; "
        f"tensorflow takes {TOLD[not neighbours]}{spot.by}{so_in(len(groups))}",
        "pair the same elements on both sides: x[..., ::2] with x[..., 1::2], or x[..., :n // 2] with x[..., n // 2:]",
    )


def _turned(interleave: bool, array: Array) -> Array:
    """The halves of the last axis, or of pairs, as neighbours, or neighbours as halves."""
    flat = _merged(array)
    if flat is None:
        raise ValueError("no array of pairs")
    length = flat.shape[-1]
    order = np.concatenate([np.arange(0, length, 2), np.arange(1, length, 2)])
    return flat[..., np.argsort(order) if interleave else order].reshape(array.shape)
