"""Arithmetic of arrays as TensorFlow's file of this name has it: Keras's optimizers are written once for both."""

from typing import Any

import jax
import jax.numpy as jnp

from parity.dtypes import Variable


class Number:
    """An array that computes in its own dtype, whatever it meets."""

    def __init__(self, tensor: jax.Array) -> None:
        self.tensor = tensor

    def __add__(self, other: Any) -> "Number":
        return Number(self.tensor + self._like(other))

    def __mul__(self, other: Any) -> "Number":
        return Number(self.tensor * self._like(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Number":
        return Number(self.tensor / self._like(other))

    def sqrt(self) -> "Number":
        return Number(jnp.sqrt(self.tensor))

    def _like(self, other: Any) -> jax.Array:
        return other.tensor if isinstance(other, Number) else jnp.asarray(other, self.tensor.dtype)


class Held(Number):
    """A variable's value, which can be assigned."""

    def __init__(self, variable: Variable) -> None:
        self._variable = variable
        super().__init__(variable.value)

    def assign(self, number: Number) -> None:
        self._variable.assign(number.tensor)
        self.tensor = number.tensor

    def assign_sub(self, number: Number) -> None:
        self.assign(Number(self.tensor - number.tensor))


def clipped(gradients: list[Any], clip: float) -> list[Any]:
    """As tf.clip_by_global_norm, each gradient times clip / max(norm of all, clip); the list is emptied."""
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(gradient)) for gradient in gradients))
    scale = jnp.where(norm > clip, clip / norm, jnp.ones_like(norm))
    return [gradients.pop(0) * scale for _ in range(len(gradients))]
