"""Precisions: their names, their spacing, the dtype that carries each, and rounding to one of them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from parity.errors import ParityError

Array = npt.NDArray[Any]
# What only a framework can say more of: a module that serves both imports neither.
Tensor = Any  # torch.Tensor or tf.Tensor
Module = Any  # torch.nn.Module, keras.Layer or tf.Module: a layer, a container or the whole model
Inputs = Any  # what a model is called with: an array or a tensor, or any nesting of them
Outputs = Any  # what a model gives: a tensor, or any nesting of them
State = Any  # what a model carries from one call to the next: tensors, in its own nesting
Variable = Any  # torch.Tensor, tf.Variable or keras.Variable

PRECISIONS = ("float64", "float32")
# The distance from 1 to the next number: twice the unit roundoff.
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def precisions(dtypes: Sequence[str]) -> tuple[str, ...]:
    """The dtypes in the order of `EPS`, each once. Raises ParityError unless float64 and float32 are among them."""
    for dtype in dtypes:
        if dtype not in EPS:
            raise ParityError(f"unknown dtype {dtype!r}; available: {', '.join(EPS)}")
    for dtype in PRECISIONS:
        if dtype not in dtypes:
            raise ParityError(f"{dtype} is missing from the dtypes; a verdict needs {' and '.join(PRECISIONS)}")
    return tuple(dtype for dtype in EPS if dtype in dtypes)


def transport_dtype(dtype: str) -> str:
    """The dtype in which arrays of a dtype cross: NumPy has no bfloat16, and float32 holds all of its values."""
    return "float32" if dtype == "bfloat16" else dtype


def wide(dtype: str) -> str:
    """The dtype in which a model of a dtype has its loss: float32 for the lower precisions.

    Both frameworks advise it; and a Keras loss takes the targets' ids to its own dtype, so that
    bfloat16 makes a 1000 of the id 999.
    """
    return dtype if dtype in ("float64", "float32") else "float32"


def round_to(array: Array, dtype: str) -> Array:
    """Round an array to the numbers of a dtype, ties to even; the result has the array's own dtype."""
    with np.errstate(over="ignore"):
        if dtype != "bfloat16":
            return array.astype(dtype).astype(array.dtype)
        bits = array.astype(np.float32, copy=False).view(np.uint32)
    nearest = bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)
    return (nearest & np.uint32(0xFFFF0000)).view(np.float32).astype(array.dtype, copy=False)


def finite(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with its figures as JSON holds them."""
    return {name: number(value) if isinstance(value, float) else value for name, value in entry.items()}


def number(value: float) -> float | str:
    """A figure as JSON holds it: infinity and NaN as text."""
    # JSON has no infinity and no NaN, and a reader that accepts one is not to be relied on.
    return value if math.isfinite(value) else str(value)
