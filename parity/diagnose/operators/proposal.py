"""What is proposed as a cause: changes to torch's run, what each side does, and what to do about it.

A `Spot` is what a family of edits is given: an operation of torch's run, its arguments, and what TensorFlow's run has
there instead. A `Proposal` is what it gives: edits, and the words in which they are told if they are proved. Nothing
here decides whether one is right.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Editable, Leaf, Operation, Trace, Value
from parity.checks.results import Cause
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.names import RECURRENT, bare
from parity.dtypes import Array

# Arguments of operations that nobody chooses.
SILENT = {
    *("use_cudnn_on_gpu", "grad_a", "grad_b", "grad_x", "grad_y", "Truncate", "incompatible_shape_error"),
    *("data_format", "begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask", "batch_dims"),
    *("config", "config_proto", "executor_type"),
}
# What a recurrence gives.
STATES = (
    "the outputs of",
    "the final states (of the first layer forward, backward, then of the next) of",
    "the final cell states (of the first layer forward, backward, then of the next) of",
)
THERE = "\x1e"  # around what TensorFlow does there, in a proposal's text
NEAR = 40  # values behind the place where TensorFlow's run parts that could stand in a torch operation's place


@dataclass(frozen=True)
class Proposal:
    """Edits, and what is said of them where they are proved: a cause's name, what each side does, and what to change.

    `made` gives the edits for a run of TensorFlow's, whose values they may take. `where` is the layer, if it is not
    that of the first operation that is edited, `subject` the thing itself where the name is of a kind. What fits
    much is `only` a cause "alone", or the "last" of several, on which nothing is built. What puts a value of
    TensorFlow's into torch's run does so behind the value at place `behind`, which has to mean the same on both sides.
    `without` is the name of torch's operation that is left out, `brings` those of TensorFlow's that are put in.
    """

    made: Callable[[Trace], Sequence[Edit]]
    name: str
    told: str
    fix: str
    where: str | None = None
    subject: str = ""
    only: str = ""
    behind: int | None = None
    without: str = ""
    brings: Sequence[str] = ()


@dataclass
class Spot:
    """An operation of torch's run that may be edited, and where TensorFlow's run parts."""

    run: Editable
    number: int
    alignment: Alignment
    parted: Sequence[Operation]

    @property
    def operations(self) -> list[Operation]:
        """All that torch's run does."""
        return self.run.trace.operations

    @property
    def values(self) -> list[Value]:
        """The values of torch's run, by place."""
        return self.run.trace.values

    @property
    def operation(self) -> Operation:
        """The operation as torch's run has it."""
        return self.operations[self.number]

    @cached_property
    def leaves(self) -> list[Leaf]:
        """The arguments that can be edited, with their places."""
        return self.run.leaves(self.number)

    @cached_property
    def operands(self) -> dict[int, int]:
        """Leaf -> the place of the value that it is, of those that are tensors."""
        return {leaf: one.place for leaf, one in enumerate(self.leaves) if one.place is not None}

    @cached_property
    def arrays(self) -> dict[int, Array]:
        """Leaf -> the array that it is; without values that are too large to be kept."""
        known = ((leaf, self.values[place].array) for leaf, place in self.operands.items())
        return {leaf: array for leaf, array in known if array is not None}

    def tensors(self, *arguments: str) -> list[int]:
        """The leaves of these arguments that are tensors."""
        return [leaf for leaf in self.operands if self.leaves[leaf].argument in arguments]

    def plain(self, *arguments: str) -> dict[int, Any]:
        """Leaf -> what it is, of those of these arguments that are no tensors."""
        leaves = enumerate(self.leaves)
        return {at: one.plain for at, one in leaves if one.place is None and one.argument in arguments}

    @property
    def result(self) -> Array | None:
        """What the operation makes, where that is one array that is not too large to be kept."""
        return self.values[self.operation.makes[0]].array if len(self.operation.makes) == 1 else None

    @property
    def there(self) -> Trace:
        """The trace of TensorFlow's run."""
        return self.alignment.traces[1]

    @cached_property
    def makers(self) -> dict[int, Operation]:
        """The operation that makes each value of TensorFlow's run, by the value's place."""
        return self.there.makers()

    @cached_property
    def near(self) -> list[Operation]:
        """TensorFlow's operations that make what torch's run has not, the first of them, and those of their layers."""
        makers = self.makers
        unmatched = [makers[place] for place in self.alignment.wanted[:NEAR] if place in makers]
        layers = {operation.layer for operation in self.parted} - {""}
        alike = [one for one in self.there.operations if one.layer in layers]
        return [*{id(one): one for one in (*self.parted, *unmatched, *alike)}.values()]

    def argument(self, leaf: int) -> str:
        """An operand's argument as it is told: with its number, where several arrays are one argument's."""
        name = self.leaves[leaf].argument
        alike = self.tensors(name)
        return f"{name}[{alike.index(leaf)}]" if len(alike) > 1 and leaf in alike else name

    @property
    def place(self) -> str:
        """The operation and its line, as they are told."""
        return at(self.operation)

    @property
    def here(self) -> str:
        """The operation as it is written, and its line."""
        return cited(self.operation)

    @property
    def reorders(self) -> bool:
        """Whether the operation makes the same numbers in another order."""
        takes, makes = self.operation.takes, self.operation.makes
        return len(takes) == len(makes) == 1 and equal(self.values[takes[0][1]], self.values[makes[0]])

    @property
    def by(self) -> str:
        """What TensorFlow does there, as far as is known before an edit is proved; `opposed` writes what it shows."""
        return f"{THERE}: {cited(self.parted[0])}{THERE}" if self.parted else ""

    def alike(self, number: int) -> list[int]:
        """The numbers of the operations that one line of code does with the same settings, this one among them."""
        own = self.operations[number]
        key = own.name, own.line, own.settings
        return [at for at, one in enumerate(self.operations) if (one.name, one.line, one.settings) == key]

    def makers_at(self, place: int) -> list[tuple[int, ...]]:
        """All that the line makes which has made a value, in its layer or in all: one line lays out query, key and
        value. None where it makes nothing else.
        """
        operations = self.operations
        makers = [number for number, one in enumerate(operations) if one.makes == (place,) and one.line]
        alike = tuple(number for maker in makers for number in self.alike(maker))
        own = tuple(number for number in alike if operations[number].layer == operations[makers[0]].layer)
        return [numbers for numbers in dict.fromkeys((own, alike)) if len(numbers) > 1]

    def takers(self, place: int) -> list[tuple[int, int]]:
        """The operations and their leaves that a value of torch's run is, by number."""
        takers = [number for number, one in enumerate(self.operations) if place in one.operands]
        leaves = ((number, at, leaf) for number in takers for at, leaf in enumerate(self.run.leaves(number)))
        return [(number, at) for number, at, leaf in leaves if leaf.place == place]

    def origin(self, place: int) -> str:
        """Where a value of torch's run comes from, as its user knows it."""
        return origin(self.run.trace, place, self.operation.layer)


def called(operation: Operation) -> str:
    """An operation with its arguments, as it is written; without those that say nothing.

    What is not in the user's code, but part of what is, is told as that.
    """
    settings = {name: value for name, value in operation.settings.items() if value is not None and name not in SILENT}
    of = f" inside {operation.part_of}" if operation.part_of else ""
    return f"{operation.name}({', '.join(f'{name}={written(value)}' for name, value in settings.items())}){of}"


def cited(operation: Operation) -> str:
    """An operation with its arguments and its place."""
    return f"{called(operation)}{at(operation)}"


def so_in(count: int) -> str:
    """What is added where a thing is so at several places."""
    return f"; so in {count} places" if count > 1 else ""


def written(value: Any) -> str:
    """A value of an argument, as it is written."""
    if isinstance(value, slice):
        parts = ["" if one is None else str(one) for one in (value.start, value.stop, value.step)]
        return ":".join(parts if parts[2] else parts[:2])
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if callable(value):  # a hook, which would be written with its address
        return getattr(value, "__name__", type(value).__name__)
    return "..." if value is Ellipsis else str(value)


def at(operation: Operation) -> str:
    """Where an operation stands in the user's code, or else in which layer."""
    place = operation.line or operation.layer
    return f" ({place})" if place else ""


def origin(trace: Trace, place: int, layer: str) -> str:
    """Where a value comes from: a parameter, a layer, or the operation that made more of it than a view."""
    makers = trace.makers()
    while place in makers:
        maker = makers[place]
        names = STATES if maker.name in RECURRENT else ()
        which = "the result of" if len(maker.makes) == 1 else f"result {maker.makes.index(place)} of"
        which = dict(enumerate(names)).get(maker.makes.index(place), which)
        if maker.layer and maker.layer != layer:
            return f"{which} {maker.layer}"
        if len(maker.operands) != 1 or not equal(trace.values[maker.operands[0]], trace.values[place]):
            return f"{which} {cited(maker)}"
        [place] = maker.operands
    leaf = trace.values[place].leaf
    return leaf if leaf and leaf != "constant" else "a constant"


def equal(first: Value, second: Value) -> bool:
    """Whether two values hold the same numbers, in any order."""
    known = first.array is not None and second.array is not None
    return known and np.array_equal(first.ordered, second.ordered)


def opposed(texts: Sequence[str], operation: Operation | None) -> list[str]:
    """The texts of a proposal in which what TensorFlow does there is this operation, if it stands anywhere."""
    there = f": {cited(operation)}" if operation and at(operation) else ""
    parted = [text.split(THERE) for text in texts]
    return ["".join(there or part if at % 2 else part for at, part in enumerate(parts)) for parts in parted]


def always(*edits: Edit) -> Callable[[Trace], Sequence[Edit]]:
    """Edits for any run: they take nothing of TensorFlow's."""
    return lambda _: edits


def contrary(proposals: Sequence[Proposal]) -> bool:
    """Whether together they leave out an operation of torch's and put in the same of TensorFlow's: none is missing."""
    lost = {bare(one.without) for one in proposals if one.without}
    return not lost.isdisjoint(bare(name) for one in proposals for name in one.brings)


def constant(number: int, at: int | str | None, value: Any) -> Edit:
    """An argument has this value; or the result, where it is None."""
    return Edit(number, at, lambda _: value)


def changed(number: int, leaf: int, function: Callable[[Array], Any]) -> Edit:
    """An operand is a function of itself."""
    return Edit(number, leaf, lambda arguments: function(arguments[leaf]))


def passed(number: int, leaf: int, function: Callable[[Array], Any] = np.array) -> Edit:
    """What an operation makes is one of its operands, passed through a function; without one as it is."""
    return Edit(number, None, lambda arguments: function(arguments[leaf]))


def flat(value: Any) -> Iterator[Any]:
    """The leaves of lists in lists."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from flat(one)
    else:
        yield value


def once(causes: Sequence[Cause]) -> list[Cause]:
    """A fault that stands at one line, or in many layers of a kind, is one cause."""
    alike: dict[Any, list[Cause]] = {}
    for one in causes:
        alike.setdefault((one.name, one.fix.partition(" (")[0]), []).append(one)
    return [replace(of[0], told=of[0].told + so_in(len(of))) for of in alike.values()]
