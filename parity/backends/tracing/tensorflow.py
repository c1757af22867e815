"""The calls of a Keras model's layers. Line for line beside torch.py."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from parity.backends.forms import tensorflow as forms
from parity.backends.tracing import Watch, Watched, put
from parity.layers import Array, Layer

# layer type -> canonical name of a setting -> the attribute that holds it.
SETTINGS: dict[type, dict[str, str]] = {
    keras.layers.Dense: {"activation": "activation"},
    keras.layers.LSTM: {
        "activation": "cell.activation",
        "recurrent_activation": "cell.recurrent_activation",
        "go_backwards": "go_backwards",
    },
    keras.layers.GRU: {
        "activation": "cell.activation",
        "recurrent_activation": "cell.recurrent_activation",
        "reset_after": "cell.reset_after",
    },
    keras.layers.Conv1D: {"activation": "activation", "stride": "strides", "dilation": "dilation_rate"},
    keras.layers.LayerNormalization: {"epsilon": "epsilon"},
}


def nodes(module: Any) -> dict[str, str]:
    """Path -> type of every layer, in order; the model itself comes first, its path empty."""
    return {path: type(child).__name__ for path, child in _walk(module, "", set())}


@contextlib.contextmanager
def watched(module: Any, links: Mapping[str, str], layers: Sequence[Layer], watch: Watch) -> Iterator[None]:
    """While inside, `watch` is told of each call of the layers at these paths, by the names that go with them."""
    silence: list[bool] = []
    with contextlib.ExitStack() as stack:
        for kept in map(forms.raw, forms.kept(module)):  # a run may change them
            stack.callback(kept.assign, tf.identity(kept))
        stack.callback(tf.config.run_functions_eagerly, tf.config.functions_run_eagerly())
        tf.config.run_functions_eagerly(True)
        for path, child in _walk(module, "", set()):
            if path in links:
                watcher = partial(_watcher, links[path], child, layers, watch, silence)
                stack.callback(forms.watched(child, watcher))
        yield


def _watcher(
    path: str, layer: Any, layers: Sequence[Layer], watch: Watch, silence: list[bool], inner: Callable[..., Any]
) -> Watched:
    return Watched(sys.modules[__name__], path, layer, inner, layers, watch, silence)


def is_tensor(leaf: Any) -> bool:
    return tf.is_tensor(leaf) or isinstance(leaf, np.ndarray)


def outward(kind: str, place: int, tensor: Any) -> Array:
    result: Array = np.asarray(tensor)
    return result


def inward(kind: str, place: int, array: Array, like: Any) -> Any:
    return tf.constant(array, like.dtype)


def settings(layer: Any) -> dict[str, Any]:
    return {name: _plain(_attribute(layer, at)) for name, at in _settings(layer).items()}


@contextlib.contextmanager
def altered(
    layer: Any, own: Sequence[Layer], settings: Mapping[str, Any], weights: Mapping[str, Array]
) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name, value in settings.items():
            *steps, last = _settings(layer)[name].split(".")
            holder = _attribute(layer, ".".join(steps)) if steps else layer
            kept = getattr(holder, last)
            stack.callback(put(holder, last, _like(kept, value)))
        for part in (part for of in own for part in of.parts if part.parameter in weights):
            for variable, array in zip(part.variables, part.transform.unpack(weights[part.parameter]), strict=True):
                stack.callback(forms.raw(variable).assign, tf.identity(forms.raw(variable)))
                forms.raw(variable).assign(tf.constant(array, variable.dtype))
        yield


def gradients(
    run: Callable[[Sequence[Any]], Sequence[Any]], given: Sequence[Any], variables: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    tensors = [tf.identity(tensor) for tensor in given]
    floating = [tensor for tensor in tensors if tensor.dtype.is_floating]
    trained = [forms.raw(variable) for variable in variables if variable.trainable]
    with tf.GradientTape() as tape:
        tape.watch(floating)
        total = tf.add_n([tf.reduce_sum(tensor) for tensor in run(tensors)])
    sources = [*floating, *trained]
    found = tape.gradient(total, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO) if sources else []
    known = {id(source): tf.convert_to_tensor(g) for source, g in zip(sources, found, strict=True)}
    return [known.get(id(tensor)) for tensor in tensors], [known.get(id(forms.raw(variable))) for variable in variables]


def _walk(module: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """A layer that several hold comes once, as torch has it; what only names an input is no layer of the model's."""
    if id(module) in seen or issubclass(forms.kin(module), keras.layers.InputLayer):
        return
    seen.add(id(module))
    yield path, module
    for name, child in () if issubclass(forms.kin(module), keras.layers.RNN) else forms.children(module):
        yield from _walk(child, f"{path}.{name}" if path else name, seen)


def _settings(layer: Any) -> dict[str, str]:
    return next((of for kind, of in SETTINGS.items() if issubclass(forms.kin(layer), kind)), {})


def _attribute(layer: Any, at: str) -> Any:
    for step in at.split("."):
        layer = getattr(layer, step)
    return layer


def _plain(value: Any) -> Any:
    if callable(value):
        return value.__name__
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _like(kept: Any, value: Any) -> Any:
    if callable(kept):
        return keras.activations.get(value)
    return (value,) if isinstance(kept, tuple) else value
