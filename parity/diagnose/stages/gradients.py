"""Why gradients differ where no operation gives another one, and why those of both sides reach what should be hidden.

A parameter that one side does not train: that it only is not trained is told by the loss itself, at weights a little to
either side. A leak through which gradients pass, though no token's value does: the loss runs on two views of the same
tokens. From the loss back, the first operation leaks that gives its operand a gradient at a hidden place, or another
one at a token: with nothing passed there, those by all parameters agree.
"""

from collections.abc import Sequence

import numpy as np

from parity.backends.operations import GRADIENTS, Editable, Operation, Pull, Trace
from parity.backends.protocol import BackendModel, Trainable
from parity.canonical.weights import HELD, Weights
from parity.checks.stage import Views
from parity.diagnose import Cause
from parity.diagnose.layers.functions import owner
from parity.diagnose.operators.backward import rounding
from parity.diagnose.operators.proposal import cited
from parity.diagnose.search import gap
from parity.dtypes import Array
from parity.inputs.batch import Batch, batch
from parity.pair.models import PairModels

# Ids that come again, one of padding inside a row, rows of unequal length and one of a single id twice.
ROWS = ((5, 6, 7, 7, 0, 7, 5, 9), (8, 3, 7), (4, 4))
# Of the weights, along a direction of length 1, to either side and twice as far: the error is of its fourth power.
STEP = 2.0**-12
CLEARLY = 8.0  # times as close to the derivative as the other side
FAULTS = 4  # places that leak, looked for one behind another


def explain(corners: PairModels) -> list[Cause]:
    """Layers with a parameter that one side does not train at all, though its loss follows it as the other's does.

    Nothing where a side has no float64, in which alone the loss's derivative is taken exactly enough.
    """
    if any((side, "float64") not in corners.models for side in corners.sides):
        return []
    fed = batch(ROWS, corners.pad) if corners.pad is not None else Batch(*corners.given(1), None)
    corners.ensure(Weights(5, 1.0))
    first, second = (corners.models[side, "float64"].gradients(fed.ids, fed.targets) for side in corners.sides)
    causes: dict[str, Cause] = {}
    for names, other, side in ((first, second, corners.sides[1]), (second, first, corners.sides[0])):
        for name in sorted(set(names) - set(other)):
            layer = owner(name)
            before = float(np.sqrt(np.vdot(names[name], names[name])))
            if corners.layout[name][0] == HELD:
                description = f"{side} has no {name}, and the other side trains it"
                fix = "give it to both layers, or to neither"
                # By construction nothing is left: a parameter that neither side has gives no gradient.
                causes.setdefault(layer, Cause("gradient stopped", layer, description, fix, before, 0.0))
                continue
            way = names[name] / (before or 1.0)
            after = abs(_slope(corners.models[side, "float64"], name, way, fed) - before)
            if CLEARLY * after >= before:
                continue  # the loss does not move with it as the other side's does: it is not only frozen
            description = f"{side} does not train {name}: it is frozen"
            fix = "train it on both sides: requires_grad_(True) of torch, trainable = True of Keras; or on neither"
            causes.setdefault(layer, Cause("gradient stopped", layer, description, fix, before, after))
    return list(causes.values())


def _slope(model: BackendModel, name: str, way: Array, fed: Batch) -> float:
    """The loss's derivative along a direction in a parameter, by four losses; the parameter is put back.

    (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h, the five-point stencil.
    """
    original = model.read()[name]

    def loss(reach: float) -> float:
        model.write({name: original + reach * way})
        return float(model.loss(fed.ids, fed.targets))

    try:
        near, far = (loss(reach) - loss(-reach) for reach in (STEP, 2 * STEP))
    finally:
        model.write({name: original})
    return (8 * near - far) / (12 * STEP)


def leaks(corners: PairModels, weights: Weights, views: Views, targets: Array) -> list[Cause]:
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
    before, limit = _left(one, other), rounding((one, other))
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
        f"does: they pass through {cited(one)}{code}"
    )
    fix = "leave what is hidden out there, or pass no gradient"
    return Cause("mask missing", one.layer, description, fix, before, after)


def _without(runs: Sequence[Editable], uses: Sequence[tuple[int, int]]) -> list[Trace]:
    """The loss's runs on both views, with nothing passed back through these uses."""
    pulls = [Pull(number, place, lambda gradient, _: np.zeros_like(gradient)) for number, place in uses]
    return [run.pulled(pulls) if pulls else run.trace for run in runs]


def _left(one: Trace, other: Trace) -> float:
    """The largest difference between the gradients by parameters."""
    return max((gap(array, other.trained[name]) for name, array in one.trained.items()), default=0.0)


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
