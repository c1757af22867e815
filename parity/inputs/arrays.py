"""Inputs that are no texts: any nesting of arrays whose first axis is the batch."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import optree

from parity.canonical.weights import Weights
from parity.dtypes import Array, Inputs
from parity.errors import ParityError

SHORT = 32  # elements that a person reads
ADAPT = "draw other inputs by inputs=, or adapt these by call={...}"  # where a model cannot be called on the pair's


@dataclass(frozen=True, eq=False, repr=False)
class Sample:
    """Weights and inputs, arrays (batch, ...) in a tuple, a dict or alone: one example for a check of the models."""

    weights: Weights
    inputs: Inputs

    def __repr__(self) -> str:
        shown = optree.tree_map(_Shown, self.inputs)
        return f"Sample(weights={self.weights!r}, inputs={shown!r})"

    @property
    def rows(self) -> range:
        """The indices of its rows. Raises ParityError as `accept`."""
        return range(accept(self.inputs))

    def chosen(self, order: tuple[int, ...]) -> "Sample":
        """The example of the rows at these places of each array, in this order; the weights stay."""
        return Sample(self.weights, optree.tree_map(lambda array: np.take(array, order, 0), self.inputs))


class _Shown:
    """An array as a person reads it: its values if they are few, and if not what tells it from others."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __repr__(self) -> str:
        array = self.array
        if array.size <= SHORT:
            return f"{array.dtype} {array.tolist()}"
        return f"{array.dtype} {array.shape} crc32 {zlib.crc32(array.tobytes()):08x}"


def like(inputs: Inputs) -> Any:
    """The dtypes and shapes of inputs: "float32 (2, 5)"; of several, in their tuple or dict."""
    return optree.tree_map(lambda array: f"{array.dtype} {array.shape}", inputs)


def shapes(inputs: Inputs) -> str:
    """The shapes of inputs, as a person reads them: "2 x 5, 2 x 3"."""
    return ", ".join(" x ".join(map(str, leaf.shape)) for leaf in optree.tree_leaves(inputs))


def accept(inputs: Inputs) -> int:
    """How many rows inputs have. Raises ParityError for what no model can be given.

    That is: no array at all, a leaf that is no NumPy array of numbers, one of float64, or arrays whose first axes
    differ or are empty.
    """
    leaves = optree.tree_leaves(inputs)
    if not leaves:
        raise ParityError("inputs drew no array; let the strategy give an array, or a tuple or dict of arrays")
    for leaf in leaves:
        if not isinstance(leaf, np.ndarray) or leaf.dtype.kind not in "biuf":
            raise ParityError(f"inputs drew a {type(leaf).__name__}; let the strategy give NumPy arrays of numbers")
        if leaf.dtype == np.float64:
            # In the float32 runs its numbers would be rounded, so that those would be of other inputs.
            raise ParityError("inputs drew float64; give float32, which every precision can hold")
    counts = {leaf.shape[:1] for leaf in leaves}
    if len(counts) > 1 or not min(counts) or not min(counts)[0]:
        shapes = ", ".join(str(leaf.shape) for leaf in leaves)
        raise ParityError(
            f"inputs drew arrays of shapes {shapes}; the first axis of each is the batch, one row or more"
        )
    return int(min(counts)[0])
