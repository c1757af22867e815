"""Why two models with weights of their own differ: what happened to one side's on their way."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from typing import Any

import numpy as np

from parity.backends.protocol import BackendModel
from parity.canonical.weights import jittered
from parity.compare.divergence import divergence
from parity.compare.judge import GROWTH, judge_difference
from parity.compare.messages import few
from parity.diagnose import Cause
from parity.diagnose.layers.functions import owner
from parity.diagnose.layers.weights import FIXES
from parity.diagnose.relations import related
from parity.diagnose.search import outputs_apart
from parity.diagnose.specimens import specimen
from parity.diagnose.stages import folds, own_relations
from parity.diagnose.stages.own_orders import Change, Values
from parity.dtypes import Array, round_to
from parity.pair.link_table import settings_of
from parity.pair.models import PairModels

CASTS = ("float16", "bfloat16")
RICH = 16  # numbers of an array that are in a lower precision all together by no chance
INPUTS = 4  # on which a cause has to hold

Folds = Callable[[Values, Values], Values]  # of a side's parameters and what is held: what they are by its norms


@dataclass(frozen=True)
class Goal:
    """One side's outputs for some inputs, which those of the other side's `model` have to match.

    `moves` is for each input how far rounding the weights to float32 moves them, `before` how far apart both are.
    `single` is the other side's model in float32, whose weights are there again afterwards.
    """

    model: BackendModel
    single: BackendModel
    inputs: Sequence[Any]
    outputs: Sequence[Values]
    moves: list[float]
    before: float

    def left(self, changes: Values) -> tuple[float, float] | None:
        """How far the outputs are apart before and after changes to weights; None where more than rounding error is.

        That of a converter's own arithmetic is allowed for: a sum of two biases is rounded. Most changes are wrong, and
        the first input tells that.
        """
        after = 0.0
        with _having(self.model, changes, self.single):
            for one, outputs, moves in zip(self.inputs, self.outputs, self.moves, strict=True):
                gap, limit = outputs_apart(self.model.outputs(one), outputs)
                if not gap <= max(limit, GROWTH * moves if np.isfinite(moves) else 0.0):
                    return None
                after = max(after, gap)
        # Of a model that draws at random anything is within what rounding seems to move.
        return (self.before, after) if GROWTH * after <= self.before else None


@contextlib.contextmanager
def _having(model: BackendModel, values: Values, single: BackendModel) -> Iterator[None]:
    """Inside, a float64 model has other weights; afterwards those of the float32 model again."""
    model.write({name: array.astype(np.float64) for name, array in values.items()})
    try:
        yield
    finally:
        model.copy_parameters_from(single)


def explain(corners: PairModels) -> list[Cause]:
    """Explain two models with weights of their own: one side's weights are the other's, rounded or otherwise changed.

    Proved where outputs agree once the other's are rounded too, or the change is taken back. Of a side without float64
    rounding alone is tried.
    """
    if corners.weaker:
        return _in_float32(corners, _inputs(corners))
    goals = {side: goal_of(corners, side, other) for side, other in (corners.sides, corners.sides[::-1])}
    first = goals[corners.sides[0]].inputs[0]
    for side, other in (corners.sides[::-1], corners.sides):
        rounded_values, whole = (corners.models[of, "float32"].read() for of in (side, other))
        for dtype in CASTS:
            names, changes = _rounded(rounded_values, whole, dtype, partial(_folds, corners, other, first))
            if names and (left := goals[side].left(changes)):
                return [_of_rounding(side, names, dtype, left)]
        for change in islice(_changes(corners, (side, other), rounded_values, whole, first), own_relations.MOST):
            if left := goals[other].left(change[2]):
                return [own_relations.cause(change, side, left)]
    return _of_another(corners, goals[corners.sides[1]])


def _inputs(corners: PairModels) -> list[Any]:
    """The inputs on which a cause has to hold."""
    return [specimen(corners, seed)[1] for seed in range(INPUTS)]


def _changes(
    corners: PairModels, sides: tuple[str, str], port: Values, source: Values, inputs: Any
) -> Iterator[Change]:
    """Everything that may have happened to the parameters of the first of the sides, which were the second's."""
    model, origins = corners.models[sides[1], "float32"], related(source, port)
    if hasattr(model, "layers"):  # a shipped file's model has none
        yield from folds.changes(model.layers, settings_of(model, inputs), source, port, origins)
    yield from own_relations.changes(port, source, origins)


def _of_rounding(side: str, names: Sequence[str], dtype: str, left: tuple[float, float]) -> Cause:
    where = owner(names[0]) if len(names) == 1 else ""
    what = f"{side} has {few(names)} rounded through {dtype}"
    return Cause("weights rounded", where, what, f"{FIXES['weights rounded']} ({side})", *left)


def _in_float32(corners: PairModels, inputs: Sequence[Any]) -> list[Cause]:
    """Explain a side that has float32 alone: its weights are the other's, rounded through a lower precision.

    Proved where the other's float64 outputs, with its weights rounded as those are, are the side's but for float32's
    own error, and so no further apart than a `GROWTH`-th of what they were before.
    """
    side = next(iter(corners.weaker))
    other = next(of for of in corners.sides if of != side)
    model, twin = corners.models[side, "float32"], corners.models.get((other, "float64"))
    if twin is None or not hasattr(model, "read"):
        return []
    narrow, single = ([of.outputs(one) for one in inputs] for of in (model, corners.models[other, "float32"]))
    exact = [twin.outputs(one) for one in inputs]
    whole = corners.models[other, "float32"].read()
    for dtype in CASTS:
        names, changes = _rounded(model.read(), whole, dtype, partial(_folds, corners, other, inputs[0]))
        if not changes:
            continue
        with _having(twin, changes, corners.models[other, "float32"]):
            after = [twin.outputs(one) for one in inputs]
        gaps = [
            max(outputs_apart(ours, theirs)[0] for ours, theirs in zip(narrow, of, strict=True))
            for of in (exact, after)
        ]
        if GROWTH * gaps[1] <= gaps[0] and all(map(_alike, narrow, after, single, exact)):
            return [_of_rounding(side, names, dtype, (gaps[0], gaps[1]))]
    return []


def _alike(ours: Values, theirs: Values, single: Values, exact: Values) -> bool:
    """Whether float32 outputs are float64 ones of the other side's, but for the float32 error of that (`single`)."""
    return all(
        judge_difference(divergence(array, theirs[at]), (noise, noise), whole=False)[0] != "different"
        for at, array in ours.items()
        if array.dtype.kind == "f"
        for noise in [divergence(single[at], exact[at]).max_abs_diff]
    )


def _of_another(corners: PairModels, goal: Goal) -> list[Cause]:
    """Explain weights that are not the other side's at all, by the same names: those of another training.

    Proved where the first side gives what the second does once it has the second's.
    """
    first, second = corners.sides
    ours, theirs = (corners.models[side, "float32"].read() for side in corners.sides)
    twins = {name: _namesake(name, array, theirs) for name, array in ours.items()}
    changes = {
        name: theirs[twin] for name, twin in twins.items() if twin and not np.array_equal(ours[name], theirs[twin])
    }
    left = goal.left(changes) if changes else None
    if left is None:
        return []
    names = [str(twins[name]) for name in changes]
    what = f"{second} has other numbers than {first} in {few(names)}; {first} with these gives the same"
    where = owner(names[0]) if len(names) == 1 else ""
    return [Cause("weights changed", where, what, "load the weights of one training in both", *left)]


def _namesake(name: str, array: Array, others: Values) -> str | None:
    """The other side's parameter of the same shape whose name ends alike, in more parts than any other's."""
    common = {other: _common(name, other) for other, of in others.items() if of.shape == array.shape}
    most = max(common.values(), default=0)
    best = [other for other, count in common.items() if count == most]
    return best[0] if most and len(best) == 1 else None


def _common(one: str, other: str) -> int:
    """How many parts two names have in common at their ends: "a.b.weight" and "b.weight" two."""
    both = zip(reversed(one.split(".")), reversed(other.split(".")), strict=False)
    return sum(1 for _ in takewhile(lambda parts: parts[0] == parts[1], both))


def goal_of(corners: PairModels, side: str, other: str) -> Goal:
    """Run a side and the other, with their own weights, on inputs: what the other's outputs have to be."""
    model, twin = corners.models[side, "float64"], corners.models[other, "float64"]
    inputs = _inputs(corners)
    outputs = [model.outputs(one) for one in inputs]
    before = max(outputs_apart(twin.outputs(one), of)[0] for one, of in zip(inputs, outputs, strict=True))
    # What a converter's own arithmetic may do: the outputs with every weight moved by float32's rounding.
    with _having(model, jittered(model.parameters(), "float32", 0), corners.models[side, "float32"]):
        moves = [outputs_apart(model.outputs(one), of)[0] for one, of in zip(inputs, outputs, strict=True)]
    return Goal(twin, corners.models[other, "float32"], inputs, outputs, moves, before)


def _rounded(values: Values, whole: Values, dtype: str, folds: Folds) -> tuple[list[str], dict[str, Array]]:
    """The names of what is held in a lower precision, and what the other side's parameters are in it.

    Those of them whose numbers are all among what is held, wherever they stand there, or that a converter folded in.
    """
    lower = {name: array for name, array in values.items() if _is(array, dtype)}
    names = [name for name, array in lower.items() if len(np.unique(array)) >= RICH]
    if not names:
        return [], {}
    numbers = np.unique(np.concatenate([array.ravel() for array in lower.values()]))
    rounded = {name: round_to(array, dtype) for name, array in whole.items() if not _is(array, dtype)}
    alike = {name: array for name, array in rounded.items() if np.isin(array, numbers).all()}
    return names, {**alike, **folds(whole, lower)}


def _folds(corners: PairModels, side: str, inputs: Any, whole: Values, lower: Values) -> Values:
    """What a side's parameters are by its batch normalizations, as `folded`."""
    model = corners.models[side, "float32"]
    return folds.folded(model.layers, settings_of(model, inputs), whole, lower) if hasattr(model, "layers") else {}


def _is(array: Array, dtype: str) -> bool:
    """Whether all numbers of an array are numbers of a dtype."""
    return np.array_equal(round_to(array, dtype), array)
