"""One precision in TensorFlow and Keras. Line for line beside torch.py."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.ops import math_ops


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Everything built or traced inside is of this dtype; the settings are restored behind it.

    tf.cast takes a Python float through float32, whatever the target: inside, it goes through
    float64. https://github.com/tensorflow/tensorflow/issues/57779
    tf.linalg.qr has no bfloat16, which the orthogonal weights of a new LSTM want: inside, it goes
    through float32.
    """
    before = keras.config.floatx(), keras.config.dtype_policy()
    legacy = sys.modules.get("tf_keras")  # has settings of its own
    old = (legacy.backend.floatx(), legacy.mixed_precision.global_policy()) if legacy else None
    cast, qr = math_ops.cast, tf.linalg.qr

    def exact(x: Any, dtype: Any, name: Any = None) -> Any:
        return cast(np.float64(x) if isinstance(x, float) else x, dtype, name=name)

    def wide(x: Any, **options: Any) -> Any:
        if x.dtype != tf.bfloat16:
            return qr(x, **options)
        return [cast(part, x.dtype) for part in qr(cast(x, tf.float32), **options)]

    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    if legacy:
        legacy.backend.set_floatx(dtype)
        legacy.mixed_precision.set_global_policy(dtype)
    try:
        with (
            mock.patch.object(tf, "cast", exact),
            mock.patch.object(math_ops, "cast", exact),
            mock.patch.object(tf.linalg, "qr", wide),
        ):
            yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
        if legacy and old:
            legacy.backend.set_floatx(old[0])
            legacy.mixed_precision.set_global_policy(old[1])
