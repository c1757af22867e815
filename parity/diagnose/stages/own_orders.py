"""Orders that a converter has to turn, of one side's own weights: the gates of cells, and the halves of rotary heads.

Which order a model reads does not show in its values: each is tried on all parameters that have it at once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from math import gcd

import numpy as np

from parity.diagnose.layers.weight_relations import reordered
from parity.dtypes import Array

Values = Mapping[str, Array]
Change = tuple[str, str, Values]  # the cause it stands for, how it is told, and other values by name
GATES = (3, 4)  # of a GRU and an LSTM
GATE_ORDER = "gate order"
WIDTHS = range(4, 257, 2)  # of a head


@dataclass(frozen=True)
class _Blocks:
    """Parameters of one layer that stack `count` equal blocks, `size` rows together, and what their order is called."""

    names: list[str]
    size: int
    count: int
    cause: str

    def turned(self, port: Values, order: tuple[int, ...]) -> Values:
        """Every parameter with its blocks in an order."""
        arrays = {name: port[name] for name in self.names if self.size in port[name].shape}
        return {name: reordered(array, order, array.shape.index(self.size)) for name, array in arrays.items()}


def orders(port: Values) -> Iterator[Change]:
    """The port's parameters in other orders: those of all cells and all heads at once, and then of each by itself."""
    stacks: dict[tuple[int, str], list[_Blocks]] = {}
    for names in _layers(port).values():
        for units, count in _gated([port[name] for name in names]):
            blocks = _blocks(port, names, units * count, count)
            stacks.setdefault((count, blocks.cause), []).append(blocks)
    for _, alike in sorted(stacks.items()):
        yield from _of_blocks(port, alike)
    yield from _halves(port)
    for _, alike in sorted(stacks.items()):
        for one in alike if len(alike) > 1 else ():
            yield from _of_blocks(port, [one])


def _of_blocks(port: Values, alike: Sequence[_Blocks]) -> Iterator[Change]:
    """Every other order of the blocks of these layers, all of them at once."""
    count, cause = alike[0].count, alike[0].cause
    what = "gates" if cause == GATE_ORDER else "blocks"
    for order in [*permutations(range(count))][1:]:
        description = f"with its {count} {what} in the order {', '.join(str(place + 1) for place in order)}"
        yield cause, description, {name: array for of in alike for name, array in of.turned(port, order).items()}


def _blocks(port: Values, names: list[str], size: int, count: int) -> _Blocks:
    """The blocks of a layer, whose parameters these are: gates, query, key and value, or what is not known.

    A cell has two kernels of as many rows, for what it is given and for its state: in one layer, or in two that stand
    together and are of unequal shapes. A lone one of three blocks is an attention's.
    """
    owner = _owner(names[0])
    beside = [name for name in port if _owner(name) == owner and size in port[name].shape]
    own, all_of_them = (_kernels(port, of, size) for of in (names, beside))
    if len(own) > 1 or len({*map(frozenset, all_of_them)}) > 1:
        return _Blocks(names if len(own) > 1 else beside, size, count, GATE_ORDER)
    lone = count == len(("query", "key", "value")) and len(all_of_them) == 1
    return _Blocks(names, size, count, "query key value" if lone else "weights changed")


def _kernels(port: Values, names: Sequence[str], size: int) -> list[tuple[int, ...]]:
    """The shapes of the matrices among these parameters that have as many rows or columns."""
    return [port[name].shape for name in names if port[name].ndim == 2 and size in port[name].shape]


def _owner(name: str) -> str:
    """What holds the layer that has a parameter."""
    return name.rpartition(".")[0].rpartition(".")[0]


def _layers(port: Values) -> dict[str, list[str]]:
    """A layer's path -> the names of its parameters."""
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


def _halves(port: Values) -> Iterator[Change]:
    """Pairs as halves, and the other way round, in each head of what may be query and key, of all layers at once."""
    kernels = [name for name, array in port.items() if array.ndim in (2, 3)]
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for one, other in pairwise(kernels):
        pairs.setdefault((re.sub(r"\d+", "*", one), re.sub(r"\d+", "*", other)), []).append((one, other))
    for group in pairs.values():
        for sub in [group, *([one] for one in group if len(group) > 1)]:
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
