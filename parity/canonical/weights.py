"""The weights of a model as a seed and a scale, and the values that are drawn from them.

Both sides get the same numbers because neither draws them: a value depends on the seed and on its parameter's place
among all, not on who asks, or in which order. Two numbers stand for gigabytes of weights: they are what Hypothesis
draws and shrinks, what a report prints, and what a baseline stores.
"""

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np

from parity.canonical.kind import KINDS, OUTPUTS
from parity.canonical.layer import Layer, Layout, by_name
from parity.dtypes import EPS, Array, round_to

QUARTERS = 4  # numbers of 16 bits in one of PCG64's draws, which are of 64


@dataclass(frozen=True)
class Weights:
    """All the weights of a model as a seed and a scale; small to draw, to shrink and to print.

    At a scale of 1 a layer's outputs are about as large as its inputs; large ones saturate gates and softmaxes.
    `stretched` has parameters that are multiplied by a power of two beside that, by canonical name.
    """

    seed: int
    scale: float
    stretched: tuple[tuple[str, float], ...] = ()

    def __repr__(self) -> str:
        more = f", stretched={self.stretched!r}" if self.stretched else ""
        return f"Weights(seed={self.seed!r}, scale={self.scale!r}{more})"


class _Own(Weights):
    """Those that the models of a pair have, of which there is nothing to draw."""

    def __repr__(self) -> str:
        return "the models' own"


OWN = _Own(0, 1.0)


Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value", covariant=True)


class Each(Mapping[Name, Value]):
    """A mapping whose values are computed each time they are asked for, and not kept: no two arrays exist at once,
    however large a model is.
    """

    def __init__(self, names: Iterable[Name], compute: Callable[[Name], Value]) -> None:
        self._names, self._compute = dict.fromkeys(names), compute

    def __getitem__(self, name: Name) -> Value:
        if name not in self._names:
            raise KeyError(name)
        return self._compute(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names  # a mapping's own would compute the value

    def __iter__(self) -> Iterator[Name]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def one_by_one(layers: Iterable[Layer], array: Callable[[Any], Array]) -> Each[str, Array]:
    """The canonical parameters by name, each made of the arrays of its variables as it is asked for.

    `array` gives a copy of a variable's numbers, which stay when it changes.
    """
    parts = by_name(layers)
    return Each(parts, lambda name: parts[name].transform.pack(*map(array, parts[name].variables)))


def draw(layout: Layout, weights: Weights, dtypes: Collection[str] = ()) -> dict[str, Array]:
    """A float32 value for every parameter of a layout, such that each of `dtypes` holds it exactly.

    A value is one of 2^16 in equal steps, none of them zero: half the random bits in half the time.
    Kernels are uniform with variance scale^2 / fan-in, those of an attention by min(scale, 1 / scale),
    tables with variance min(scale, 1)^2, and all others as `SPREAD` says: no bias is 0 and no gain 1,
    because a parameter at its identity value hides the faults that concern it. Of a layer of the user's
    own, a matrix has its outputs first, and what is no matrix is drawn as a gain, if its name says
    nothing else.
    """
    return dict(drawn(layout, weights, dtypes))


def drawn(layout: Layout, weights: Weights, dtypes: Collection[str] = ()) -> Each[str, Array]:
    """As `draw`, but each value is drawn as it is asked for, alone and in any order."""
    # How many 64-bit draws each parameter takes, and at which of them it begins: its numbers depend on that alone.
    sizes = [math.prod(shape) // QUARTERS + 1 for _, shape in layout.values()]
    places = dict(zip(layout, accumulate(sizes, initial=0), strict=False))
    factors = dict(weights.stretched)

    def value(name: str) -> Array:
        kind, shape = layout[name]
        middle, reach = _spread(kind, name.rpartition(".")[2], shape, weights.scale)
        size = math.prod(shape)
        # `advance` goes to a place in the stream without drawing what lies before it.
        random = np.random.PCG64(weights.seed).advance(places[name])
        array = random.random_raw(size // QUARTERS + 1).view(np.uint16)[:size].reshape(shape).astype(np.float32)
        # 2^16 equal steps around the middle, none of which is zero: a zero weight hides what it multiplies.
        array -= np.float32(2**15 - 0.5)
        array *= np.float32(2 * reach / 2**16)
        if middle:
            array += np.float32(middle)
        if name in factors:
            array *= np.float32(factors[name])
        for dtype in ("float16", "bfloat16"):  # in this order: the second rounding keeps the first
            array = round_to(array, dtype) if dtype in dtypes else array
        return array

    return Each(layout, value)


def jittered(values: Mapping[str, Array], dtype: str, time: int) -> Each[str, Array]:
    """Weights, each moved by up to a dtype's eps of itself, by other random numbers each `time`.

    To be asked for once each and in their order: the random numbers come from one stream. As float64.
    """
    random, reach = np.random.default_rng(time), EPS[dtype]

    def moved(name: str) -> Array:
        value = values[name]
        return np.asarray(value * random.uniform(1 - reach, 1 + reach, value.shape))

    return Each(values, moved)


# How a parameter's name ends -> the middle of its values and how far they reach from it.
SPREAD = {"bias": (0.0, 0.5), "gain": (1.0, 0.5), "mean": (0.0, 0.5), "variance": (1.0, 0.5), "slope": (0.25, 0.25)}

HELD = "held"  # the kind of a parameter that one side lacks: 0 or 1
ADDED = ("bias", "beta", "table")  # how the names of those end that are added to something


def neutral(parameter: str) -> float:
    """The value at which a parameter changes nothing: 0 of what is added, 1 of what multiplies."""
    return float(not parameter.endswith(ADDED))


def _spread(kind: str, parameter: str, shape: tuple[int, ...], scale: float) -> tuple[float, float]:
    """The middle of a parameter's values and how far they reach from it, by kind and name."""
    if kind == HELD:
        return neutral(parameter), 0.0
    known = next((spread for ending, spread in SPREAD.items() if parameter.endswith(ending)), None)
    if known is not None:
        return known
    if kind not in KINDS:
        # A layer of the user's own: of a matrix, outputs are taken to be the first axis.
        return (0.0, 3.0**0.5 * scale / math.prod(shape[1:]) ** 0.5) if len(shape) > 1 else SPREAD["gain"]
    axes = KINDS[kind].axes[parameter]
    if axes[0] == "vocab":
        # A uniform distribution that reaches r has a variance of r^2 / 3.
        return 0.0, 3.0**0.5 * min(scale, 1.0)
    fan_in = math.prod(size for size, axis in zip(shape, axes, strict=True) if axis not in OUTPUTS)
    # A score multiplies two projections of what large kernels made large: it comes to 1e6 and more, where the
    # last bit of a float32 decides what is attended, unless these make up for some of it.
    reach = min(scale, 1 / scale) if kind == "attention" else scale
    return 0.0, 3.0**0.5 * reach / fan_in**0.5
