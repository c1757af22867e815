"""Which layers of a PyTorch model hold parameters that parity knows.

Line for line beside `parity/backends/keras/layers.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from parity.backends.build import Build
from parity.backends.torch import modules
from parity.canonical.custom import CUSTOM, WHOLE, Custom, loose, taught, teaches, untaught, whole
from parity.canonical.layer import CanonicalParameter, Layer, untied
from parity.canonical.opened import ATTENTION, opened
from parity.canonical.transforms import SAME, STACKED, SUMMED, Transform, columns, rows
from parity.errors import ParityError

# Canonical parameter -> the attributes that hold it, and how.
Parts = dict[str, tuple[tuple[str, ...], Transform]]
# A framework's layer -> of each canonical layer in it: what is added to its path ("" for none), its kind, its parts.
Reader = Callable[[Any], list[tuple[str, str, Parts]]]


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
    return ".".join([str(depth)] * (layer.num_layers > 1) + [way] * layer.bidirectional)


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


def parameters(module: nn.Module, build: Build, words: Sequence[str]) -> tuple[Layer, ...]:
    """The layers that hold a model's parameters; where it is taken as it is, every variable that floats is one."""
    if not build.own:
        return tuple(layers(module, build.custom, words))
    return loose((name, variable) for name, variable in modules.variables(module) if modules.floats(variable))


def layers(module: nn.Module, custom: Custom, words: Sequence[str] = ()) -> Iterator[Layer]:
    """Every layer that holds parameters, in the order of definition; one that parity knows or `custom` tells is whole.

    What holds others behind these. By `words`, those of `canonical.opened`, some are the layers that they are made of.
    Raises ParityError naming a layer that has no twin in the other framework.
    """
    if WHOLE in custom:
        yield from _whole(module, custom[WHOLE])
        return
    seen: set[int] = set()
    known: list[str] = []
    for path, child in module.named_modules():
        entries = [] if path.startswith(tuple(known)) else _canonical(path, child, custom, words)
        if entries:
            known.append(f"{path}." if path else "")
        for place, kind, parts in entries:
            yield Layer(".".join(filter(None, (path, place))), kind, untied(parts, seen))
    yield from _untaught(module, seen | set(map(id, modules.constants(module))))


def _untaught(module: nn.Module, seen: set[int]) -> Iterator[Layer]:
    """Custom layers of the parameters that no known layer holds (not in `seen`, ids), one for each module with any."""
    for path, child in module.named_modules():
        parameters = [
            (name, variable) for name, variable in child.named_parameters(recurse=False) if variable is not None
        ]
        loose = [(name, f"{path}.{name}".lstrip("."), v) for name, v in parameters if id(v) not in seen]
        leaf = len(loose) == len(parameters) and not any(True for of in child.children() for _ in of.parameters())
        yield from untaught(path, loose, leaf) if loose else ()
        seen.update(id(variable) for _, _, variable in loose)


def _whole(module: nn.Module, tell: Callable[[Any], Any]) -> list[Layer]:
    try:
        return whole(module, tell, modules.variables(module), modules.constants(module))
    except ParityError as error:
        raise ParityError(f"{type(module).__name__}: {error}") from error


def _canonical(
    path: str, child: nn.Module, custom: Custom, words: Sequence[str]
) -> list[tuple[str, str, list[CanonicalParameter]]]:
    """The canonical layers in one of the framework's, as `Reader` but with their parts; none if it is not known."""
    try:
        if tell := teaches(child, custom):
            variables = [(f"{path}.{name}", variable) for name, variable in modules.variables(child)]
            return [("", CUSTOM, taught(child, tell, variables, modules.constants(child)))]
        if modules.computed_of(child):
            return [("", CUSTOM, _apart(path, child))]
        known = {**KINDS, nn.MultiheadAttention: _opened} if ATTENTION in words else KINDS
        reader = next((reader for kind, reader in known.items() if isinstance(child, kind)), None)
        entries = reader(child) if reader else []
        layers_here = [(place, kind, list(_parts(path, child, parts))) for place, kind, parts in entries]
        return list(opened(layers_here, words))
    except ParityError as error:
        raise ParityError(f"{path}: {type(child).__name__}: {error}") from error


def _apart(path: str, child: nn.Module) -> list[CanonicalParameter]:
    """The parameters of a layer that computes a weight of them, under their own names without dots."""
    prefix = f"{path}." if path else ""
    return [
        CanonicalParameter(name.removeprefix("parametrizations.").replace(".", "_"), (of,), (prefix + name,), SAME)
        for name, of in child.named_parameters()
    ]


def _parts(path: str, child: nn.Module, parts: Parts) -> Iterator[CanonicalParameter]:
    """The canonical parameters that the layer has: it may be without a bias or a gain."""
    for parameter, (names, transform) in parts.items():
        variables = tuple(_attribute(child, name) for name in names)
        if variables[0] is not None:
            yield CanonicalParameter(parameter, variables, tuple(f"{path}.{name}" for name in names), transform)


def _attribute(child: nn.Module, name: str) -> torch.Tensor | None:
    """Follow a dotted name; None where it leads to nothing."""
    for step in name.split("."):
        child = getattr(child, step, None)
    return child
