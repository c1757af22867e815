"""Layer kinds: the canonical names, axes and fresh values of their parameters.

A weight crosses from one framework to the other only in canonical form: a NumPy array with the axes
given here. A backend says how its own variables become that form, as a `Transform`.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.canonical.transforms import SAME, Transform
from parity.dtypes import Array, round_to
from parity.errors import ParityError, users_own

# "layer.parameter" -> (kind, canonical shape)
Layout = Mapping[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Kind:
    """A layer's canonical type: the parameters that it may have, each with its axes, in transfer order."""

    name: str
    axes: Mapping[str, tuple[str, ...]]


def _recurrent(name: str, rows: str, bias: tuple[str, ...]) -> Kind:
    return Kind(name, {"input_kernel": (rows, "in"), "recurrent_kernel": (rows, "units"), "bias": bias})


def _kernel(name: str, *axes: str) -> Kind:
    return Kind(name, {"kernel": axes, "bias": ("out",)})


NORM = {"gain": ("width",), "bias": ("width",)}
SPLIT = ("heads", "head_width", "in")

KINDS = {
    kind.name: kind
    for kind in (
        Kind("embedding", {"table": ("vocab", "width")}),
        _kernel("dense", "out", "in"),
        # "gates" stacks input, forget, cell and output, in this order: 4 * units rows.
        _recurrent("lstm", "gates", ("gates",)),
        # "gates" stacks reset, update and new: 3 * units rows. Of the biases the first acts on the
        # input's part and the second on the state's; the new gate's second one is behind the reset
        # gate, so they are not a sum.
        _recurrent("gru", "gates", ("part", "gates")),
        _recurrent("rnn", "out", ("out",)),
        # "in" is a group's, where channels are in groups; a depthwise one has as many groups as channels.
        _kernel("conv1d", "out", "in", "time"),
        _kernel("conv2d", "out", "in", "height", "width"),
        _kernel("conv3d", "out", "in", "depth", "height", "width"),
        _kernel("conv1d_transposed", "in", "out", "time"),
        _kernel("conv2d_transposed", "in", "out", "height", "width"),
        _kernel("conv3d_transposed", "in", "out", "depth", "height", "width"),
        Kind("layer_norm", NORM),
        Kind("rms_norm", {"gain": ("width",)}),
        Kind("group_norm", NORM),
        # The mean and the variance are what evaluation divides by; nothing trains them.
        Kind("batch_norm", {**NORM, "mean": ("width",), "variance": ("width",)}),
        # "part" stacks query, key and value, whose kernels are apart where their inputs are of other widths.
        Kind(
            "attention",
            {
                "input_kernel": ("part", *SPLIT),
                **dict.fromkeys(("query_kernel", "key_kernel", "value_kernel"), SPLIT),
                "input_bias": ("part", "heads", "head_width"),
                "output_kernel": ("out", "from_heads", "from_width"),
                "output_bias": ("out",),
            },
        ),
        Kind("prelu", {"slope": ("width",)}),
    )
}
# Axes along which a kernel's outputs lie; its fan-in is the size of all others.
OUTPUTS = {"vocab", "out", "gates", "part", "heads", "head_width"}


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


# The user's own layer class -> what tells its parameters: name -> variable, or (variable, transform).
# Or a side -> what tells those of its whole model, each named "layer.parameter".
Custom = Mapping[type | str, Callable[[Any], Any]]
CUSTOM = "custom"  # the kind of such a layer, if its twin has no other


def teaches(layer: Any, custom: Custom) -> Callable[[Any], Any] | None:
    """What tells the parameters of a layer of the user's own."""
    return next((tell for kind, tell in custom.items() if isinstance(kind, type) and isinstance(layer, kind)), None)


def taught(
    layer: Any, tell: Callable[[Any], Any], held: Iterable[tuple[str, Any]], constants: Iterable[Any]
) -> list[Part]:
    """The parts of a layer of the user's own, as `tell` tells them; `held` is every variable of it, with its name.

    Raises ParityError unless each is told once; those that are constants may be left out.
    """
    parts = _parts(layer, tell, held, constants)
    for part in parts:
        if "." in part.parameter:
            raise ParityError(f"its function in custom= calls a parameter {part.parameter}; leave out the dot")
    return parts


def whole(
    module: Any, tell: Callable[[Any], Any], held: Iterable[tuple[str, Any]], constants: Iterable[Any]
) -> list[Layer]:
    """The layers of a model that is told whole. Raises ParityError as `taught`, and where a layer has no name."""
    layers: dict[str, list[Part]] = {}
    for part in _parts(module, tell, held, constants):
        path, _, parameter = part.parameter.rpartition(".")
        if not path:
            raise ParityError(f"its function in custom= calls a parameter {parameter}; name its layer before a dot")
        layers.setdefault(path, []).append(replace(part, parameter=parameter))
    return [Layer(path, CUSTOM, tuple(parts)) for path, parts in layers.items()]


def _parts(
    layer: Any, tell: Callable[[Any], Any], held: Iterable[tuple[str, Any]], constants: Iterable[Any]
) -> list[Part]:
    with users_own("its function in custom= failed"):
        told = tell(layer)
    if not isinstance(told, Mapping):
        raise ParityError(f"its function in custom= returned {type(told).__name__}; it must return a dict")
    names = {id(variable): name for name, variable in held}
    parts = [_told(str(parameter), entry, names) for parameter, entry in told.items()]
    uses = Counter(id(part.variables[0]) for part in parts)
    spared = set(map(id, constants)) - set(uses)
    for identity, name in names.items():
        if uses[identity] != 1 and identity not in spared:
            problem = "has twice" if uses[identity] else "leaves out"
            raise ParityError(f"its function in custom= {problem} {name}; each variable is one parameter")
    return parts


def _told(parameter: str, entry: Any, names: Mapping[int, str]) -> Part:
    variable, transform = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, SAME)
    if id(variable) not in names or not isinstance(transform, Transform):
        raise ParityError(
            f"its function in custom= gives {type(entry).__name__} for {parameter}; "
            "it must be a variable of the layer, or (variable, transform)"
        )
    return Part(parameter, (variable,), (names[id(variable)],), transform)


def untied(parts: Iterable[Part], seen: set[int]) -> tuple[Part, ...]:
    """The parts but for those whose variables have all been seen: a tied parameter is its first layer's."""
    own = tuple(part for part in parts if not seen.issuperset(map(id, part.variables)))
    seen.update(id(variable) for part in own for variable in part.variables)
    return own


def renamed(layers: Sequence[Layer], paths: Sequence[str], kinds: Sequence[str]) -> tuple[Layer, ...]:
    """The layers by other paths and of other kinds, where any are given."""
    paths, kinds = paths or [layer.path for layer in layers], kinds or [layer.kind for layer in layers]
    named = zip(layers, paths, kinds, strict=True)
    return tuple(replace(layer, path=path, kind=kind) for layer, path, kind in named)


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


def trainable(layers: Iterable[Layer], trained: Iterable[Any]) -> dict[str, Part]:
    """The canonical parameters that have one of these variables."""
    known = set(map(id, trained))
    return {
        f"{layer.path}.{part.parameter}": part
        for layer in layers
        for part in layer.parts
        if any(id(variable) in known for variable in part.variables)
    }


@dataclass(frozen=True)
class Weights:
    """All the weights of a model as a seed and a scale; small to draw, to shrink and to print."""

    seed: int
    scale: float


def draw(layout: Layout, weights: Weights, dtypes: Iterable[str] = ()) -> dict[str, Array]:
    """A float32 value for every parameter of a layout, such that each of `dtypes` holds it exactly.

    A value is one of 2^16 in equal steps, none of them zero: half the random bits in half the time.
    Kernels are uniform with variance scale^2 / fan-in, those of an attention by min(scale, 1 / scale),
    tables with variance min(scale, 1)^2, and all others as `SPREAD` says: no bias is 0 and no gain 1,
    because a parameter at its identity value hides the faults that concern it. Of a layer of the user's
    own, a matrix has its outputs first, and what is no matrix is drawn as a gain, if its name says
    nothing else.
    """
    random = np.random.default_rng(weights.seed)
    values = {}
    for name, (kind, shape) in layout.items():
        middle, reach = _spread(kind, name.rpartition(".")[2], shape, weights.scale)
        size = math.prod(shape)
        steps = random.bit_generator.random_raw(size // 4 + 1).view(np.uint16)[:size]
        array = steps.reshape(shape).astype(np.float32)
        array -= np.float32(2**15 - 0.5)
        array *= np.float32(2 * reach / 2**16)
        if middle:
            array += np.float32(middle)
        for dtype in ("float16", "bfloat16"):  # in this order: the second rounding keeps the first
            array = round_to(array, dtype) if dtype in dtypes else array
        values[name] = array
    return values


# How a parameter's name ends -> the middle of its values and how far they reach from it.
SPREAD = {"bias": (0.0, 0.5), "gain": (1.0, 0.5), "mean": (0.0, 0.5), "variance": (1.0, 0.5), "slope": (0.25, 0.25)}


def _spread(kind: str, parameter: str, shape: tuple[int, ...], scale: float) -> tuple[float, float]:
    known = next((spread for ending, spread in SPREAD.items() if parameter.endswith(ending)), None)
    if known is not None:
        return known
    if kind not in KINDS:
        return (0.0, 3.0**0.5 * scale / math.prod(shape[1:]) ** 0.5) if len(shape) > 1 else SPREAD["gain"]
    axes = KINDS[kind].axes[parameter]
    if axes[0] == "vocab":
        return 0.0, 3.0**0.5 * min(scale, 1.0)
    fan_in = math.prod(size for size, axis in zip(shape, axes, strict=True) if axis not in OUTPUTS)
    # A score multiplies two projections of what large kernels made large: it comes to 1e6 and more, where the
    # last bit of a float32 decides what is attended, unless these make up for some of it.
    reach = min(scale, 1 / scale) if kind == "attention" else scale
    return 0.0, 3.0**0.5 * reach / fan_in**0.5
