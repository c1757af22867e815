"""What one side shows by itself: a call that does not repeat, a token that sees what should be hidden from it.

Two runs of one model are compared in the order of its calls: the first array that differs at places
that should agree is what introduces the difference.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from parity.backends.hooks import Call
from parity.backends.operations import Trace, Value
from parity.backends.protocol import BackendModel
from parity.canonical.weights import Weights
from parity.checks.stage import View, Views
from parity.compare.divergence import divergence
from parity.compare.judge import judge_difference
from parity.diagnose import Cause
from parity.diagnose.locate import linked
from parity.diagnose.search import outputs_apart
from parity.dtypes import Array, Inputs
from parity.pair.models import PairModels

KEPT = "add_weight(trainable=False) in Keras, register_buffer in torch"


@dataclass
class Record:
    """Every array of a run that floats, in order: (the link whose work it is, the array)."""

    within: list[str] = field(default_factory=list)
    made: list[tuple[str, Array]] = field(default_factory=list)

    def before_call(self, path: str, inputs: list[Array]) -> None:
        """Keep a call's inputs, as the work of the layer around it."""
        self._keep(self.within[-1] if self.within else "", inputs)
        self.within.append(path)

    def after_call(self, call: Call) -> None:
        """Keep a call's outputs, as its own work."""
        self.within.pop()
        self._keep(call.path, call.outputs)

    def _keep(self, path: str, arrays: Sequence[Array]) -> None:
        self.made += [(path, array.copy()) for array in arrays if array.dtype.kind == "f"]


def unsteady(corners: PairModels, ids: Inputs, training: bool = False) -> list[Cause]:
    """Why a second call of the same model on the same ids differs, or finds other weights; nothing if it does not."""
    causes = [cause for side in corners.sides for cause in _unsteady(corners, side, ids, training)]
    return causes or [cause for side in corners.sides for cause in _changing(corners, side, ids)]


def _unsteady(corners: PairModels, side: str, ids: Inputs, training: bool) -> Iterator[Cause]:
    """Why two calls of one side differ: what it draws at random, or else a state that it keeps from call to call.

    Where later calls differ too, two with the same random numbers tell which it is.
    """
    model = corners.widest(side)
    first, second = (_record(corners, model, ids, training) for _ in range(2))
    path, before = _apart(first, second)
    if not before:
        return
    description = f"{side} gives another result for the same inputs the second time"
    # A state that settles after one call makes the first two differ, and these agree.
    third, fourth = (_record(corners, model, ids, training) for _ in range(2))
    if _apart(third, fourth)[1]:
        runs = []
        for _ in range(2):
            with model.modes.seeded():
                runs.append(_record(corners, model, ids, training))
        after = _apart(runs[0], runs[1])[1]
        if after == 0:
            fix = f"switch dropout off there: call {side} in evaluation mode"
            yield Cause("dropout", path, f"{description}; not with the same random numbers", fix, before, after)
            return
    fix = f"{side} keeps something from call to call there: start each call from the same state"
    yield Cause(
        "state kept", path, f"{description}, with the same random numbers too", fix, before, _apart(first, first)[1]
    )


def _changing(corners: PairModels, side: str, ids: Inputs) -> Iterator[Cause]:
    """The layers whose parameters a call in evaluation mode changes, as a normalisation in training mode does."""
    model = corners.widest(side)
    before = model.read()
    model.outputs(ids, eager=True)
    after = model.read()
    model.write(before)
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    for path in dict.fromkeys(name.rpartition(".")[0] for name in changed):
        own = [name for name in changed if name.rpartition(".")[0] == path]
        gaps = [max(divergence(before[name], of[name]).max_abs_diff for name in own) for of in (after, model.read())]
        description = f"{side} changes its {' and '.join(name.rpartition('.')[2] for name in own)} when it is called"
        off = corners.backends[side].OFF
        yield Cause("training mode", path, description, f"leave training mode off there: {off}", gaps[0], gaps[1])


def aged(corners: PairModels, inputs: Inputs) -> list[Cause]:
    """Why a side gives other outputs than it did at first: it keeps something from call to call that is not put back.

    Proved where one built anew, with the same weights, gives the other side's outputs.
    """
    if corners.lean:  # which has no room for another model
        return []
    models = {side: corners.widest(side) for side in corners.sides}
    outputs = {side: model.outputs(inputs) for side, model in models.items()}
    causes = []
    for side, other in (corners.sides, corners.sides[::-1]):
        anew = corners.backends[side].Model(corners.builds[side], models[side].dtype, corners.pad)
        anew.write(models[side].read())
        (before, limit), (after, _) = (
            outputs_apart(of, outputs[other]) for of in (outputs[side], anew.outputs(inputs))
        )
        if after <= limit < before:
            description = (
                f"{side} gives another result than one that is built anew with the same weights, which gives what "
                f"{other} does: it keeps something from call to call that is no weight of it, as a count of steps"
            )
            fix = f"make what {side} keeps a weight that is not trained ({KEPT}), so that it is saved and put back"
            causes.append(Cause("state kept", "", description, fix, before, after))
    return causes


def drawing(corners: PairModels, sides: Sequence[str], at: tuple[Weights, Inputs]) -> list[Cause]:
    """Where sides that are files draw at random: the first operation of each that makes something else of the same.

    A dropout, as a rule, that was exported in training mode. Weights and inputs are those of `at`.
    """
    corners.ensure(at[0])
    runs = {side: [corners.models[side, "float32"].record(at[1]).trace for _ in range(2)] for side in sides}
    return [cause for side, traces in runs.items() for cause in _drawn(side, *traces)]


def _drawn(side: str, first: Trace, second: Trace) -> Iterator[Cause]:
    """The operation of one run that first makes something else than in the other, given the same."""
    for one, again in zip(first.operations, second.operations, strict=False):
        gaps = [_gap(first.values[at], second.values[there]) for at, there in zip(one.makes, again.makes, strict=True)]
        if any(gaps):
            taken = zip(one.takes, again.takes, strict=True)
            before = max(_gap(first.values[at], second.values[there]) for (_, at), (_, there) in taken)
            description = f"{side} gives another result for the same inputs the second time: {one.name} draws at random"
            yield Cause("dropout", one.layer, description, "export the model in evaluation mode", max(gaps), before)
            return


def _gap(first: Value, second: Value) -> float:
    """How far a value of a run is from that of another; of large arrays, of which a sketch is kept, by that."""
    if first.array is None or second.array is None:
        return abs(first.sketch.largest - second.sketch.largest) or float(first.sketch != second.sketch)
    if first.array.dtype.kind != "f" or not first.array.size:
        return float(not np.array_equal(first.array, second.array))
    return divergence(first.array, second.array).max_abs_diff


def leaking(corners: PairModels, views: Views) -> list[Cause]:
    """Where a side's tokens change with what should be hidden from them, in two views of the same tokens."""
    model = next(model for (_, dtype), model in corners.models.items() if dtype == "float64")
    here, there = _record(corners, model, views.first.ids), _record(corners, model, views.second.ids)
    path, before = _apart(here, there, views)
    if not before:
        return []
    name, description = "mask missing", "tokens change with what should be hidden from them, on both sides"
    fix = "mask what a token must not see"
    if views.beside:
        name, fix = "batch mixed", "compute each row by itself"
        description = "a row changes with the rows beside it, on both sides"
    after = _apart(here, _record(corners, model, views.first.ids))[1]
    return [Cause(name, path, description, fix, before, after)]


def _record(corners: PairModels, model: BackendModel, ids: Inputs, training: bool = False) -> Record:
    """Run a model, and record the floating-point arrays of every linked layer's call."""
    record = Record()
    model.run_with_hooks(ids, linked(corners)[0], record, training=training)
    return record


def _apart(first: Record, second: Record, views: Views | None = None) -> tuple[str, float]:
    """The first array that differs, in any bit, or between `views` by more than rounding: (link, by how much).

    ("", 0.0) where none does.
    """
    for (path, ours), (_, theirs) in zip(first.made, second.made, strict=False):
        one, other = (ours, theirs) if views is None else (_at(views.first, ours), _at(views.second, theirs))
        if one is None or other is None or one.shape != other.shape:
            continue
        gap = divergence(one, other)
        if gap.max_abs_diff > (0.0 if views is None else judge_difference(gap, (0.0, 0.0))[1]):
            return path, gap.max_abs_diff
    return "", 0.0


def _at(view: View, array: Array) -> Array | None:
    """The array at the view's places; None where it has no rows and columns of that batch."""
    return np.ascontiguousarray(array[view.places]) if array.shape[:2] == view.ids.shape else None
