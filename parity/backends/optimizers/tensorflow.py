"""Adam for TensorFlow. Keras's own is no twin of torch's."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class Adam:
    """Adam as torch defines it: w -= lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps), eps 1e-8.

    Keras adds its epsilon before the bias correction (31.6 times larger at the first step) and
    squares an embedding's gradient before it sums repeated rows, so its own Adam is no twin.
    """

    def __init__(self, variables: Sequence[Any], learning_rate: float) -> None:
        self.variables = [variable.value for variable in variables]
        self.rate = learning_rate
        self.steps = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self.means = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.squares = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]

    def apply(self, gradients: Sequence[Any]) -> None:
        steps = self.steps.assign_add(1.0)
        rate = self.rate / (1 - tf.constant(0.9, tf.float64) ** steps)
        correction = tf.sqrt(1 - tf.constant(0.999, tf.float64) ** steps)
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        columns = zip(self.variables, dense, self.means, self.squares, strict=True)
        for variable, gradient, mean, square in columns:
            mean.assign(0.9 * mean + (1 - 0.9) * gradient)
            square.assign(0.999 * square + (1 - 0.999) * gradient * gradient)
            root = tf.sqrt(square) / tf.cast(correction, square.dtype) + 1e-8
            variable.assign_sub(tf.cast(rate, mean.dtype) * mean / root)
