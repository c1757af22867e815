"""One precision in TensorFlow and Keras.

Line for line beside `parity/backends/torch/precision.py`.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.framework import constant_op, op_def_library, ops, tensor_conversion_registry
from tensorflow.python.ops import array_ops, gen_image_ops, gen_nn_ops

from parity.backends.keras import policy
from parity.backends.tensorflow import resizing


@contextlib.contextmanager
def precision(dtype: str, promote: bool = False) -> Iterator[None]:
    """Build, trace or run everything inside in this dtype; settings are restored behind it.

    With `promote` a request for float32 is one for float64, in float64: a norm in float32 on purpose.
    """
    promotion = PROMOTION if promote and dtype == "float64" else ()
    with policy.of(dtype, (*PATCHES.get(dtype, ()), *promotion)):
        yield


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Inside, runs in other precisions may begin and end in any order; behind it, the settings are as they were."""
    eager = tf.config.functions_run_eagerly()
    try:
        with policy.kept(PATCHED):
            yield
    finally:
        tf.config.run_functions_eagerly(eager)


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


def _eager_numbers(execute: Callable[..., Any]) -> Callable[..., Any]:
    """An operation that runs eagerly makes its own tensors of Python's floats, past `_constant`: log(0.0) is float32.

    Beside a tensor that floats they take its dtype; alone, or beside integers and booleans, they are float64 here.
    """

    def exact(context: Any, operation: str, name: Any, *arguments: Any) -> Any:
        if any(map(_floats, arguments)):
            attributes = next((at for at, one in enumerate(arguments) if isinstance(one, str)), len(arguments))
            operands = arguments[:attributes]
            if not any(_floating(operand) for operand in operands):
                exactly = (tf.constant(one, tf.float64) if _floats(one) else one for one in operands)
                arguments = (*exactly, *arguments[attributes:])
        return execute(context, operation, name, *arguments)

    return exact


def _floating(operand: Any) -> bool:
    dtype = getattr(operand, "dtype", None)
    return dtype is not None and bool(tf.as_dtype(dtype).is_floating)


def _leaky_relu(leaky_relu: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel's slope is an attribute, which is a float32: 0.3 is 1e-8 off.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/ops/nn_ops.cc
    """

    def exact(features: tf.Tensor, alpha: float = 0.2, name: Any = None) -> Any:
        if features.dtype != tf.float64:
            return leaky_relu(features, alpha=alpha, name=name)
        return tf.where(features > 0, features, alpha * features)

    return exact


def _qr(qr: Callable[..., Any]) -> Callable[..., Any]:
    """There is none in bfloat16, which the orthogonal weights of a new LSTM want.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/ops/linalg_ops.cc
    """

    def wide(x: tf.Tensor, **options: Any) -> Any:
        if x.dtype != tf.bfloat16:
            return qr(x, **options)
        return [tf.cast(part, x.dtype) for part in qr(tf.cast(x, tf.float32), **options)]

    return wide


# dtype -> what a library does less exactly in it than the dtype can: (where it stands, its name, what makes another).
PATCHES: dict[str, tuple[tuple[Any, str, Callable[..., Any]], ...]] = {
    "float64": (
        (constant_op, "_constant_impl", _constant),
        (gen_nn_ops, "leaky_relu", _leaky_relu),
        (pywrap_tfe, "TFE_Py_FastPathExecute", _eager_numbers),
        (gen_image_ops, "resize_bilinear", resizing.bilinear),
        (gen_image_ops, "scale_and_translate", resizing.smoothed),
    ),
    "bfloat16": ((tf.linalg, "qr", _qr),),
}


WIDE = {tf.float32: tf.float64, tf.complex64: tf.complex128}


def _wide(dtype: Any) -> Any:
    """The double of a single precision; any other dtype, or None, as it is."""
    return dtype if dtype is None else WIDE.get(tf.as_dtype(dtype), dtype)


def _promoted_constant(constant: Callable[..., Any]) -> Callable[..., Any]:
    """Constants that are asked for in float32, or come as a float32 array of NumPy's, are float64."""

    def promoted(value: Any, dtype: Any, *others: Any, **options: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic) and value.dtype == np.float32 and dtype in (None, tf.float32):
            value, dtype = value.astype(np.float64), tf.float64
        return constant(value, _wide(dtype), *others, **options)

    return promoted


def _promoted_conversion(convert: Callable[..., Any]) -> Callable[..., Any]:
    """What is converted to float32 is float64, but for tensors that are float32 already."""

    def promoted(value: Any, dtype: Any = None, *others: Any, **options: Any) -> Any:
        if "preferred_dtype" in options:
            options["preferred_dtype"] = _wide(options["preferred_dtype"])
        if not (isinstance(value, tf.Tensor | tf.Variable) and value.dtype in WIDE):
            dtype = _wide(dtype)
        return convert(value, dtype, *others, **options)

    return promoted


def _promoted_fill(fill: Callable[..., Any]) -> Callable[..., Any]:
    """Ones and zeros that are asked for in float32 are float64; TensorFlow asserts the dtype that was asked for."""

    def promoted(shape: Any, dtype: Any = tf.float32, *others: Any, **options: Any) -> Any:
        return fill(shape, _wide(dtype), *others, **options)

    return promoted


def _promotes(operation: str) -> bool:
    """Whether an operation makes a dtype of its own attributes, which a cast and what draws numbers do."""
    return operation == "Cast" or operation.startswith(("Random", "Stateless", "TruncatedNormal"))


def _promoted_eagerly(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Operations that are asked for float32 make float64. Attributes follow the operands, each behind its name."""

    def promoted(context: Any, operation: str, name: Any, *arguments: Any) -> Any:
        if _promotes(operation):
            named = zip(("", *arguments), arguments, strict=False)
            arguments = tuple(
                _wide(one) if isinstance(at, str) and at in ("DstT", "dtype") else one for at, one in named
            )
        return execute(context, operation, name, *arguments)

    return promoted


def _promoted_in_graphs(apply: Callable[..., Any]) -> Callable[..., Any]:
    """As `_promoted_eagerly`, of operations that become part of a graph."""

    def promoted(operation: str, name: Any = None, **arguments: Any) -> Any:
        if _promotes(operation):
            arguments |= {at: _wide(arguments[at]) for at in ("DstT", "dtype") if at in arguments}
        return apply(operation, name, **arguments)

    return promoted


# Where all that TensorFlow is asked for goes through, as `PATCHES`.
PROMOTION: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (constant_op, "_constant_impl", _promoted_constant),
    (ops, "convert_to_tensor", _promoted_conversion),
    (tensor_conversion_registry, "convert", _promoted_conversion),
    (pywrap_tfe, "TFE_Py_FastPathExecute", _promoted_eagerly),
    (op_def_library, "_apply_op_helper", _promoted_in_graphs),
    *((owner, name, _promoted_fill) for owner in (array_ops, tf, tf.compat.v2) for name in ("ones", "zeros")),
)
# All that a run may patch, where it stands and its name.
PATCHED: tuple[tuple[Any, str], ...] = (
    *((owner, name) for patches in PATCHES.values() for owner, name, _ in patches),
    *((owner, name) for owner, name, _ in PROMOTION),
)
