"""What TensorFlow's run has in the place of torch's: an operation more, another operand, another result."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Operation, Trace, Value
from parity.diagnose.operators.names import hides, of_omission
from parity.diagnose.operators.orders import layout, layouts_of
from parity.diagnose.operators.proposal import NEAR, Proposal, Spot, always, at, changed, cited, constant, origin
from parity.diagnose.search import within
from parity.dtypes import Array


@dataclass(frozen=True)
class There:
    """A value of TensorFlow's that an edit takes, with its axes in an order: what an operation makes, or what it takes.

    `trace` is the run that has the operation, `number` which result it is, or which operand.
    """

    trace: Trace
    operation: Operation
    number: int
    axes: Sequence[int]
    taken: bool = False

    def array(self, run: Trace) -> Array:
        """The value in another of TensorFlow's runs. Raises LookupError for one that is too large to be kept."""
        like = self.trace.like(self.operation, run)
        array = array_of(run, (like.operands if self.taken else like.makes)[self.number])
        if self.taken and array.ndim != len(self.axes):  # those of one element apart
            array = array.squeeze()
        return array.transpose(self.axes) if array.ndim == len(self.axes) else array


def inserted(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operation of TensorFlow's comes first: its result in the place of its operand's counterpart.

    Not where torch's own makes nothing more of it: then it is another operation in its place.
    """
    for leaf, place in spot.operands.items():
        for other in spot.parted:
            for operand in other.operands:
                known = operand in spot.alignment.twins[0].get(place, ())
                twin = spot.there.values[operand].array
                axes = layout(spot.values[place].array, twin, spot.alignment.digits) if known else None
                change = None if axes is None else partial(_prepended, spot, leaf, There(spot.there, other, 0, axes))
                if change is not None and not _idle(spot, change):
                    hidden = any(hides(other, spot.there.values[one].array) for one in other.operands if one != operand)
                    yield Proposal(
                        change,
                        "mask missing" if hidden else of_omission(spot.there, other, operand),
                        f"tensorflow does {cited(other)} before torch's {spot.operation.name}{spot.place}, torch does "
                        "not",
                        f"leave {cited(other)} out in tensorflow, or do the same in torch",
                        other.layer,
                        f"{other.name} in tensorflow alone",
                        behind=place,
                        brings=[other.name],
                    )


def prefixed(spot: Spot) -> Iterator[Proposal]:
    """Propose that several operations of TensorFlow's come first, which take an operand's counterpart and that alone.

    Behind them is one of TensorFlow's that makes what torch's makes then, and something else than it is given: else
    torch's own is one of them, and what they make says nothing of it.
    """
    for leaf, place in spot.operands.items():
        shape, twins = spot.values[place].shape, spot.alignment.twins[0].get(place, set())
        for last in spot.alignment.wanted[:NEAR] if twins else ():
            layouts = layouts_of(spot.there.values[last].shape, shape)
            region = _region(spot, last, twins) if layouts else []
            if len(region) < 2:
                continue
            norm = {one.name for one in region} >= {"Mean"} and {one.name for one in region} & {"Rsqrt", "Sqrt"}
            both = f"{cited(region[-1])} ... {cited(region[0])}"
            for axes in layouts:
                result = There(spot.there, region[0], region[0].makes.index(last), axes)
                change = partial(_prepended, spot, leaf, result)
                if _idle(spot, change) or not _behind(spot, change, last):
                    continue
                yield Proposal(
                    change,
                    "norm placement" if norm else "extra operation",
                    f"tensorflow does {both} with {spot.origin(place)} before torch's {spot.here}, torch does not",
                    f"leave {both} out in tensorflow, or do the same in torch{spot.place}",
                    region[-1].layer,
                    f"{region[-1].name} ... {region[0].name} in tensorflow alone",
                    behind=place,
                    brings=[one.name for one in region],
                )


def appended(spot: Spot) -> Iterator[Proposal]:
    """Propose what TensorFlow does behind torch's end: its operations on what torch gives, and on nothing else."""
    if spot.alignment.parted[0] or len(spot.operation.makes) != 1:
        return
    mine = spot.operation.makes[0]
    shape, twins = spot.values[mine].shape, spot.alignment.twins[0].get(mine, set())
    for last in sorted(place for place in spot.there.outputs.values() if place not in twins):
        region = _region(spot, last, twins) if twins else []
        for axes in layouts_of(spot.there.values[last].shape, shape) if region else ():
            both = " ... ".join(dict.fromkeys(cited(one) for one in (region[-1], region[0])))
            source = next((taken for taken in region[0].operands if taken in twins), last)
            yield Proposal(
                partial(_exchanged, spot, 0, There(spot.there, region[0], region[0].makes.index(last), axes)),
                of_omission(spot.there, region[0], source) if len(region) == 1 else "extra operation",
                f"torch gives what {spot.here} makes; tensorflow applies {both} to it first",
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
            if place not in spot.alignment.constants[1] and not spot.there.values[place].leaf:
                return []
        elif not any(maker is one for one in region):
            region.append(maker)
            waiting += maker.operands
    return region if reached else []


def _idle(spot: Spot, value: Any) -> bool:
    """Whether torch's operation changes nothing of what tensorflow's has made."""
    try:
        [edit] = value(spot.there)
        [result] = spot.run.results(spot.number, [edit])
        operand = edit.change([])
    except Exception:  # noqa: BLE001 an operation that cannot be called so: the proposal falls by itself
        return False
    limit = spot.alignment.digits * float(np.abs(operand).max(initial=0.0))
    return result.shape == operand.shape and within(result, operand, limit)


def _behind(spot: Spot, edits_of: Callable[[Trace], Sequence[Edit]], last: int) -> bool:
    """Whether torch's operation makes then what TensorFlow makes of this value further on."""
    makers, reached = spot.makers, {last}
    for place in spot.alignment.wanted:
        if place in makers and not reached.isdisjoint(makers[place].operands):
            reached.add(place)
    further = [spot.there.values[place] for place in spot.alignment.wanted if place in reached - {last}]
    return any(spot.alignment.same(value, other) for value in _made_with(spot, edits_of) for other in further)


def replaced(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operand is TensorFlow's: an index or another constant, or what is made of such alone."""
    for place, leaf in enumerate(spot.leaves):
        if leaf.place is not None:
            here, array, shape = leaf.place, spot.values[leaf.place].array, spot.values[leaf.place].shape
            kind = array.dtype.kind if array is not None else ""
        elif isinstance(leaf.plain, np.ndarray):
            here, kind, shape = None, leaf.plain.dtype.kind, leaf.plain.shape
        else:
            continue
        for other in spot.near:
            for number, (argument, operand) in enumerate(other.takes):
                value = spot.there.values[operand]
                whole = len(shape) == len(value.shape)  # else they differ by axes of one element
                own, theirs = ([length for length in of if whole or length > 1] for of in (shape, value.shape))
                # Whole numbers stand for such, or numbers for numbers; no masks.
                kinds = "iu" if kind in "iu" else kind.replace("b", "")
                if value.array is None or value.array.dtype.kind not in kinds or sorted(own) != sorted(theirs):
                    continue
                index = kind in "iu" and other.name.startswith("Gather")
                twins = spot.alignment.twins[0].get(-1 if here is None else here, ())
                if operand in twins or not (index or operand in spot.alignment.alone[1]):
                    continue
                for axes in permutations(range(len(own))):
                    if [theirs[axis] for axis in axes] == own:
                        yield _replaced(spot, place, spot.argument(place), other, number, argument, axes)


def _replaced(
    spot: Spot, place: int, mine: str, other: Operation, number: int, theirs: str, axes: Sequence[int]
) -> Proposal:
    """The proposal that argument `mine`, leaf `place`, is what TensorFlow's operation takes as `theirs`."""
    leaf, operand = spot.leaves[place], other.operands[number]
    here = spot.origin(leaf.place) if leaf.place is not None else "an array"
    index = spot.operation.name in ("__getitem__", "embedding", "gather", "index_select", "take", "take_along_dim")
    array = spot.there.values[operand].array
    index = index and array is not None and array.dtype.kind in "iu"
    what = f"the {'index' if index and mine not in ('self', 'weight') else mine} of {spot.operation.name}{spot.place}"
    return Proposal(
        partial(given, spot, place, There(spot.there, other, number, axes, taken=True)),
        "positions" if what.startswith("the index") else "operand",
        f"{what} is {here} in torch, and holds other numbers, or in another order, than the {theirs} of tensorflow's "
        f"{cited(other)}: {origin(spot.there, operand, other.layer)}; with these nothing is left",
        f"compute {what} ({here}) as tensorflow does{at(other)}, or the other way round",
        subject=f"another {mine} of {spot.operation.name}",
    )


def exchanges(spot: Spot) -> Iterator[Proposal]:
    """Propose that TensorFlow's result stands in the place of torch's: the two differ, and nothing else does."""
    operation, makers = spot.operation, spot.there.makers()
    # Of a variable of other numbers both do not take the same; of complex numbers, which no run shows, it is not known.
    unlike = spot.alignment.alone[0] - spot.alignment.constants[0]
    if any(place in unlike or 0 in spot.values[place].shape for place in operation.operands):
        return
    for result, place in enumerate(operation.makes):
        shape = spot.values[place].shape
        for other in spot.alignment.wanted[:NEAR]:
            value, maker = spot.there.values[other], makers.get(other)
            if maker is None or value.array is None or _alone(spot, maker, value):
                continue
            for axes in layouts_of(value.shape, shape) or [_nearest(value.shape, shape)]:
                both = f"torch's {spot.here} and tensorflow's {_names(spot.parted, maker)}"
                yield Proposal(
                    partial(_exchanged, spot, result, There(spot.there, maker, maker.makes.index(other), axes)),
                    "operation",
                    f"{both} make other numbers of the same; with tensorflow's in torch's place nothing is left",
                    f"make {operation.name}{at(operation)} and {_names(spot.parted, maker)} compute the same",
                    subject=f"{operation.name} and {maker.name}",
                    only="last",
                )


def _alone(spot: Spot, maker: Operation, value: Value) -> bool:
    """Whether torch's operation makes TensorFlow's value of what TensorFlow's is given: then not it differs."""
    shapes = {leaf: spot.values[place].shape for leaf, place in spot.operands.items()}
    arrays = [array for taken in maker.operands if (array := spot.there.values[taken].array) is not None]
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


def _prepended(spot: Spot, leaf: int, there: There, run: Trace) -> Sequence[Edit]:
    """The edit that puts a value of TensorFlow's `run` in the place of a leaf."""
    return [constant(spot.number, leaf, there.array(run))]


def _exchanged(spot: Spot, result: int, there: There, run: Trace) -> Sequence[Edit]:
    """The edit that puts a value of TensorFlow's `run` in the place of torch's own result."""
    array = there.array(run)
    return [Edit(spot.number, None, lambda _: array, result)]


def given(spot: Spot, leaf: int, there: There, run: Trace) -> Sequence[Edit]:
    """An operand is what TensorFlow's operation takes, its axes in another order."""
    return [changed(spot.number, leaf, partial(as_laid, there.array(run)))]


def as_laid(array: Array, mine: Array) -> Array:
    """An array in the type of `mine`, with axes of one element where `mine` has them."""
    lengths = iter([length for length in array.shape if length > 1])
    return array.reshape([1 if length == 1 else next(lengths) for length in mine.shape]).astype(mine.dtype)


def array_of(run: Trace, place: int) -> Array:
    """A value of another run. Raises LookupError for one that is too large to be kept."""
    array = run.values[place].array
    if array is None:
        raise LookupError("a value is too large to be kept")
    return array


def _names(parted: Sequence[Operation], last: Operation) -> str:
    """The operations of a side from where it parts to one behind."""
    return " ... ".join([*(cited(one) for one in parted[:1] if one is not last), cited(last)])
