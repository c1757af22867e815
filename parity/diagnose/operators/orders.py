"""In which other order the same numbers stand: what was flattened, shuffled, transposed or reversed otherwise.

An operand or a result is proposed in the order that its counterpart has, or turned round whatever that is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, permutations

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.names import CHOICES, PRODUCTS, SUMS, hides
from parity.diagnose.operators.proposal import Proposal, Spot, always, changed, cited, so_in
from parity.diagnose.search import within
from parity.dtypes import Array

FLATTENING = {"flatten", "reshape", "view", "ravel"}
Order = tuple[Array, str]  # where each element of a row is taken from, and how that is told


def arranged(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand's elements stand in the order of the other side's counterpart."""
    for leaf, value in spot.arrays.items():
        place, argument = spot.operands[leaf], f"{spot.argument(leaf)} of {spot.operation.name}{spot.place}"
        # A constant has a cause of its own where it is made.
        whole = place in spot.alignment.of_weights[0] - spot.alignment.constants[0]
        for twin in sorted(spot.alignment.twins[0].get(place, ())):
            array = spot.there.values[twin].array
            for order, description in orders(value, array, spot.alignment.digits, whole) if array is not None else ():
                ordered, flattened = partial(taken, order=order), _flattens(spot, place)
                words = f"{description}{_by_both(spot, place, twin)}"
                yield _order(argument, words, [changed(spot.number, leaf, ordered)], flattened)
                for numbers in spot.makers_at(place):
                    edits = [Edit(number, after=ordered) for number in numbers]
                    yield _order(argument, f"{words}{so_in(len(numbers))}", edits, flattened)


def _by_both(spot: Spot, place: int, twin: int) -> str:
    """What has made the two values last, on each side."""
    here, there = spot.run.trace.makers().get(place), spot.makers.get(twin)
    makers = [f"{cited(here)} in torch"] if here else []
    makers += [f"{cited(there)} in tensorflow"] if there else []
    return f"; it comes from {' and from '.join(makers)}" if makers else ""


def broadcast(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand is broadcast along another axis, as long: [batch, 1, time] for [batch, time, 1]."""
    operation = spot.operation
    shape = spot.values[operation.makes[0]].shape if len(operation.makes) == 1 else ()
    for leaf, array in spot.arrays.items() if operation.name in SUMS | PRODUCTS | CHOICES else ():
        if not 0 < array.ndim <= len(shape):
            continue
        lengths = (1,) * (len(shape) - array.ndim) + array.shape
        for one, two in permutations(range(1, len(shape)), 2):
            if lengths[one] == shape[one] == shape[two] > 1 == lengths[two]:
                yield Proposal(
                    always(changed(spot.number, leaf, partial(_along_another, len(shape), one, two))),
                    "mask" if array.dtype.kind == "b" or hides(operation, array) else "order",
                    f"the {spot.argument(leaf)} of {operation.name}{spot.place} goes along axis {one} in torch, and "
                    f"is repeated along axis {two}; in tensorflow the other way round{spot.by}",
                    f"the axis of one element at the same place on both sides{spot.place}: of scores [..., queries, "
                    "keys], a mask [..., None, :] hides keys and [..., :, None] hides queries",
                    subject=f"the {spot.argument(leaf)} along axis {two} in tensorflow",
                )


def _along_another(rank: int, one: int, two: int, array: Array) -> Array:
    return np.swapaxes(array[(None,) * (rank - array.ndim)], one, two)


def rearranged(spot: Spot) -> Iterator[Proposal]:
    """Propose that what an operation makes stands in the order that the other side has."""
    operation, alignment = spot.operation, spot.alignment
    if len(operation.makes) != 1:
        return
    value, blind = spot.values[operation.makes[0]], replace(alignment, strict=False)
    for place in alignment.wanted:
        other = spot.there.values[place]
        if value.array is None or other.array is None or not blind.same(value, other):
            continue
        for order, description in orders(value.array, other.array, alignment.digits):
            argument = f"result of {operation.name}{spot.place}"
            yield _order(argument, description, [Edit(spot.number, after=partial(taken, order=order))])


def turned(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand is turned round, whatever its counterpart is."""
    for leaf, array in spot.arrays.items():
        for turn, description in turns(array):
            argument = f"{spot.argument(leaf)} of {spot.operation.name}{spot.place}"
            yield replace(_order(argument, description, [changed(spot.number, leaf, turn)]), only="alone")


def _flattens(spot: Spot, place: int) -> bool:
    """Whether an operation flattens a value, or takes what one has flattened."""
    makers = [one for one in spot.operations if place in one.makes]
    return any(
        one.name in FLATTENING and len(spot.values[one.makes[0]].shape) < len(spot.values[one.operands[0]].shape)
        for one in (spot.operation, *makers)
    )


def _order(argument: str, description: str, edits: Sequence[Edit], flattened: bool = False) -> Proposal:
    return Proposal(
        always(*edits),
        "flatten order" if flattened else "order",
        f"the {argument} stands in another order than in tensorflow: {description}",
        f"bring the {argument} into the same order: permute or transpose it as the other side does",
    )


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
    known, limit = layouts_of(twin.shape, value.shape), digits * float(np.abs(value).max(initial=0.0))
    return next((axes for axes in known if within(twin.transpose(axes), value, limit)), None)


def layouts_of(shape: Sequence[int], other: Sequence[int]) -> list[tuple[int, ...]]:
    """The orders of a shape's axes in which it is the other one."""
    orders = permutations(range(len(shape))) if sorted(shape) == sorted(other) else ()
    return [axes for axes in orders if [shape[axis] for axis in axes] == [*other]]


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
