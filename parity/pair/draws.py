"""What both sides draw at random in training mode, compared by many draws: how much, and where.

A draw is a copy of the inputs in a batch of many, so batch normalization is frozen meanwhile: it is compared apart. Of
each array that linked layers are given or give, and that is the same on both sides in evaluation mode, a draw counts
shares: of zeros, of rows and channels that are zero throughout, and of elements below a lower and an upper value, which
lie where a draw of the first side alone, made before, has a quarter and three quarters of its values. Of equal models
these shares have equal means, however the models draw; `chance` says how far apart samples of them may be.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import optree

from parity.backends.hooks import Call
from parity.backends.protocol import Corner
from parity.compare import chance
from parity.compare.divergence import divergence
from parity.compare.judge import FLOOR, Verdict
from parity.dtypes import EPS, Array, Inputs
from parity.inputs.arrays import accept
from parity.pair.models import Corners

ROWS = 2  # of the inputs, at most
CALLS, SINGLE = 4, 64  # of a batch of copies, and of inputs as they are
COPIES = 1024  # of the rows in a call, at most, and
ELEMENTS = 1 << 22  # in all arrays of a call together
FEWEST = 32  # copies that are worth it
KEPT = 1024  # elements of a row in an array: of a larger one's longest axis only every so many places count
SHARES = (0.25, 0.75)

Arrays = dict[str, Array]


class Place(NamedTuple):
    """Where an array stands in a run: the "input" or "output" of a call of a layer; without a path, of the model."""

    what: str
    path: str = ""
    number: int = 0  # of several in a call
    call: int = 1

    def __str__(self) -> str:
        number = f" {self.number + 1}" if self.number else ""
        again = f", call {self.call}" if self.call > 1 else ""
        layer = f" of {self.path}" if self.path else ""
        return f"{self.what}{number}{layer}{again}"


Run = dict[Place, Array]


@dataclass(frozen=True)
class Drawn(Verdict):
    """A verdict on what is drawn in the output of the layer at this path; of code between layers it is empty."""

    path: str = ""


def random(model: Corner, inputs: Inputs, alone: int = SINGLE) -> Array:
    """For each output (outputs,), whether the model draws it at random in training mode.

    Two calls may draw the same: so of many copies, and if these agree in `alone` calls; in SINGLE if it takes none.
    """
    with model.modes.observed(), model.modes.frozen():
        once = model.outputs(inputs, eager=True, training=True)
        copies = min(COPIES, 1 + ELEMENTS // sum(array.size for array in once.values()))
        many = optree.tree_map(lambda array: np.concatenate([array] * copies), inputs)
        try:
            unequal = _unequal(*(model.outputs(many, eager=True, training=True) for _ in range(2)))
        except Exception:  # noqa: BLE001 a model may be built for one size of a batch alone
            unequal, alone = _unequal(once, once), SINGLE
        for _ in range(alone):
            if not unequal.all():
                unequal |= _unequal(once, model.outputs(inputs, eager=True, training=True))
    return unequal


def _unequal(first: Arrays, second: Arrays) -> Array:
    return np.array([not np.array_equal(array, second[at], equal_nan=True) for at, array in first.items()])


def compare(corners: Corners, inputs: Inputs) -> list[Drawn]:
    """What the loaded float32 models draw on these inputs. Nothing, if they cannot be given many copies of them."""
    models = [corners.models[side, "float32"] for side in corners.sides]
    paths = list(dict.fromkeys(name.rpartition(".")[0] for name in corners.layout))
    inputs = optree.tree_map(lambda array: array[:ROWS], inputs)
    whole = _alike(*(_run(model, inputs, paths, training=False) for model in models))
    copies = min(COPIES, ELEMENTS // max(1, sum(array.size for array in whole.values())))
    if copies < FEWEST:
        return []
    many = optree.tree_map(lambda array: np.concatenate([array] * copies), inputs)
    with models[0].modes.seeded(), models[1].modes.seeded():
        try:
            pilots = [_copied(_run(model, many, paths, training=True), whole, copies) for model in models]
        except Exception:  # noqa: BLE001 a model may be built for one size of a batch alone
            return []
        events = [_Event(place, whole[place], array) for place, array in pilots[0].items() if place in pilots[1]]
        drawn = []
        for model in models:
            taken = [_Taken(event) for event in events]
            for _ in range(CALLS):
                run = _copied(_run(model, many, paths, training=True), whole, copies)
                for one in taken:
                    one.take(run[one.event.place])
            if any(one.shared for one in taken):
                return []  # rows draw together: copies are no draws of their own
            drawn.append([one.shares for one in taken])
        comparisons = sum(len(shares) for shares in drawn[0])
        records = {
            event: list(_judged(event, corners.sides, first, second, comparisons))
            for event, first, second in zip(events, *drawn, strict=True)
        }
        moved = _drawn_within(models, many, records)
    return [verdict for event, verdicts in records.items() if event not in moved for verdict in verdicts]


def _drawn_within(models: Sequence[Corner], inputs: Inputs, seen: Mapping["_Event", Sequence[Drawn]]) -> list["_Event"]:
    """Inputs that differ in what is drawn only because one side draws before a layer and the other in its call.

    What such a layer gives is alike on both sides.
    """
    failing = [event for event, verdicts in seen.items() if any(verdict.fails for verdict in verdicts)]
    compared = {event.place.path for event in seen if event.place.what == "output"}
    alike = compared - {event.place.path for event in failing if event.place.what == "output"}
    return [
        event
        for event in failing
        if event.place.what == "input"
        and event.place.path in alike
        and any(_draws(model, inputs, event.place.path) for model in models)
    ]


def _draws(model: Corner, inputs: Inputs, layer: str) -> bool:
    """Whether a layer that is called again on the same arrays in training mode gives something else."""
    repeated = _Repeated()
    with model.modes.frozen():
        model.replay(inputs, [layer], repeated, training=True)
    return layer in repeated.unlike


def _judged(
    event: "_Event", sides: tuple[str, str], first: Arrays, second: Arrays, comparisons: int
) -> Iterator[Drawn]:
    for what in first:
        gap, limit = chance.apart(first[what], second[what], comparisons)
        count = len(first[what])
        subject = f"{event.place}, drawn {count:,} times: {what}"
        word, basis = "rounding" if gap else "identical", f"chance, but for {chance.ALARM:g}"
        message = ""
        if gap > limit:
            word = "different"
            ours, theirs = (sample[what].mean() for sample in (first, second))
            text = f"{sides[0]} {ours:.1%}, {sides[1]} {theirs:.1%} in training mode"
            most = f"chance explains at most {limit:.1%} between them, but for one run in {1 / chance.ALARM:,.0f}"
            message = f"{subject}\n  {text}; {most}"
        path = event.place.path if event.place.what == "output" else ""
        yield Drawn(subject, word, 2 * count, gap, limit, basis, message, path=path)


@dataclass
class _Record:
    """The arrays of the calls in a run."""

    arrays: Run = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    def enter(self, path: str, inputs: list[Array]) -> None:
        self.calls[path] += 1
        self._keep("input", path, inputs)

    def leave(self, call: Call) -> None:
        self._keep("output", call.path, call.outputs)

    def _keep(self, what: str, path: str, arrays: Sequence[Array]) -> None:
        for number, array in enumerate(arrays):
            self.arrays[Place(what, path, number, self.calls[path])] = _thinned(array).copy()


@dataclass
class _Repeated:
    """The paths of layers that draw: each call is run again on what it was given."""

    unlike: set[str] = field(default_factory=set)

    def enter(self, path: str, inputs: list[Array]) -> None:
        pass

    def leave(self, call: Call) -> None:
        if call.path and not all(map(np.array_equal, call.outputs, call.again({}, {}))):
            self.unlike.add(call.path)


def _run(model: Corner, inputs: Inputs, paths: Sequence[str], training: bool) -> Run:
    """What linked layers and the model give and are given, of as many rows as the inputs."""
    record = _Record()
    with model.modes.frozen():
        outputs = model.replay(inputs, paths, record, training=training)
    arrays = {**record.arrays, **{Place(f"output{at}"): _thinned(array) for at, array in outputs.items()}}
    rows = accept(inputs)
    return {place: a for place, a in arrays.items() if a.ndim and len(a) == rows and a.size and a.dtype.kind == "f"}


def _thinned(array: Array) -> Array:
    size = array.size // max(1, len(array)) if array.ndim > 1 else 1
    if size <= KEPT:
        return array
    longest = 1 + int(np.argmax(array.shape[1:]))
    return array[(slice(None),) * longest + (slice(None, None, -(-size // KEPT)),)]


def _alike(ours: Run, theirs: Run) -> Run:
    """Those of the first that the second has as well."""
    return {
        place: array
        for place, array in ours.items()
        if place in theirs and array.shape == theirs[place].shape and _same(array, theirs[place])
    }


def _same(first: Array, second: Array) -> bool:
    gap = divergence(first, second)
    return gap.worst <= FLOOR * EPS["float32"] * gap.scale


def _copied(run: Run, whole: Run, copies: int) -> Run:
    """Of these the arrays of all copies (copies, rows, ...)."""
    shapes = {place: (copies * len(array), *array.shape[1:]) for place, array in whole.items()}
    return {
        place: array.reshape(copies, *whole[place].shape)
        for place, array in run.items()
        if place in shapes and array.shape == shapes[place]
    }


class _Event:
    """An array of every run: what is counted of it."""

    def __init__(self, place: Place, whole: Array, pilot: Array) -> None:
        self.place = place
        self._tiny = FLOOR * EPS["float32"] * float(np.abs(whole).max())  # what may be rounding alone
        self._bounds = [_between(pilot, share) for share in SHARES]

    def counted(self, run: Array) -> Arrays:
        zero: Array = np.abs(run) <= self._tiny
        masks: Arrays = {"zeros": zero}
        if run.ndim > 2:
            masks["rows of zeros"] = np.all(zero, tuple(range(2, run.ndim)))
        for axis in range(2, run.ndim) if run.ndim > 3 else ():
            others = tuple(other for other in range(2, run.ndim) if other != axis)
            masks[f"zeros along all axes but {axis - 1}"] = np.all(zero, others)
        for share, bound in zip(SHARES, self._bounds, strict=True):
            masks[f"values below a bound at {share:.0%}"] = run < bound
        return {what: mask.reshape(len(run), -1).mean(1) for what, mask in masks.items()}


class _Taken:
    """What a side draws of an event, call by call."""

    def __init__(self, event: _Event) -> None:
        self.event = event
        self._calls: list[Arrays] = []
        self._firsts: list[Array] = []
        self._alike = True

    def take(self, run: Array) -> None:
        """One call's copies (copies, rows, ...)."""
        self._calls.append(self.event.counted(run))
        self._firsts.append(run[0].copy())
        self._alike = self._alike and _same(run, np.broadcast_to(run[:1], run.shape))

    @property
    def shared(self) -> bool:
        """Whether copies are drawn together: alike in every call, and calls are not."""
        return self._alike and not all(_same(self._firsts[0], first) for first in self._firsts)

    @property
    def shares(self) -> Arrays:
        """What is counted -> its share in each draw (draws,)."""
        return {what: np.concatenate([call[what] for call in self._calls]) for what in self._calls[0]}


def _between(pilot: Array, share: float) -> Array:
    """For each element a value that about this share of its draws (draws, ...) is below, between two that differ.

    Rounding must not decide: where draws stand near one another, beside all others, it is infinite.
    """
    values = np.sort(pilot, 0)
    gaps = np.diff(values, axis=0)
    wide = gaps > EPS["float32"] ** 0.5 * np.abs(values).max()
    wanted = share * len(values)
    distance = np.abs(np.arange(len(gaps)) + 1 - wanted).reshape(-1, *[1] * (pilot.ndim - 1))
    place = np.where(wide, distance, np.inf).argmin(0)[None]
    middle = np.take_along_axis(values, place, 0) + np.take_along_axis(gaps, place, 0) / 2
    margin: Array = np.where(wide.any(0), middle[0], np.inf)
    return margin
