"""Which layers of a PyTorch model hold parameters that parity knows; line for line beside tensorflow.py."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from parity.errors import ParityError
from parity.layers import SAME, STACKED, SUMMED, Layer, Part, Transform, untied

# layer type -> kind, and per canonical parameter the attributes that hold it and how.
KINDS: dict[type, tuple[str, dict[str, tuple[tuple[str, ...], Transform]]]] = {
    nn.Embedding: ("embedding", {"table": (("weight",), SAME)}),
    nn.Linear: ("dense", {"kernel": (("weight",), SAME), "bias": (("bias",), SAME)}),
    nn.LSTM: (
        "lstm",
        {
            "input_kernel": (("weight_ih_l0",), SAME),
            "recurrent_kernel": (("weight_hh_l0",), SAME),
            "bias": (("bias_ih_l0", "bias_hh_l0"), SUMMED),
        },
    ),
    nn.GRU: (
        "gru",
        {
            "input_kernel": (("weight_ih_l0",), SAME),
            "recurrent_kernel": (("weight_hh_l0",), SAME),
            "bias": (("bias_ih_l0", "bias_hh_l0"), STACKED),
        },
    ),
    nn.Conv1d: ("conv1d", {"kernel": (("weight",), SAME), "bias": (("bias",), SAME)}),
    nn.LayerNorm: ("layer_norm", {"gain": (("weight",), SAME), "bias": (("bias",), SAME)}),
}


def layers(module: Any) -> Iterator[Layer]:
    seen: set[int] = set()
    for path, child in module.named_modules():
        if isinstance(child, tuple(KINDS)):
            kind, parts = next(entry for known, entry in KINDS.items() if isinstance(child, known))
            found = [
                Part(
                    parameter,
                    tuple(getattr(child, name) for name in names),
                    tuple(f"{path}.{name}" for name in names),
                    transform,
                )
                for parameter, (names, transform) in parts.items()
                if not _missing(child, names)
            ]
            own = untied(found, seen)
            if own or not found:
                _supported(path, child, parts)
            yield Layer(path, kind, own)


def _supported(path: str, child: Any, parts: dict[str, tuple[tuple[str, ...], Transform]]) -> None:
    name = type(child).__name__
    if isinstance(child, nn.RNNBase) and (child.num_layers, child.bidirectional, child.proj_size) != (1, False, 0):
        raise ParityError(f"{path}: only {name} of one layer, one direction and no projection is supported")
    for parameter, (names, _) in parts.items():
        if _missing(child, names):
            raise ParityError(f"{path}: {name} without {parameter} is not supported")


def _missing(child: Any, names: Sequence[str]) -> bool:
    return any(getattr(child, name, None) is None for name in names)
