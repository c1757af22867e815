"""Attention that a model's own code computes: which operations it is made of, and what an edit of them is called.

A softmax whose operand comes from a product and whose result goes into another, whatever moves, scales or hides on the
way: https://arxiv.org/abs/1706.03762
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from parity.backends.operations import Edit, Trace
from parity.diagnose.operators.names import PRODUCTS, SUMS, of_masks
from parity.diagnose.operators.proposal import Proposal, Spot, always, called

FUSED = "scaled_dot_product_attention"
MATRICES = {"matmul", "bmm", "einsum", "baddbmm", "__matmul__", "__rmatmul__", FUSED}
MOVES = {
    *("reshape", "view", "permute", "transpose", "swapaxes", "movedim", "mT", "T", "t", "flip", "roll", "contiguous"),
    *("flatten", "unflatten", "squeeze", "unsqueeze", "expand", "split", "chunk", "unbind", "__getitem__", "clone"),
}
ON_THE_WAY = MOVES | PRODUCTS | SUMS | {"where", "masked_fill", "masked_fill_", "dropout", "clamp", "to", "type_as"}
ORDERS = ("order", "flatten order")
SPLITS = (*ORDERS, "argument", "extra operation")  # of what moves elements alone
NEAR = 12  # operations from one of query, key and value to the next
ROLES = 3


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
        places = {place for _, place in one.takes} if back else {*one.makes}
        for number, other in enumerate(trace.operations):
            if places.isdisjoint(other.makes if back else (place for _, place in other.takes)):
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
        taken = (place for number in one.scores for _, place in trace.operations[number].takes)
        for mine, theirs in ((trace.values[place].array, after.values[place].array) for place in taken):
            if mine is None or theirs is None or mine.dtype != bool or mine.shape != theirs.shape:
                continue
            if not np.array_equal(mine, theirs) and (kind := of_masks(mine, theirs)) != "mask":
                return kind
    return name


def interchanged(spot: Spot) -> Iterator[Proposal]:
    """Propose that query, key and value of an attention stand in each other's place."""
    operations, values, own = spot.run.trace.operations, spot.run.trace.values, spot.operation
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
            f"take query, key and value from the same layers on both sides, behind {called(own)}{spot.place}",
        )
