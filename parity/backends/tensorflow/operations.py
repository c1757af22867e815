"""What a TensorFlow model does, operation by operation.

Its counterpart is `parity/backends/torch/operations.py`.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from parity.backends.operations import GRADIENTS, Operation, Trace, users
from parity.backends.tensorflow.backward import Pulling
from parity.backends.tensorflow.running import places
from parity.dtypes import Inputs

FRAMEWORK = tuple(str(Path(package.__file__).parent) for package in (tf, keras))
NUMBERS = {tf.float64, tf.float32, tf.float16, tf.bfloat16, tf.int64, tf.int32, tf.bool}
NUMBERS |= {tf.complex64, tf.complex128}  # of which only what is made of what is kept
LEAVES = {"ReadVariableOp": "variable", "Placeholder": "input", "Const": "constant"}
UNCHANGED = "disable_meta_optimizer"  # TensorFlow's word for leaving graphs so


class Recorded:
    """A run of a function of tensors, operation by operation of its graph.

    `scoped` is `keras.modules.scoped` of the layers; of the form "unmasked" they are given no masks, of `GRADIENTS`
    there are gradients.
    """

    def __init__(
        self,
        run: Callable[[Any], Any],
        inputs: Inputs,
        precisely: Callable[[], AbstractContextManager[None]],
        scoped: Callable[..., AbstractContextManager[None]],
        form: str = "",
    ) -> None:
        self.trace = Trace()
        self._layers: dict[str, str] = {}  # name of an operation -> the innermost layer that it is in
        tensors: list[Any] = []
        outputs: dict[str, Any] = {}
        pulling = Pulling()

        def all_of_it(inputs: Any) -> tuple[list[Any], list[Any]]:
            with scoped(self._entered, self.trace.masks, form == "unmasked"):
                outputs.update(places(run(inputs)))
            graph = tf.compat.v1.get_default_graph()
            tensors.extend(t for op in graph.get_operations() for t in op.outputs if t.dtype in NUMBERS)
            computed = [tensor for tensor in tensors if tensor.op.type != "Const"]  # whose values the graph has
            return computed, pulling.of(outputs[""], tensors) if form == GRADIENTS else []

        with precisely(), _as_written():
            whole, gradients = tf.function(partial(all_of_it))(inputs)
            computed = iter(whole)
            arrays = [tf.get_static_value(t) if t.op.type == "Const" else next(computed) for t in tensors]
        self._places = {tensor.ref(): self._keep(tensor, value) for tensor, value in zip(tensors, arrays, strict=True)}
        numbers: dict[Any, int] = {}
        for operation in dict.fromkeys(tensor.op for tensor in tensors):
            if operation.type not in LEAVES:
                numbers[operation] = len(numbers)
                self.trace.operations.append(self._operation(operation))
        self.trace.outputs = {
            place: self._places[t.ref()] for place, t in outputs.items() if tf.is_tensor(t) and t.ref() in self._places
        }
        values = {tensor.ref(): value for tensor, value in zip(tensors, arrays, strict=True)}
        for place, of in self.trace.outputs.items():
            value = values[outputs[place].ref()]
            self.trace.values[of] = Trace.value(_array(value), self.trace.values[of].leaf, whole=True)
        pulling.into(self.trace, gradients, lambda tensor: self._places[tensor.ref()], numbers)

    @contextlib.contextmanager
    def _entered(self, path: str) -> Iterator[None]:
        """Inside, operations that the graph gets are those of this layer, as far as they are of no layer in it."""
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        yield
        for operation in graph.get_operations()[before:]:
            self._layers.setdefault(operation.name, path)

    def _keep(self, tensor: tf.Tensor, value: Any) -> int:
        leaf = LEAVES.get(tensor.op.type, "")
        return self.trace.add(_array(value), leaf and f"{leaf} {tensor.op.name}")

    def _operation(self, operation: tf.Operation) -> Operation:
        """One of the graph's operations as the trace has it, at the line of the Python code that made it."""
        names = [argument.name for argument in operation.op_def.input_arg]
        names += names[-1:] * (len(operation.inputs) - len(names))  # the last one may be a list
        leaves = [
            (name, self._places[t.ref()])
            for name, t in zip(names, operation.inputs, strict=False)
            if t.ref() in self._places
        ]
        makes = tuple(self._places[t.ref()] for t in operation.outputs if t.ref() in self._places)
        lines = ((frame.filename, frame.lineno) for frame in reversed(operation.traceback or ()))
        layer = self._layers.get(operation.name, "")
        settings = {**self.trace.constants(leaves), **_settings(operation)}
        whole = len(leaves) == len(operation.inputs)
        return Operation(operation.type, tuple(leaves), makes, settings, layer, users(lines, FRAMEWORK), whole)


@contextlib.contextmanager
def _as_written() -> Iterator[None]:
    """Inside, no graph is rewritten before it runs, which takes longer than to run it once."""
    options = tf.config.optimizer
    before = options.get_experimental_options().get(UNCHANGED, False)
    options.set_experimental_options({UNCHANGED: True})
    try:
        yield
    finally:
        options.set_experimental_options({UNCHANGED: before})


def _settings(operation: tf.Operation) -> dict[str, Any]:
    """An operation's attributes that are plain, or lists of such, by name; those of TensorFlow's own are skipped."""
    settings = {}
    for name in sorted(operation.node_def.attr):  # which has them in another order each time
        if not name.startswith("_"):
            value = operation.get_attr(name)
            if isinstance(value, bytes):
                value = value.decode(errors="replace")
            if all(
                isinstance(one, bool | int | float | str) for one in (value if isinstance(value, list) else [value])
            ):
                settings[name] = value
    return {name: value for name, value in settings.items() if value != []}


def _array(tensor: tf.Tensor) -> Any:
    if tf.as_dtype(tensor.dtype).is_complex:
        return np.empty(0)
    return np.asarray(tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor)
