"""Layer kinds: the canonical names, axes and fresh values of their parameters.

A weight crosses from one framework to the other only in canonical form: a NumPy array with the axes
given here. A backend says how its own variables become that form, as a `Transform`.
Nothing is ever reshaped, because a reshape hides a wrong layout and a transposition does not.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# "layer.parameter" -> (kind, canonical shape)
Layout = Mapping[str, tuple[str, tuple[int, ...]]]


def carrier(dtype: str) -> str:
    """The dtype in which arrays of a dtype cross: NumPy has no bfloat16, and float32 holds all of its values."""
    return "float32" if dtype == "bfloat16" else dtype


def wide(dtype: str) -> str:
    """The dtype in which a model of a dtype has its loss: float32 for the lower precisions.

    Both frameworks advise it; and a Keras loss takes the targets' ids to its own dtype, so that
    bfloat16 makes a 1000 of the id 999.
    """
    return dtype if dtype in ("float64", "float32") else "float32"


@dataclass(frozen=True)
class Kind:
    """A layer's canonical type: its parameters, each with its axes, in transfer order."""

    name: str
    axes: Mapping[str, tuple[str, ...]]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("embedding", {"table": ("vocab", "width")}),
        Kind("dense", {"kernel": ("out", "in"), "bias": ("out",)}),
        # "gates" stacks input, forget, cell and output, in this order: 4 * units rows.
        Kind(
            "lstm",
            {
                "input_kernel": ("gates", "in"),
                "recurrent_kernel": ("gates", "units"),
                "bias": ("gates",),
            },
        ),
        # "gates" stacks reset, update and new: 3 * units rows. Of the biases the first acts on the
        # input's part and the second on the state's; the new gate's second one is behind the reset
        # gate, so they are not a sum.
        Kind(
            "gru",
            {
                "input_kernel": ("gates", "in"),
                "recurrent_kernel": ("gates", "units"),
                "bias": ("part", "gates"),
            },
        ),
        Kind("conv1d", {"kernel": ("out", "in", "time"), "bias": ("out",)}),
        Kind("layer_norm", {"gain": ("width",), "bias": ("width",)}),
    )
}


@dataclass(frozen=True)
class Transform:
    """How a framework's variables become one canonical parameter, and back.

    `pack` takes the variables' arrays, in order, to the canonical array; `unpack` is its inverse on
    canonical arrays, bit for bit; `gradient` does for gradients what `pack` does for values.
    """

    name: str
    pack: Callable[..., Array]
    unpack: Callable[[Array], tuple[Array, ...]]
    gradient: Callable[..., Array]


def _same(array: Array) -> Array:
    return array


def _turned(array: Array) -> Array:
    return array.T  # a view: comparing does not need a copy


def _transposed(array: Array) -> Array:
    """A contiguous copy with the axes in reverse order, in blocks that fit the cache: twice as fast."""
    result = np.empty(array.shape[::-1], array.dtype)
    for start in range(0, len(array), BLOCK):
        result[..., start : start + BLOCK] = array[start : start + BLOCK].T
    return result


def _swapped(array: Array, axis: int) -> Array:
    """The first and the second of three gates in each other's place: its own inverse."""
    first, second, third = np.split(array, 3, axis)
    return np.concatenate([second, first, third], axis)


BLOCK = 512  # rows
SAME = Transform("same", _same, lambda array: (array,), _same)
TRANSPOSED = Transform("transposed", _turned, lambda array: (_transposed(array),), _turned)
# Two biases that only ever act as their sum: the value rests in the first and the second is zero,
# so that the way back is exact. Each one's gradient is the gradient of the sum.
SUMMED = Transform(
    "summed",
    lambda first, second: first + second,
    lambda array: (array, np.zeros_like(array)),
    lambda first, *_: first,
)
# Two biases that do not act as their sum alone: one row each.
STACKED = Transform(
    "stacked",
    lambda first, second: np.stack([first, second]),
    lambda array: (array[0], array[1]),
    lambda first, second: np.stack([first, second]),
)
# Keras's GRU has the update gate before the reset gate.
SWAPPED = Transform(
    "swapped",
    lambda array: _swapped(array, -1),
    lambda array: (_swapped(array, -1),),
    lambda array: _swapped(array, -1),
)
TRANSPOSED_SWAPPED = Transform(
    "transposed and swapped",
    lambda array: _swapped(array.T, 0),
    lambda array: (_transposed(_swapped(array, 0)),),
    lambda array: _swapped(array.T, 0),
)


@dataclass(frozen=True)
class Part:
    """One canonical parameter of a layer as a framework holds it: its variables and the transform."""

    parameter: str
    variables: tuple[Any, ...]
    names: tuple[str, ...]
    transform: Transform


@dataclass(frozen=True)
class Layer:
    """One layer of a model: its path, its kind, and where each canonical parameter of its own lives."""

    path: str
    kind: str
    parts: tuple[Part, ...]


def untied(parts: Iterable[Part], seen: set[int]) -> tuple[Part, ...]:
    """The parts but for those whose variables have all been seen: a tied parameter is its first layer's."""
    own = tuple(part for part in parts if not seen.issuperset(map(id, part.variables)))
    seen.update(id(variable) for part in own for variable in part.variables)
    return own


def renamed(layers: Sequence[Layer], paths: Sequence[str]) -> tuple[Layer, ...]:
    """The layers by other paths, where any are given."""
    named = zip(layers, paths or [layer.path for layer in layers], strict=True)
    return tuple(replace(layer, path=path) for layer, path in named)


def held(layers: Iterable[Layer]) -> list[Any]:
    """Every variable that the layers hold, in one order for all models of one builder."""
    return [variable for layer in layers for part in layer.parts for variable in part.variables]


def called(layers: Iterable[Layer]) -> dict[int, str]:
    """id of a variable -> its canonical parameter, and which it is of several: the same in every process."""
    found = {}
    for layer in layers:
        for part in layer.parts:
            for place, variable in enumerate(part.variables):
                several = f".{place}" if len(part.variables) > 1 else ""
                found[id(variable)] = f"{layer.path}.{part.parameter}{several}"
    return found


@dataclass(frozen=True)
class Weights:
    """All the weights of a model as a seed and a scale; small to draw, to shrink and to print."""

    seed: int
    scale: float


def draw(layout: Layout, weights: Weights, dtypes: Iterable[str] = ()) -> dict[str, Array]:
    """A float32 value for every parameter of a layout, such that each of `dtypes` holds it exactly.

    A value is one of 2^16 in equal steps, none of them zero: half the random bits in half the time.
    Kernels are uniform with variance scale^2 / fan-in, tables with variance min(scale, 1)^2; biases
    are uniform in [-0.5, 0.5] and gains in [0.5, 1.5], so that none is 0 or 1: a parameter at its
    identity value hides the faults that concern it.
    """
    random = np.random.default_rng(weights.seed)
    values = {}
    for name, (kind, shape) in layout.items():
        parameter = name.rpartition(".")[2]
        if parameter in ("bias", "gain"):
            reach = 0.5
        elif KINDS[kind].axes[parameter][0] == "vocab":
            reach = 3.0**0.5 * min(weights.scale, 1.0)
        else:
            reach = 3.0**0.5 * weights.scale / math.prod(shape[1:]) ** 0.5
        size = math.prod(shape)
        steps = random.bit_generator.random_raw(size // 4 + 1).view(np.uint16)[:size]
        array = steps.reshape(shape).astype(np.float32)
        array -= np.float32(2**15 - 0.5)
        array *= np.float32(2 * reach / 2**16)
        if parameter == "gain":
            array += np.float32(1.0)
        values[name] = _narrowed(array, dtypes)
    return values


def _narrowed(array: Array, dtypes: Iterable[str]) -> Array:
    """Rounded to what float16 and bfloat16 hold; in this order, so that the second rounding keeps the first."""
    if "float16" in dtypes:
        array = array.astype(np.float16).astype(np.float32)
    if "bfloat16" in dtypes:
        bits = array.view(np.uint32)
        nearest = bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)  # ties to even
        array = (nearest & np.uint32(0xFFFF0000)).view(np.float32)
    return array
