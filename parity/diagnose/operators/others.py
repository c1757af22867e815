"""What TensorFlow's run has in the place of torch's: an operation more, another operand, another result."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Operation, Trace, Value
from parity.diagnose.operators.names import of_omission
from parity.diagnose.operators.orders import laid, layout
from parity.diagnose.operators.proposal import NEAR, Proposal, Spot, always, at, called, constant, hides, origin
from parity.dtypes import Array


def inserted(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operation of TensorFlow's comes first: its result in the place of its operand's counterpart.

    Not where torch's own makes nothing more of it: then it is another operation in its place.
    """
    for place, leaf in enumerate(spot.leaves):
        value = None if leaf.place is None else spot.run.trace.values[leaf.place]
        if value is None or leaf.place is None:
            continue
        for other in spot.parted:
            for _, operand in other.takes:
                known = operand in spot.alignment.twins[0].get(leaf.place, ())
                twin = spot.there.values[operand].array
                axes = layout(value.array, twin, spot.alignment.digits) if known else None
                if axes is not None and not _idle(spot, partial(_prepended, spot, place, other, axes)):
                    hidden = any(hides(other, spot.there.values[one].array) for _, one in other.takes if one != operand)
                    yield Proposal(
                        partial(_prepended, spot, place, other, axes),
                        "mask missing" if hidden else of_omission(spot.there, other, operand),
                        f"tensorflow does {called(other)}{at(other)} before torch's {spot.operation.name}{spot.place}, "
                        "torch does not",
                        f"leave {called(other)} out in tensorflow{at(other)}, or do the same in torch",
                        other.layer,
                        f"{other.name} in tensorflow alone",
                        behind=leaf.place,
                    )


def prefixed(spot: Spot) -> Iterator[Proposal]:
    """Propose that several operations of TensorFlow's come first, which take an operand's counterpart and that alone.

    Behind them is one of TensorFlow's that makes what torch's makes then, and something else than it is given: else
    torch's own is one of them, and what they make says nothing of it.
    """
    for place, leaf in enumerate(spot.leaves):
        if leaf.place is None or not (twins := spot.alignment.twins[0].get(leaf.place, set())):
            continue
        shape = spot.run.trace.values[leaf.place].shape
        for last in spot.alignment.wanted[:NEAR]:
            value = spot.there.values[last]
            layouts = [axes for axes in permutations(range(len(shape))) if laid(value.shape, axes) == shape]
            region = _region(spot, last, twins) if layouts and len(value.shape) == len(shape) else []
            if len(region) < 2:
                continue
            norm = {one.name for one in region} >= {"Mean"} and {one.name for one in region} & {"Rsqrt", "Sqrt"}
            both = f"{called(region[-1])}{at(region[-1])} ... {called(region[0])}{at(region[0])}"
            for axes in layouts:
                change = partial(_made_there, spot, place, region[0], region[0].makes.index(last), axes)
                if _idle(spot, change) or not _behind(spot, change, last):
                    continue
                yield Proposal(
                    change,
                    "norm placement" if norm else "extra operation",
                    f"tensorflow does {both} with {spot.origin(leaf.place)} before torch's "
                    f"{called(spot.operation)}{spot.place}, torch does not",
                    f"leave {both} out in tensorflow, or do the same in torch{spot.place}",
                    region[-1].layer,
                    f"{region[-1].name} ... {region[0].name} in tensorflow alone",
                    behind=leaf.place,
                )


def appended(spot: Spot) -> Iterator[Proposal]:
    """Propose what TensorFlow does behind torch's end: its operations on what torch gives, and on nothing else."""
    if spot.alignment.parted[0] or len(spot.operation.makes) != 1:
        return
    mine = spot.operation.makes[0]
    shape, twins = spot.run.trace.values[mine].shape, spot.alignment.twins[0].get(mine, set())
    for last in sorted(place for place in spot.there.outputs.values() if place not in twins):
        region = _region(spot, last, twins) if twins else []
        value = spot.there.values[last]
        for axes in [axes for axes in permutations(range(len(shape))) if region and laid(value.shape, axes) == shape]:
            both = " ... ".join(dict.fromkeys(f"{called(one)}{at(one)}" for one in (region[-1], region[0])))
            passed = next((taken for _, taken in region[0].takes if taken in twins), last)
            yield Proposal(
                partial(_exchanged, spot, 0, region[0], region[0].makes.index(last), axes),
                of_omission(spot.there, region[0], passed) if len(region) == 1 else "extra operation",
                f"torch gives what {called(spot.operation)}{spot.place} makes; tensorflow applies {both} to it first",
                f"leave {both} out in tensorflow, or do the same in torch behind {spot.operation.name}{spot.place}",
                region[-1].layer,
                f"{region[0].name} in tensorflow alone",
                behind=mine,
            )


def _region(spot: Spot, last: int, twins: set[int]) -> list[Operation]:
    """TensorFlow's operations from these values to `last`, the last one first; none where they take anything else.

    Constants and parameters may be taken besides.
    """
    waiting, region, reached = [last], list[Operation](), False
    while waiting:
        place = waiting.pop(0)
        maker = spot.makers.get(place)
        if place in twins:
            reached = True
        elif maker is None or place in spot.alignment.twins[1]:
            if not spot.fixed(place) and not spot.there.values[place].leaf:
                return []
        elif not any(maker is one for one in region):
            region.append(maker)
            waiting += [operand for _, operand in maker.takes]
    return region if reached else []


def _idle(spot: Spot, value: Any) -> bool:
    """Whether torch's operation changes nothing of what tensorflow's has made."""
    try:
        [edit] = value(spot.there)
        [result] = spot.run.results(spot.number, [edit])
        operand = edit.change([])
    except Exception:  # noqa: BLE001 an operation that cannot be called so: the proposal falls by itself
        return False
    return bool(result.shape == operand.shape and gap_of(result, operand) <= spot.alignment.digits)


def _behind(spot: Spot, edits_of: Callable[[Trace], Sequence[Edit]], last: int) -> bool:
    """Whether torch's operation makes then what TensorFlow makes of this value further on."""
    makers, reached = spot.makers, {last}
    for place in spot.alignment.wanted:
        if place in makers and any(operand in reached for _, operand in makers[place].takes):
            reached.add(place)
    further = [spot.there.values[place] for place in spot.alignment.wanted if place in reached - {last}]
    return any(spot.alignment.same(value, other) for value in _made_with(spot, edits_of) for other in further)


def gap_of(first: Array, second: Array) -> float:
    """The largest difference, as a share of the largest element."""
    largest = float(np.abs(second).max(initial=0.0))
    with np.errstate(invalid="ignore"):  # two infinities have no difference
        return float(np.abs(first - second).max(initial=0.0)) / largest if largest else 0.0


def replaced(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand is TensorFlow's: an index or another constant, or what is made of such alone."""
    for place, leaf in enumerate(spot.leaves):
        if leaf.place is not None:
            here, dtype = leaf.place, spot.run.trace.values[leaf.place].array
            kind, shape = (dtype.dtype.kind if dtype is not None else ""), spot.run.trace.values[leaf.place].shape
        elif isinstance(leaf.plain, np.ndarray):
            here, kind, shape = None, leaf.plain.dtype.kind, leaf.plain.shape
        else:
            continue
        for other in spot.near:
            for number, (argument, operand) in enumerate(other.takes):
                value = spot.there.values[operand]
                whole = len(shape) == len(value.shape)  # else they differ by axes of one element
                own, theirs = ([length for length in of if whole or length > 1] for of in (shape, value.shape))
                if value.array is None or not _alike(value.array, kind) or sorted(own) != sorted(theirs):
                    continue
                index = kind in "iu" and other.name.startswith("Gather")
                if operand in spot.alignment.twins[0].get(-1 if here is None else here, ()):
                    continue
                if not (index or operand in spot.alignment.alone[1]):
                    continue
                for axes in permutations(range(len(own))):
                    if [theirs[axis] for axis in axes] == own:
                        yield _replaced(spot, place, spot.argument(place), other, number, argument, axes)


def _alike(array: Array, kind: str) -> bool:
    """Whether an array may stand where one of this kind does: whole numbers for such, or numbers; no masks."""
    return array.dtype.kind in ("iu" if kind in "iu" else kind) and kind != "b"


def _replaced(
    spot: Spot, place: int, mine: str, other: Operation, number: int, theirs: str, axes: Sequence[int]
) -> Proposal:
    """The proposal that argument `mine`, leaf `place`, is what TensorFlow's operation takes as `theirs`."""
    leaf, operand = spot.leaves[place], other.takes[number][1]
    here = spot.origin(leaf.place) if leaf.place is not None else "an array"
    index = spot.operation.name in ("__getitem__", "embedding", "gather", "index_select", "take", "take_along_dim")
    array = spot.there.values[operand].array
    index = index and array is not None and array.dtype.kind in "iu"
    what = f"the {'index' if index and mine not in ('self', 'weight') else mine} of {spot.operation.name}{spot.place}"
    return Proposal(
        partial(given, spot, place, other, number, axes),
        "positions" if what.startswith("the index") else "operand",
        f"{what} is {here} in torch, and holds other numbers, or in another order, than the {theirs} of tensorflow's "
        f"{called(other)}{at(other)}: {origin(spot.there, operand, other.layer)}; with these nothing is left",
        f"compute {what} ({here}) as tensorflow does{at(other)}, or the other way round",
        subject=f"another {mine} of {spot.operation.name}",
    )


def exchanges(spot: Spot) -> Iterator[Proposal]:
    """Propose that TensorFlow's result stands in the place of torch's: the two differ, and nothing else does."""
    operation, makers = spot.operation, spot.there.makers()
    # Of a variable of other numbers both do not take the same; of complex numbers, which no run shows, it is not known.
    unlike = spot.alignment.alone[0] - spot.alignment.constants[0]
    if any(place in unlike or 0 in spot.run.trace.values[place].shape for _, place in operation.takes):
        return
    for result, place in enumerate(operation.makes):
        shape = spot.run.trace.values[place].shape
        for other in spot.alignment.wanted[:NEAR]:
            value, maker = spot.there.values[other], makers.get(other)
            if maker is None or value.array is None or _alone(spot, maker, value):
                continue
            rank = range(len(value.shape))
            layouts = [axes for axes in permutations(rank) if tuple(value.shape[axis] for axis in axes) == shape]
            for axes in layouts or [_nearest(value.shape, shape)]:
                both = f"torch's {called(operation)}{at(operation)} and tensorflow's {_names(spot.parted, maker)}"
                yield Proposal(
                    partial(_exchanged, spot, result, maker, maker.makes.index(other), axes),
                    "operation",
                    f"{both} make other numbers of the same; with tensorflow's in torch's place nothing is left",
                    f"make {operation.name}{at(operation)} and {_names(spot.parted, maker)} compute the same",
                    subject=f"{operation.name} and {maker.name}",
                    only="last",
                )


def _alone(spot: Spot, maker: Operation, value: Value) -> bool:
    """Whether torch's operation makes TensorFlow's value of what TensorFlow's is given: then not it differs."""
    shapes = {
        n: spot.run.trace.values[leaf.place].shape for n, leaf in enumerate(spot.leaves) if leaf.place is not None
    }
    arrays = [array for _, taken in maker.takes if (array := spot.there.values[taken].array) is not None]
    ways = ((leaf, of.transpose(axes)) for leaf in shapes for of in arrays for axes in permutations(range(of.ndim)))
    edits = (constant(spot.number, leaf, of) for leaf, of in ways if of.shape == shapes[leaf])
    return any(spot.alignment.same(result, value) for edit in edits for result in _made_with(spot, always(edit)))


def _made_with(spot: Spot, edits_of: Callable[[Trace], Sequence[Edit]]) -> list[Value]:
    """What torch's operation makes with these edits; nothing, where it cannot be called so."""
    try:
        return [Value(of, of.shape) for of in spot.run.results(spot.number, edits_of(spot.there))]
    except Exception:  # noqa: BLE001 an operation that cannot be called so: the proposal falls by itself
        return []


def _nearest(shape: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """The order of axes in which most are as long as in another shape, where some are not."""
    orders = permutations(range(len(shape))) if len(shape) == len(other) else iter([tuple(range(len(shape)))])
    return max(orders, key=lambda axes: sum(shape[axis] == length for axis, length in zip(axes, other, strict=False)))


def _prepended(spot: Spot, place: int, operation: Operation, axes: Sequence[int], run: Trace) -> Sequence[Edit]:
    """The edit that puts the result of an operation of TensorFlow's `run` in the place of a leaf."""
    array = array_of(run, spot.there.like(operation, run).makes[0])
    return [Edit(spot.number, place, lambda _: array.transpose(axes) if array.ndim == len(axes) else array)]


def given(spot: Spot, place: int, operation: Operation, number: int, axes: Sequence[int], run: Trace) -> Sequence[Edit]:
    """An operand is what TensorFlow's operation takes, its axes in another order."""
    array = array_of(run, spot.there.like(operation, run).takes[number][1])
    array = (array if array.ndim == len(axes) else array.squeeze()).transpose(axes)
    return [Edit(spot.number, place, lambda own: array.reshape(_shape(array, own[place])).astype(own[place].dtype))]


def _shape(array: Array, mine: Array) -> list[int]:
    """The lengths of an array's axes, with those of one element where `mine` has them."""
    lengths = iter([length for length in array.shape if length > 1])
    return [1 if length == 1 else next(lengths) for length in mine.shape]


def _made_there(
    spot: Spot, place: int, operation: Operation, result: int, axes: Sequence[int], run: Trace
) -> Sequence[Edit]:
    """As `_prepended`, of one of several results, whose axes are always turned."""
    array = array_of(run, spot.there.like(operation, run).makes[result])
    return [Edit(spot.number, place, lambda _: array.transpose(axes))]


def _exchanged(
    spot: Spot, result: int, operation: Operation, result_there: int, axes: Sequence[int], run: Trace
) -> Sequence[Edit]:
    """The edit that puts a result of TensorFlow's `run` in the place of torch's own result."""
    array = array_of(run, spot.there.like(operation, run).makes[result_there])
    return [Edit(spot.number, None, lambda _: array.transpose(axes), result)]


def array_of(run: Trace, place: int) -> Array:
    """A value of another run. Raises LookupError for one that is too large to be kept."""
    array = run.values[place].array
    if array is None:
        raise LookupError("a value is too large to be kept")
    return array


def _names(parted: Sequence[Operation], last: Operation) -> str:
    """The operations of a side from where it parts to one behind."""
    first = [called(one) + at(one) for one in parted[:1] if one is not last]
    return " ... ".join([*first, called(last) + at(last)])
