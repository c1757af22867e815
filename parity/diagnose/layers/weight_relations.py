"""By which relation one array becomes another: a finite list, each proved by making the one from the other."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations

import numpy as np

from parity.canonical.kind import KINDS
from parity.compare.messages import few
from parity.diagnose.constants import factor, proposals
from parity.diagnose.search import gap
from parity.dtypes import Array, round_to

GATES = {"lstm": ("input", "forget", "cell", "output"), "gru": ("reset", "update", "new")}
Function = Callable[[Array], Array]
FEW = 16  # elements that are named one by one
FEW_ROWS = 4  # that are the parts of a kernel, query, key and value, and no table


@dataclass(frozen=True)
class Relation:
    """A change of an array: the cause it stands for, how it is told, and the array that it makes."""

    cause: str
    told: str
    made: Array


def orders(kind: str) -> list[tuple[int, ...]]:
    """Every order of a kind's gates but its own; none for kinds without gates."""
    places = range(len(GATES.get(kind, ())))
    return list(permutations(places))[1:]


def reordered(array: Array, order: tuple[int, ...], axis: int) -> Array:
    """The blocks along an axis in another order: block `order[i]` stands at place i."""
    blocks = np.split(array, len(order), axis)
    return np.concatenate([blocks[place] for place in order], axis)


def spelt(kind: str, order: tuple[int, ...]) -> str:
    """How an order of a recurrent layer's gates is told."""
    return "with its gates in the order " + ", ".join(GATES[kind][place] for place in order)


def of_parameter(kind: str, parameter: str, array: Array) -> Iterator[Relation]:
    """Everything that may become of one canonical parameter on its way, likeliest first."""
    yield from _turned(kind, parameter, array)
    bias = parameter.endswith("bias")
    axis = -1 if bias else 0
    for order in orders(kind):
        yield Relation("gate order", spelt(kind, order), reordered(array, order, axis))
    if bias:
        yield from _biases(kind, array)
    else:
        yield Relation("weights not copied", "all zeros", np.zeros_like(array))
        yield Relation("scale", "doubled", 2 * array)
    yield Relation("weights not copied", "all ones", np.ones_like(array))
    if parameter == "gain":
        yield Relation("offset", "with 1 added", array + 1)
        yield Relation("offset", "with 1 taken away", array - 1)
    for dtype in ("bfloat16", "float16", "float32"):
        yield Relation("weights rounded", f"rounded through {dtype}", round_to(array, dtype))
    # The upper 16 bits of a float32 are its bfloat16, without rounding.
    cut = (array.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    yield Relation("weights rounded", "cut off to bfloat16", cut.astype(array.dtype))
    if array.ndim > 1 and len(array) > FEW_ROWS:
        for steps, way in ((1, "further"), (-1, "before")):
            yield Relation("weights changed", f"with each row one {way}", np.roll(array, steps, 0))


def _turned(kind: str, parameter: str, array: Array) -> Iterator[Relation]:
    """A kernel transposed, wholly or in part: in a square matrix nothing of its shape shows that."""
    for first, second in combinations(range(array.ndim), 2):
        if array.shape[first] == array.shape[second] > 1:
            yield Relation("transposed", "transposed", array.swapaxes(first, second))
    if array.ndim == 2 and not parameter.endswith("bias"):
        size, corner = min(array.shape), array.copy()
        corner[:size, :size] = array[:size, :size].T
        yield Relation("transposed", f"with its first {size} rows and columns transposed", corner)
    if kind in GATES and parameter.endswith("kernel"):
        blocks = np.split(array, len(GATES[kind]))
        if blocks[0].shape[0] == blocks[0].shape[1]:
            yield Relation("transposed", "with each gate's block transposed", np.concatenate([b.T for b in blocks]))
    names = KINDS[kind].axes["kernel"][2:] if kind.startswith("conv") and parameter == "kernel" else ()
    for axes in (of for count in range(len(names)) for of in combinations(range(len(names)), count + 1)):
        within = " and ".join(names[axis] for axis in axes)
        yield Relation("kernel backwards", f"backwards in {within}", np.flip(array, tuple(2 + axis for axis in axes)))


def _biases(kind: str, bias: Array) -> Iterator[Relation]:
    """The usual mistakes with a bias: none, added twice, its forget gate's 1 added or taken away."""
    yield Relation("bias missing", "all zeros", np.zeros_like(bias))
    yield Relation("bias doubled", "doubled", 2 * bias)
    if kind == "lstm":
        units = len(bias) // 4
        more = np.zeros_like(bias)
        more[units : 2 * units] = 1
        yield Relation("offset", "with 1 added in the forget gate", bias + more)
        yield Relation("offset", "with 1 taken away in the forget gate", bias - more)
        yield Relation("weights not copied", "zeros, with ones in the forget gate", more)
    if kind == "gru" and bias.ndim > 1:
        first, second = bias
        yield Relation("bias missing", "without its part that acts on the state", np.stack([first, 0 * second]))
        yield Relation("bias missing", "without its part that acts on the input", np.stack([0 * first, second]))
        yield Relation("weights swapped", "with its two parts exchanged", np.stack([second, first]))
        yield Relation("biases summed", "summed on the input's part", np.stack([first + second, 0 * second]))


def estimated(first: Array, second: Array) -> Iterator[Relation]:
    """Relations from the first array to the second that are read from both: a factor, a constant, rows that moved."""
    yield from scaled(first, second)
    if first.ndim and (moved := _exchanged(first, second)) is not None:
        places, estimate = moved
        yield Relation("weights changed", f"with rows {few([*map(str, places)])} in each other's place", estimate)


def scaled(first: Array, second: Array) -> Iterator[Relation]:
    """A constant factor, or a constant that is added."""
    for cause, description, function in numbers(first, second):
        yield Relation(cause, description, function(first))


def numbers(first: Array, second: Array, sizes: tuple[int, ...] = ()) -> Iterator[tuple[str, str, Function]]:
    """The cause, how it is told, and the function with an estimated number in it that takes one array to the other."""
    for name, number in proposals(factor(first, second), (*sizes, *first.shape)):
        yield "scale", f"multiplied by {name}", partial(np.multiply, first.dtype.type(number))
    constant = float((second - first).mean()) if first.size else math.nan
    for name, number in proposals(constant, ()):
        yield "offset", f"with {name} added", partial(np.add, first.dtype.type(number))


def _exchanged(first: Array, second: Array) -> tuple[list[int], Array] | None:
    """Rows that stand elsewhere, bit for bit: their places, and the first array with them moved."""
    whole = first.astype(np.result_type(first, second))
    differ = np.nonzero((whole != second).reshape(len(first), -1).any(1))[0]
    rows = {whole[place].tobytes(): place for place in differ}
    origin = [rows.get(second[place].astype(whole.dtype).tobytes()) for place in differ]
    if len(differ) < 2 or None in origin:
        return None
    exchanged = first.copy()
    exchanged[differ] = first[np.array(origin)]
    return [int(place) for place in differ], exchanged


def changed(first: Array, second: Array) -> Relation | None:
    """Few elements, or one row, that have other values than the rest would lead to expect."""
    differ = np.abs(first - second) > 0
    count = int(differ.sum())
    places = np.argwhere(differ)
    # Of most elements that differ anything could be said: only few beside many equal ones are a change of single ones.
    single = count <= FEW and 4 * count <= first.size
    row = first.ndim > 1 and len(first) > 2 and len(set(places[:, 0].tolist())) == 1
    if not count or not (single or row):
        return None
    place = tuple(int(i) for i in places[0])
    values = f"{float(first[place]):.6g} is {float(second[place]):.6g}"
    what = f"1 element at {place}" if count == 1 else f"{count} elements, the first at {place}"
    if row and not single:
        what = f"row {place[0]}, {count} elements"
    return Relation("weights changed", f"with {what}: {values}", np.where(differ, second, first))


def swaps(values: Mapping[str, Array], name: str, actual: Array) -> Iterator[Relation]:
    """Other parameters that stand where this one should."""
    for other, array in values.items():
        if other != name and not gap(array, actual):
            yield Relation("weights swapped", f"with what {other} holds", array)
