"""Where outputs are taken: where an index says, or at an end; of a recurrence, at the end of each direction.

A recurrence's final states stand at the last position forward, at the first backward.

One side reads the last position of all outputs, the other the final states: of one direction it is the same, and of two
the backward half has read a single step at the last position.
"""

from collections.abc import Iterator
from functools import partial
from itertools import product

import numpy as np

from parity.backends.operations import Edit, Operation
from parity.diagnose.operators.names import RECURRENT
from parity.diagnose.operators.proposal import Proposal, Spot, always, called, changed
from parity.diagnose.operators.walks import reached
from parity.dtypes import Array

INDEXED = ("__getitem__", "gather", "index_select", "take_along_dim")
ENDS = {0: "first", -1: "last"}
Way = tuple[tuple[int, int], ...]  # of each direction in turn that is taken: its number and the position


def ends(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand is what a recurrence gives at another end, of each direction by itself."""
    for maker in (one for one in spot.operations if one.name in RECURRENT and one is not spot.operation):
        array = spot.values[maker.makes[0]].array
        time = 1 if maker.settings.get("batch_first") else 0
        if array is None or array.ndim != 3 or array.shape[time] < 2:
            continue
        directions = 2 if maker.settings.get("bidirectional") else 1
        ways = _ways(directions)
        for leaf, own in spot.arrays.items():
            now = [way for way in ways if np.array_equal(own, _at(directions, time, way, array))]
            if now and _indexed(spot, spot.operands[leaf], maker):  # at another place, of other inputs
                continue
            for way in ways if now else ():
                if way not in now and [number for number, _ in way] == [number for number, _ in now[0]]:
                    yield _proposal(spot, leaf, maker, time, directions, now[0], way)


def _indexed(spot: Spot, place: int, maker: Operation) -> bool:
    """Whether an index that is computed takes a value out of a recurrence's outputs."""
    makers = {result: one for one in spot.operations if one is not maker for result in one.makes}

    def taken(of: int) -> list[int]:
        return [*makers[of].operands] if of in makers else []

    return any(_whole(spot, of) for of in reached(taken(place), taken))


def chosen(spot: Spot) -> Iterator[Proposal]:
    """Propose that what an index takes, as each row's last valid position, is taken at the first or the last of all."""
    operation = spot.operation
    if operation.name not in INDEXED:
        return
    axis, shape = operation.settings.get("dim"), spot.values[operation.operands[0]].shape if operation.takes else ()
    for leaf, place in spot.operands.items():
        if not _whole(spot, place):
            continue
        end = shape[axis] - 1 if isinstance(axis, int) and shape else -1
        for position, word in ((0, "first"), (end, "last")):
            origin = spot.origin(place)
            yield Proposal(
                always(changed(spot.number, leaf, partial(np.full_like, fill_value=position))),
                "positions",
                f"torch's {operation.name}{spot.place} takes what stands where {origin} says, and tensorflow what "
                f"stands at the {word} position of every row{spot.by}",
                f"take the same position on both sides: that of {origin}, or the {word} one; where rows are padded, a "
                "row's last valid position is its length less one",
                subject=f"the {word} position of every row in tensorflow",
            )


def _whole(spot: Spot, place: int) -> bool:
    """Whether a value of torch's run is of whole numbers, as an index is."""
    array = spot.values[place].array
    return array is not None and array.dtype.kind in "iu"


def _ways(directions: int) -> list[Way]:
    """All that may be taken of so many directions: either, or both side by side."""
    sets = [(number,) for number in range(directions)] + ([(0, 1)] if directions > 1 else [])
    return [tuple(zip(of, positions, strict=True)) for of in sets for positions in product(ENDS, repeat=len(of))]


def _at(directions: int, time: int, way: Way, outputs: Array) -> Array:
    """What of a recurrence's outputs (batch, time, units) stands at these positions, one direction behind the other."""
    halves = np.split(outputs, directions, axis=2)
    return np.concatenate([halves[number].take(position, axis=time) for number, position in way], axis=1)


def _proposal(spot: Spot, leaf: int, maker: Operation, time: int, directions: int, now: Way, other: Way) -> Proposal:
    argument, of = f"the {spot.argument(leaf)} of {spot.operation.name}{spot.place}", maker.layer or called(maker)
    ours, theirs = (_told(way, directions) for way in (now, other))
    taken = changed(spot.number, leaf, partial(_at, directions, time, other))
    return Proposal(
        always(Edit(spot.number, leaf, take=maker.makes[0]), taken),
        "positions",
        f"{argument} is what {of} gives {ours} in torch, and {theirs} in tensorflow{spot.by}",
        f"take the same of {of} on both sides: its final states are h_n in torch and what Keras gives without "
        "return_sequences, or the last position forward and the first backward",
        maker.layer or None,
        subject=f"{of} {theirs} in tensorflow",
    )


def _told(way: Way, directions: int) -> str:
    """Where something is taken, in words."""
    if directions == 1:
        return f"at the {ENDS[way[0][1]]} position"
    text = " and ".join(f"{('forward', 'backward')[number]} at the {ENDS[at]} position" for number, at in way)
    return f"{text} (the final state{'s' * (len(way) > 1)})" if all(at == number - 1 for number, at in way) else text
