"""What torch's layers are, by class: which attribute is which canonical parameter, and which is which setting.

Line for line beside `parity/backends/keras/kinds.py`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from parity.canonical.transforms import SAME, STACKED, SUMMED, Transform, columns, rows
from parity.errors import ParityError

# Canonical parameter -> the attributes that hold it, and how.
Parts = dict[str, tuple[tuple[str, ...], Transform]]
# A framework's layer -> of each canonical layer in it: what is added to its path ("" for none), its kind, its parts.
Reader = Callable[[Any], list[tuple[str, str, Parts]]]


def attribute_of(child: nn.Module, name: str) -> torch.Tensor | None:
    """Follow a dotted name; None where it leads to nothing."""
    for step in name.split("."):
        child = getattr(child, step, None)
    return child


def _one(kind: str, **parts: str) -> Reader:
    """A layer whose parameters are all canonical as they are."""
    return lambda _: [("", kind, {parameter: ((name,), SAME) for parameter, name in parts.items()})]


def _weighted(kind: str) -> Reader:
    """A layer of a kernel and a bias, as torch calls them: weight and bias."""
    return _one(kind, kernel="weight", bias="bias")


def _norm(kind: str) -> Reader:
    return _one(kind, gain="weight", bias="bias", mean="running_mean", variance="running_var")


def _recurrent(kind: str, biases: Transform) -> Reader:
    """A recurrent layer as its cells: each of several stacked ones has its number, each of two directions its name."""

    def read(layer: nn.Module) -> list[tuple[str, str, Parts]]:
        if layer.proj_size:
            raise ParityError("a projection is not supported: Keras has none; put a Linear after the layer instead")
        return [
            (_place(layer, depth, way), kind, _cell(biases, f"_l{depth}{ending}"))
            for depth in range(layer.num_layers)
            for way, ending in (("forward", ""), ("backward", "_reverse"))[: 1 + layer.bidirectional]
        ]

    return read


def _place(layer: nn.Module, depth: int, way: str) -> str:
    """The name of one of several layers or directions of a recurrence, which is added to its path."""
    return ".".join(filter(None, (str(depth) if layer.num_layers > 1 else "", way if layer.bidirectional else "")))


def _cell(biases: Transform, ending: str = "") -> Parts:
    """The parameters of one recurrent cell. torch has two biases where Keras's LSTM has one."""
    return {
        "input_kernel": ((f"weight_ih{ending}",), SAME),
        "recurrent_kernel": ((f"weight_hh{ending}",), SAME),
        "bias": ((f"bias_ih{ending}", f"bias_hh{ending}"), biases),
    }


def _attention(layer: nn.Module) -> list[tuple[str, str, Parts]]:
    """An attention's packed or separate projections: query, key and value stand in one matrix where they are of one
    width.
    """
    if layer.bias_k is not None:
        raise ParityError("add_bias_kv is not supported: Keras has no such bias; build the layer without it")
    heads = layer.num_heads
    apart = {f"{of}_kernel": ((f"{of[0]}_proj_weight",), rows(heads, False)) for of in ("query", "key", "value")}
    return [
        (
            "",
            "attention",
            {
                "input_kernel": (("in_proj_weight",), rows(heads, True)),
                **apart,
                "input_bias": (("in_proj_bias",), rows(heads, True)),
                "output_kernel": (("out_proj.weight",), columns(heads)),
                "output_bias": (("out_proj.bias",), SAME),
            },
        )
    ]


def _opened(layer: nn.Module) -> list[tuple[str, str, Parts]]:
    """An attention as dense layers, the first one or three of which are given what it is given."""
    inputs: Parts = {"kernel": (("in_proj_weight",), SAME), "bias": (("in_proj_bias",), SAME)}
    output: Parts = {"kernel": (("out_proj.weight",), SAME), "bias": (("out_proj.bias",), SAME)}
    if layer.in_proj_weight is None:
        raise ParityError("its query, key and value are of unequal widths, and the other side's is written otherwise")
    return [("input", "dense", inputs), ("output", "dense", output)]


KINDS: dict[type, Reader] = {
    nn.Embedding: _one("embedding", table="weight"),
    nn.Linear: _weighted("dense"),
    nn.LSTM: _recurrent("lstm", SUMMED),
    nn.GRU: _recurrent("gru", STACKED),
    nn.RNN: _recurrent("rnn", SUMMED),
    nn.LSTMCell: lambda _: [("", "lstm", _cell(SUMMED))],
    nn.GRUCell: lambda _: [("", "gru", _cell(STACKED))],
    nn.RNNCell: lambda _: [("", "rnn", _cell(SUMMED))],
    nn.Conv1d: _weighted("conv1d"),
    nn.Conv2d: _weighted("conv2d"),
    nn.Conv3d: _weighted("conv3d"),
    nn.ConvTranspose1d: _weighted("conv1d_transposed"),
    nn.ConvTranspose2d: _weighted("conv2d_transposed"),
    nn.ConvTranspose3d: _weighted("conv3d_transposed"),
    nn.LayerNorm: _norm("layer_norm"),
    nn.RMSNorm: _norm("rms_norm"),
    nn.GroupNorm: _norm("group_norm"),
    nn.BatchNorm1d: _norm("batch_norm"),
    nn.BatchNorm2d: _norm("batch_norm"),
    nn.BatchNorm3d: _norm("batch_norm"),
    nn.MultiheadAttention: _attention,
    nn.PReLU: _one("prelu", slope="weight"),
}
# What is read otherwise, where an attention is to be the dense layers that it is made of.
OPENED: dict[type, Reader] = {nn.MultiheadAttention: _opened}


def _kept(layer: nn.Module) -> Any:
    """Momentum as Keras counts it: the share of what was."""
    return None if layer.momentum is None else round(1 - layer.momentum, 12)


CONVOLUTION = {"activation": ["linear"], "stride": "stride", "dilation": "dilation"}
NORM = {"epsilon": "eps"}
BATCH_NORM = {**NORM, "momentum": _kept}
# layer type -> canonical name of a setting -> the attribute that holds it, the value it always has, or what tells it.
SETTINGS: dict[type, dict[str, Any]] = {
    nn.Linear: {"activation": ["linear"]},
    nn.LSTM: {"activation": ["tanh"], "recurrent_activation": ["sigmoid"], "go_backwards": [False]},
    nn.GRU: {"activation": ["tanh"], "recurrent_activation": ["sigmoid"], "reset_after": [True]},
    nn.RNN: {"activation": "nonlinearity", "go_backwards": [False]},
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), CONVOLUTION),
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), CONVOLUTION),
    **dict.fromkeys((nn.LayerNorm, nn.RMSNorm), NORM),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), BATCH_NORM),
    nn.GroupNorm: {"epsilon": "eps", "groups": "num_groups"},
}
# The kinds that have their channels behind the batch, and those whose states have an axis of layers.
CHANNELS = {
    *("conv1d", "conv2d", "conv3d", "conv1d_transposed", "conv2d_transposed", "conv3d_transposed"),
    *("batch_norm", "group_norm", "prelu"),
}
STATES = {"lstm", "gru", "rnn"}
