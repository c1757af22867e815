"""One precision in TensorFlow and Keras. Line for line beside torch.py."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import constant_op
from tensorflow.python.ops import gen_nn_ops


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Build, trace or run everything inside in this dtype; settings are restored behind it."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    legacy = sys.modules.get("tf_keras")  # has settings of its own
    old = (legacy.backend.floatx(), legacy.mixed_precision.global_policy()) if legacy else None
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    if legacy:
        legacy.backend.set_floatx(dtype)
        legacy.mixed_precision.set_global_policy(dtype)
    try:
        with contextlib.ExitStack() as stack:
            for owner, name, patch in PATCHES.get(dtype, ()):
                kept = getattr(owner, name)
                stack.callback(setattr, owner, name, kept)
                setattr(owner, name, patch(kept))
            yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
        if legacy and old:
            legacy.backend.set_floatx(old[0])
            legacy.mixed_precision.set_global_policy(old[1])


def _constant(constant: Callable[..., Any]) -> Callable[..., Any]:
    """Numbers without a dtype become float32, whatever they are cast to next: Normalization's mean, GELU's 0.5.

    https://github.com/tensorflow/tensorflow/issues/57779
    """

    def exact(value: Any, dtype: Any, *others: Any, **options: Any) -> Any:
        if dtype is None and isinstance(value, float | list | tuple) and _floats(value):
            dtype = tf.float64
        return constant(value, dtype, *others, **options)

    return exact


def _floats(value: Any) -> bool:
    """Whether these are Python's own floats, at any depth, perhaps among integers."""
    if isinstance(value, list | tuple):
        return any(map(_floats, value)) and not any(isinstance(one, np.generic | tf.Tensor) for one in value)
    return isinstance(value, float)


def _leaky_relu(leaky_relu: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel's slope is an attribute, which is a float32: 0.3 is 1e-8 off.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/ops/nn_ops.cc
    """

    def exact(features: Any, alpha: float = 0.2, name: Any = None) -> Any:
        if features.dtype != tf.float64:
            return leaky_relu(features, alpha=alpha, name=name)
        return tf.where(features > 0, features, alpha * features)

    return exact


def _qr(qr: Callable[..., Any]) -> Callable[..., Any]:
    """There is none in bfloat16, which the orthogonal weights of a new LSTM want.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/ops/linalg_ops.cc
    """

    def wide(x: Any, **options: Any) -> Any:
        if x.dtype != tf.bfloat16:
            return qr(x, **options)
        return [tf.cast(part, x.dtype) for part in qr(tf.cast(x, tf.float32), **options)]

    return wide


# dtype -> what a library does less exactly in it than the dtype can: (where it stands, its name, what makes another).
PATCHES: dict[str, tuple[tuple[Any, str, Callable[..., Any]], ...]] = {
    "float64": (
        (constant_op, "_constant_impl", _constant),
        (gen_nn_ops, "leaky_relu", _leaky_relu),
    ),
    "bfloat16": ((tf.linalg, "qr", _qr),),
}
