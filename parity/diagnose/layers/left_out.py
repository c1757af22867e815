"""An array that was left in its order where others that go with it have another: units of two layers, heads, channels.

The order of those that were moved is read from their values. Which arrays go with them no value tells: each that has an
axis of that length, or of a multiple of it, is a candidate, and the outputs decide.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from parity.compare.messages import few
from parity.diagnose.layers.orders import ordered
from parity.dtypes import Array
from parity.pair.orders import permuted

TELLING = 16  # numbers of an array whose order is read from it
Order = tuple[int, ...]  # which place of the one stands at each place of the other


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
    moves = {name: _order(*arrays) for name, arrays in both.items()}
    orders: dict[Order, list[str]] = {}
    for name, move in moves.items():
        for order in _bases(move[1]) if move is not None else ():
            orders.setdefault(order, []).append(name)
    places = {name: place for place, name in enumerate(both)}
    # What most have is the order of all; of a long order and the short one that it is made of, the short one first.
    for order, moved in sorted(orders.items(), key=lambda of: (-len(of[1]), len(of[0]))):
        at = [places[name] for name in moved]
        rest = sorted((name for name in both if name not in moved), key=lambda of: min(abs(places[of] - i) for i in at))
        fixed = {name: [*_in_order(both[name][0], order)] for name in rest}
        cause, words = _told(both, kinds, moved)
        for name in rest:
            for axis, array in fixed[name]:
                alone = f"left in its own order along axis {axis}, where {words}"
                yield LeftOut(cause, alone, {name: array}, tuple(moved))
        for layer in dict.fromkeys(name.rpartition(".")[0] for name in rest):
            values = {name: fixed[name][0][1] for name in rest if name.rpartition(".")[0] == layer and fixed[name]}
            if len(values) > 1:
                yield LeftOut(cause, f"left in their own order, where {words}", values, tuple(moved))


def _told(both: Mapping[str, tuple[Array, Array]], kinds: Mapping[str, str], moved: list[str]) -> tuple[str, str]:
    """The cause's name and words for the order that parameters have: a known one's, or another."""
    names = few(moved)
    for name in moved:
        known = next(ordered(kinds.get(name, ""), name.rpartition(".")[2], *both[name]), None)
        if known is not None and np.array_equal(known.made, both[name][1]):
            return known.cause, f"{names} {'stand' if len(moved) > 1 else 'stands'} {known.told}"
    return "order", f"{names} {'have' if len(moved) > 1 else 'has'} another"


def _order(first: Array, second: Array) -> tuple[int, Order] | None:
    """The axis along which a parameter is in another order, and that order; None of few numbers, or where none is."""
    return permuted(first, second) if first.size >= TELLING or first.ndim == 1 else None


def _bases(order: Order) -> Iterator[Order]:
    """An order, and the shorter ones that it repeats: in each of several blocks, or of blocks as a whole."""
    places = np.array(order)
    yield order
    for size in (of for of in range(2, len(places)) if len(places) % of == 0):
        short, blocks = places[:size], np.arange(len(places) // size)[:, None]
        if np.array_equal(places, (short + size * blocks).reshape(-1)):
            yield tuple(short.tolist())
        width = len(places) // size
        short = places[::width] // width
        if np.array_equal(places, (short[:, None] * width + np.arange(width)).reshape(-1)):
            yield tuple(short.tolist())


def _in_order(array: Array, order: Order) -> Iterator[tuple[int, Array]]:
    """(axis, array in an order along it), for each axis of that length or a multiple: in each block, and by blocks."""
    short = np.array(order)
    for axis, length in enumerate(array.shape):
        if length % len(short):
            continue
        several = length // len(short)
        inside = (short + len(short) * np.arange(several)[:, None]).reshape(-1)
        whole = (short[:, None] * several + np.arange(several)).reshape(-1)
        for places in (inside, whole) if several > 1 else (short,):
            yield axis, np.take(array, places, axis)
