"""The calls of a torch model's layers.

Line for line beside `parity/backends/keras/hooks.py`. What each verb promises stands in `parity/backends/hooks.py`.
"""

import contextlib
import inspect
import sys
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from parity.backends.hooks import Watch, Watched, set_instance_attribute
from parity.backends.torch import modules
from parity.backends.torch.kinds import CHANNELS, SETTINGS, STATES
from parity.backends.torch.precision import kept
from parity.backends.torch.promotion import Dispatching
from parity.canonical.flow import Flow
from parity.canonical.layer import Layer
from parity.dtypes import Array
from parity.errors import ParityError

# They change nothing of the layer but what it may see: `hooks.Call.again` exchanges them for a mask.
HIDING = ("key_padding_mask", "attn_mask", "is_causal")  # arguments of an attention


def named_modules(module: nn.Module) -> dict[str, str]:
    """Path -> type of every layer, in order; the model itself comes first, its path empty."""
    return {path: type(child).__name__ for path, child in walk(module)}


def walk(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Path and layer of every layer, in order."""
    pairs: Iterator[tuple[str, Any]] = module.named_modules()
    return pairs


@contextlib.contextmanager
def watched(
    module: nn.Module,
    links: Mapping[str, str],
    layers: Sequence[Layer],
    watch: Watch,
    bare: Collection[str],
    precisely: Callable[[], AbstractContextManager[None]],
) -> Iterator[None]:
    """While inside, `watch` is told of each call of the layers at these paths.

    `links` is the framework's path -> the name by which the watch is told, `layers` the model's canonical layers, and
    `bare` has names of layers without their activation (Keras alone). A call is run again inside `precisely()`, which
    gives the model's precision. Buffers that a run changes are put back.
    """
    silence: list[bool] = []
    with contextlib.ExitStack() as stack:
        for buffer in modules.kept(module):  # a run may change them
            stack.callback(buffer.copy_, buffer.clone())
        for path, child in walk(module):
            if path in links:
                watcher = Watched(
                    sys.modules[__name__], links[path], child, child.forward, layers, watch, silence, precisely
                )
                stack.callback(set_instance_attribute(child, "forward", watcher))
        yield


@contextlib.contextmanager
def alternating() -> Iterator[None]:
    with kept():
        yield


@contextlib.contextmanager
def flowing(module: nn.Module, flow: Flow) -> Iterator[None]:
    """While inside, `flow` is told of each operation and of the calls of its units."""
    with contextlib.ExitStack() as stack:
        for path, child in module.named_modules():
            if path in flow.units:
                stack.callback(
                    set_instance_attribute(child, "forward", flow.around(path, child.forward, split_mask_arguments))
                )
        yield stack.enter_context(_Operations(flow))


class _Operations(Dispatching):
    """Tells `flow` of each operation whose results depend on more than the shapes of its operands."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self._flow = flow

    def __torch_dispatch__(
        self, run: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        result = run(*args, **(kwargs or {}))
        if not (run.__name__.partition(".")[0].endswith("_like") or run.__name__.startswith("new_")):
            self._flow.operation((args, kwargs), result)
        return result


def identity(tensor: torch.Tensor) -> int | None:
    """A key that is the same for tensors that share their numbers; None for what is no tensor."""
    return tensor.untyped_storage()._cdata if isinstance(tensor, torch.Tensor) else None


def is_tensor(leaf: object) -> bool:
    return isinstance(leaf, torch.Tensor)


def is_packed(leaf: object) -> bool:
    return isinstance(leaf, PackedSequence) or (isinstance(leaf, torch.Tensor) and leaf.is_nested)


def padded(leaf: PackedSequence) -> tuple[Any, Sequence[int]]:
    if isinstance(leaf, PackedSequence):
        tensor, lengths = pad_packed_sequence(leaf, True)
        return tensor, lengths.tolist()
    return leaf.to_padded_tensor(0.0), list(map(len, leaf.unbind()))


def packed(tensor: torch.Tensor, like: torch.Tensor) -> PackedSequence:
    _, lengths = padded(like)
    if isinstance(like, PackedSequence):
        return pack_padded_sequence(tensor, lengths, True, enforce_sorted=False)
    rows = [row[:length] for row, length in zip(tensor, lengths, strict=True)]
    return torch.nested.as_nested_tensor(rows, layout=like.layout)


def instead(tensor: torch.Tensor, other: Any) -> torch.Tensor:
    # The value is the other's, the derivative this one's: a straight-through estimator.
    return other + (tensor - tensor.detach()) if tensor.requires_grad else other


def to_canonical(kind: str, place: int, tensor: torch.Tensor) -> Array:
    tensor = tensor.detach()
    if kind in CHANNELS and tensor.ndim > 2:
        tensor = tensor.movedim(1, -1)  # (batch, channels, time) -> (batch, time, channels)
    # torch stacks the states of layers and directions; a canonical layer is one of them.
    if kind in STATES and place > 0 and tensor.ndim > 2:  # a cell's has no axis of layers
        tensor = tensor[0]  # (1, batch, units) -> (batch, units)
    result: Array = tensor.numpy()
    return result


def from_canonical(kind: str, place: int, array: Array, like: torch.Tensor) -> torch.Tensor:
    tensor = torch.tensor(np.ascontiguousarray(array), dtype=like.dtype)
    if kind in CHANNELS and tensor.ndim > 2:
        tensor = tensor.movedim(-1, 1)
    if kind in STATES and tensor.ndim < like.ndim:
        tensor = tensor[None]
    return tensor


def split_mask_arguments(
    kind: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
    if kind != "attention":
        return args, kwargs, {}
    arguments = OrderedDict(inspect.signature(call).bind(*args, **kwargs).arguments)
    return (), arguments, {name: arguments.pop(name) for name in HIDING if name in arguments}


def settings(layer: nn.Module) -> dict[str, Any]:
    return {name: _value(layer, at) for name, at in _settings(layer).items()}


def attention_mask(layer: nn.Module, arguments: Mapping[str, Any], hiding: Mapping[str, Any]) -> dict[str, Any]:
    padding, mask = (hiding.get(name) for name in HIDING[:2])
    masks = [] if padding is None else [padding[:, None, None].numpy()]
    if mask is not None:
        mask = mask.unflatten(0, (-1, layer.num_heads)) if mask.ndim == 3 else mask[None, None]
        masks.append(mask.numpy())
    # A float mask that is neither 0 nor -inf is a bias of the scores, as ALiBi's: it hides nothing.
    if any(mask.dtype != bool and not np.isin(mask, (0, -np.inf)).all() for mask in masks):
        return {}
    shown = np.broadcast_arrays(*(mask == 0 for mask in masks))
    return {"seen": np.logical_and.reduce(shown) if masks else None}


def mask_arguments(layer: nn.Module, arguments: Mapping[str, Any], seen: Array | None) -> dict[str, Any]:
    if seen is None:
        return {}
    batch = arguments["query"].shape[0 if layer.batch_first else 1]
    shown = np.broadcast_to(seen, (batch, layer.num_heads, *seen.shape[-2:]))
    return {"attn_mask": torch.tensor(~shown).flatten(0, 1)}  # (batch * heads, time, keys), True where hidden


@contextlib.contextmanager
def overriding(
    layer: nn.Module, own: Sequence[Layer], settings: Mapping[str, Any], weights: Mapping[str, Array]
) -> Iterator[None]:
    with torch.no_grad(), contextlib.ExitStack() as stack:
        for name, value in settings.items():
            at = _settings(layer)[name]
            if not isinstance(at, str):
                raise ParityError(f"{type(layer).__name__} has {name} {_value(layer, at)} and no other")
            before = getattr(layer, at)
            stack.callback(setattr, layer, at, before)
            setattr(layer, at, _like(before, value))
        for part in (part for of in own for part in of.parts if part.parameter in weights):
            for variable, array in zip(part.variables, part.transform.unpack(weights[part.parameter]), strict=True):
                stack.callback(variable.copy_, variable.clone())
                variable.copy_(torch.tensor(np.ascontiguousarray(array)))
        yield


def gradients(
    run: Callable[[Sequence[Any]], Sequence[Any]], arrays: Sequence[Any], variables: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    with torch.enable_grad():
        tensors = [tensor.detach().clone().requires_grad_(tensor.is_floating_point()) for tensor in arrays]
        total = sum(tensor.sum() for tensor in run(tensors))
    sources = [tensor for tensor in (*tensors, *variables) if tensor.requires_grad]
    if not total.requires_grad or not sources:
        return [None] * len(arrays), [None] * len(variables)
    results = torch.autograd.grad(total, sources, materialize_grads=True)
    known = {id(source): gradient for source, gradient in zip(sources, results, strict=True)}
    return [known.get(id(tensor)) for tensor in tensors], [known.get(id(variable)) for variable in variables]


def _settings(layer: nn.Module) -> dict[str, Any]:
    """Canonical name of a setting -> where this kind of layer has it."""
    return next((of for kind, of in SETTINGS.items() if isinstance(layer, kind)), {})


def _value(layer: nn.Module, at: Any) -> Any:
    """A setting's value: by a function of the layer, by an attribute's name, or the one that it always has."""
    if callable(at):
        return at(layer)
    return _plain(getattr(layer, at)) if isinstance(at, str) else at[0]


def _like(before: Any, value: Any) -> Any:
    """A canonical value in the form of the layer's own: a tuple for a number."""
    return type(before)([value]) if isinstance(before, tuple) and not isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    """A number for a tuple of one, as a one-dimensional convolution's stride is."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value
