"""Orders that a converter has to turn, of one side's own weights: the gates of cells, and the halves of rotary heads.

Which order a model reads does not show in its values: each is tried on all parameters that have it at once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, permutations
from math import gcd

import numpy as np

from parity.diagnose.layers.weight_relations import reordered
from parity.dtypes import Array

Values = Mapping[str, Array]
Change = tuple[str, str, Values]  # the cause it stands for, how it is told, and other values by name
GATES = (3, 4)
WIDTHS = range(4, 257, 2)  # of a head


def orders(port: Values) -> Iterator[Change]:
    """The port's parameters in other orders: those of all cells and all heads at once, and then of each by itself."""
    cells: dict[int, list[tuple[int, list[str]]]] = {}
    for names in _layers(port).values():
        for units, count in _gated([port[name] for name in names]):
            cells.setdefault(count, []).append((units * count, names))
    for count, of in sorted(cells.items()):
        yield from _of_gates(port, count, of)
    yield from _halves(port)
    for count, of in sorted(cells.items()):
        for one in of if len(of) > 1 else ():
            yield from _of_gates(port, count, [one])


def _of_gates(port: Values, count: int, cells: Sequence[tuple[int, list[str]]]) -> Iterator[Change]:
    for order in [*permutations(range(count))][1:]:
        description = f"with its {count} gates in the order {', '.join(str(place + 1) for place in order)}"
        values = (_turned(port, names, size, order) for size, names in cells)
        yield "gate order", description, {name: array for each in values for name, array in each.items()}


def _layers(port: Values) -> dict[str, list[str]]:
    layers: dict[str, list[str]] = {}
    for name in port:
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    return layers


def _gated(arrays: Sequence[Array]) -> Iterator[tuple[int, int]]:
    """(units, gates) of every cell whose recurrent kernel may be among these: a matrix of 3 or 4 squares."""
    square = {(min(array.shape), count) for array in arrays if array.ndim == 2 for count in GATES if _is(array, count)}
    return iter(sorted(square))


def _is(array: Array, count: int) -> bool:
    """Whether a matrix is `count` times as long one way as the other."""
    return bool(max(array.shape) == count * min(array.shape))


def _turned(port: Values, names: Sequence[str], size: int, order: tuple[int, ...]) -> Values:
    """The gates of every parameter of a cell in an order."""
    arrays = {name: port[name] for name in names if size in port[name].shape}
    return {name: reordered(array, order, array.shape.index(size)) for name, array in arrays.items()}


def _halves(port: Values) -> Iterator[Change]:
    """Pairs as halves, and the other way round, in each head of what may be query and key, of all layers at once."""
    kernels = [name for name, array in port.items() if array.ndim in (2, 3)]
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for one, other in pairwise(kernels):
        pairs.setdefault((re.sub(r"\d+", "*", one), re.sub(r"\d+", "*", other)), []).append((one, other))
    for group in pairs.values():
        for sub in [group] + [[one] for one in group] * (len(group) > 1):
            for axis in (-1, 0):
                yield from _of_heads(port, [name for both in sub for name in both], axis)


def _of_heads(port: Values, names: Sequence[str], axis: int) -> Iterator[Change]:
    """Both layouts of rotary pairs along an axis of these parameters, for every width that a head may have.

    Two numbers that are rotated together are neighbours in one layout and half a head apart in the other.
    Su et al., RoFormer, 2021: https://arxiv.org/abs/2104.09864
    """
    within = {array.size // array.shape[axis] for array in (port[name] for name in names) if array.ndim == 2}
    if len(within) > 1 or (axis == 0 and not within):
        return
    whole = gcd(*(port[name].shape[axis] for name in names))
    split = all(port[name].ndim == 3 for name in names)
    for width in (of for of in WIDTHS if whole % of == 0 and (not split or of == whole)):
        places = np.arange(width).reshape(2, -1).T.reshape(-1)
        for layout, order in (("pairs", places), ("halves", np.argsort(places))):
            changed = {name: _along(port[name], order, axis) for name in names}
            yield "rotary halves", f"with the two parts of each head of {width} not laid out as {layout}", changed


def _along(array: Array, order: Array, axis: int) -> Array:
    """Each run of numbers along an axis in an order."""
    places = np.arange(array.shape[axis]).reshape(-1, len(order))[:, order].reshape(-1)
    return np.ascontiguousarray(np.take(array, places, axis))
