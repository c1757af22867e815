"""Where gradients of both sides pass to what should be hidden, though no token's value does: the operation and line.

The loss runs on two views of the same tokens. From the loss back, the first operation leaks that gives its operand a
gradient at a hidden place, or another one at a token: with nothing passed there, those by all parameters agree.
"""

from collections.abc import Sequence

import numpy as np

from parity.backends.operations import GRADIENTS, Editable, Operation, Pull, Trace
from parity.backends.protocol import Trainable
from parity.canonical.weights import Weights
from parity.checks.stage import Views
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.diagnose import Cause
from parity.diagnose.operators.proposal import at, called
from parity.diagnose.search import gap
from parity.dtypes import EPS, Array
from parity.pair.models import PairModels

FAULTS = 4  # places that leak, looked for one behind another


def explain(corners: PairModels, weights: Weights, views: Views, targets: Array) -> list[Cause]:
    """The operations through which the first side's gradients differ between views; none if that does not explain it.

    `targets` (batch, time) are those of the first view's tokens.
    """
    first = corners.sides[0]
    if corners.pair.lacking((Trainable,)) or not corners.backends[first].EDITABLE:
        return []
    if (first, "float64") not in corners.learning():
        return []
    corners.ensure(weights)
    model, known = corners.models[first, "float64"], targets[views.first.places]
    runs = list[Editable]()
    for view in views:
        there = np.full(view.ids.shape, corners.pad, targets.dtype)
        there[view.places] = known
        runs.append(model.record(view.ids, True, GRADIENTS, there))
    uses = list[tuple[int, int]]()  # an operation's number, and the place of a value that it takes
    one, other = _without(runs, uses)
    before, limit = _left(one, other), _limit(one, other)
    while _left(one, other) > limit:
        leak = None if len(uses) == FAULTS else _leak(one, other, views, limit)
        if leak is None:
            return []
        uses.append(leak)
        one, other = _without(runs, uses)
    return [_cause(one.operations[number], before, _left(one, other)) for number, _ in uses]


def _cause(one: Operation, before: float, after: float) -> Cause:
    code = f": {one.line.code}" if one.line else ""
    description = (
        "gradients of tokens change with what should be hidden from them, on both sides, though no value of theirs "
        f"does: they pass through {called(one)}{at(one)}{code}"
    )
    return Cause(
        "mask missing", one.layer, description, "leave what is hidden out there, or pass no gradient", before, after
    )


def _without(runs: Sequence[Editable], uses: Sequence[tuple[int, int]]) -> list[Trace]:
    """The loss's runs on both views, with nothing passed back through these uses."""
    pulls = [Pull(number, place, _nothing) for number, place in uses]
    return [run.pulled(pulls) if pulls else run.trace for run in runs]


def _left(one: Trace, other: Trace) -> float:
    """The largest difference between the gradients by parameters."""
    return max((gap(array, other.trained[name]) for name, array in one.trained.items()), default=0.0)


def _limit(*traces: Trace) -> float:
    """What rounding error accounts for in a gradient."""
    arrays = [array for trace in traces for array in trace.gradients.values()]
    largest = max((float(np.abs(array).max(initial=0.0)) for array in arrays), default=0.0)
    return MAX_FLOAT64_ULPS * EPS["float64"] * largest


def _leak(one: Trace, other: Trace, views: Views, limit: float) -> tuple[int, int] | None:
    """The use nearest to the loss by which something hidden has a gradient, or tokens another one in each view.

    None where the two are not the same, operation for operation.
    """
    if [of.name for of in one.operations] != [of.name for of in other.operations]:
        return None
    for number, (here, there) in reversed([*enumerate(zip(one.operations, other.operations, strict=True))]):
        for (_, place), (_, twin) in zip(here.takes, there.takes, strict=True):
            if _leaks(views, [_use(one, number, place), _use(other, number, twin)], limit):
                return number, place
    return None


def _leaks(views: Views, gradients: Sequence[Array | None], limit: float) -> bool:
    """Whether a gradient in both views, (batch, time, ...), leaks; never one of other axes."""
    tokens = list[Array]()
    for view, array in zip(views, gradients, strict=True):
        if array is None or array.shape[:2] != view.ids.shape:
            return False
        if np.abs(array[~view.mask.astype(bool)]).max(initial=0.0) > limit:
            return True
        tokens.append(array[view.places])
    return tokens[0].shape == tokens[1].shape and gap(*tokens) > limit


def _use(trace: Trace, number: int, place: int) -> Array | None:
    """The gradient by a value that comes through one operation."""
    return trace.uses.get((number, place), trace.gradients.get(place))


def _nothing(gradient: Array, _: Array) -> Array:
    zeros: Array = np.zeros_like(gradient)
    return zeros
