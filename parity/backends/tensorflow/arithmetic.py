"""Arithmetic of eager tensors that goes straight to TensorFlow's kernels; torch's own operators do that."""

from typing import Any

import tensorflow as tf

from parity.dtypes import Variable


class Number:
    """A tensor that computes by TensorFlow's kernels alone: its own operators take five times as long to reach them."""

    def __init__(self, tensor: tf.Tensor) -> None:
        self.tensor = tensor

    def __add__(self, other: Any) -> "Number":
        return Number(tf.raw_ops.AddV2(x=self.tensor, y=self._like(other)))

    def __mul__(self, other: Any) -> "Number":
        return Number(tf.raw_ops.Mul(x=self.tensor, y=self._like(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Number":
        return Number(tf.raw_ops.RealDiv(x=self.tensor, y=self._like(other)))

    def sqrt(self) -> "Number":
        return Number(tf.raw_ops.Sqrt(x=self.tensor))

    def _like(self, other: Any) -> tf.Tensor:
        return other.tensor if isinstance(other, Number) else tf.constant(other, self.tensor.dtype)


class Held(Number):
    """A variable's value, which can be assigned."""

    def __init__(self, variable: Variable) -> None:
        self._variable = variable
        super().__init__(variable.value())

    def assign(self, number: Number) -> None:
        self._variable.assign(number.tensor, read_value=False)
        self.tensor = number.tensor

    def assign_sub(self, number: Number) -> None:
        self._variable.assign_sub(number.tensor, read_value=False)


def clipped(gradients: list[Any], clip: float) -> list[Any]:
    """As tf.clip_by_global_norm, which says by how much; the list is emptied."""
    norm = tf.linalg.global_norm(gradients)
    ((scale,), _) = tf.clip_by_global_norm([tf.ones((), norm.dtype)], clip, norm)
    return [(Number(gradients.pop(0)) * Number(scale)).tensor for _ in range(len(gradients))]
