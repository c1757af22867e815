"""An array's numbers in a shape with its axes in every order: what a transposition makes of it, and what a reshape."""

from collections.abc import Iterator
from itertools import accumulate, permutations
from math import prod
from operator import mul

import numpy as np

from parity.diagnose.layers.weight_relations import Relation
from parity.dtypes import Array

TRANSPOSED, RESHAPED = "transposed", "reshaped"
RUNS_ON = "reshaped through another shape"  # and not transposed: no axis is one of the other shape's
AXES = 5  # of an array whose orders are tried
FEWEST = 6  # different numbers of an array whose order is told: of fewer, several orders give the same


def arranged(source: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """An array in a shape, its axes in every order, the likeliest first, and how that is told."""
    if source.size != prod(shape):
        return
    yield "" if source.shape == shape else _told(RESHAPED, source.shape, shape), source.reshape(shape)
    if source.ndim > AXES or len(shape) > AXES:
        return
    for order in [*permutations(range(source.ndim))][1:]:
        turned = source.transpose(order)
        yield _told(TRANSPOSED, turned.shape, shape), turned.reshape(shape)
    for order in [*permutations(range(len(shape)))][1:]:
        split = tuple(shape[axis] for axis in order)
        yield _told(TRANSPOSED, source.shape, split), source.reshape(split).transpose(np.argsort(order))


def _told(how: str, one: tuple[int, ...], other: tuple[int, ...]) -> str:
    """How a reshape between two shapes is told: `RUNS_ON` where it is more than joining axes or splitting them."""
    ends, others = ({*accumulate(shape, mul)} - {1} for shape in (one, other))
    return how if ends <= others or others <= ends else RUNS_ON


def rearranged(first: Array, second: Array) -> Iterator[Relation]:
    """The second array as the first, of its shape, with its axes in another order, or reshaped by a wrong order.

    A converter that reshapes to the shape of the target where it should transpose: the numbers run on in row order
    through other axes. Of arrays with fewer than `FEWEST` different numbers nothing is told.
    """
    if first.shape != second.shape or not 2 <= first.ndim <= AXES or not _same_numbers(first, second):
        return
    for words, array in turns(first):
        yield Relation("transposed", words, array)


def turns(array: Array) -> Iterator[tuple[str, Array]]:
    """(how it is told, an array of the same shape and numbers) for each order of its axes, transposed or reshaped."""
    for order in [*permutations(range(array.ndim))][1:]:
        turned = array.transpose(order)
        if turned.shape == array.shape:
            yield f"with its axes in the order {', '.join(map(str, order))}", turned
        else:
            for one in (turned.reshape(array.shape), array.reshape(turned.shape).transpose(np.argsort(order))):
                yield "reshaped, not transposed: its numbers run on in row order through another shape", one


def _same_numbers(first: Array, second: Array) -> bool:
    """Whether two arrays hold the same numbers in whatever order, enough of them different to tell an order."""
    numbers = np.sort(first, axis=None)
    return len(np.unique(numbers)) >= FEWEST and np.array_equal(numbers, np.sort(second, axis=None))
