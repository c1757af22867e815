"""Changes to one operation of torch's run that could make of it what TensorFlow's does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from math import sqrt
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Editable, Leaf, Operation, Trace
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.orders import layout, orders, taken
from parity.dtypes import Array

# What an argument that is text can be instead, by what it is.
WORDS = (
    ("none", "tanh"),
    ("zeros", "reflect", "replicate", "circular"),
    ("constant", "reflect", "replicate", "circular"),
    ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "area"),
    ("mean", "sum", "none"),
)
AXES = ("dim", "axis", "dims")
USUAL = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12)  # epsilons
NEAR = 40  # values behind the place where TensorFlow's run parts that could stand in a torch operation's place
PLAIN: dict[str, Callable[[Array], Array]] = {
    "negative": np.negative,
    "square": np.square,
    "root": np.sqrt,
    "inverse": np.reciprocal,
    "exponential": np.exp,
    "logarithm": np.log,
}
# Arguments of operations that nobody chooses.
SILENT = {"use_cudnn_on_gpu", "grad_a", "grad_b", "Truncate", "incompatible_shape_error", "data_format"}


@dataclass(frozen=True)
class Proposal:
    """An edit, and what is said of it where it is proved: a cause's name, what each side does, and what to change.

    `made` gives the edit for a run of TensorFlow's, whose values it may take.
    """

    made: Callable[[Trace], Edit]
    name: str
    told: str
    fix: str


def proposals(run: Editable, number: int, alignment: Alignment, parted: Sequence[Operation]) -> Iterator[Proposal]:
    """Edits of one operation of torch's, the plainest first; `parted` is where TensorFlow's run parts."""
    yield from _arguments(run, number, parted, alignment.traces[1])
    yield from _omitted(run, number, parted)
    yield from _operands(run, number)
    yield from _arranged(run.leaves(number), number, alignment)
    yield from _inserted(run.leaves(number), number, alignment, parted)


def exchanges(number: int, alignment: Alignment, parted: Sequence[Operation]) -> Iterator[Proposal]:
    """What TensorFlow makes there stands in the place of what torch makes: the two differ, and nothing else does."""
    here, there = alignment.traces
    operation, makers = here.operations[number], there.makers()
    for result, place in enumerate(operation.makes):
        shape = here.values[place].shape
        for other in alignment.wanted[:NEAR]:
            value, made = there.values[other], makers.get(other)
            if made is None or value.array is None:
                continue
            rank = range(len(value.shape))
            layouts = [axes for axes in permutations(rank) if tuple(value.shape[axis] for axis in axes) == shape]
            for axes in layouts or [tuple(rank)]:
                both = f"torch's {called(operation)}{at(operation)} and tensorflow's {_names(parted, made)}"
                yield Proposal(
                    partial(_exchanged, number, result, there, made, made.makes.index(other), axes),
                    "operation",
                    f"{both} make other numbers of the same; with tensorflow's in torch's place nothing is left",
                    f"make {operation.name}{at(operation)} and {_names(parted, made)} compute the same",
                )


def called(operation: Operation) -> str:
    """An operation with its arguments, as it is written; without those that say nothing."""
    told = {name: value for name, value in operation.settings.items() if value is not None and name not in SILENT}
    return f"{operation.name}({', '.join(f'{name}={value}' for name, value in told.items())})"


def at(operation: Operation) -> str:
    """Where an operation stands in the user's code, or else in which layer."""
    place = operation.line or operation.layer
    return f" ({place})" if place else ""


def _arguments(run: Editable, number: int, parted: Sequence[Operation], there: Trace) -> Iterator[Proposal]:
    """Another value of an argument: what the other side has, or what one tries by hand."""
    operation, leaves = run.trace.operations[number], run.leaves(number)
    known = sorted(_numbers(parted, there))
    lists = [value for one in parted for value in one.settings.values() if _whole(value)]
    for argument, value in {**operation.settings, **run.defaults(number)}.items():
        places = [place for place, leaf in enumerate(leaves) if leaf.argument == argument]
        if _whole(value):  # several numbers: one in each of their places
            for place in places:
                for other in _values(leaves[place].plain, known):
                    new = [other if one == place else leaves[one].plain for one in places]
                    yield _argument(operation, number, place, other, (argument, value, new), parted)
        elif len(places) <= 1:
            for other in (*_values(value, known), *(lists if argument in AXES else ())):
                where = places[0] if places else argument
                yield _argument(operation, number, where, other, (argument, value, other), parted)


def _argument(
    operation: Operation,
    number: int,
    where: int | str,
    new: Any,
    told: tuple[str, Any, Any],
    parted: Sequence[Operation],
) -> Proposal:
    argument, value, other = told
    return Proposal(
        _always(Edit(number, where, lambda _: new)),
        "argument",
        f"torch calls {operation.name} with {argument}={value}{at(operation)}; with {argument}={other} it makes what "
        f"tensorflow does{_by(parted)}",
        f"{argument}={other} in torch's {operation.name}, or in tensorflow what {argument}={value} does",
    )


def _by(parted: Sequence[Operation]) -> str:
    return f": {called(parted[0])}{at(parted[0])}" if parted else ""


def _whole(value: Any) -> bool:
    """Whether these are several whole numbers."""
    return isinstance(value, list) and bool(value) and all(type(one) is int for one in value)


def _values(value: Any, known: Sequence[float]) -> list[Any]:
    """What an argument could be instead of this."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        near = (*known, value + 1, value - 1, 0, 1, 2, -1)
        return [n for n in dict.fromkeys(int(n) for n in near if n == int(n)) if n != value]
    if isinstance(value, float):
        near = (0.0, 1.0, 1 - value, value**2, sqrt(abs(value)), 2 * value, value / 2, 1 / value if value else 0.0)
        return [n for n in dict.fromkeys((*known, *near, *USUAL)) if n != value]
    if isinstance(value, str):
        return [word for words in WORDS if value in words for word in words if word != value]
    return []


def _numbers(parted: Sequence[Operation], there: Trace) -> set[float]:
    """The numbers that the other side's operations are called with, and the constants of their layers."""
    layers = {operation.layer for operation in parted}
    near = [one for one in there.operations if one in parted or (one.layer and one.layer in layers)]
    values = [value for operation in near for value in operation.settings.values()]
    return {float(n) for value in values for n in _flat(value) if type(n) in (int, float)}


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)
    else:
        yield value


def _omitted(run: Editable, number: int, parted: Sequence[Operation]) -> Iterator[Proposal]:
    """The operation is left out: one of its operands passes."""
    operation, values = run.trace.operations[number], run.trace.values
    shape = values[operation.makes[0]].shape
    for place, leaf in enumerate(run.leaves(number)):
        if leaf.place is not None and values[leaf.place].shape == shape:
            yield Proposal(
                _always(Edit(number, None, partial(_passed, place))),
                "extra operation",
                f"torch does {called(operation)}{at(operation)}; without it the numbers are tensorflow's{_by(parted)}",
                f"leave {called(operation)} out in torch{at(operation)}, or do the same in tensorflow",
            )


def _operands(run: Editable, number: int) -> Iterator[Proposal]:
    """An operand is another function of itself."""
    operation = run.trace.operations[number]
    for place, leaf in enumerate(run.leaves(number)):
        array = None if leaf.place is None else run.trace.values[leaf.place].array
        changes: dict[str, Callable[[Array], Array]] = {}
        if array is not None and array.dtype.kind == "b":
            changes = {"inverse": np.logical_not}
        elif array is not None and array.dtype.kind == "f":
            changes = PLAIN
        for what, change in changes.items():
            argument = f"{leaf.argument} of {operation.name}"
            yield Proposal(
                _always(Edit(number, place, partial(_changed, place, change))),
                "operand",
                f"the {argument} is {_which(operation, leaf)} in torch{at(operation)}, and its {what} in tensorflow",
                f"one side takes the {argument} as it is, the other its {what}",
            )


def _which(operation: Operation, leaf: Leaf) -> str:
    return f"what {operation.layer} is given" if operation.layer and leaf.argument in ("input", "self") else "as it is"


def _arranged(leaves: Sequence[Leaf], number: int, alignment: Alignment) -> Iterator[Proposal]:
    """An operand's elements stand as the other side's twin has them: flattened, shuffled or reversed otherwise."""
    here, there = alignment.traces
    operation = here.operations[number]
    for place, leaf in enumerate(leaves):
        value = None if leaf.place is None else here.values[leaf.place].array
        for twin in sorted(alignment.twins[0].get(leaf.place, ())) if leaf.place is not None else ():
            array = there.values[twin].array
            for order, told in (
                orders(value, array, alignment.digits) if value is not None and array is not None else ()
            ):
                argument = f"{leaf.argument} of {operation.name}{at(operation)}"
                yield Proposal(
                    _always(Edit(number, place, partial(_reordered, place, order))),
                    "order",
                    f"the {argument} stands in another order than in tensorflow: {told}",
                    f"bring the {argument} into the same order: permute or transpose it as the other side does",
                )


def _inserted(
    leaves: Sequence[Leaf], number: int, alignment: Alignment, parted: Sequence[Operation]
) -> Iterator[Proposal]:
    """TensorFlow's operation comes first: its result stands in the place of its operand's twin."""
    here, there = alignment.traces
    operation = here.operations[number]
    for place, leaf in enumerate(leaves):
        if leaf.place is None:
            continue
        for other in parted:
            for _, operand in other.takes:
                known = operand in alignment.twins[0].get(leaf.place, ())
                axes = (
                    layout(here.values[leaf.place].array, there.values[operand].array, alignment.digits)
                    if known
                    else None
                )
                if axes is not None:
                    yield Proposal(
                        partial(_prepended, number, place, there, other, axes),
                        "extra operation",
                        f"tensorflow does {called(other)}{at(other)} before torch's {operation.name}{at(operation)}, "
                        "torch does not",
                        f"leave {called(other)} out in tensorflow{at(other)}, or do the same in torch",
                    )


def _always(edit: Edit) -> Callable[[Trace], Edit]:
    """The edit for any run: it takes nothing of TensorFlow's."""
    return lambda _: edit


def _passed(place: int, given: Sequence[Any]) -> Any:
    return np.array(given[place])


def _changed(place: int, change: Callable[[Array], Array], given: Sequence[Any]) -> Any:
    return change(given[place])


def _reordered(place: int, order: Array, given: Sequence[Any]) -> Any:
    return taken(given[place], order)


def _prepended(number: int, place: int, there: Trace, operation: Operation, axes: Sequence[int], run: Trace) -> Edit:
    array = _result(run, there.like(operation, run), 0)
    return Edit(number, place, lambda _: array.transpose(axes) if array.ndim == len(axes) else array)


def _exchanged(
    number: int, result: int, there: Trace, operation: Operation, made: int, axes: Sequence[int], run: Trace
) -> Edit:
    array = _result(run, there.like(operation, run), made)
    return Edit(number, None, lambda _: array.transpose(axes), result)


def _result(run: Trace, operation: Operation, made: int) -> Array:
    array = run.values[operation.makes[made]].array
    if array is None:
        raise LookupError(f"the result of {operation.name} is too large to be kept")
    return array


def _names(parted: Sequence[Operation], last: Operation) -> str:
    """The operations of a side from where it parts to one behind."""
    first = [called(one) + at(one) for one in parted[:1] if one is not last]
    return " ... ".join([*first, called(last) + at(last)])
