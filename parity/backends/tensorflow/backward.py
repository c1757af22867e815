"""Gradients of a recorded run in TensorFlow, by every value and through every use.

Its counterpart is `parity/backends/torch/backward.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from parity.backends.operations import Trace


class Pulling:
    """Collects what gradients are asked of while a run is recorded.

    A graph tells which operations take a tensor: the part of a gradient that comes through one of them is asked for
    with that operation's results as the start, and its operands as the end.
    """

    def __init__(self) -> None:
        self._totals: list[Any] = []  # of these tensors
        self._uses: list[tuple[Any, Any]] = []  # of these operations and tensors

    def of(self, loss: Any, tensors: Sequence[Any]) -> list[Any]:
        """The gradients of a scalar in its graph: by tensors that float, and by what takes one of several uses."""
        values = [t for t in tensors if t.dtype.is_floating and t.op.type != "Const"]
        operations = {tensor.op for tensor in tensors}
        takers = {t.ref(): [op for op in dict.fromkeys(t.consumers()) if op in operations] for t in values}
        # By a variable's handle, all counts that reads it: a loop does so inside itself.
        sources = {t.ref(): t.op.inputs[0] if t.op.type == "ReadVariableOp" else t for t in values}
        unique = {source.ref(): source for source in sources.values()}
        grads = dict(zip(unique, tf.gradients(loss, [*unique.values()]), strict=True))
        seen = {t: s.ref() for t, s in sources.items() if grads[s.ref()] is not None}
        totals = {t: tf.convert_to_tensor(grads[s]) for t, s in seen.items()}
        self._totals = [tensor for tensor in values if tensor.ref() in totals]
        gradients = [totals[tensor.ref()] for tensor in self._totals]
        for tensor in values:
            for operation in takers[tensor.ref()] if len(takers[tensor.ref()]) > 1 else ():
                outputs = [of for of in operation.outputs if of.ref() in totals]
                cotangents = [totals[of.ref()] for of in outputs]
                stops = [*operation.inputs]  # or paths to its other operands would count, too
                use = tf.gradients(outputs, tensor, cotangents, stop_gradients=stops)[0] if outputs else None
                if use is not None:
                    self._uses.append((operation, tensor))
                    gradients.append(tf.convert_to_tensor(use))
        return gradients

    def into(
        self, trace: Trace, gradients: Sequence[Any], place: Callable[[Any], int], numbers: dict[Any, int]
    ) -> None:
        """Put what these gradients came to into the trace; a tensor has a place, an operation a number."""
        trace.fixed = {at for at, value in enumerate(trace.values) if value.leaf.startswith(("input", "constant"))}
        for tensor, gradient in zip(self._totals, gradients, strict=False):
            trace.gradients[place(tensor)] = gradient.numpy()
        for (operation, tensor), gradient in zip(self._uses, gradients[len(self._totals) :], strict=True):
            trace.uses[numbers[operation], place(tensor)] = gradient.numpy()
