"""One link's output through a function, and moved or filled up in time: the terms of the sums of own code."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from parity.canonical.activations import FUNCTIONS, along, leaky
from parity.diagnose.constants import factor, proposals
from parity.diagnose.gaps import gap
from parity.diagnose.layers.outputs import shifted
from parity.diagnose.locate.segment import Segment
from parity.dtypes import Array

EPSILONS = (1e-3, 1e-5, 1e-6, 1e-12)  # the frameworks' and the usual papers'
ROWS = 8  # at least, to which a gain and a bias are fitted


@dataclass(frozen=True)
class Term:
    """One given array, what it went through, and how it was moved along time; "" is as it stands."""

    given: str
    function: str = "identity"
    moved: str = ""

    def __str__(self) -> str:
        text = self.given if self.function == "identity" else f"{self.function} of {self.given}"
        return f"{text} {self.moved}" if self.moved else text


Bases = list[tuple[Term, Array]]


def again(term: Term, segment: Segment, target: Array) -> Array | None:
    """A term in another capture of its segment, of which a side made `target`; None where it cannot be computed."""
    array = segment.given.get(term.given)
    if array is None or (term.function, term.moved) != ("identity", ""):
        return next((value for other, value in candidates(segment, target) if other == term), None)
    try:
        return np.broadcast_to(array, target.shape)
    except ValueError:
        return None


def candidates(segment: Segment, target: Array) -> Iterator[tuple[Term, Array]]:
    """Given arrays through each function, and moved or filled up in time, that have the shape of what was found."""
    for name, array in segment.given.items():
        if array.dtype.kind != "f" or array.ndim != target.ndim:
            continue
        with np.errstate(all="ignore"):
            for function, value in _through(array, target):
                for moved, whole in _aligned(value, target.shape):
                    if moved and function != "identity" and array.shape == target.shape:
                        continue  # either of them, not both
                    if (function, moved) != ("identity", ""):
                        yield Term(name, function, moved), whole
            norm = normalised(target, array, segment.limit)
            if norm is not None:
                yield Term(name, "a norm, with gain and bias,"), norm


def _through(array: Array, target: Array) -> Iterator[tuple[str, Array]]:
    """An array through every function of one array that is known, by name; with a leaky ReLU's slope solved for."""
    for name, function in (*FUNCTIONS.items(), *along(array.ndim)):
        yield name, function(array)
    for epsilon in EPSILONS:
        mean, variance = array.mean(-1, keepdims=True), array.var(-1, keepdims=True)
        yield f"normalised (epsilon {epsilon:g})", (array - mean) / np.sqrt(variance + epsilon)
        square = np.square(array).mean(-1, keepdims=True)
        yield f"over its root mean square (epsilon {epsilon:g})", array / np.sqrt(square + epsilon)
    if array.shape == target.shape:
        slope = factor(np.minimum(array, 0), np.where(array < 0, target, 0))
        for name, number in proposals(slope, ()):
            if f"leaky_relu (slope {name})" not in FUNCTIONS and number not in (0.0, 1.0):
                yield f"leaky_relu (slope {name})", leaky(number)(array)


def _aligned(array: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """(how it was moved, array) in the wanted shape: moved by one or two positions, or padded or cut along axis 1."""
    if array.shape == shape:
        yield "", array
        if array.ndim > 1 and shape[1] > 1:
            for steps in (1, -1, 2, -2)[: 2 * (shape[1] - 1)]:
                yield f"moved {abs(steps)} {'later' if steps > 0 else 'earlier'}", shifted(array, steps)
            yield "reversed in time", array[:, ::-1]
        return
    if array.ndim < 2 or (array.shape[0], *array.shape[2:]) != (shape[0], *shape[2:]):
        return
    missing = shape[1] - array.shape[1]
    for before in dict.fromkeys((missing, 0, missing // 2, missing - 1, 1)) if missing > 0 else ():
        width = [(0, 0), (before, missing - before), *[(0, 0)] * (array.ndim - 2)]
        if 0 <= before <= missing:
            yield f"behind {before} and before {missing - before} zeros", np.pad(array, width)
            yield f"behind {before} and before {missing - before} of its edge", np.pad(array, width, "edge")
    if missing < 0:
        yield f"without its first {-missing}", array[:, -missing:]
        yield f"without its last {-missing}", array[:, :missing]


def normalised(second: Array, first: Array, limit: float) -> Array | None:
    """The first over its deviation, times a gain and plus a bias along the last axis, if that is the second.

    Gain and bias are fitted: one pair to at least eight rows.
    """
    if first.shape != second.shape or first.ndim < 2 or first.size < ROWS * first.shape[-1]:
        return None
    rows = second.reshape(-1, second.shape[-1])
    for epsilon in EPSILONS:
        x = (first - first.mean(-1, keepdims=True)) / np.sqrt(first.var(-1, keepdims=True) + epsilon)
        x = x.reshape(rows.shape)
        middle, center = x.mean(0), rows.mean(0)
        square = np.square(x - middle).sum(0)
        gain = ((x - middle) * (rows - center)).sum(0) / np.where(square == 0, 1, square)
        output = (x - middle) * gain + center
        if gap(output, rows) <= limit:
            return np.reshape(output, second.shape)
    return None
