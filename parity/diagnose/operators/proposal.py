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
from parity.diagnose.operators.names import CHOICES, NOTHING_LEFT, PRODUCTS, SUMS
from parity.dtypes import Array

# Arguments of operations that nobody chooses.
SILENT = {
    "use_cudnn_on_gpu",
    "grad_a",
    "grad_b",
    "grad_x",
    "grad_y",
    "Truncate",
    "incompatible_shape_error",
    "data_format",
    "begin_mask",
    "end_mask",
    "ellipsis_mask",
    "new_axis_mask",
    "shrink_axis_mask",
    "batch_dims",
    "config",
    "config_proto",
    "executor_type",
}
# What a recurrence gives.
RECURRENT = (
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
    """

    made: Callable[[Trace], Sequence[Edit]]
    name: str
    told: str
    fix: str
    where: str | None = None
    subject: str = ""
    only: str = ""
    behind: int | None = None


@dataclass
class Spot:
    """An operation of torch's run that may be edited, and where TensorFlow's run parts."""

    run: Editable
    number: int
    alignment: Alignment
    parted: Sequence[Operation]

    @property
    def operation(self) -> Operation:
        """The operation as torch's run has it."""
        return self.run.trace.operations[self.number]

    @cached_property
    def leaves(self) -> list[Leaf]:
        """The arguments that can be edited, with their places."""
        return self.run.leaves(self.number)

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

    def fixed(self, place: int) -> bool:
        """Whether a value of TensorFlow's run is made of constants alone."""
        return place in self.alignment.constants[1]

    def argument(self, leaf: int) -> str:
        """An operand's argument as it is told: with its number, where several arrays are one argument's."""
        name = self.leaves[leaf].argument
        alike = [n for n, one in enumerate(self.leaves) if one.argument == name and one.place is not None]
        return f"{name}[{alike.index(leaf)}]" if len(alike) > 1 and leaf in alike else name

    @property
    def place(self) -> str:
        """The operation and its line, as they are told."""
        return at(self.operation)

    def placed(self, text: str) -> str:
        """A text with the operation's place behind it, unless it says that already."""
        return text if text.endswith(self.place) else text + self.place

    @property
    def reorders(self) -> bool:
        """Whether the operation makes the same numbers in another order."""
        takes, makes = self.operation.takes, self.operation.makes
        values = self.run.trace.values
        return len(takes) == len(makes) == 1 and equal(values[takes[0][1]], values[makes[0]])

    @property
    def by(self) -> str:
        """What TensorFlow does there, as far as is known before an edit is proved; `opposed` writes what it shows."""
        return f"{THERE}: {called(self.parted[0])}{at(self.parted[0])}{THERE}" if self.parted else ""

    def alike(self, number: int) -> list[int]:
        """The numbers of the operations that one line of code does with the same settings, this one among them."""
        operations = self.run.trace.operations
        own = operations[number]
        key = own.name, own.line, own.settings
        return [at for at, one in enumerate(operations) if (one.name, one.line, one.settings) == key]

    def makers_at(self, place: int) -> list[tuple[int, ...]]:
        """All that the line makes which has made a value, in its layer or in all: one line lays out query, key and
        value. None where it makes nothing else.
        """
        operations = self.run.trace.operations
        makers = [number for number, one in enumerate(operations) if one.makes == (place,) and one.line]
        alike = tuple(number for maker in makers for number in self.alike(maker))
        own = tuple(number for number in alike if operations[number].layer == operations[makers[0]].layer)
        return [numbers for numbers in dict.fromkeys((own, alike)) if len(numbers) > 1]

    def takers(self, place: int) -> list[tuple[int, int]]:
        """The operations and their leaves that a value of torch's run is, by number."""
        operations = self.run.trace.operations
        takers = [number for number, one in enumerate(operations) if any(taken == place for _, taken in one.takes)]
        return [
            (number, at) for number in takers for at, leaf in enumerate(self.run.leaves(number)) if leaf.place == place
        ]

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
        names = RECURRENT if maker.name in ("gru", "lstm", "rnn_tanh", "rnn_relu") else ()
        which = "the result of" if len(maker.makes) == 1 else f"result {maker.makes.index(place)} of"
        which = dict(enumerate(names)).get(maker.makes.index(place), which)
        if maker.layer and maker.layer != layer:
            return f"{which} {maker.layer}"
        operands = [operand for _, operand in maker.takes]
        if len(operands) != 1 or not equal(trace.values[operands[0]], trace.values[place]):
            return f"{which} {called(maker)}{at(maker)}"
        place = operands[0]
    leaf = trace.values[place].leaf
    return leaf if leaf and leaf != "constant" else "a constant"


def equal(first: Value, second: Value) -> bool:
    """Whether two values hold the same numbers, in any order."""
    known = first.array is not None and second.array is not None
    return known and np.array_equal(first.ordered, second.ordered)


def hiding(array: Array | None) -> bool:
    """Whether an array is a mask: zeros and ones alone, of which there are both."""
    if array is None or array.size < 2 or array.dtype.kind not in "bf":
        return False
    return bool(((array == 0) | (array == 1)).all() and array.any() and not array.all())


def hides(operation: Operation, array: Array | None) -> bool:
    """Whether an operation hides by an array what else it takes: by zeros in a product or a choice, by large in a sum.

    What is summed up along edges, a matrix of zeros and ones, hides nothing; nor does an identity that is added to it.
    """
    if operation.name in SUMS and array is not None and array.dtype.kind == "f" and array.size > 1:
        return bool(((array == 0) | (array <= NOTHING_LEFT)).all() and array.any() and not array.all())
    joins = operation.name in PRODUCTS | CHOICES
    return hiding(array) and (joins or (array is not None and array.dtype.kind == "b"))


def opposed(texts: Sequence[str], operation: Operation | None) -> list[str]:
    """The texts of a proposal in which what TensorFlow does there is this operation, if it stands anywhere."""
    there = f": {called(operation)}{at(operation)}" if operation and at(operation) else ""
    parted = [text.split(THERE) for text in texts]
    return ["".join(there or part if at % 2 else part for at, part in enumerate(parts)) for parts in parted]


def always(*edits: Edit) -> Callable[[Trace], Sequence[Edit]]:
    """Edits for any run: they take nothing of TensorFlow's."""
    return lambda _: edits


def constant(number: int, at: int | str, value: Any) -> Edit:
    """An argument has this value."""
    return Edit(number, at, lambda _: value)


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
    return [
        of[0] if len(of) == 1 else replace(of[0], told=f"{of[0].told}; so in {len(of)} places") for of in alike.values()
    ]
