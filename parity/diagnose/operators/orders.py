"""In which other order the same numbers stand: what was flattened, shuffled, transposed or reversed otherwise."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations, permutations

import numpy as np

from parity.diagnose.search import within
from parity.dtypes import Array

Order = tuple[Array, str]  # where each element of a row is taken from, and how that is told


def orders(value: Array, twin: Array, digits: float, whole: bool = False) -> Iterator[Order]:
    """Orders of a row of `value` in which it stands as in `twin`, by whatever layout, but not as it is.

    Rows are along the first axis and the same on both sides; an order holds whatever the example is. What no input
    reaches is one row as a `whole`.
    """
    lengths = [of.shape[:1] for of in (value, twin)]
    if whole or (1,) in lengths:  # with the axis that says that it is one, or without it
        value, twin = (of if of.shape[:1] == (1,) else of[None] for of in (value, twin))
    if value.ndim < 2 or not value.size or value.shape[0] != twin.shape[0] or value.size != twin.size:
        return
    seen = {np.arange(value[0].size).tobytes()}
    limit = digits * max(float(np.abs(value).max()), float(np.abs(twin).max()))
    for axes in permutations(range(1, twin.ndim)):
        other = twin.transpose(0, *axes)
        if twin.ndim == value.ndim and other.shape != value.shape:
            continue
        rows, others = value.reshape(len(value), -1), other.reshape(len(twin), -1)
        along = _along(value, other, limit) if other.shape == value.shape else ()
        for order, description in (*_regrouped(value.shape[1:]), *along, *_elements(rows[0], others[0])):
            if order.tobytes() not in seen and within(rows[:, order], others, limit):
                seen.add(order.tobytes())
                yield order, description


def taken(array: Array, order: Array) -> Array:
    """The array with each row's elements in this order, or all of them where it is one of all."""
    return array.reshape(-1, order.size)[:, order].reshape(array.shape)


def layout(value: Array | None, twin: Array | None, digits: float) -> tuple[int, ...] | None:
    """The axes in whose order `twin` is `value`, if there are such."""
    if value is None or twin is None or value.ndim != twin.ndim:
        return None
    known = (axes for axes in permutations(range(value.ndim)) if twin.transpose(axes).shape == value.shape)
    limit = digits * float(np.abs(value).max(initial=0.0))
    return next((axes for axes in known if within(twin.transpose(axes), value, limit)), None)


def laid(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """A shape with its axes in another order; nothing of another number of axes."""
    return tuple(shape[axis] for axis in axes) if len(shape) == len(axes) else ()


def _regrouped(shape: Sequence[int]) -> Iterator[Order]:
    """Orders of a row of this shape that reversing, splitting and transposing its axes make."""
    grid = np.arange(int(np.prod(shape))).reshape(shape)
    for axis, length in enumerate(shape):
        yield np.flip(grid, axis).ravel(), f"axis {axis + 1} of {length} stands in reverse"
        for parts in (parts for parts in range(2, length) if length % parts == 0):
            rest = length // parts
            split = grid.reshape(*shape[:axis], parts, rest, *shape[axis + 1 :])
            yield np.swapaxes(split, axis, axis + 1).ravel(), _laid_out(axis + 1, parts, rest)
    for axes in permutations(range(len(shape))):
        yield grid.transpose(axes).ravel(), f"its axes stand in the order {tuple(axis + 1 for axis in axes)}"
    for axes in permutations(range(len(shape))):
        lengths = [shape[axis] for axis in axes]
        if lengths != [*shape]:
            order = grid.reshape(lengths).transpose(np.argsort(axes)).ravel()
            yield order, f"it is read as {' x '.join(map(str, lengths))}, and its axes turned"


def _laid_out(axis: int, parts: int, rest: int) -> str:
    """How an axis is told of which `parts` times `rest` places were read as `rest` times `parts`."""
    if parts == rest:  # the same numbers on both sides say nothing
        return f"axis {axis} of {parts * rest}, read as {parts} x {rest}, has rows and columns exchanged"
    return f"axis {axis} of {parts * rest} is laid out as {rest} x {parts}, not as {parts} x {rest}"


def _along(value: Array, other: Array, limit: float) -> Iterator[Order]:
    """The order of slices along one axis that makes of the first the second."""
    grid = np.arange(value[0].size).reshape(value.shape[1:])
    for axis in range(1, value.ndim):
        slices, others = np.moveaxis(value, axis, 0), np.moveaxis(other, axis, 0)
        order = list[int]()
        sums = slices.reshape(len(slices), -1).sum(1)
        for two in others:  # of slices that are equal, each is taken once
            with np.errstate(invalid="ignore"):  # two infinities have no difference
                alike = np.flatnonzero(np.abs(sums - two.sum()) <= limit * two.size).tolist()
            equal = (at for at in alike if at not in order and within(slices[at], two, limit))
            order += [*equal][:1]
        if len(order) == len(slices):
            yield grid.take(order, axis - 1).ravel(), f"what stands along axis {axis} has the order {order}"


def _elements(row: Array, other: Array) -> Iterator[Order]:
    """The order of elements that makes of the first row the second; of equal ones any."""
    order = np.empty(row.size, np.intp)
    order[np.argsort(other, kind="stable")] = np.argsort(row, kind="stable")
    moved = int((order != np.arange(row.size)).sum())
    yield order, f"{moved} of {row.size} elements of a row stand elsewhere"


def turns(value: Array) -> Iterator[tuple[Callable[[Array], Array], str]]:
    """An array turned round along axes, or with two axes of one length exchanged."""
    axes = [axis for axis, length in enumerate(value.shape) if length > 1]
    if value.ndim < 2 or value.ndim > 4:
        return
    for size in (1, 2):
        for chosen in combinations(axes, size):
            yield partial(np.flip, axis=chosen), f"it is reversed along {_axes(chosen)}"
    for one, two in combinations(axes, 2):
        if value.shape[one] == value.shape[two]:
            yield partial(np.swapaxes, axis1=one, axis2=two), f"{_axes((one, two))} stand in each other's place"


def _axes(axes: Sequence[int]) -> str:
    return f"ax{'i' if len(axes) == 1 else 'e'}s {' and '.join(map(str, axes))}"
