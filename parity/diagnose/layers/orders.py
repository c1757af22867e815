"""In which order the numbers of one array stand in another: its axes, or its rows; and what was left in its order.

Axes are told by what a transposition makes of an array and what a reshape does, rows, which are found bit for bit, by
how such an order comes about. Which arrays go with one that has another order no value tells, as units of two layers:
each that has an axis of that length, or of a multiple of it, is a candidate, and the outputs decide.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, permutations
from math import prod
from operator import mul

import numpy as np

from parity.compare.messages import few
from parity.diagnose.layers.functions import owner
from parity.diagnose.layers.weight_relations import Relation
from parity.dtypes import Array
from parity.pair.orders import permuted
from parity.pair.orders import places as rows_of

TRANSPOSED, RESHAPED = "transposed", "reshaped"
RUNS_ON = "reshaped through another shape"  # and not transposed: no axis is one of the other shape's
AXES = 5  # of an array whose orders are tried
MOST = 3  # distances that a table may be moved by: rows may be alike
FEWEST = 6  # rows, or different numbers, whose order is told: of fewer, some order comes about in several ways

TELLING = 16  # numbers of an array whose order is read from it

Named = tuple[str, str]  # the name of the cause that an order of rows stands for, and how it comes about
Order = tuple[int, ...]  # which place of the one stands at each place of the other


def arranged(source: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """An array in a shape, its axes in every order, the likeliest first, and how that is told."""
    if source.size != prod(shape):
        return
    yield "" if source.shape == shape else _told(RESHAPED, source.shape, shape), source.reshape(shape)
    if source.ndim > AXES or len(shape) > AXES:
        return
    for order in [*permutations(range(source.ndim))][1:]:
        turned = source.transpose(order)
        yield _told(TRANSPOSED, turned.shape, shape), turned.reshape(shape)
    for order in [*permutations(range(len(shape)))][1:]:
        split = tuple(shape[axis] for axis in order)
        yield _told(TRANSPOSED, source.shape, split), source.reshape(split).transpose(np.argsort(order))


def _told(how: str, one: tuple[int, ...], other: tuple[int, ...]) -> str:
    """How a reshape between two shapes is told: `RUNS_ON` where it is more than joining axes or splitting them."""
    ends, others = ({*accumulate(shape, mul)} - {1} for shape in (one, other))
    return how if ends <= others or others <= ends else RUNS_ON


def rearranged(first: Array, second: Array) -> Iterator[Relation]:
    """The second array as the first, of its shape, with its axes in another order, or reshaped by a wrong order.

    A converter that reshapes to the shape of the target where it should transpose: the numbers run on in row order
    through other axes. Of arrays with fewer than `FEWEST` different numbers nothing is told.
    """
    if first.shape != second.shape or not 2 <= first.ndim <= AXES:
        return
    numbers, others = np.sort(first, axis=None), np.sort(second, axis=None)
    if len(np.unique(numbers)) < FEWEST or not np.array_equal(numbers, others):
        return
    for words, array in turns(first):
        yield Relation("transposed", words, array)


def turns(array: Array) -> Iterator[tuple[str, Array]]:
    """(how it is told, an array of the same shape and numbers) for each order of its axes, transposed or reshaped."""
    for order in [*permutations(range(array.ndim))][1:]:
        turned = array.transpose(order)
        if turned.shape == array.shape:
            yield f"with its axes in the order {', '.join(map(str, order))}", turned
        else:
            for one in (turned.reshape(array.shape), array.reshape(turned.shape).transpose(np.argsort(order))):
                yield "reshaped, not transposed: its numbers run on in row order through another shape", one


def ordered(kind: str, parameter: str, first: Array, second: Array) -> Iterator[Relation]:
    """The second array as the first with its rows along an axis in another order; heads and their width may be one."""
    if first.shape != second.shape:
        return
    yield from _moved(first, second)
    for axis in range(first.ndim):
        for width in (1, 2)[: first.ndim - axis] if kind == "attention" else (1,):
            merged = (*first.shape[:axis], -1, *first.shape[axis + width :])
            ours, theirs = (np.moveaxis(array.reshape(merged), axis, 0) for array in (first, second))
            places = rows_of(ours, theirs) if len(ours) >= FEWEST else None
            order = None if places is None else _order(kind, parameter, axis, places)
            if order is not None:
                reordered = np.moveaxis(ours[places], 0, axis).reshape(first.shape)
                yield Relation(*order, reordered)


def _moved(first: Array, second: Array) -> Iterator[Relation]:
    """A table whose rows stand further down or up: what is new at its end is taken as it is."""
    if first.ndim < 2 or len(first) <= FEWEST:
        return
    for of, there, down in ((first, second, True), (second, first, False)):
        # Not by the first row, which may be the padding's: all zeros, as those that a longer table has more.
        same = (there[FEWEST:] == of[FEWEST - 1]).reshape(-1, of[0].size).all(1)
        for steps in (np.flatnonzero(same)[:MOST] + 1).tolist():
            if down:
                moved, description = [second[:steps], first[:-steps]], f"torch's row 0 is row {steps} there"
            else:
                moved, description = [first[steps:], second[-steps:]], f"torch's row {steps} is row 0 there"
            words = f"with its rows moved by {steps}: {description}"
            yield Relation("weights changed", words, np.concatenate(moved))


def _order(kind: str, parameter: str, axis: int, places: Array) -> Named | None:
    """Tell how an order of rows comes about: reversed, in blocks, or as a transposed matrix; None if by none of these.

    `places` (rows,) is which row of the first array stands at each place of the second.
    """
    count = len(places)
    where = "" if axis == 0 else f" along axis {axis}"
    inputs = "kernel" in parameter and axis > 0 and kind in ("dense", "custom")
    if np.array_equal(places, np.arange(count)[::-1]):
        return ("flatten order" if inputs else "weights changed", f"with its rows{where} in reverse")
    for outer in (n for n in range(1, count) if count % n == 0):
        inner = count // outer
        for size in (n for n in range(2, inner) if inner % n == 0):
            turned = np.arange(count).reshape(outer, size, inner // size).swapaxes(1, 2).reshape(-1)
            if np.array_equal(places, turned):
                return _turned(outer, size, inner // size, where, inputs)
    return _blocks(places, where, inputs)


def _turned(outer: int, size: int, rest: int, where: str, inputs: bool) -> Named:
    """What reading rows as a transposed matrix is called, by where it stands: a flattening, rotary halves, a split of
    heads.
    """
    description = f"with its {outer * size * rest} rows{where} read as ({size}, {rest}) the other way round"
    if inputs:
        return ("flatten order", description)
    if outer > 1 and 2 in (size, rest):
        way = "its halves interleaved" if size == 2 else "what was interleaved in halves"
        return ("rotary halves", f"with each of {outer} heads having {way}{where}")
    return ("head split", description)


def _blocks(places: Array, where: str, inputs: bool) -> Named | None:
    """Blocks of equal size in another order: query, key and value, heads, or those of all three in each head."""
    for count in range(2, min(len(places), 16) // 2 * 2 + 1):
        if len(places) % count or len(places) // count < 2:
            continue
        size = len(places) // count
        order = places[::size] // size
        if np.array_equal(places, (order[:, None] * size + np.arange(size)).reshape(-1)):
            # A fused kernel of (heads, query key value, width) that is read as (query key value, heads, width).
            for rows in (n for n in (3, count // 3) if 1 < n < count and count % 3 == 0):
                if np.array_equal(order, np.arange(count).reshape(rows, -1).T.reshape(-1)):
                    description = (
                        f"with its {count} blocks{where} read as ({rows}, {count // rows}) the other way round"
                    )
                    return ("flatten order" if inputs else "head split", description)
            description = f"with its {count} blocks{where} in the order {', '.join(map(str, order + 1))}"
            return ("query key value" if count == 3 else "order", description)
    return None


@dataclass(frozen=True)
class LeftOut:
    """Parameters that may have been left in their order: the cause, how it is told, and what they are in the others'.

    `moved` are those that have the order.
    """

    cause: str
    told: str
    values: Mapping[str, Array]
    moved: tuple[str, ...]


def left_out(both: Mapping[str, tuple[Array, Array]], kinds: Mapping[str, str]) -> Iterator[LeftOut]:
    """Yield what may have been left out of each order that parameters have, nearest to these first.

    `both` are by name each parameter as it was and as it is, in one shape; `kinds` their layers' kinds. One parameter
    at a time, and then all of one layer.
    """
    orders: dict[Order, list[str]] = {}
    for name, (first, second) in both.items():
        move = permuted(first, second) if first.size >= TELLING or first.ndim == 1 else None
        for order in _bases(move[1]) if move is not None else ():
            orders.setdefault(order, []).append(name)
    places = {name: place for place, name in enumerate(both)}
    # What most have is the order of all; of a long order and the short one that it is made of, the short one first.
    for order, moved in sorted(orders.items(), key=lambda of: (-len(of[1]), len(of[0]))):
        at = [places[name] for name in moved]
        rest = sorted((name for name in both if name not in moved), key=lambda of: min(abs(places[of] - i) for i in at))
        fixed = {name: [*_in_order(both[name][0], order)] for name in rest}
        cause, words = _told_of(both, kinds, moved)
        for name in rest:
            for axis, array in fixed[name]:
                alone = f"left in its own order along axis {axis}, where {words}"
                yield LeftOut(cause, alone, {name: array}, tuple(moved))
        for layer in dict.fromkeys(owner(name) for name in rest):
            values = {name: fixed[name][0][1] for name in rest if owner(name) == layer and fixed[name]}
            if len(values) > 1:
                yield LeftOut(cause, f"left in their own order, where {words}", values, tuple(moved))


def _told_of(both: Mapping[str, tuple[Array, Array]], kinds: Mapping[str, str], moved: list[str]) -> tuple[str, str]:
    """The cause's name and words for the order that parameters have: a known one's, or another."""
    names = few(moved)
    for name in moved:
        known = next(ordered(kinds.get(name, ""), name.rpartition(".")[2], *both[name]), None)
        if known is not None and np.array_equal(known.made, both[name][1]):
            return known.cause, f"{names} {'stand' if len(moved) > 1 else 'stands'} {known.told}"
    return "order", f"{names} {'have' if len(moved) > 1 else 'has'} another"


def _bases(order: Order) -> Iterator[Order]:
    """An order, and the shorter ones that it repeats: in each of several blocks, or of blocks as a whole."""
    places = np.array(order)
    yield order
    for size in (of for of in range(2, len(places)) if len(places) % of == 0):
        count = len(places) // size
        for way, short in enumerate((places[:size], places[::count] // count)):
            if np.array_equal(places, _repeated(short, count)[way]):
                yield tuple(short.tolist())


def _repeated(order: Array, count: int) -> tuple[Array, Array]:
    """An order in each of `count` blocks, and of blocks of `count` places as a whole."""
    inside = order + len(order) * np.arange(count)[:, None]
    return inside.reshape(-1), (order[:, None] * count + np.arange(count)).reshape(-1)


def _in_order(array: Array, order: Order) -> Iterator[tuple[int, Array]]:
    """(axis, array in an order along it), for each axis of that length or a multiple: in each block, and by blocks."""
    short = np.array(order)
    for axis, length in enumerate(array.shape):
        if length % len(short):
            continue
        several = length // len(short)
        for places in _repeated(short, several) if several > 1 else (short,):
            yield axis, np.take(array, places, axis)
