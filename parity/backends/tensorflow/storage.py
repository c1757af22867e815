"""The memory of variables, given back for a while.

Line for line beside `parity/backends/torch/storage.py`.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from parity.backends.tensorflow.engine import raw
from parity.canonical.layer import held


def discard_compiled() -> None:
    """As `Backend`: a graph goes with its function."""


@contextlib.contextmanager
def released(model: Any) -> Iterator[None]:
    """As `Backend`, by assigning an empty tensor past the variable's own check of its shape."""
    variables = [raw(variable) for variable in held(model.layers)]
    for variable in variables:
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=tf.zeros([0], variable.dtype))
    try:
        yield
    finally:
        for variable in variables:
            empty = tf.raw_ops.Empty(shape=variable.shape, dtype=variable.dtype)
            tf.raw_ops.AssignVariableOp(resource=variable.handle, value=empty)
