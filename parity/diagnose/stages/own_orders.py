"""Orders that a converter has to turn, of one side's own weights: the gates of cells, and the halves of rotary heads.

Which order a model reads does not show in its values: each is tried on all parameters that have it at once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, permutations
from math import gcd

import numpy as np

from parity.diagnose.layers.functions import owner
from parity.diagnose.layers.weight_relations import reordered
from parity.dtypes import Array

Values = Mapping[str, Array]
Change = tuple[str, str, Values]  # the cause it stands for, how it is told, and other values by name
GATES = (3, 4)  # of a GRU and an LSTM
GATE_ORDER = "gate order"
FLATTENED = 48  # orders of a flatten's channels that are tried
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
        # Every cell whose recurrent kernel may be among these has a matrix of 3 or 4 squares.
        sizes = {(min(port[name].shape), max(port[name].shape)) for name in names if port[name].ndim == 2}
        for units, count in sorted((units, n) for units, rows in sizes for n in GATES if rows == n * units):
            blocks = _blocks(port, names, units * count, count)
            stacks.setdefault((count, blocks.cause), []).append(blocks)
    for _, alike in sorted(stacks.items()):
        yield from _of_blocks(port, alike)
    yield from islice(_flattened(port), FLATTENED)
    yield from _halves(port)
    for _, alike in sorted(stacks.items()):
        for one in alike if len(alike) > 1 else ():
            yield from _of_blocks(port, [one])


def _flattened(port: Values) -> Iterator[Change]:
    """The inputs of each kernel that may come from a flatten with their two axes read the other way round.

    A layer whose inputs are as many as nothing in the model puts out, and a multiple of something that it does: that
    many channels, or the places beside them.
    """
    known = {array.size for array in port.values() if array.ndim == 1}
    sizes = {size for array in port.values() for size in array.shape if size > 1}
    axes = [-1 - axis for axis in _outputs(port)]  # where the outputs do not stand
    for name, array in port.items():
        for axis in axes if array.ndim == 2 else ():
            count = array.shape[axis]
            for size in sorted(of for of in sizes if count not in known and of < count and count % of == 0):
                for ways in dict.fromkeys([(size, count // size), (count // size, size)]):
                    words = f"with its {count} inputs read as {ways[::-1]} the other way round"
                    order = np.arange(count).reshape(ways).T.reshape(-1)
                    yield "flatten order", words, {name: np.take(array, order, axis)}


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
    holder = owner(owner(names[0]))  # of the layer
    beside = [name for name in port if owner(owner(name)) == holder and size in port[name].shape]
    # The shapes of the matrices that have as many rows or columns.
    matrices = {name: port[name].shape for name in port if port[name].ndim == 2 and size in port[name].shape}
    own, all_of_them = ([matrices[name] for name in of if name in matrices] for of in (names, beside))
    if len(own) > 1 or len({*map(frozenset, all_of_them)}) > 1:
        return _Blocks(names if len(own) > 1 else beside, size, count, GATE_ORDER)
    lone = count == len(("query", "key", "value")) and len(all_of_them) == 1
    return _Blocks(names, size, count, "query key value" if lone else "order")


def _layers(port: Values) -> dict[str, list[str]]:
    """A layer's path -> the names of its parameters."""
    layers: dict[str, list[str]] = {}
    for name in port:
        layers.setdefault(owner(name), []).append(name)
    return layers


def _halves(port: Values) -> Iterator[Change]:
    """Pairs as halves, and the other way round, in each head of what may be query, key or both, of all layers at once.

    Two that stand together come first; a bias is turned with its kernel.
    """
    kernels = [name for name, array in port.items() if array.ndim in (2, 3)]
    alike: dict[str, list[str]] = {}
    pairs: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for name in kernels:
        alike.setdefault(_unnumbered(name), []).append(name)
    for both in pairwise(kernels):
        pairs.setdefault(tuple(map(_unnumbered, both)), []).append(both)
    groups = [group for of in pairs.values() for group in ([*of], *([one] for one in of if len(of) > 1))]
    groups += [[(name,) for name in names] for names in alike.values()]
    groups += [[(name,)] for names in alike.values() if len(names) > 1 for name in names]
    axes = _outputs(port)
    for group in groups:
        for axis in axes:
            yield from _of_heads(port, [name for names in group for name in names], axis)


def _unnumbered(name: str) -> str:
    """A parameter's name but for its numbers: that of its kind in every block."""
    return re.sub(r"\d+", "*", name)


def _outputs(port: Values) -> tuple[int, ...]:
    """The axes along which the outputs of kernels may stand: one, where those that are not square have a bias."""
    axes = set()
    for names in _layers(port).values():
        shapes = [port[name].shape for name in names]
        kernels = [shape for shape in shapes if len(shape) == 2 and shape[0] != shape[1]]
        axes |= {
            0 if of[0] == shape[0] else -1 for shape in kernels for of in shapes if len(of) == 1 and of[0] in shape
        }
    return tuple(axes) if len(axes) == 1 else (-1, 0)


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
    biases = [of for name in names for of in _beside(port, name) if port[of].shape[-1] == port[name].shape[axis]]
    for width in (of for of in WIDTHS if whole % of == 0 and (not split or of == whole)):
        places = np.arange(width).reshape(2, -1).T.reshape(-1)
        for layout, order in (("pairs", places), ("halves", np.argsort(places))):
            changed = {name: _along(port[name], order, axis) for name in names}
            changed |= {name: _along(port[name], order, -1) for name in biases}
            yield "rotary halves", f"with the two parts of each head of {width} not laid out as {layout}", changed


def _beside(port: Values, name: str) -> list[str]:
    """The vectors of a kernel's own layer, or a bias of heads beside a kernel of heads."""
    layer, rank = owner(name), port[name].ndim
    return [of for of in port if owner(of) == layer and 0 < port[of].ndim < rank and of != name]


def _along(array: Array, order: Array, axis: int) -> Array:
    """Each run of numbers along an axis in an order."""
    places = np.arange(array.shape[axis]).reshape(-1, len(order))[:, order].reshape(-1)
    return np.ascontiguousarray(np.take(array, places, axis))
