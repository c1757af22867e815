"""What Keras's layers are, by class: which attribute is which canonical parameter, and which is which setting.

Line for line beside `parity/backends/torch/kinds.py`.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell

from parity.backends.keras import modules
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
    einsum,
    flat,
    multiplied,
    shared,
)

# Canonical parameter -> the attributes that hold it, and how.
Parts = dict[str, tuple[tuple[str, ...], Transform]]
# A framework's layer -> of each canonical layer in it: what is added to its path ("" for none), its kind, its parts.
Reader = Callable[[Any], list[tuple[str, str, Parts]]]


def attribute_of(child: keras.Layer, name: str) -> Any:
    """Follow a dotted name, with private attributes and places in lists among its steps; None if it leads nowhere."""
    for step in name.split("."):
        child = child[int(step)] if step.isdigit() else getattr(child, step, getattr(child, f"_{step}", None))
    return child


def _one(kind: str, **parts: str) -> Reader:
    """A layer whose parameters are all canonical as they are."""
    return lambda _: [("", kind, {parameter: ((name,), SAME) for parameter, name in parts.items()})]


def _weighted(kind: str, transform: Transform) -> Reader:
    """A layer of a kernel and a bias."""
    return lambda _: [("", kind, {"kernel": (("kernel",), transform), "bias": (("bias",), SAME)})]


def _norm(kind: str, gain: str = "gamma") -> Reader:
    return _one(kind, gain=gain, bias="beta", mean="moving_mean", variance="moving_variance")


def _depthwise(kind: str) -> Reader:
    # torch has it as a grouped convolution, whose kernel has one input channel.
    def read(layer: keras.Layer) -> list[tuple[str, str, Parts]]:
        return _weighted(kind, multiplied(layer.kernel.shape[-2]))(layer)

    return read


def _separable(kind: str) -> Reader:
    """Two convolutions: one of each channel by itself, and one across channels, which has the bias."""

    def read(layer: keras.Layer) -> list[tuple[str, str, Parts]]:
        transform = multiplied(layer.depthwise_kernel.shape[-2])
        across: Parts = {"kernel": (("pointwise_kernel",), CHANNELS_FIRST), "bias": (("bias",), SAME)}
        return [("depthwise", kind, {"kernel": (("depthwise_kernel",), transform)}), ("pointwise", kind, across)]

    return read


def _recurrent(layer: keras.Layer, at: str = "") -> list[tuple[str, str, Parts]]:
    """A recurrent layer as its cells: each of several stacked ones has its number; none where one is not known."""
    cell = getattr(layer, "cell", layer)
    if issubclass(modules.kin(cell), keras.layers.StackedRNNCells):
        rows = [_cell(one, f"{at}cell.cells.{depth}.", str(depth)) for depth, one in enumerate(cell.cells)]
        return [of for cells in rows for of in cells] if all(rows) else []
    return _cell(cell, f"{at}cell.")


def _bidirectional(layer: keras.Layer) -> list[tuple[str, str, Parts]]:
    """A bidirectional layer as its cells: each of two directions has its name; none where one is not known."""
    directions = [_recurrent(getattr(layer, f"{way}_layer"), f"{way}_layer.") for way in ("forward", "backward")]
    return [
        (".".join(filter(None, (way, place))), kind, parts)
        for way, of in zip(("forward", "backward"), directions, strict=True)
        for place, kind, parts in of
        if all(directions)
    ]


CELLS: dict[type, tuple[str, Transform, Transform]] = {
    keras.layers.LSTMCell: ("lstm", TRANSPOSED, SAME),
    keras.layers.GRUCell: ("gru", TRANSPOSED_SWAPPED, SWAPPED),
    keras.layers.SimpleRNNCell: ("rnn", TRANSPOSED, SAME),
    ConvLSTMCell: ("conv_lstm", CHANNELS_FIRST, SAME),
}


def _cell(cell: keras.Layer, at: str = "", place: str = "") -> list[tuple[str, str, Parts]]:
    """A recurrent cell; none of an unknown kind. A GRU has one bias, not two, where its reset gate acts first."""
    known = (known for kind, known in CELLS.items() if issubclass(modules.kin(cell), kind))
    kind, kernel, bias = next(known, ("", SAME, SAME))
    if not kind:
        return []
    parts: Parts = {
        "input_kernel": ((f"{at}kernel",), kernel),
        "recurrent_kernel": ((f"{at}recurrent_kernel",), kernel),
        "bias": ((f"{at}bias",), bias),
    }
    return [(place, f"{kind}{cell.rank}d" if isinstance(cell, ConvLSTMCell) else kind, parts)]


def _attention(layer: keras.Layer) -> list[tuple[str, str, Parts]]:
    """An attention's projections, packed as torch packs them where query, key and value are of one width."""
    inputs = {of: f"{of}_dense.kernel" for of in ("query", "key", "value")}
    kernels = [attribute_of(layer, name) for name in inputs.values()]
    biases = [attribute_of(layer, f"{of}_dense.bias") is None for of in inputs]
    if kernels[0].shape[1:] != kernels[2].shape[1:] or len(set(biases)) > 1:
        return []  # torch's own has no other: it is the layers inside
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


def _prelu(layer: keras.Layer) -> list[tuple[str, str, Parts]]:
    """A PReLU of one slope for each channel; one of more slopes is not known."""
    shape = tuple(layer.alpha.shape)
    if set(shape[:-1]) - {1}:  # torch's own shares all axes but that of channels
        return []
    return [("", "prelu", {"slope": (("alpha",), shared(len(shape) - 1))})]


def _opened(_: object) -> list[tuple[str, str, Parts]]:
    """An attention as the dense layers that it has inside: none of its own, so that these are found."""
    return []


def _einsum(layer: keras.Layer) -> list[tuple[str, str, Parts]]:
    """A dense layer, where its equation says no more than what is summed and what comes out."""
    operand, kernel, result = layer.equation.replace(".", "").replace("->", ",").split(",")
    out, within = ([axis for axis in of if axis in kernel] for of in (result, operand))
    sizes = [layer.kernel.shape[kernel.index(axis)] for axis in out]
    bias = layer.bias is None or math.prod(layer.bias.shape) == math.prod(sizes)
    if set(out) & set(within) or {*out, *within} != set(kernel) or not bias:
        return []
    turned = einsum(tuple(map(kernel.index, out)), tuple(map(kernel.index, within)), tuple(layer.kernel.shape))
    biases = {} if layer.bias is None else {"bias": (("bias",), flat(tuple(layer.bias.shape)))}
    return [("", "dense", {"kernel": (("kernel",), turned), **biases})]


KINDS: dict[type, Reader] = {
    keras.layers.Embedding: _one("embedding", table="embeddings"),
    keras.layers.Dense: _weighted("dense", TRANSPOSED),
    keras.layers.EinsumDense: _einsum,
    keras.layers.RNN: _recurrent,  # LSTM, GRU and SimpleRNN are such
    keras.layers.Bidirectional: _bidirectional,
    **dict.fromkeys(CELLS, _cell),
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
# What is read otherwise, where an attention is to be the dense layers that it is made of.
OPENED: dict[type, Reader] = {keras.layers.MultiHeadAttention: _opened}


CONVOLUTIONS = [getattr(keras.layers, f"Conv{axes}D{way}") for axes in (1, 2, 3) for way in ("", "Transpose")]
GATED = {"activation": "cell.activation", "recurrent_activation": "cell.recurrent_activation"}
# layer type -> canonical name of a setting -> the attribute that holds it.
SETTINGS: dict[type, dict[str, str]] = {
    keras.layers.Dense: {"activation": "activation"},
    keras.layers.LSTM: {**GATED, "go_backwards": "go_backwards"},
    keras.layers.GRU: {**GATED, "reset_after": "cell.reset_after"},
    keras.layers.SimpleRNN: {"activation": "cell.activation", "go_backwards": "go_backwards"},
    **{of: {"activation": "activation", "stride": "strides", "dilation": "dilation_rate"} for of in CONVOLUTIONS},
    keras.layers.LayerNormalization: {"epsilon": "epsilon"},
    keras.layers.RMSNormalization: {"epsilon": "epsilon"},
    keras.layers.BatchNormalization: {"epsilon": "epsilon", "momentum": "momentum"},
    keras.layers.GroupNormalization: {"epsilon": "epsilon", "groups": "groups"},
}
