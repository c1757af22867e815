"""Which layers of a TensorFlow model hold parameters that parity knows; line for line beside torch.py."""

from collections.abc import Callable, Iterator
from typing import Any

import keras

from parity.backends.build import Build
from parity.backends.tensorflow import modules
from parity.canonical.custom import CUSTOM, Custom, loose, taught, teaches, whole
from parity.canonical.layer import Layer, Part, untied
from parity.canonical.transforms import (
    CHANNELS_FIRST,
    FIRST_LAST,
    LAST_FIRST,
    SAME,
    STACKED,
    STACKED_FIRST_LAST,
    SWAPPED,
    TRANSPOSED,
    TRANSPOSED_SWAPPED,
    Transform,
    multiplied,
    shared,
)
from parity.errors import ParityError

# Canonical parameter -> the attributes that hold it, and how.
Parts = dict[str, tuple[tuple[str, ...], Transform]]
# What each canonical layer in a framework's is called behind its path, its kind and its parts.
Reader = Callable[[Any], list[tuple[str, str, Parts]]]


def _one(kind: str, **parts: str) -> Reader:
    """A layer whose parameters are all canonical as they are."""
    return lambda _: [("", kind, {parameter: ((name,), SAME) for parameter, name in parts.items()})]


def _weighted(kind: str, transform: Transform) -> Reader:
    return lambda _: [("", kind, {"kernel": (("kernel",), transform), "bias": (("bias",), SAME)})]


def _norm(kind: str, gain: str = "gamma") -> Reader:
    return _one(kind, gain=gain, bias="beta", mean="moving_mean", variance="moving_variance")


def _depthwise(kind: str) -> Reader:
    def read(layer: Any) -> list[tuple[str, str, Parts]]:
        return _weighted(kind, multiplied(layer.kernel.shape[-2]))(layer)

    return read


def _separable(kind: str) -> Reader:
    """Two convolutions: one a channel, and one across channels, whose bias it is."""

    def read(layer: Any) -> list[tuple[str, str, Parts]]:
        transform = multiplied(layer.depthwise_kernel.shape[-2])
        across: Parts = {"kernel": (("pointwise_kernel",), CHANNELS_FIRST), "bias": (("bias",), SAME)}
        return [("depthwise", kind, {"kernel": (("depthwise_kernel",), transform)}), ("pointwise", kind, across)]

    return read


def _recurrent(layer: Any, at: str = "") -> list[tuple[str, str, Parts]]:
    """Each of several stacked cells has its number."""
    cell = getattr(layer, "cell", layer)
    if issubclass(modules.kin(cell), keras.layers.StackedRNNCells):
        return [(str(depth), *_cell(one, f"{at}cell.cells.{depth}.")) for depth, one in enumerate(cell.cells)]
    return [("", *_cell(cell, f"{at}cell."))]


def _bidirectional(layer: Any) -> list[tuple[str, str, Parts]]:
    """Each of two directions has its name."""
    return [
        (".".join(filter(None, (way, place))), kind, parts)
        for way in ("forward", "backward")
        for place, kind, parts in _recurrent(getattr(layer, f"{way}_layer"), f"{way}_layer.")
    ]


CELLS: dict[type, tuple[str, Transform, Transform]] = {
    keras.layers.LSTMCell: ("lstm", TRANSPOSED, SAME),
    keras.layers.GRUCell: ("gru", TRANSPOSED_SWAPPED, SWAPPED),
    keras.layers.SimpleRNNCell: ("rnn", TRANSPOSED, SAME),
}


def _cell(cell: Any, at: str = "") -> tuple[str, Parts]:
    known = next((known for kind, known in CELLS.items() if issubclass(modules.kin(cell), kind)), None)
    if known is None:
        raise ParityError(
            f"a {type(cell).__name__} is not supported; use one of {', '.join(c.__name__ for c in CELLS)}"
        )
    if issubclass(modules.kin(cell), keras.layers.GRUCell) and not cell.reset_after:
        raise ParityError("only reset_after=True is supported; torch has no other")
    kind, kernel, bias = known
    return kind, {
        "input_kernel": ((f"{at}kernel",), kernel),
        "recurrent_kernel": ((f"{at}recurrent_kernel",), kernel),
        "bias": ((f"{at}bias",), bias),
    }


def _attention(layer: Any) -> list[tuple[str, str, Parts]]:
    inputs = {of: f"{of}_dense.kernel" for of in ("query", "key", "value")}
    kernels = [_attribute(layer, name) for name in inputs.values()]
    if kernels[0].shape[1:] != kernels[2].shape[1:]:
        raise ParityError("a value_dim other than key_dim is not supported; torch has no other")
    packed: Parts = {"input_kernel": (tuple(inputs.values()), STACKED_FIRST_LAST)}
    apart: Parts = {f"{of}_kernel": ((name,), FIRST_LAST) for of, name in inputs.items()}
    return [
        (
            "",
            "attention",
            {
                **(packed if len({kernel.shape[0] for kernel in kernels}) == 1 else apart),
                "input_bias": (tuple(f"{of}_dense.bias" for of in inputs), STACKED),
                "output_kernel": (("output_dense.kernel",), LAST_FIRST),
                "output_bias": (("output_dense.bias",), SAME),
            },
        )
    ]


def _prelu(layer: Any) -> list[tuple[str, str, Parts]]:
    shape = tuple(layer.alpha.shape)
    if set(shape[:-1]) - {1}:
        raise ParityError(f"slopes of shape {shape} are not supported; share all axes but the last, as torch does")
    return [("", "prelu", {"slope": (("alpha",), shared(len(shape) - 1))})]


KINDS: dict[type, Reader] = {
    keras.layers.Embedding: _one("embedding", table="embeddings"),
    keras.layers.Dense: _weighted("dense", TRANSPOSED),
    keras.layers.RNN: _recurrent,  # LSTM, GRU and SimpleRNN are such
    keras.layers.Bidirectional: _bidirectional,
    **{kind: lambda cell: [("", *_cell(cell))] for kind in CELLS},
    keras.layers.Conv1D: _weighted("conv1d", CHANNELS_FIRST),
    keras.layers.Conv2D: _weighted("conv2d", CHANNELS_FIRST),
    keras.layers.Conv3D: _weighted("conv3d", CHANNELS_FIRST),
    keras.layers.Conv1DTranspose: _weighted("conv1d_transposed", CHANNELS_FIRST),
    keras.layers.Conv2DTranspose: _weighted("conv2d_transposed", CHANNELS_FIRST),
    keras.layers.Conv3DTranspose: _weighted("conv3d_transposed", CHANNELS_FIRST),
    keras.layers.DepthwiseConv1D: _depthwise("conv1d"),
    keras.layers.DepthwiseConv2D: _depthwise("conv2d"),
    keras.layers.SeparableConv1D: _separable("conv1d"),
    keras.layers.SeparableConv2D: _separable("conv2d"),
    keras.layers.LayerNormalization: _norm("layer_norm"),
    keras.layers.RMSNormalization: _norm("rms_norm", "scale"),
    keras.layers.GroupNormalization: _norm("group_norm"),
    keras.layers.BatchNormalization: _norm("batch_norm"),
    keras.layers.MultiHeadAttention: _attention,
    keras.layers.PReLU: _prelu,
}


def parameters(module: Any, build: Build) -> tuple[Layer, ...]:
    """The layers that hold a model's parameters; where it is taken as it is, every variable that floats is one."""
    if not build.own:
        return tuple(layers(module, build.custom))
    return loose((name, variable) for name, variable in modules.variables(module) if modules.floats(variable))


def layers(module: Any, custom: Custom) -> Iterator[Layer]:
    """Every layer of a kind that parity knows or `custom` tells, in the order of definition; a layer is known whole.

    Raises ParityError naming a layer that has no twin in the other framework, or no variables yet.
    """
    if "tensorflow" in custom:
        yield from _whole(module, custom["tensorflow"])
        return
    seen: set[int] = set()
    for path, found in _walk(module, "", custom):
        for place, kind, parts in found:
            yield Layer(".".join(filter(None, (path, place))), kind, untied(parts, seen))


def _whole(module: Any, tell: Callable[[Any], Any]) -> list[Layer]:
    try:
        return whole(module, tell, modules.variables(module), modules.constants(module))
    except ParityError as error:
        raise ParityError(f"{type(module).__name__}: {error}") from error


def _walk(module: Any, prefix: str, custom: Custom) -> Iterator[tuple[str, list[tuple[str, str, list[Part]]]]]:
    for name, child in modules.children(module):
        path = f"{prefix}{name}"
        found = _canonical(path, child, custom)
        if found:
            yield path, found
        else:
            yield from _walk(child, f"{path}.", custom)


def _canonical(path: str, child: Any, custom: Custom) -> list[tuple[str, str, list[Part]]]:
    """The canonical layers in one of the framework's, as `Reader` but with their parts; none if it is not known."""
    try:
        if tell := teaches(child, custom):
            return [("", CUSTOM, taught(child, tell, modules.variables(child), modules.constants(child)))]
        reader = next((reader for kind, reader in KINDS.items() if issubclass(modules.kin(child), kind)), None)
        if reader and not child.built:
            raise ParityError("it has no variables, because the model does not call it; call it or leave it out")
        entries = reader(child) if reader else []
        return [(place, kind, list(_parts(child, parts))) for place, kind, parts in entries]
    except ParityError as error:
        raise ParityError(f"{path}: {type(child).__name__}: {error}") from error


def _parts(child: Any, parts: Parts) -> Iterator[Part]:
    """Those that the layer has: it may be without a bias or a gain."""
    for parameter, (names, transform) in parts.items():
        variables = tuple(_attribute(child, name) for name in names)
        if variables[0] is not None:
            yield Part(parameter, variables, tuple(map(modules.name_of, variables)), transform)


def _attribute(child: Any, name: str) -> Any:
    for step in name.split("."):
        child = child[int(step)] if step.isdigit() else getattr(child, step, getattr(child, f"_{step}", None))
    return child
