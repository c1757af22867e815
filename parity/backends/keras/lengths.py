"""Keras layers that hold their kernel as g and v, as torch's weight norm does: Keras has no such layer of its own."""

import functools
from typing import Any

import keras
import numpy as np

from parity.backends.hooks import set_instance_attribute
from parity.errors import ParityError

KERNELS = ("_kernel", "kernel")  # where a layer has its kernel; what is called "kernel" may be read from the other
MARK = "_holds_lengths"  # of a layer that `hold_lengths` has changed


def hold_lengths(layer: keras.Layer, path: str) -> None:
    """Have a layer compute its kernel of its variables at each call: g times v by the length of v for each output.

    v is the kernel that it has, and g a new variable, (1, ..., 1, out), of these lengths: the layer computes what it
    did. Raises ParityError for a layer without a kernel of its own.
    """
    name = next((name for name in KERNELS if name in vars(layer)), "")
    if not name or not isinstance(layer, keras.Layer):
        raise ParityError(f"{path}: {type(layer).__name__} has no kernel that may be held as g and v")
    v, call = getattr(layer, name), layer.call
    layer._tracker.unlock()
    g = layer.add_weight(name="g", shape=(*(1 for _ in v.shape[1:]), v.shape[-1]), dtype=v.dtype)
    layer._tracker.lock()
    axes = tuple(range(len(v.shape) - 1))
    exact = np.asarray(keras.ops.convert_to_numpy(v), np.float64)
    g.assign(np.sqrt(np.sum(exact**2, axis=axes, keepdims=True)))

    @functools.wraps(call)  # whose signature says how it takes inputs
    def run(*args: Any, **kwargs: Any) -> Any:
        wide = keras.ops.convert_to_tensor(v)
        norm = keras.ops.sqrt(keras.ops.sum(keras.ops.square(wide), axis=axes, keepdims=True))
        undo = set_instance_attribute(layer, name, keras.ops.convert_to_tensor(g) * wide / norm)
        try:
            return call(*args, **kwargs)
        finally:
            undo()

    set_instance_attribute(layer, "call", run)
    # A layer saves what its class knows of, which has no g.
    for method in ("save_own_variables", "load_own_variables"):
        set_instance_attribute(layer, method, functools.partial(getattr(keras.Layer, method), layer))
    set_instance_attribute(layer, MARK, True)


def holds_lengths(layer: Any) -> bool:
    """Whether a layer's kernel is held as g and v, by `hold_lengths`."""
    return bool(getattr(layer, MARK, False))
