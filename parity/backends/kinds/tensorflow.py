"""Which layers of a TensorFlow model hold parameters that parity knows; line for line beside torch.py."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from parity.errors import ParityError
from parity.layers import SAME, SWAPPED, TRANSPOSED, TRANSPOSED_SWAPPED, Layer, Part, Transform, untied

# layer type -> kind, and per canonical parameter the attributes that hold it and how.
KINDS: dict[type, tuple[str, dict[str, tuple[tuple[str, ...], Transform]]]] = {
    keras.layers.Embedding: ("embedding", {"table": (("embeddings",), SAME)}),
    keras.layers.Dense: ("dense", {"kernel": (("kernel",), TRANSPOSED), "bias": (("bias",), SAME)}),
    keras.layers.LSTM: (
        "lstm",
        {
            "input_kernel": (("cell.kernel",), TRANSPOSED),
            "recurrent_kernel": (("cell.recurrent_kernel",), TRANSPOSED),
            "bias": (("cell.bias",), SAME),
        },
    ),
    keras.layers.GRU: (
        "gru",
        {
            "input_kernel": (("cell.kernel",), TRANSPOSED_SWAPPED),
            "recurrent_kernel": (("cell.recurrent_kernel",), TRANSPOSED_SWAPPED),
            "bias": (("cell.bias",), SWAPPED),
        },
    ),
    keras.layers.Conv1D: ("conv1d", {"kernel": (("kernel",), TRANSPOSED), "bias": (("bias",), SAME)}),
    keras.layers.LayerNormalization: ("layer_norm", {"gain": (("gamma",), SAME), "bias": (("beta",), SAME)}),
}


def layers(module: Any, prefix: str, seen: set[int]) -> Iterator[Layer]:
    held = module.layers if isinstance(module, keras.Model) else module._flatten_layers(False, recursive=False)
    for child in held:
        path = f"{prefix}{child.name}"
        if isinstance(child, tuple(KINDS)):
            kind, parts = next(entry for known, entry in KINDS.items() if isinstance(child, known))
            found = [
                Part(
                    parameter,
                    tuple(_attribute(child, name) for name in names),
                    tuple(_attribute(child, name).path for name in names),
                    transform,
                )
                for parameter, (names, transform) in parts.items()
                if not _missing(child, names)
            ]
            own = untied(found, seen)
            if own or not found:
                _supported(path, child, parts)
            yield Layer(path, kind, own)
        else:
            yield from layers(child, f"{path}.", seen)


def _supported(path: str, child: Any, parts: dict[str, tuple[tuple[str, ...], Transform]]) -> None:
    name = type(child).__name__
    if isinstance(child, keras.layers.GRU) and not child.reset_after:
        raise ParityError(f"{path}: only {name} with reset_after=True is supported; torch has no other")
    for parameter, (names, _) in parts.items():
        if _missing(child, names):
            raise ParityError(f"{path}: {name} without {parameter} is not supported")


def _missing(child: Any, names: Sequence[str]) -> bool:
    return any(_attribute(child, name) is None for name in names)


def _attribute(child: Any, name: str) -> Any:
    for step in name.split("."):
        child = getattr(child, step)
    return child
