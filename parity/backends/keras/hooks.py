"""The calls of a Keras model's layers.

Line for line beside `parity/backends/torch/hooks.py`.
"""

import contextlib
import inspect
import sys
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import keras
import numpy as np

from parity.backends.hooks import Watch, Watched, set_instance_attribute
from parity.backends.keras import modules
from parity.backends.keras.engine import engine
from parity.backends.keras.kinds import SETTINGS
from parity.canonical.flow import Flow
from parity.canonical.layer import Layer
from parity.dtypes import Array, Module, Tensor

WRAPPERS = (keras.layers.Wrapper, keras.layers.Bidirectional)
# Arguments of an attention; the first has a row for each query, the next two for each key.
HIDING = ("query_mask", "value_mask", "key_mask", "attention_mask", "use_causal_mask")


def named_modules(module: Module) -> dict[str, str]:
    """Path -> type of every layer, in order; the model itself comes first, its path empty."""
    return {path: type(child).__name__ for path, child in walk(module)}


def walk(module: Module) -> Iterator[tuple[str, Any]]:
    """Path and layer of every layer, in order."""
    return _walk(module, "", set())


@contextlib.contextmanager
def watched(
    module: Module,
    links: Mapping[str, str],
    layers: Sequence[Layer],
    watch: Watch,
    bare: Collection[str],
    precisely: Callable[[], AbstractContextManager[None]],
) -> Iterator[None]:
    """While inside, `watch` is told of each call of the layers at these paths.

    `links` is the framework's path -> the name by which the watch is told, `layers` the model's canonical layers, and
    `bare` has names of layers without their activation (Keras alone). A call is run again inside `precisely()`, which
    gives the model's precision. Variables that a run changes are put back, and nothing is compiled.
    """
    silence: list[bool] = []
    with contextlib.ExitStack() as stack:
        for variable in modules.kept(module):  # a run may change them
            stack.callback(engine.assign, variable, engine.value(variable))
        stack.enter_context(engine.eager())
        for path, child in walk(module):
            if path in links:
                watcher = partial(_watcher, links[path], child, layers, watch, silence, precisely, links[path] in bare)
                stack.callback(modules.watched(child, watcher))
        yield


@contextlib.contextmanager
def alternating() -> Iterator[None]:
    with engine.kept():
        yield


def _watcher(
    path: str,
    layer: keras.Layer,
    layers: Sequence[Layer],
    watch: Watch,
    silence: list[bool],
    precisely: Callable[[], AbstractContextManager[None]],
    bare: bool,
    call: Callable[..., Any],
) -> Callable[..., Any]:
    """What stands in the place of a layer's `call`; of a `bare` one the activation is applied outside of it."""
    inner = _bared(layer, call) if bare else call
    watcher = Watched(sys.modules[__name__], path, layer, inner, layers, watch, silence, precisely)
    return _followed(watcher, layer.activation) if bare else watcher


@contextlib.contextmanager
def flowing(module: Module, flow: Flow) -> Iterator[None]:
    """While inside, `flow` is told of each operation and of the calls of its units."""
    with contextlib.ExitStack() as stack:
        for path, child in _walk(module, "", set()):
            if path in flow.units:
                stack.callback(modules.watched(child, partial(flow.around, path, parted=split_mask_arguments)))
        stack.enter_context(engine.operations_seen(flow.operation))
        yield


def identity(tensor: Tensor) -> Any:
    """A key that is the same for tensors that share their numbers; None for what is no tensor."""
    return engine.identity(tensor)


def is_tensor(leaf: object) -> bool:
    return engine.is_tensor(leaf) or isinstance(leaf, np.ndarray)


def is_packed(leaf: object) -> bool:
    return engine.is_packed(leaf)


def padded(leaf: Any) -> tuple[Any, Sequence[int]]:
    return engine.padded(leaf)


def packed(tensor: Tensor, like: Tensor) -> Tensor:
    return engine.packed(tensor, like)


def instead(tensor: Tensor, other: Any) -> Tensor:
    return engine.instead(tensor, other)


def to_canonical(kind: str, place: int, tensor: Tensor) -> Array:
    result: Array = np.asarray(tensor)
    return result


def from_canonical(kind: str, place: int, array: Array, like: Tensor) -> Tensor:
    return engine.tensor(array, like.dtype)


def split_mask_arguments(
    kind: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
    if kind != "attention":  # Keras hands any layer the mask that came with its input, and a wrapper hands it on
        known = kind or isinstance(getattr(call, "__self__", None), WRAPPERS)
        masked = bool(known) and kwargs.get("mask") is not None
        return args, kwargs, {"mask": kwargs.pop("mask")} if masked else {}
    arguments = inspect.signature(call).bind(*args, **kwargs).arguments
    hidden = {name: arguments.pop(name) for name in HIDING if name in arguments}
    query, key, value = (arguments.pop(name, None) for name in ("query", "key", "value"))
    return (), OrderedDict(query=query, key=value if key is None else key, value=value, **arguments), hidden


def settings(layer: keras.Layer) -> dict[str, Any]:
    return {name: _plain(_attribute(layer, at)) for name, at in _settings(layer).items()}


def attention_mask(layer: keras.Layer, arguments: Mapping[str, Any], hiding: Mapping[str, Any]) -> dict[str, Any]:
    queries, values, keys, mask = (
        None if hiding.get(name) is None else np.asarray(hiding[name]).astype(bool) for name in HIDING[:4]
    )
    # True where something is seen; each is broadcast to (batch, heads, time, keys).
    shown = [] if queries is None else [queries[:, None, :, None]]
    shown += [rows[:, None, None] for rows in (values, keys) if rows is not None]
    if mask is not None:
        shown.append(mask[:, None] if mask.ndim == 3 else mask.reshape(*[1] * (4 - mask.ndim), *mask.shape))
    if hiding.get("use_causal_mask"):
        shown.append(np.tri(arguments["query"].shape[1], arguments["key"].shape[1], dtype=bool)[None, None])
    return {"seen": np.logical_and.reduce(np.broadcast_arrays(*shown)) if shown else None}


def mask_arguments(layer: keras.Layer, arguments: Mapping[str, Any], seen: Array | None) -> dict[str, Any]:
    return {} if seen is None else {"attention_mask": engine.tensor(seen)}


@contextlib.contextmanager
def overriding(
    layer: keras.Layer, own: Sequence[Layer], settings: Mapping[str, Any], weights: Mapping[str, Array]
) -> Iterator[None]:
    with engine.precision(getattr(layer, "compute_dtype", keras.config.floatx())), contextlib.ExitStack() as stack:
        for name, value in settings.items():
            *steps, last = _settings(layer)[name].split(".")
            holder = _attribute(layer, ".".join(steps)) if steps else layer
            before = getattr(holder, last)
            stack.callback(set_instance_attribute(holder, last, _like(before, value)))
        for part in (part for of in own for part in of.parts if part.parameter in weights):
            for variable, array in zip(part.variables, part.transform.unpack(weights[part.parameter]), strict=True):
                stack.callback(engine.assign, variable, engine.value(variable))
                engine.assign(variable, engine.tensor(array, engine.raw(variable).dtype))
        yield


def gradients(
    run: Callable[[Sequence[Any]], Sequence[Any]], inputs: Sequence[Any], variables: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    return engine.gradients(run, inputs, variables)


def _bared(layer: keras.Layer, call: Callable[..., Any]) -> Callable[..., Any]:
    """A layer's call without its activation."""

    def bare(*args: Any, **kwargs: Any) -> Any:
        with overriding(layer, (), {"activation": "linear"}, {}):
            return call(*args, **kwargs)

    return bare


def _followed(call: Callable[..., Any], activation: Callable[[Any], Any]) -> Callable[..., Any]:
    """A call and then an activation."""
    return lambda *args, **kwargs: activation(call(*args, **kwargs))


def _walk(module: Module, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Path and layer below a module, depth first: shared layers once, as in torch, and no InputLayer.

    A recurrent layer's cell is no layer by itself.
    """
    if id(module) in seen or issubclass(modules.kin(module), keras.layers.InputLayer):
        return
    seen.add(id(module))
    yield path, module
    for name, child in () if issubclass(modules.kin(module), keras.layers.RNN) else modules.children(module):
        yield from _walk(child, f"{path}.{name}" if path else name, seen)


def _settings(layer: keras.Layer) -> dict[str, str]:
    """Canonical name of a setting -> the attribute, dots and all, where this kind of layer has it."""
    return next((of for kind, of in SETTINGS.items() if issubclass(modules.kin(layer), kind)), {})


def _attribute(layer: keras.Layer, at: str) -> Any:
    for step in at.split("."):
        layer = getattr(layer, step)
    return layer


def _plain(value: Any) -> Any:
    """A function's name, its kind's where it has none, as a partial or a layer; a number for a tuple of one, as a
    one-dimensional convolution's stride is.
    """
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _like(model_for: Any, value: Any) -> Any:
    """A canonical value in the form of the layer's own: a function for its name, a tuple for a number."""
    if callable(model_for):
        return keras.activations.get(value)
    return (value,) if isinstance(model_for, tuple) and not isinstance(value, tuple) else value
