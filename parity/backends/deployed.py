"""A file that can only be run, as a model: what it takes and gives, whatever runs it.

The backends of ONNX and LiteRT files share it: they say how a file is read (`slots`) and run (`run`).
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from parity.backends.build import Build
from parity.backends.nesting import places, tensors_only
from parity.backends.operations import Operation, Trace
from parity.compare.exact import equal
from parity.dtypes import Array, Inputs
from parity.errors import ParityError, reason

CALL = "call="
# What backends of files have in common, beside `Deployed`.
PROGRAM = ".program"  # the suffix of what a model is exported to; a file is one already
EDITABLE = False


def prepare() -> str:
    """As `Running`: each file is run by settings of its own."""
    return ""


@contextlib.contextmanager
def alternating() -> Iterator[None]:
    """As `Running`."""
    yield


def reload(model: "Deployed", path: Path) -> Any:
    """As `Backend`."""
    return model.anew(path)


class Slot(NamedTuple):
    """An input of a file: its name, its dtype, and its shape, in which None is an axis of any length."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


def source(build: Build, ways: Collection[str], usual: str) -> tuple[Path, str]:
    """The file's path of a side given as "PATH" or "PATH@WAY", and the way to run it: one of `ways`, else `usual`.

    Raises ParityError where the side is no path, or the way is unknown.
    """
    build_or_path, side = build.make, build.side or build.backend
    if not isinstance(build_or_path, str | Path):
        raise ParityError(f"{side} is a file's path, but a {type(build_or_path).__name__} was given")
    path, at, way = str(build_or_path).rpartition("@")
    if at and way in ways:
        return Path(path), way
    if at and Path(path).is_file():
        raise ParityError(f"{build_or_path}: unknown {way!r}; available: {', '.join(ways)}")
    return Path(build_or_path), usual


@contextlib.contextmanager
def problems(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a library raises about a file into a ParityError of one line that names the file, and `what`."""
    try:
        yield
    except ParityError:
        raise
    except Exception as error:  # a library's own errors have no common class
        raise ParityError(f"{path}: {what}: {reason(error)}") from error


def outcome(trace: Trace, array: Array, ends: Sequence[int]) -> int:
    """The place in the trace of a model's output `array`: of the file's own output that it is, one of those at `ends`.

    Where it is none of them, it is added as what the user's call= makes of all of them.
    """
    for place in ends:
        value = trace.values[place]
        if value.array is not None and value.array.size == array.size and _equal(value.array, array):
            trace.values[place] = Trace.value(array, value.leaf, whole=True)
            return place
    trace.values.append(Trace.value(array, whole=True))
    last = len(trace.values) - 1
    trace.operations.append(Operation(CALL, tuple(("output", place) for place in ends), (last,), {}, CALL, None))
    return last


def _equal(first: Array, second: Array) -> bool:
    """Whether two arrays hold the same numbers in the same order, whatever their shapes."""
    return equal(first.ravel(), second.ravel())


class Deployed:
    """A file's function of arrays. A backend's own model adds `slots` and `run`.

    A file whose batch is fixed to one row is run a row at a time. A file has one mode and one precision: `training`
    and `eager` change nothing, and in float64 it runs only where the backend can run it so.
    """

    slots: Sequence[Slot]
    formats_of: tuple[str, ...]  # its backend's
    way: str  # how it is run, as `source` has it

    def __init__(self, build: Build, dtype: str, pad: int | None) -> None:
        self.dtype, self.pad, self.unread, self.build = dtype, pad, dict[str, str](), build
        self.computed, self.moving = dict[str, str](), set[str]()

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run the file once: its outputs, in its order, for arrays by the names of its slots. Raises ParityError."""
        raise NotImplementedError

    def logits(self, ids: Array) -> Array:
        """As `Runnable`."""
        return self.outputs(ids)[""]

    def eager(self, ids: Array, training: bool) -> Array:  # noqa: ARG002 it has one mode
        """As `Runnable`."""
        return self.logits(ids)

    def outputs(self, inputs: Inputs, eager: bool = False, training: bool = False) -> dict[str, Array]:  # noqa: ARG002 it has one mode
        """As `Runnable`."""
        call = self.build.call
        output = call(self, inputs, False) if call else self._spread(inputs)
        output, self.unread = tensors_only(output, lambda leaf: isinstance(leaf, np.ndarray), self.build.unread)
        return places(output)

    def __call__(self, *args: Array, **named: Array) -> Any:
        """Run the file on its inputs, by place or by name: an array, or a tuple of them.

        Raises ParityError where these are not what it takes.
        """
        names = [slot.name for slot in self.slots]
        feeds_by_name = dict(zip(names, args, strict=False)) | named
        if len(args) + len(named) != len(names) or feeds_by_name.keys() != {*names}:
            took = ", ".join([*map(str, range(len(args))), *named])
            raise ParityError(
                f"the {self._side} file takes {', '.join(names)}, but was given {took}: adapt it by call="
            )
        feeds = {slot.name: self._cast(slot, feeds_by_name[slot.name]) for slot in self.slots}
        # An export fixes the lengths of its sample, whose batch is one row as a rule.
        rows = {len(feeds[slot.name]) for slot in self.slots if slot.shape[:1] == (1,)}
        count = max(rows, default=1)
        if count == 1:
            arrays_out = self.run(feeds)
        else:
            each = [self.run(self._row(feeds, row)) for row in range(count)]
            arrays_out = [np.concatenate(arrays) for arrays in zip(*each, strict=True)]
        return self.named(arrays_out)

    def named(self, arrays: list[Array]) -> Any:
        """Make a model's output of the file's arrays: an array, or a tuple of them."""
        return arrays[0] if len(arrays) == 1 else tuple(arrays)

    def anew(self, path: Path) -> Any:
        """A model of another file, run in the same way and precision."""
        make: Any = f"{path}@{self.way}"
        return type(self)(replace(self.build, make=make), self.dtype, self.pad)

    def formats(self) -> tuple[str, ...]:
        """As `Savable`."""
        return self.formats_of

    def refusals(self) -> dict[str, str]:
        """As `Savable`."""
        return {}

    def retrace(self) -> None:
        """Do nothing: a file has no traces."""

    @property
    def _side(self) -> str:
        return self.build.side or self.build.backend

    def _spread(self, inputs: Inputs) -> Any:
        """Call the file with inputs in any nesting: a dict by name, a tuple by place."""
        if isinstance(inputs, dict):
            return self(**inputs)
        return self(*(inputs if isinstance(inputs, tuple) else (inputs,)))

    def _row(self, feeds: Mapping[str, Array], row: int) -> dict[str, Array]:
        """One row of what is fed by the row; the rest as it is."""
        single = {slot.name for slot in self.slots if slot.shape[:1] == (1,)}
        return {name: array[row : row + 1] if name in single else array for name, array in feeds.items()}

    def _cast(self, slot: Slot, array: Array) -> Array:
        """An input in the dtype that the file takes, or float64 for a floating-point one of a float64 model.

        Floats may be rounded. Raises ParityError where integers would change, or floats and integers be mixed.
        """
        array = np.asarray(array)
        wanted: Any = self.dtype if slot.dtype.kind == "f" and self.dtype == "float64" else slot.dtype
        if array.dtype.kind == "f" and slot.dtype.kind == "f":
            return array.astype(wanted)
        cast = array.astype(wanted)
        if (slot.dtype.kind == "f") != (array.dtype.kind == "f") or not np.array_equal(cast, array):
            raise ParityError(f"the {self._side} file takes {slot.name} as {slot.dtype}, but was given {array.dtype}")
        return cast
