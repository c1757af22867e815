"""What a model does, operation by operation: the values that it makes, from which others, and at which line of code.

A `Trace` is plain data, the same of every backend, so that two runs can be matched (`diagnose.operators.align`).
torch's run can also be run again with one operation changed (`Editable`): that is how a cause is proved.
"""

import linecache
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import parity
from parity.dtypes import Array

LARGE = 2**20  # elements; of larger values only a sketch is kept
FEW = 16  # numbers at most of a constant that is told as a setting
GRADIENTS = "gradients"  # the form of a run of which gradients are kept, too
DRAWING = "drawing"  # the form of a run in training mode
LIBRARY = sysconfig.get_paths()["stdlib"]
PARITY = Path(parity.__file__).parent
# parity's own code that holds models; the rest of it is no user's.
MODELS = tuple(str(PARITY / room) for room in ("reference", "selftest"))
BACKENDS = str(PARITY / "backends")


@dataclass(frozen=True)
class Line:
    """A line of the user's code, by its file's path and its number from 1."""

    file: str
    number: int

    @property
    def code(self) -> str:
        """The text of the line, without its indentation; empty where the file cannot be read."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.number}"


@dataclass(frozen=True)
class Sketch:
    """A summary of an array by which two are compared whatever the order of their elements: its size and sums.

    `rich` says that another array hardly has the same by chance: its numbers differ, or its one number has many digits.
    """

    size: int
    sums: tuple[float, float, float]  # of the numbers, their magnitudes and their squares, as shares of the largest
    largest: float
    rich: bool

    @classmethod
    def of(cls, array: Array) -> "Sketch":
        """The sketch of an array of numbers. Numbers that are not finite count for its size alone."""
        numbers = np.asarray(array).ravel()
        if numbers.dtype.kind not in "iuf" or not numbers.size or not np.isfinite(numbers).any():
            return cls(numbers.size, (0.0, 0.0, 0.0), 0.0, False)
        finite = numbers[np.isfinite(numbers)].astype(np.float64)
        largest = float(np.abs(finite).max())
        # A single number says something only if it has many digits: 0, 1 and 0.5 stand everywhere.
        rich = bool(np.ptp(finite) > 0) if numbers.size > 1 else bool(np.fmod(finite[0], 2**-10) != 0)
        shares = finite / largest if largest else finite
        sums = float(shares.sum()), float(np.abs(shares).sum()), float((shares**2).sum())
        return cls(numbers.size, sums, largest, rich)


@dataclass(frozen=True)
class Value:
    """One array of a run. `array` is None of a large one; `leaf` names an input, variable or constant, else ""."""

    array: Array | None
    shape: tuple[int, ...]
    leaf: str = ""
    large: Sketch | None = None  # of one that is not kept

    @cached_property
    def sketch(self) -> Sketch:
        """The array's sketch: of a large one taken when it was made, else computed now."""
        return self.large or Sketch.of(np.empty(0) if self.array is None else self.array)

    @cached_property
    def ordered(self) -> Array:
        """The elements in order of size."""
        assert self.array is not None
        return np.sort(self.array.ravel().astype(np.float64))


NOTHING = Value(None, ())  # what cannot be made


@dataclass(frozen=True)
class Operation:
    """One operation of a run: what it takes by argument and makes, as places in the trace's values; its settings.

    `layer` is the path of the innermost layer that it is in, `line` the innermost line of the user's code; `whole` says
    that it takes nothing but values of the trace, `detached` that it runs where the code has turned gradients off;
    `part_of` is the function of the user's code that does this and other things at once.
    """

    name: str
    takes: tuple[tuple[str, int], ...]
    makes: tuple[int, ...]
    settings: Mapping[str, Any]
    layer: str
    line: Line | None
    whole: bool = True
    detached: bool = False
    part_of: str = ""

    @cached_property
    def operands(self) -> tuple[int, ...]:
        """The places of the values that it takes."""
        return tuple(place for _, place in self.takes)


@dataclass
class Trace:
    """All that a model did once, in order. `outputs` is place (`nesting.places`) -> value.

    `masks` has the layers that are given a mask of their inputs, False, and those that make one, True. Of the form
    `GRADIENTS`, value -> gradient of the one output by it, as far as there is one, and (operation, value) -> its part
    that comes through this operation; of a value that one operation takes, it may have the former alone. `fixed`
    are the leaves that no gradient is asked of, `trained` the gradients by parameters, of a run that can be pulled.
    """

    values: list[Value] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    outputs: dict[str, int] = field(default_factory=dict)
    masks: dict[str, bool] = field(default_factory=dict)
    gradients: dict[int, Array] = field(default_factory=dict)
    uses: dict[tuple[int, int], Array] = field(default_factory=dict)
    fixed: set[int] = field(default_factory=set)
    trained: dict[str, Array] = field(default_factory=dict)

    def makers(self) -> dict[int, Operation]:
        """Value -> the operation that made it; none of a leaf."""
        return {value: operation for operation in self.operations for value in operation.makes}

    def made_of(self, leaves: Callable[[str], bool]) -> set[int]:
        """The values that are made of such leaves alone, by name, and these themselves."""
        known = {at for at, value in enumerate(self.values) if value.leaf and leaves(value.leaf)}
        for one in self.operations:
            if one.whole and known.issuperset(one.operands):
                known |= {*one.makes}
        return known

    def like(self, operation: Operation, other: "Trace") -> Operation:
        """Another run's operation in the place of one of this: of those alike, at one line. Raises LookupError."""
        key = operation.name, operation.layer, operation.line
        runs = self.operations, other.operations
        mine, theirs = ([one for one in run if (one.name, one.layer, one.line) == key] for run in runs)
        return theirs[mine.index(operation)]

    def add(self, array: Array, leaf: str = "") -> int:
        """Keep a value, as it is now."""
        self.values.append(self.value(array, leaf))
        return len(self.values) - 1

    def constants(self, takes: Iterable[tuple[str, int]], kinds: str = "biuf") -> dict[str, Any]:
        """Small constants among what an operation takes, by argument, told as settings; of several numbers by kind."""
        taken = {argument: self.values[place] for argument, place in takes}
        arrays = {argument: value.array for argument, value in taken.items() if value.leaf.startswith("constant")}
        return {
            argument: array.tolist()
            for argument, array in arrays.items()
            if array is not None and array.size <= FEW and (array.size == 1 or array.dtype.kind in kinds)
        }

    @staticmethod
    def value(array: Array, leaf: str = "", whole: bool = False) -> Value:
        """An array as it is now, and what it holds; of a large one, unless it is to be kept `whole`, a sketch alone."""
        # Kept whole, the values of a large model would take many times its own memory.
        if array.size > LARGE and not whole:
            return Value(None, tuple(array.shape), leaf, Sketch.of(array))
        return Value(np.array(array), tuple(array.shape), leaf)


@dataclass(frozen=True)
class Leaf:
    """A leaf of an operation's arguments: the argument's name, and a value's place or what is no tensor."""

    argument: str
    place: int | None
    plain: Any = None


@dataclass(frozen=True)
class Turns:
    """Another number of turns of a loop, whose last turn are these operations, in order.

    They are done `more` times behind the last turn, and what they make is what the last of these makes; `carried` is
    value that a turn is given -> value that it makes of it, which the next one is given. Or the loop ends earlier:
    `instead` is value -> the one that takes its place, which an earlier turn made.
    """

    operations: tuple[int, ...] = ()
    carried: Mapping[int, int] = field(default_factory=dict)
    more: int = 0
    instead: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Edit:
    """A change to one operation of a run: one of its leaves, an argument by its name, or its result becomes another.

    `at` is the leaf's number, the argument's name, or None for the result, the one of that number. `change` is told the
    leaves in order, tensors as arrays, and gives what stands there instead, a tensor as an array. With `take` the leaf
    is the run's value at that place, made earlier, which every `change` is told; behind the leaves it is told the
    values at the places `beside`. With `called` the operation is another of the same arguments; with `after` its result
    is that of what it makes. With `turns` it ends a loop, of another number of turns. An edit that does not fit raises.
    """

    operation: int
    at: int | str | None = None
    change: Callable[[Sequence[Any]], Any] | None = None
    result: int = 0
    take: int | None = None
    called: str = ""
    after: Callable[[Array], Array] | None = None
    turns: Turns | None = None
    beside: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pull:
    """A change to the gradient through one operation, by a value that it takes.

    It is `change` of the gradient by what the operation makes and of the value where `past` it, as if the operation
    were not there; else of what it is. Where `called`, that is what the operation of this `name` gives with these
    arguments. A pull of a hook leaves it out. The `attached` operations have gradients where the code turns them off.
    """

    operation: int
    place: int
    change: Callable[[Array, Array], Array]
    past: bool = False
    called: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    attached: Sequence[int] = ()


class Editable(Protocol):
    """A run that can be run again."""

    trace: Trace

    def leaves(self, operation: int) -> list[Leaf]:
        """The leaves of an operation's arguments, in order."""

    def defaults(self, operation: int) -> dict[str, Any]:
        """The arguments that it has and was not given: name -> default."""

    def siblings(self, operation: int) -> list[str]:
        """Operations that one could mistake for it, by name."""

    def results(self, operation: int, edits: Sequence[Edit]) -> list[Array]:
        """Run one operation on its own operands with these edits: its results."""

    def through(self, operation: int, array: Array) -> Array:
        """Run one operation on another first operand, whatever has been edited: its result."""

    def again(self, edits: Sequence[Edit]) -> Trace:
        """The values of the whole run with these edits, or `NOTHING`; operations and places are those of `trace`."""

    def edited(self, edits: Sequence[Edit]) -> "Editable":
        """The run with these edits, as one that can be edited further."""

    def pulled(self, pulls: Sequence[Pull]) -> Trace:
        """A run of the form `GRADIENTS` once more, with these changes to its gradients."""


def users(lines: Iterable[tuple[str, int]], frameworks: Sequence[str]) -> Line | None:
    """The first of these (file, number), innermost first, that is neither a framework's nor parity's nor Python's own.

    None where parity's own recorder comes first: whoever called that is not the model.
    """
    for file, number in lines:
        # Reached from inside: whatever lies behind called parity, and is not the model.
        if file.startswith(BACKENDS) and file.endswith("operations.py"):
            return None
        own = (*frameworks, LIBRARY) if "site-packages" not in file else frameworks
        if file.startswith(MODELS) or not file.startswith((*own, str(PARITY), "<")):
            return Line(file, number)
    return None


def frames() -> Iterator[Any]:
    """The frames of a run, innermost first, without those that record it."""
    frame: Any = sys._getframe(3)  # 0 is this generator, 1 and 2 are the recorder's
    while frame is not None:
        yield frame
        frame = frame.f_back
