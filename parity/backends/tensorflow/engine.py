"""What TensorFlow adds to Keras, as `parity.backends.keras.engine` has it.

Line for line beside `parity/backends/jax/engine.py`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import op_callbacks

from parity.backends.tensorflow import checkpoints as checkpoints
from parity.backends.tensorflow.arithmetic import Held as Held
from parity.backends.tensorflow.arithmetic import Number as Number
from parity.backends.tensorflow.arithmetic import clipped as clipped
from parity.backends.tensorflow.operations import Recorded as Recorded
from parity.backends.tensorflow.precision import kept as kept
from parity.backends.tensorflow.precision import precision as precision
from parity.backends.tensorflow.program import PROGRAM as PROGRAM
from parity.backends.tensorflow.program import export as export
from parity.backends.tensorflow.program import program as program
from parity.backends.tensorflow.running import Running as Running
from parity.backends.tensorflow.running import places as places
from parity.backends.tensorflow.running import spread as spread
from parity.backends.tensorflow.running import tensors_only as tensors_only
from parity.dtypes import Array, Tensor, Variable

NAME = "tensorflow"
FORMS = "a Keras model, a tf.Module, a loaded SavedModel, or a callable with variables"
TRACKABLE = (tf.__internal__.tracking.AutoTrackable,)  # a tf.Module is one, and so is a loaded SavedModel
VARIABLE = (tf.Variable,)
TENSOR = tf.Tensor
# Operations whose results depend on no more than the shapes of their operands.
SHAPES = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"}


def versions() -> dict[str, str]:
    return {"tensorflow": tf.__version__, "keras": keras.__version__}


def seed(number: int) -> None:
    tf.random.set_seed(number)


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """By the two attributes in which the context keeps them: a seed can be set, but not asked for."""
    own = context.context()
    before = own._seed, getattr(own, "_rng", None)
    tf.random.set_seed(0)
    try:
        yield
    finally:
        own._seed, own._rng = before
        own.clear_kernel_cache()  # an operation that has drawn goes on from where it is


@contextlib.contextmanager
def reseeded() -> Iterator[None]:
    """By where all seeds arrive, those that are set at once and those that an operation is given."""
    arrive, before = context.Context._set_global_seed, context.global_seed()
    with seeded(), patch.object(context.Context, "_set_global_seed", lambda own, number: arrive(own, int(number) ^ 1)):
        tf.random.set_seed(before or 0)
        yield


def empty() -> Sequence[Any]:
    return (tf.Module(),)


@contextlib.contextmanager
def eager() -> Iterator[None]:
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def is_eager() -> bool:
    return bool(tf.executing_eagerly())


def held(holder: Any) -> Iterator[tuple[str, Any]]:
    inside = [*_inside(holder)]
    copies = _copies(holder, [child for _, child in inside if isinstance(child, VARIABLE)])
    return ((name, child) for name, child in inside if id(child) not in copies)


def _inside(holder: Any) -> Iterator[tuple[str, Any]]:
    """As `held`, with the variables that no function reads."""
    for name, child in tf.train.TrackableView.children(holder).items():
        if isinstance(child, (*VARIABLE, *TRACKABLE)):
            yield name, child
        elif isinstance(child, list | tuple | dict):
            yield from ((f"{name}.{place}", inner) for place, inner in _inside(child))


def _copies(holder: Any, variables: Sequence[tf.Variable]) -> set[int]:
    """The ids of the variables that a loaded program does not read, where it reads one of that name and shape.

    Keras writes each variable of an exported model twice, once of them for no function.
    """
    functions = [of for child in tf.train.TrackableView.children(holder).values() for of in _restored(child)]
    read = {id(captured) for of in functions for captured in of.captured_inputs}
    known = {(of.name, tuple(of.shape)) for of in variables if id(of.handle) in read}
    return {id(of) for of in variables if id(of.handle) not in read and (of.name, tuple(of.shape)) in known}


def _restored(child: Any) -> Sequence[Any]:
    """The graphs of a function that was loaded from a program; none of anything else."""
    graphs: Sequence[Any] = getattr(child, "concrete_functions", ())
    return graphs


def raw(variable: Variable) -> tf.Variable:
    """TensorFlow's own variable: Keras 3 has one inside its own."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def value(variable: Variable) -> tf.Tensor:
    return tf.identity(raw(variable))


def assign(variable: Variable, value: Any) -> None:
    raw(variable).assign(value, read_value=False)


def state(like: tf.Variable) -> tf.Variable:
    return tf.Variable(tf.zeros_like(like))


def tensor(array: Array, dtype: Any = None) -> tf.Tensor:
    return tf.constant(array, dtype)


def cast(tensor: Any, dtype: Any) -> tf.Tensor:
    return tf.cast(raw(tensor), dtype)


def array(tensor: Any) -> Array:
    tensor = raw(tensor)
    result: Array = (tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor).numpy()
    return result


def view(tensor: tf.Tensor) -> Array:
    if tensor.dtype == tf.bfloat16:
        tensor = tf.cast(tensor, tf.float32)
    return np.asarray(memoryview(tensor))


def is_tensor(leaf: object) -> bool:
    return bool(tf.is_tensor(leaf))


def is_packed(leaf: object) -> bool:
    return isinstance(leaf, tf.RaggedTensor)


def padded(leaf: tf.RaggedTensor) -> tuple[Any, Sequence[int]]:
    return leaf.to_tensor(), leaf.row_lengths().numpy().tolist()


def packed(tensor: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    return tf.RaggedTensor.from_tensor(tensor, like.row_lengths())


def instead(tensor: tf.Tensor, other: Any) -> tf.Tensor:
    return tf.custom_gradient(lambda _: (other, tf.identity))(tensor) if other.dtype.is_floating else other


def identity(tensor: Tensor) -> Any:
    if isinstance(tensor, keras.Variable | tf.Variable):
        return id(raw(tensor).handle)
    return id(tensor) if tf.is_tensor(tensor) else None


@contextlib.contextmanager
def operations_seen(tell: Callable[[Any, Any], None]) -> Iterator[None]:
    def told(name: Any, operands: Any, attributes: Any, results: Any, *_: Any) -> None:  # noqa: ARG001 TensorFlow names them
        if (name.decode() if isinstance(name, bytes) else name) not in SHAPES:
            tell(operands, results)

    with eager():
        op_callbacks.add_op_callback(told)
        try:
            yield
        finally:
            op_callbacks.remove_op_callback(told)


def descend(loss: Callable[[], Any], variables: Sequence[Variable]) -> tuple[Any, list[Any]]:
    sources = [raw(variable) for variable in variables]
    with tf.GradientTape() as tape:
        scalar = loss()
    gradients = tape.gradient(scalar, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    # An embedding's gradient comes as rows, some of them repeated; this sums them.
    return scalar, [tf.convert_to_tensor(gradient) for gradient in gradients]


def gradients(
    run: Callable[[Sequence[Any]], Sequence[Any]], arrays: Sequence[Any], variables: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    tensors = [tf.identity(tensor) for tensor in arrays]
    floating = [tensor for tensor in tensors if tensor.dtype.is_floating]
    trained = [raw(variable) for variable in variables if variable.trainable]
    sources = [*floating, *trained]

    def pulled() -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(floating)
            total = tf.add_n([tf.reduce_sum(tensor) for tensor in run(tensors)])
        return tape.gradient(total, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO) if sources else []

    try:
        results = pulled()
    # TensorFlow's CPU has no eager gradient of a grouped convolution; a graph has one.
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        with _compiled():
            results = tf.function(pulled)()
    known = {id(source): tf.convert_to_tensor(g) for source, g in zip(sources, results, strict=True)}
    return [known.get(id(tensor)) for tensor in tensors], [known.get(id(raw(variable))) for variable in variables]


@contextlib.contextmanager
def _compiled() -> Iterator[None]:
    """While inside, `tf.function` is one again."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(False)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def repeated() -> dict[str, Any]:
    rows = tf.constant([[1.0], [0.5]], tf.float64)
    return {"repeated rows": tf.IndexedSlices(rows, tf.constant([0, 0]), tf.constant([1, 1]))}
