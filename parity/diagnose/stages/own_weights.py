"""Why two models with weights of their own differ: what happened to one side's on their way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from parity.canonical.weights import jittered
from parity.compare.divergence import divergence
from parity.compare.judge import GROWTH, judge_difference
from parity.diagnose import Cause
from parity.diagnose.layers.weights import FIXES
from parity.diagnose.specimens import specimen
from parity.diagnose.stages import own_relations
from parity.dtypes import Array, round_to
from parity.pair.models import PairModels

CASTS = ("float16", "bfloat16")
RICH = 16  # numbers of an array that are in a lower precision all together by no chance
FEW = 3  # parameters that are named
INPUTS = 4  # on which a cause has to hold

Values = Mapping[str, Array]


@dataclass(frozen=True)
class Goal:
    """One side's outputs for some inputs, which the other side's have to match.

    `moves` is for each input how far rounding the weights to float32 moves them, `before` how far apart both are.
    """

    outputs: Sequence[Values]
    moves: list[float]
    before: float


def explain(corners: PairModels) -> list[Cause]:
    """Explain two models with weights of their own: one side's weights are the other's, rounded or otherwise changed.

    Proved where outputs agree once the other's are rounded too, or the change is taken back. Nothing where a side has
    no float64.
    """
    if corners.weaker:
        return []
    inputs = [specimen(corners, seed)[1] for seed in range(INPUTS)]
    goals = {side: goal_of(corners, side, other, inputs) for side, other in (corners.sides, corners.sides[::-1])}
    for side, other in (corners.sides[::-1], corners.sides):
        rounded_values, whole = (corners.models[of, "float32"].read() for of in (side, other))
        for dtype in CASTS:
            names, changes = _rounded(rounded_values, whole, dtype)
            left = left_by(corners, goals[side], other, changes, inputs) if names else None
            if left is not None:
                description = ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
                where = names[0].rpartition(".")[0] if len(names) == 1 else ""
                what = f"{side} has {description} rounded through {dtype}"
                return [Cause("weights rounded", where, what, f"{FIXES['weights rounded']} ({side})", *left)]
        # Most changes are wrong, and one input tells that; the others are run for those that pass.
        for change in islice(own_relations.changes(rounded_values, whole), own_relations.MOST):
            one = left_by(corners, goals[other], side, change[2], inputs[:1])
            left = left_by(corners, goals[other], side, change[2], inputs) if one is not None else None
            if left is not None:
                return [own_relations.cause(change, side, left)]
    return []


def goal_of(corners: PairModels, side: str, other: str, inputs: Sequence[Any]) -> Goal:
    """Run a side and the other, with their own weights, on inputs: what the other's outputs have to be."""
    model, twin = corners.models[side, "float64"], corners.models[other, "float64"]
    outputs = [model.outputs(one) for one in inputs]
    before = max(_gap(twin.outputs(one), of)[0] for one, of in zip(inputs, outputs, strict=True))
    # What a converter's own arithmetic may do: the outputs with every weight moved by float32's rounding.
    model.write(jittered(model.parameters(), "float32", 0))
    try:
        moves = [_gap(model.outputs(one), of)[0] for one, of in zip(inputs, outputs, strict=True)]
    finally:
        model.copy_parameters_from(corners.models[side, "float32"])
    return Goal(outputs, moves, before)


def _rounded(values: Values, whole: Values, dtype: str) -> tuple[list[str], dict[str, Array]]:
    """The names of what is held in a lower precision, and what the other side's parameters are in it.

    Those of them whose numbers are all among what is held, wherever they stand there.
    """
    lower = [name for name, array in values.items() if _is(array, dtype)]
    names = [name for name in lower if len(np.unique(values[name])) >= RICH]
    numbers = np.unique(np.concatenate([values[name].ravel() for name in lower])) if names else np.empty(0)
    rounded = {name: round_to(array, dtype) for name, array in whole.items() if not _is(array, dtype)}
    return names, {name: array for name, array in rounded.items() if np.isin(array, numbers).all()}


def _is(array: Array, dtype: str) -> bool:
    """Whether all numbers of an array are numbers of a dtype."""
    return np.array_equal(round_to(array, dtype), array)


def left_by(
    corners: PairModels, goal: Goal, side: str, changes: Values, inputs: Sequence[Any]
) -> tuple[float, float] | None:
    """How far the outputs are apart before and after the changes; None where more than rounding error is left.

    That of a converter's own arithmetic is allowed for: a sum of two biases is rounded.
    """
    model = corners.models[side, "float64"]
    model.write({name: array.astype(np.float64) for name, array in changes.items()})
    after = 0.0
    try:
        for one, outputs, moves in zip(inputs, goal.outputs, goal.moves, strict=False):
            gap, limit = _gap(model.outputs(one), outputs)
            if gap > max(limit, GROWTH * moves):
                return None
            after = max(after, gap)
    finally:
        model.copy_parameters_from(corners.models[side, "float32"])
    return goal.before, after


def _gap(ours: Values, theirs: Values) -> tuple[float, float]:
    """The largest difference of what floats, and what rounding error accounts for of it."""
    gaps = [divergence(array, theirs[at]) for at, array in ours.items() if array.dtype.kind == "f"]
    return max(gap.max_abs_diff for gap in gaps), max(judge_difference(gap, (0.0, 0.0))[1] for gap in gaps)
