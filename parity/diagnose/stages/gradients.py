"""Why gradients differ where no operation gives another one: a parameter that one side does not train.

That it only is not trained is told by the loss itself, at weights a little to either side.
"""

import numpy as np

from parity.backends.protocol import BackendModel
from parity.canonical.weights import HELD, Weights
from parity.diagnose import Cause
from parity.dtypes import Array
from parity.inputs.batch import Batch, batch
from parity.pair.models import PairModels

# Ids that come again, one of padding inside a row, rows of unequal length and one of a single id twice.
ROWS = ((5, 6, 7, 7, 0, 7, 5, 9), (8, 3, 7), (4, 4))
# Of the weights, along a direction of length 1, to either side and twice as far: the error is of its fourth power.
STEP = 2.0**-12
CLEARLY = 8.0  # times as close to the derivative as the other side


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
            layer = name.rpartition(".")[0]
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
