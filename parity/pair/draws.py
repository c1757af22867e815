"""What both sides draw at random in training mode, compared by many draws: how much, and where.

A draw is a copy of the inputs in a batch of many, so batch normalization is frozen meanwhile: it is compared apart. Of
each array that linked layers are given or give, and that is the same on both sides in evaluation mode, a draw counts
shares: of zeros, of rows and channels that are zero throughout, and of elements below a lower and an upper value, which
lie where a draw of the first side alone, made before, has a quarter and three quarters of its values (`draw_counts`).
Of equal models these shares have equal means, however the models draw; `chance` says how far apart samples may be.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import optree

from parity.backends.hooks import Call
from parity.backends.protocol import BackendModel
from parity.compare import chance
from parity.compare.exact import equal
from parity.compare.judge import Verdict
from parity.dtypes import Array, Inputs
from parity.inputs.arrays import accept
from parity.pair.draw_counts import Arrays, Event, Place, Taken, same
from parity.pair.models import PairModels

ROWS = 2  # of the inputs, at most
CALLS, SINGLE = 4, 64  # of a batch of copies, and of inputs as they are
COPIES = 1024  # of the rows in a call, at most, and
ELEMENTS = 1 << 22  # in all arrays of a call together: 16 MB in float32
FEWEST = 32  # copies that are worth it
# Elements of a row in an array: of a larger one's longest axis only every so many places count.
KEPT = 1024

Run = dict[Place, Array]


@dataclass(frozen=True)
class Drawn(Verdict):
    """A verdict on what is drawn in the output of the layer at this path; of code between layers it is empty."""

    path: str = ""


def random(model: BackendModel, inputs: Inputs, alone: int = SINGLE) -> Array:
    """For each output (outputs,), whether the model draws it at random in training mode.

    Two calls may draw the same numbers by chance. So many copies of the inputs are run twice; outputs in which these
    agree are run as they are in `alone` calls more, or in SINGLE where the model cannot be given copies.
    """
    with model.modes.frozen():
        once = _from_here(model, inputs)
        # As many draws in one call as fit: a call for each would take far longer.
        copies = min(COPIES, 1 + ELEMENTS // sum(array.size for array in once.values()))
        many = optree.tree_map(lambda array: np.concatenate([array] * copies), inputs)
        try:
            unequal = _unequal(_from_here(model, many), _from_here(model, many))
        except Exception:  # noqa: BLE001 a model may be built for one size of a batch alone
            unequal, alone = _unequal(once, once), SINGLE
        for _ in range(alone):
            if not unequal.all():
                unequal |= _unequal(once, _from_here(model, inputs))
    return unequal


def differs(model: BackendModel, inputs: Inputs) -> Array:
    """For each output (outputs,), whether two calls in training mode differ that begin with the same parameters."""
    return _unequal(_from_here(model, inputs), _from_here(model, inputs))


def _from_here(model: BackendModel, inputs: Inputs) -> Arrays:
    """Run a model in training mode and put back what that changes: what a call keeps is no draw."""
    with model.modes.observed():
        return model.outputs(inputs, eager=True, training=True)


def _unequal(first: Arrays, second: Arrays) -> Array:
    return np.array([not equal(array, second[at]) for at, array in first.items()])


def compare(corners: PairModels, inputs: Inputs) -> list[Drawn]:
    """Compare what the loaded float32 models draw on these inputs: verdicts by array and by what is counted of it.

    Empty where they cannot be given many copies of the inputs, or where a model draws once for all copies in a batch.
    """
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
        events = [Event(place, whole[place], array) for place, array in pilots[0].items() if place in pilots[1]]
        drawn = []
        for model in models:
            taken = [Taken(event) for event in events]
            for _ in range(CALLS):
                run = _copied(_run(model, many, paths, training=True), whole, copies)
                for one in taken:
                    one.take(run[one.event.place])
            # A mask that is drawn once for a whole batch, as some layers do on purpose: copies are then one draw.
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


def _drawn_within(models: Sequence[BackendModel], inputs: Inputs, seen: Mapping[Event, Sequence[Drawn]]) -> list[Event]:
    """List failing inputs of layers that differ only because one side draws before the layer and the other in it.

    Such a layer's outputs are alike on both sides, and it draws in its own call on one of them.
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


def _draws(model: BackendModel, inputs: Inputs, layer: str) -> bool:
    """Whether a layer that is called again on the same arrays in training mode gives something else."""
    repeated = _Repeated()
    with model.modes.frozen():
        model.run_with_hooks(inputs, [layer], repeated, training=True)
    return layer in repeated.unlike


def _judged(event: Event, sides: tuple[str, str], first: Arrays, second: Arrays, comparisons: int) -> Iterator[Drawn]:
    """A verdict for each share that is counted of an event, from its samples (draws,) on both sides."""
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
    """A watch that keeps the inputs and outputs of every call in a run, thinned."""

    arrays: Run = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    def before_call(self, path: str, inputs: list[Array]) -> None:
        self.calls[path] += 1
        self._keep("input", path, inputs)

    def after_call(self, call: Call) -> None:
        self._keep("output", call.path, call.outputs)

    def _keep(self, what: str, path: str, arrays: Sequence[Array]) -> None:
        for number, array in enumerate(arrays):
            self.arrays[Place(what, path, number, self.calls[path])] = _thinned(array).copy()


@dataclass
class _Repeated:
    """A watch that collects the paths of layers that draw: each call is run again on its inputs and compared."""

    unlike: set[str] = field(default_factory=set)

    def before_call(self, path: str, inputs: list[Array]) -> None:
        pass

    def after_call(self, call: Call) -> None:
        if call.path and not all(map(np.array_equal, call.outputs, call.again({}, {}))):
            self.unlike.add(call.path)


def _run(model: BackendModel, inputs: Inputs, paths: Sequence[str], training: bool) -> Run:
    """Inputs and outputs of the layers at `paths` and outputs of the model: floating-point arrays (rows, ...) alone.

    Arrays of another number of rows than the inputs are skipped: they cannot be cut into copies.
    """
    record = _Record()
    with model.modes.frozen():
        outputs = model.run_with_hooks(inputs, paths, record, training=training)
    arrays = {**record.arrays, **{Place(f"output{at}"): _thinned(array) for at, array in outputs.items()}}
    rows = accept(inputs)
    return {place: a for place, a in arrays.items() if a.ndim and len(a) == rows and a.size and a.dtype.kind == "f"}


def _thinned(array: Array) -> Array:
    """At most about `KEPT` elements of each row, evenly spaced along the longest axis."""
    size = array.size // max(1, len(array)) if array.ndim > 1 else 1
    if size <= KEPT:
        return array
    longest = 1 + int(np.argmax(array.shape[1:]))
    return array[(slice(None),) * longest + (slice(None, None, -(-size // KEPT)),)]


def _alike(ours: Run, theirs: Run) -> Run:
    """The arrays of the first side's run that the second has in the same place, equal but for rounding."""
    return {
        place: array
        for place, array in ours.items()
        if place in theirs and array.shape == theirs[place].shape and same(array, theirs[place])
    }


def _copied(run: Run, whole: Run, copies: int) -> Run:
    """Split the batch axis of each array of a run of copies: (copies * rows, ...) -> (copies, rows, ...)."""
    shapes = {place: (copies * len(array), *array.shape[1:]) for place, array in whole.items()}
    return {
        place: array.reshape(copies, *whole[place].shape)
        for place, array in run.items()
        if place in shapes and array.shape == shapes[place]
    }
