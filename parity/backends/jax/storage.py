"""The memory of variables, given back for a while.

Line for line beside `parity/backends/torch/storage.py`.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from parity.canonical.layer import held


def discard_compiled() -> None:
    """As `Backend`: JAX keeps what was compiled for each shape, long after the function is gone."""
    jax.clear_caches()


@contextlib.contextmanager
def released(model: Any) -> Iterator[None]:
    """As `Backend`."""
    variables = held(model.layers)
    for variable in variables:
        variable._value = jnp.zeros((0,), variable.dtype)  # Keras's own assignment asks for the shape
    try:
        yield
    finally:
        for variable in variables:
            variable._value = jnp.zeros(variable.shape, variable.dtype)
