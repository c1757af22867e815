"""Relations between what the two sides made: what is done to a layer's output after its formula."""

from collections.abc import Iterator

import numpy as np

from parity.diagnose import Cause
from parity.diagnose.formulas import FORMULAS, layer
from parity.diagnose.functions import FUNCTIONS, along
from parity.diagnose.gaps import apart, gap
from parity.diagnose.numbers import factor, proposals
from parity.diagnose.relations import Relation, scaled
from parity.diagnose.settings import SIDES
from parity.layers import Array
from parity.segment import Segment

FIXES = {
    "scale": "multiply by the same constant on both sides",
    "offset": "add the same constant on both sides",
    "time shift": "let both sides see the same positions",
    "activation": "apply the same function on both sides",
    "softmax axis": "apply the same function on both sides",
    "flatten order": "Permute((3, 1, 2)) before Keras's Flatten puts the channels first, as torch has them",
    "mask of the inputs": "mask_zero=False, or no Masking layer before it: an id inside a text is no padding",
    "dropout": "leave dropout off outside of training: model.eval() in torch, training=False in Keras",
}


def outputs(segment: Segment) -> tuple[list[Cause], list[str]]:
    """What one side did to the other's output, or to what the layer's formula gives."""
    found = [np.asarray(array, np.float64) for array in segment.found]
    right = [_right(segment, place) for place in (0, 1)]
    for place in (0, 1):
        if right[place] and not right[1 - place]:
            continue  # the formula reproduces this side: nothing was done to it
        for relation in _relations(segment, place, found[1 - place], found[place]):
            after = gap(relation.made, found[place])
            if after <= segment.limit:
                told, fix = f"{SIDES[place]}'s {segment.place} is the other's {relation.told}", FIXES[relation.cause]
                return [Cause(relation.cause, segment.path, told, fix, apart(segment), after)], []
    return [], [
        "either side's output as the other's: a factor, a constant, shifted, reversed, halves exchanged, "
        "laid out otherwise, zero or carried over in places, a known function on top"
    ]


def _right(segment: Segment, place: int) -> bool:
    if segment.kind not in FORMULAS:
        return False
    made = layer(segment.kind, segment.given["input"], segment.weights, segment.settings[place])
    return made is not None and gap(made, segment.found[place]) <= segment.limit


def _relations(segment: Segment, place: int, first: Array, second: Array) -> Iterator[Relation]:
    if first.shape != second.shape:
        return
    yield from scaled(first, second)
    if first.ndim > 1:
        yield from _moved(first)
    if first.ndim == 2:
        yield from _flattened(first)
    yield from _dropped(first, second)
    yield from _skipped(segment, place, first, second)
    for name, function in (*FUNCTIONS.items(), *along(first.ndim)):
        cause = "softmax axis" if "axis" in name else "activation"
        with np.errstate(all="ignore"):
            yield Relation(cause, f"with {name} on top", function(first))


def _flattened(first: Array) -> Iterator[Relation]:
    """Each row as a table of any size, its rows and columns exchanged: an image with its channels last, and first."""
    width = first.shape[1]
    for rows in (size for size in range(2, width) if width % size == 0):
        columns = width // rows
        made = first.reshape(len(first), rows, columns).swapaxes(1, 2).reshape(first.shape)
        yield Relation("flatten order", f"with its {rows} x {columns} values laid out as {columns} x {rows}", made)


def _dropped(first: Array, second: Array) -> Iterator[Relation]:
    """Zeros in places, and the rest multiplied by 1 / (1 - rate), as dropout does."""
    kept = second != 0
    share = float(kept.mean())
    if 0 < share < 1:
        for name, number in proposals(factor(first[kept], second[kept]), ()):
            if number > 1:
                rate = f"zero in {1 - share:.2g} of its places, the rest multiplied by {name}"
                yield Relation("dropout", rate, np.where(kept, first * number, 0))


def _moved(first: Array) -> Iterator[Relation]:
    for steps in (1, -1, 2, -2, 3, -3):
        way = "later" if steps > 0 else "earlier"
        yield Relation("time shift", f"{abs(steps)} positions {way}", shifted(first, steps))
        yield Relation("time shift", f"{abs(steps)} positions {way}, round the end", np.roll(first, steps, 1))
    yield Relation("time shift", "reversed in time", first[:, ::-1])
    if first.shape[-1] % 2 == 0:
        halves = np.split(first, 2, -1)
        yield Relation("time shift", "with its two directions in the other order", np.concatenate(halves[::-1], -1))


def shifted(array: Array, steps: int) -> Array:
    """Moved along axis 1, later for positive steps; zeros come in."""
    made = np.zeros_like(array)
    if steps > 0:
        made[:, steps:] = array[:, :-steps]
    else:
        made[:, :steps] = array[:, -steps:]
    return made


def _skipped(segment: Segment, place: int, first: Array, second: Array) -> Iterator[Relation]:
    """Positions that a side leaves out: zeros, or what stood there before; a recurrent layer goes on from there."""
    if first.ndim != 3:
        return
    zero: Array = (second == 0).all(-1)
    if zero.any() and not zero.all():
        yield Relation("mask of the inputs", f"with zeros at {_count(zero)}", np.where(zero[..., None], 0, first))
    before = np.concatenate([np.zeros_like(second[:, :1]), second[:, :-1]], 1)
    same: Array = (second == before).all(-1)
    for still, told in ((same, "carried over at"), (zero, "with zeros, the state kept, at")):
        if not still.any() or segment.kind not in ("lstm", "gru"):
            continue
        options = {**segment.settings[place], "skipped": still}
        made = layer(segment.kind, segment.given["input"], segment.weights, options)
        if made is not None:
            made = np.where(still[..., None], second, made)
            yield Relation("mask of the inputs", f"{told} {_count(still)}", made)


def _count(places: Array) -> str:
    first = tuple(int(i) for i in np.argwhere(places)[0])
    return f"{int(places.sum())} of {places.size} positions, the first at (text, time) {first}"
