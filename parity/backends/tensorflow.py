"""The TensorFlow backend. Imports TensorFlow, Keras and no other framework; line for line beside torch.py."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.random.seed_generator import global_seed_generator

from parity.backends import Plan, Taught, built
from parity.backends.formats import tensorflow as formats
from parity.backends.kinds import tensorflow as kinds
from parity.backends.losses.tensorflow import per_token
from parity.backends.optimizers.tensorflow import Learner
from parity.backends.optimizers.tensorflow import divergences as divergences
from parity.backends.precision.tensorflow import precision
from parity.backends.tracing import Watch
from parity.backends.tracing import tensorflow as tracing
from parity.errors import ParityError
from parity.layers import (
    Array,
    Layer,
    Part,
    called,
    held,
    wide,
)
from parity.recipe import Recipe

NAME = "tensorflow"
FORMATS = tuple(formats.FORMATS)
PROGRAM = formats.PROGRAM
IDS = formats.IDS


def prepare() -> None:
    try:
        tf.config.set_visible_devices([], "GPU")  # torch builds on the CPU; one side elsewhere is no twin
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise ParityError(
            "TensorFlow has run an operation before parity could settle its threads and devices; "
            "call parity.backends.load() before that, in conftest.py for instance"
        ) from error


def seed(number: int) -> None:
    tf.random.set_seed(number)
    global_seed_generator().state.assign([number, 0])  # Keras has numbers of its own


def versions() -> dict[str, str]:
    return {"tensorflow": tf.__version__, "keras": keras.__version__}


class Model:
    """One TensorFlow corner."""

    def __init__(self, build: Callable[[], Any], dtype: str, pad: int) -> None:
        self.dtype, self.pad = dtype, pad
        with precision(dtype):
            self.module = built(NAME, build)
            if not isinstance(self.module, keras.Model):
                raise ParityError(
                    f"the tensorflow builder returned {type(self.module).__name__}; it must return a keras.Model"
                )
            self.module(np.zeros((1, 1), np.int64))  # variables exist after the first call
            self._criterion = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=pad, dtype=wide(dtype)
            )
        # One trace each, for every shape; the weights may change underneath. Functions of their own:
        # TensorFlow would take methods of several models for one that is traced again and again.
        self._call_graph = tf.function(lambda ids: self.module(ids, training=False), input_signature=[IDS])
        self._loss_graph = tf.function(lambda *given: self._loss(*given), input_signature=[IDS, IDS])
        self._gradient_graph = tf.function(lambda *given: self._gradients(*given), input_signature=[IDS, IDS])
        self.layers = tuple(kinds.layers(self.module, getattr(build, "custom", {})))

    def variables(self) -> list[tuple[str, Any]]:
        return [(variable.path, variable) for variable in self.module.weights]

    def read(self) -> dict[str, Array]:
        return {
            f"{layer.path}.{part.parameter}": part.transform.pack(*map(_array, part.variables))
            for layer in self.layers
            for part in layer.parts
        }

    def write(self, values: dict[str, Array]) -> None:
        for layer in self.layers:
            for part in layer.parts:
                name = f"{layer.path}.{part.parameter}"
                if name in values:
                    arrays = part.transform.unpack(values[name])
                    for variable, array in zip(part.variables, arrays, strict=True):
                        variable.assign(array)

    def follow(self, other: Any) -> None:
        for ours, theirs in zip(held(self.layers), held(other.layers), strict=True):
            ours.assign(tf.cast(theirs.value, ours.dtype))

    def logits(self, ids: Array) -> Array:
        with precision(self.dtype):
            return _view(self._call_graph(ids))

    def eager(self, ids: Array, training: bool) -> Array:
        with precision(self.dtype):
            return _view(self.module(tf.constant(ids), training=training))

    def loss(self, ids: Array, targets: Array) -> Array:
        with precision(self.dtype):
            return _view(self._loss_graph(ids, targets))

    def losses(self, ids: Array, targets: Array, smoothing: float) -> Array:
        with precision(self.dtype):
            logits = tf.cast(self._call_graph(ids), wide(self.dtype))
            return _view(per_token(logits, tf.constant(targets), self.pad, smoothing))

    def gradients(self, ids: Array, targets: Array) -> dict[str, Array]:
        return self._named(self._descend(ids, targets)[1])

    def learner(self, recipe: Recipe) -> Learner:
        names = called(self.layers)
        sources = {names[id(variable)]: variable.value for variable in self.module.trainable_weights}
        return Learner(recipe, sources, self._descend, self._named)

    def streams(self) -> bool:
        return hasattr(self.module, "advance")

    def advance(self, ids: Array, state: Any) -> tuple[Array, Any]:
        with precision(self.dtype):
            logits, state = self.module.advance(tf.constant(ids), state)
        return _view(logits), state

    def nodes(self) -> dict[str, str]:
        return tracing.nodes(self.module)

    def replay(self, ids: Array, links: Sequence[str], watch: Watch, training: bool = False) -> None:
        with tracing.watched(self.module, links, self.layers, watch):
            self.eager(ids, training)

    def save(self, path: Path) -> None:
        formats.save(self.module, path)

    def export(self, ids: Array, path: Path) -> None:
        with precision(self.dtype):
            formats.export(self.module, ids, path)

    def _loss(self, ids: Any, targets: Any) -> Any:
        logits = self.module(ids, training=False)  # (batch, time, vocab)
        return self._criterion(targets, logits)

    def _gradients(self, ids: Any, targets: Any) -> Any:
        sources = [variable.value for variable in self.module.trainable_weights]
        with tf.GradientTape() as tape:
            loss = self._loss(ids, targets)
        found = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        # An embedding's gradient comes as rows, some of them repeated; this sums them.
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]

    def _descend(self, ids: Array, targets: Array) -> tuple[Any, list[Any]]:
        """The loss, and its gradient by every trainable variable."""
        with precision(self.dtype):
            loss, found = self._gradient_graph(ids, targets)
        return loss, found

    def _named(self, found: Sequence[Any]) -> dict[str, Array]:
        """One tensor a trainable variable, as canonical arrays."""
        arrays = {id(v): _view(tensor) for v, tensor in zip(self.module.trainable_weights, found, strict=True)}
        return {
            name: part.transform.gradient(*(arrays.get(id(v)) for v in part.variables))
            for name, part in _trainable(self.layers).items()
        }


def load(build: Callable[[], Any], dtype: str, pad: int, path: Path) -> Model:
    model = Model(build, dtype, pad)
    with precision(dtype):
        module = formats.load(model.module, path)
    custom = getattr(build, "custom", {})
    return model if module is model.module else Model(Taught(lambda: module, custom), dtype, pad)


def program(path: Path) -> Callable[[Array], Array]:
    run = formats.program(path)

    def logits(ids: Array) -> Array:
        return _view(run(ids))

    return logits


def feed(rows: Sequence[Sequence[int]], plan: Plan, pad: int) -> list[tuple[Array, Array]]:
    def pair(row: Any) -> tuple[Any, Any]:
        row = row[: plan.limit] if plan.side == "right" else row[-plan.limit :]
        return row[:-1], row[1:]

    kept = tf.constant([place for place in plan.order if len(rows[place]) >= 2], tf.int64)
    ordered = tf.gather(tf.ragged.constant(rows, dtype=tf.int64, ragged_rank=1), kept)
    pairs = tf.data.Dataset.from_tensor_slices(ordered).map(pair)
    batches = pairs.padded_batch(plan.size, padding_values=tf.constant(pad, tf.int64))
    return list(batches.as_numpy_iterator())


def _array(tensor: Any) -> Array:
    if tensor.dtype == tf.bfloat16:
        tensor = tf.cast(tensor, tf.float32)
    result: Array = tensor.numpy()
    return result


def _view(tensor: Any) -> Array:
    """The array of a tensor that nothing else holds, without a copy."""
    if tensor.dtype == tf.bfloat16:
        tensor = tf.cast(tensor, tf.float32)
    return np.asarray(memoryview(tensor))


def _trainable(layers: Sequence[Layer]) -> dict[str, Part]:
    return {
        f"{layer.path}.{part.parameter}": part
        for layer in layers
        for part in layer.parts
        if any(variable.trainable for variable in part.variables)
    }
