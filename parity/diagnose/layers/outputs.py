"""Relations between what the two sides made: what is done to a layer's output after its formula."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from parity.canonical.activations import FUNCTIONS, Function, along
from parity.canonical.formulas import FORMULAS, layer
from parity.diagnose import Cause
from parity.diagnose.constants import factor, fits, proposals
from parity.diagnose.gaps import apart, gap, holds
from parity.diagnose.layers.weight_relations import numbers
from parity.diagnose.locate.segment import Segment
from parity.dtypes import Array

FIXES = {
    "scale": "multiply by the same constant on both sides",
    "offset": "add the same constant on both sides",
    "time shift": "let both sides see the same positions",
    "activation": "apply the same function on both sides",
    "softmax axis": "apply the same function on both sides",
    "mask of the inputs": "mask_zero=False, or no Masking layer before it: an id inside a text is no padding",
    "dropout": "leave dropout off outside of training: model.eval() in torch, training=False in Keras",
}
ORDER = "give that axis the same order on both sides: sorted the other way round, or flipped"
# How what was tried is told, where it is less than the cause's name says.
TRIED = {"activation": "another function on top", "softmax axis": "a softmax on top"}
FORM = (
    "the function is missing on one side, or has another form there: look at its epsilon and where that is added, its "
    "slope, or which norm it divides by"
)


@dataclass(frozen=True)
class Change:
    """A change to an array, in any capture of the same place: the cause, how it is told, and the function.

    `made` takes the other side's array and this side's, of which it sees no more than where it is zero or repeats;
    None where that cannot be told. `fix` is the advice, where it is not the cause's own.
    """

    cause: str
    told: str
    made: Callable[[Segment, Array, Array], Array | None]
    fix: str = ""


def outputs(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Explain one side's output as a known change of the other's: the first change that holds in every capture.

    A side that is its layer's formula is not to blame, and is not explained by the other's.
    """
    arrays = [np.asarray(array, np.float64) for array in segment.found]
    right = [_right(segment, place) for place in (0, 1)]
    tried: dict[str, None] = {}
    for place in (0, 1):
        if right[place] and not right[1 - place]:
            continue  # the formula reproduces this side: nothing was done to it
        for change in _changes(segment, place, arrays[1 - place], arrays[place]):
            tried[change.cause] = None
            left = partial(_left, change, place)
            if holds(segment, left):
                description = f"{segment.sides[place]}'s {segment.place} is the other's {change.told}"
                fix = _flat(segment) if change.cause == "flatten order" else change.fix or FIXES[change.cause]
                return [Cause(change.cause, segment.path, description, fix, apart(segment), left(segment) or 0.0)], []
    words = ", ".join(TRIED.get(name, name) for name in tried)
    return [], [f"either side's {segment.place} as the other's with {words}"] if tried else []


def _left(change: Change, place: int, segment: Segment) -> float | None:
    """How far a side is from the other's with a change."""
    arrays = [np.asarray(array, np.float64) for array in segment.found]
    with np.errstate(all="ignore"):
        changed = change.made(segment, arrays[1 - place], arrays[place])
    return None if changed is None else gap(changed, arrays[place])


def _right(segment: Segment, place: int) -> bool:
    """Whether a side's output is its known layer's formula, here and in every other capture: then it
    is not to blame.
    """
    if segment.kind not in FORMULAS:
        return False

    def left(one: Segment) -> float | None:
        output = layer(one.kind, one.given["input"], one.weights, one.settings[place])
        return None if output is None else gap(output, one.found[place])

    return holds(segment, left)


def _changes(segment: Segment, place: int, first: Array, second: Array) -> Iterator[Change]:
    """Changes that may make one side's output of the other's, the likeliest first."""
    if first.shape != second.shape:
        return
    if fits(second, 1):
        for cause, description, function in numbers(first, second):
            yield _of(cause, description, function)
    if first.ndim > 1:
        yield from _moved(first)
    if first.ndim == 2:
        yield from _flattened(first.shape[1])
    yield from _dropped(first, second)
    yield from _skipped(segment, place, second)
    for name, function in (*FUNCTIONS.items(), *along(first.ndim)):
        if name != "identity":
            yield _applied(name, function, first, second, segment.limit)


def _applied(name: str, function: Function, first: Array, second: Array, limit: float) -> Change:
    """A function on top of the other side's array.

    One that leaves its own result as it is, as a unit norm or relu, undoes another form of itself, too: which of the
    two it is, the arrays cannot tell.
    """
    with np.errstate(all="ignore"):
        form = gap(function(first), second) <= limit and gap(function(second), second) <= limit
    description = f"with {name} on top" + (", or with another form of it in its place" if form else "")
    change = _of("softmax axis" if "softmax" in name else "activation", description, function)
    return replace(change, fix=FORM) if form else change


def _of(cause: str, description: str, function: Callable[[Array], Array]) -> Change:
    """A change that needs nothing but the other side's array."""
    return Change(cause, description, lambda _, first, __: function(first))


def _flattened(width: int) -> Iterator[Change]:
    """Each row as a table of any size, its rows and columns exchanged: an image with its channels last, and first."""
    for rows in (size for size in range(2, width) if width % size == 0):
        columns = width // rows
        description = f"with its {rows} x {columns} values laid out as {columns} x {rows}"
        yield _of("flatten order", description, partial(_relaid, rows))


def _relaid(rows: int, array: Array) -> Array:
    """(batch, width) with each row read as (rows, columns) and transposed."""
    return array.reshape(len(array), rows, -1).swapaxes(1, 2).reshape(array.shape)


def _flat(segment: Segment) -> str:
    """How Keras lays out what is flattened as torch does: by the axes of what the code was given."""
    sizes = [a.ndim for a in segment.given.values() if a.ndim > 2 and a[:1].size == segment.found[0][:1].size]
    # Keras's Permute counts axes from 1, without the batch: the last one, the channels, comes first.
    axes = {3: "(2, 1)", 4: "(3, 1, 2)", 5: "(4, 1, 2, 3)"}.get(sizes[-1] if sizes else 0)
    if axes is None:
        return "Permute before Keras's Flatten puts the channels first, as torch has them"
    return f"Permute({axes}) before Keras's Flatten puts the channels first, as torch has them"


def _dropped(first: Array, second: Array) -> Iterator[Change]:
    """Zeros in places, and the rest multiplied by 1 / (1 - rate), as dropout does."""
    mask = second != 0
    share = float(mask.mean())
    if 0 < share < 1 and fits(second[mask], 1):
        for name, number in proposals(factor(first[mask], second[mask]), ()):
            if number > 1:
                description = f"zero in {1 - share:.2g} of its places, the rest multiplied by {name}"
                yield Change("dropout", description, partial(_kept, number))


def _kept(number: float, _: Segment, first: Array, second: Array) -> Array:
    return np.where(second != 0, first * number, 0)


def _moved(first: Array) -> Iterator[Change]:
    """Moved in time by a few steps, round the end or not, or reversed."""
    for steps in (1, -1, 2, -2, 3, -3):
        way = "later" if steps > 0 else "earlier"
        yield _of("time shift", f"{abs(steps)} positions {way}", partial(shifted, steps=steps))
        yield _of("time shift", f"{abs(steps)} positions {way}, round the end", partial(np.roll, shift=steps, axis=1))
    if first.ndim == 2:  # no time: what stands along the axis may be features
        yield replace(_of("time shift", "reversed along its last axis", _backwards), fix=ORDER)
    else:
        yield _of("time shift", "reversed in time", _backwards)
    if first.shape[-1] % 2 == 0:
        yield _of("time shift", "with its two directions in the other order", _exchanged)


def _backwards(array: Array) -> Array:
    return array[:, ::-1]


def _exchanged(array: Array) -> Array:
    return np.concatenate(np.split(array, 2, -1)[::-1], -1)


def shifted(array: Array, steps: int) -> Array:
    """Moved along axis 1, later for positive steps; zeros come in."""
    shifted_array = np.zeros_like(array)
    if steps > 0:
        shifted_array[:, steps:] = array[:, :-steps]
    else:
        shifted_array[:, :steps] = array[:, -steps:]
    return shifted_array


def _skipped(segment: Segment, place: int, second: Array) -> Iterator[Change]:
    """Positions that a side leaves out: zeros, or what stood there before; a recurrent layer goes on from there."""
    if second.ndim != 3:
        return
    zero, same = _zero(second), _same(second)
    if zero.any() and not zero.all():
        description = f"with zeros at {_count(zero)}"
        yield Change(
            "mask of the inputs", description, lambda _, first, other: np.where(_zero(other)[..., None], 0, first)
        )
    for still, where, description in (
        (same, _same, "carried over at"),
        (zero, _zero, "with zeros, the state kept, at"),
    ):
        if still.any() and segment.kind in ("lstm", "gru"):
            yield Change("mask of the inputs", f"{description} {_count(still)}", partial(_standing, place, where))


def _zero(array: Array) -> Array:
    result: Array = (array == 0).all(-1)
    return result


def _same(array: Array) -> Array:
    """Where a step is the one before it, (batch, time): positions that were skipped."""
    before = np.concatenate([np.zeros_like(array[:, :1]), array[:, :-1]], 1)
    result: Array = (array == before).all(-1)
    return result


def _standing(place: int, where: Callable[[Array], Array], segment: Segment, _: Array, second: Array) -> Array | None:
    """The recurrence with its state standing still at places."""
    still = where(second)
    options = {**segment.settings[place], "skipped": still}
    output = layer(segment.kind, segment.given["input"], segment.weights, options)
    return None if output is None else np.where(still[..., None], second, output)


def _count(places: Array) -> str:
    """How many of these booleans (batch, time) are true, in words, and where the first is."""
    first = tuple(int(i) for i in np.argwhere(places)[0])
    return f"{int(places.sum())} of {places.size} positions, the first at (text, time) {first}"
