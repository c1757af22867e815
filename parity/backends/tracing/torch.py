"""The calls of a torch model's layers. Line for line beside tensorflow.py."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from parity.backends.forms import torch as forms
from parity.backends.tracing import Watch, Watched, put
from parity.errors import ParityError
from parity.layers import Array, Layer

# layer type -> canonical name of a setting -> the attribute that holds it, or the value it always has.
SETTINGS: dict[type, dict[str, Any]] = {
    nn.Linear: {"activation": ["linear"]},
    nn.LSTM: {"activation": ["tanh"], "recurrent_activation": ["sigmoid"], "go_backwards": [False]},
    nn.GRU: {"activation": ["tanh"], "recurrent_activation": ["sigmoid"], "reset_after": [True]},
    nn.Conv1d: {"activation": ["linear"], "stride": "stride", "dilation": "dilation"},
    nn.LayerNorm: {"epsilon": "eps"},
}


def nodes(module: Any) -> dict[str, str]:
    """Path -> type of every layer, in order; the model itself comes first, its path empty."""
    return {path: type(child).__name__ for path, child in module.named_modules()}


@contextlib.contextmanager
def watched(module: Any, links: Mapping[str, str], layers: Sequence[Layer], watch: Watch) -> Iterator[None]:
    """While inside, `watch` is told of each call of the layers at these paths, by the names that go with them."""
    silence: list[bool] = []
    with contextlib.ExitStack() as stack:
        for kept in forms.kept(module):  # a run may change them
            stack.callback(kept.copy_, kept.clone())
        for path, child in module.named_modules():
            if path in links:
                watcher = Watched(sys.modules[__name__], links[path], child, child.forward, layers, watch, silence)
                stack.callback(put(child, "forward", watcher))
        yield


def is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor)


def outward(kind: str, place: int, tensor: Any) -> Array:
    tensor = tensor.detach()
    if kind == "conv1d" and tensor.ndim == 3:
        tensor = tensor.mT  # (batch, channels, time) -> (batch, time, channels)
    if kind in ("lstm", "gru") and place > 0:
        tensor = tensor[0]  # (1, batch, units) -> (batch, units)
    result: Array = tensor.numpy()
    return result


def inward(kind: str, place: int, array: Array, like: Any) -> Any:
    tensor = torch.tensor(np.ascontiguousarray(array), dtype=like.dtype)
    if kind == "conv1d" and tensor.ndim == 3:
        tensor = tensor.mT
    if kind in ("lstm", "gru") and place > 0:
        tensor = tensor[None]
    return tensor


def settings(layer: Any) -> dict[str, Any]:
    return {name: _plain(getattr(layer, at)) if isinstance(at, str) else at[0] for name, at in _settings(layer).items()}


@contextlib.contextmanager
def altered(
    layer: Any, own: Sequence[Layer], settings: Mapping[str, Any], weights: Mapping[str, Array]
) -> Iterator[None]:
    with torch.no_grad(), contextlib.ExitStack() as stack:
        for name, value in settings.items():
            at = _settings(layer)[name]
            if not isinstance(at, str):
                raise ParityError(f"{type(layer).__name__} has {name} {at[0]} and no other")
            kept = getattr(layer, at)
            stack.callback(setattr, layer, at, kept)
            setattr(layer, at, type(kept)([value]) if isinstance(kept, tuple) else value)
        for part in (part for of in own for part in of.parts if part.parameter in weights):
            for variable, array in zip(part.variables, part.transform.unpack(weights[part.parameter]), strict=True):
                stack.callback(variable.copy_, variable.clone())
                variable.copy_(torch.tensor(np.ascontiguousarray(array)))
        yield


def gradients(
    run: Callable[[Sequence[Any]], Sequence[Any]], given: Sequence[Any], variables: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    with torch.enable_grad():
        tensors = [tensor.detach().clone().requires_grad_(tensor.is_floating_point()) for tensor in given]
        total = sum(tensor.sum() for tensor in run(tensors))
    sources = [tensor for tensor in (*tensors, *variables) if tensor.requires_grad]
    if not total.requires_grad or not sources:
        return [None] * len(given), [None] * len(variables)
    found = torch.autograd.grad(total, sources, materialize_grads=True)
    known = {id(source): gradient for source, gradient in zip(sources, found, strict=True)}
    return [known.get(id(tensor)) for tensor in tensors], [known.get(id(variable)) for variable in variables]


def _settings(layer: Any) -> dict[str, Any]:
    return next((of for kind, of in SETTINGS.items() if isinstance(layer, kind)), {})


def _plain(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value
