"""Orders in which one side holds what the other holds in another: a cell's gates, or what a converter moved.

Along one axis of a parameter. A cell's gates stand as its framework has them, but whoever writes a cell out as one
array chooses; and a checkpoint that was carried over shows what else is laid out otherwise, as behind a flatten.
"""

from collections.abc import Iterator, Mapping
from itertools import permutations

import numpy as np

from parity.canonical.custom import CUSTOM, VALUE
from parity.dtypes import Array, round_to
from parity.pair.sides import Side

Place = tuple[int, str, str]  # a side, 0 or 1, a layer and a parameter
Orders = Mapping[Place, tuple[int, tuple[int, ...]]]  # an axis of it, and what stands at each place along that
FEWEST = 3  # rows that are told apart
ROUNDED = ("float16", "bfloat16")  # what a converter may have rounded numbers to


def of_gates(sides: tuple[Side, Side], twins: Mapping[str, str]) -> Iterator[Orders]:
    """The gates of cells beside arrays of the other side's own, in each other order: all of as many gates alike.

    Two cells have their gates as their frameworks do; single layers of a gate each are joined in each order anyway; and
    what `custom=` calls by the cell's own names stands in the cell's order.
    """
    gated: dict[int, dict[Place, tuple[int, int]]] = {}
    for paths in twins.items():
        for place, path in enumerate(paths):
            other = sides[1 - place]
            kind, parameters = other.layers[paths[1 - place]]
            if kind == CUSTOM and any(name != VALUE for name, _ in parameters):
                continue
            parts = [other.parts(paths[1 - place], name) for name, _ in parameters]
            for name, shape in sides[place].layers[path][1]:
                axis, count = sides[place].gates.get(sides[place].parts(path, name)[0], (0, 0))
                if count and not any(of[0] in other.gates or len(of) % count == 0 for of in parts):
                    gated.setdefault(count, {})[place, path, name] = axis, shape[axis]
    for count, axes in gated.items():
        for order in list(permutations(range(count)))[1:]:
            yield {
                of: (axis, tuple(np.arange(size).reshape(count, -1)[list(order)].ravel().tolist()))
                for of, (axis, size) in axes.items()
            }


def permuted(first: Array, second: Array) -> tuple[int, tuple[int, ...]] | None:
    """The axis along which the second array is the first in another order, and where each comes from; or None.

    Bit for bit, or where both are rounded to a lower precision, as a converter may have rounded one.
    """
    for precision in ("float32", *ROUNDED) if first.shape == second.shape else ():
        one, other = (round_to(array, precision) for array in (first, second))
        for axis in range(first.ndim) if not np.array_equal(one, other) else ():
            rows = places(np.moveaxis(one, axis, 0), np.moveaxis(other, axis, 0))
            if rows is not None:
                return axis, tuple(rows.tolist())
    return None


def places(first: Array, second: Array) -> Array | None:
    """Which row of the first stands at each place of the second, bit for bit; None where they are no such rows.

    Or where none has moved.
    """
    known = {row.tobytes(): place for place, row in enumerate(np.ascontiguousarray(first))}
    if len(known) < max(len(first), FEWEST):
        return None
    rows = [known.get(row.tobytes(), -1) for row in np.ascontiguousarray(second)]
    moved = sorted(rows) == list(range(len(first))) and rows != sorted(rows)
    return np.array(rows) if moved else None
