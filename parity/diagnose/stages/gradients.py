"""Why gradients differ: which side's are not the derivative of its loss, and what they are instead.

The side is told by the loss itself, at weights a little to either side. What its gradient is instead
must hold for every wrong parameter of the layer that is blamed, in the failing example and in a batch
of its own. That layer is the last, towards the loss, in which a gradient is wrong.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from parity.backends.protocol import BackendModel
from parity.canonical.weights import HELD, Weights
from parity.compare.judge import Verdict
from parity.compare.square import norm
from parity.diagnose import Cause
from parity.diagnose.search import Explained, Probe, case_of, gap
from parity.dtypes import Array, Inputs
from parity.inputs.batch import Batch, batch
from parity.pair.models import PairModels

ROWS = ((5, 6, 7, 7, 0, 7, 5, 9), (8, 3, 7), (4, 4))
STEP = 2.0**-12  # of the weights, to either side and twice as far: the error is of its fourth power
CLEARLY = 8.0  # times as close to the derivative as the other side
TRIED = "no gradient, a multiple of it, the row of padding alone, rows divided by how often their token occurs"

Gradients = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Given:
    """One batch at some weights, of ids or whatever else the models take: what the sides' gradients are.

    Both sides' in float64, the norm that they are measured by, and the names of those that differ.
    """

    weights: Weights
    ids: Inputs
    targets: Inputs
    sides: tuple[Gradients, Gradients]
    norm: float
    failing: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Form:
    """A cause by its name, what a gradient is then, what to change; and it, from the right one and the batch."""

    name: str
    told: str
    fix: str
    made: Callable[[str, Array, Given], Array]


def explain(corners: PairModels, example: Any, verdict: Verdict) -> Explained:
    """The causes that are proved, and what was ruled out. `example` is that of the check of gradients."""
    lacking = [side for side in corners.sides if (side, "float64") not in corners.models]
    if lacking:
        return [], [f"{lacking[0]} has no float64 run: nothing can be recomputed"]
    probes = list(_probes(corners, example))
    frozen = _frozen(corners, probes[-1])
    if frozen:
        return frozen, []
    order = list(corners.layout)
    failing = sorted({name for probe in probes for name in probe.failing}, key=order.index)
    if not failing:
        return [], ["both sides give the same gradients"]
    layer = failing[-1].rpartition(".")[0]
    names = [name for name in failing if name.rpartition(".")[0] == layer]
    side, description = (
        _wrong(corners, probes, names),
        f"{verdict.subject}: from the loss on, {' and '.join(names)} go wrong",
    )
    if side is None:
        return [], [f"{description} first, and the loss does not tell on which side"]
    causes = _proved(corners, side, layer, names, probes)
    ruled = f"{description} first; {side}'s gradient is no derivative of its loss, and none of {TRIED}"
    return causes, [] if causes else [ruled]


def _probes(corners: PairModels, example: Any) -> Iterator[Given]:
    """The failing batch and one of our own, or of the pair's."""
    case = case_of(example)
    pad = corners.pad
    own = batch(ROWS, pad) if pad is not None else Batch(*corners.given(1), None)
    for weights, fed in ((case.weights, corners.batch(case)), (Weights(5, 1.0), own)):
        corners.ensure(weights)
        squares = corners.gradients(fed.ids, fed.targets)
        total = norm(squares)
        failing = [name for name, square in squares.items() if square.judge(name, scale=total).fails]
        both = tuple(corners.models[side, "float64"].gradients(fed.ids, fed.targets) for side in corners.sides)
        yield Given(weights, fed.ids, fed.targets, (both[0], both[1]), total, tuple(failing))


def _frozen(corners: PairModels, probe: Given) -> list[Cause]:
    """Layers with a parameter that one side does not train at all, though its loss follows it as the other's does."""
    first, second = probe.sides
    causes: dict[str, Cause] = {}
    for names, other, side in ((first, second, corners.sides[1]), (second, first, corners.sides[0])):
        for name in sorted(set(names) - set(other)):
            layer = name.rpartition(".")[0]
            before = float(np.sqrt(np.vdot(names[name], names[name])))
            if corners.layout[name][0] == HELD:
                description = f"{side} has no {name}, and the other side trains it"
                fix = "give it to both layers, or to neither"
                causes.setdefault(layer, Cause("gradient stopped", layer, description, fix, before, 0.0))
                continue
            way = names[name] / (before or 1.0)
            after = abs(_slope(corners.models[side, "float64"], name, way, probe) - before)
            if CLEARLY * after >= before:
                continue  # the loss does not move with it as the other side's does: it is not only frozen
            description = f"{side} does not train {name}: it is frozen"
            fix = "train it on both sides: requires_grad_(True) of torch, trainable = True of Keras; or on neither"
            causes.setdefault(layer, Cause("gradient stopped", layer, description, fix, before, after))
    return list(causes.values())


def _wrong(corners: PairModels, probes: Sequence[Given], names: Sequence[str]) -> str | None:
    """The side whose gradient is further from the derivative of its loss, along what the sides differ by."""
    probe = next(probe for probe in probes if set(probe.failing) & set(names))
    name = next(name for name in names if name in probe.failing)
    first, second = (gradients[name] for gradients in probe.sides)
    way = first - second
    way = way / np.sqrt((way**2).sum())
    off = []
    corners.ensure(probe.weights)
    for side, gradient in zip(corners.sides, (first, second), strict=True):
        slope = _slope(corners.models[side, "float64"], name, way, probe)
        off.append(abs(float((gradient * way).sum()) - slope))
    if max(off) <= CLEARLY * min(off):
        return None
    return corners.sides[int(off[1] > off[0])]


def _slope(model: BackendModel, name: str, way: Array, probe: Given) -> float:
    """The loss's derivative along a way, by four losses; the weights are as before behind it."""
    original = model.read()[name]

    def loss(reach: float) -> float:
        model.write({name: original + reach * way})
        return float(model.loss(probe.ids, probe.targets))

    try:
        near, far = (loss(reach) - loss(-reach) for reach in (STEP, 2 * STEP))
    finally:
        model.write({name: original})
    return (8 * near - far) / (12 * STEP)


def _proved(corners: PairModels, side: str, layer: str, names: Sequence[str], probes: Sequence[Given]) -> list[Cause]:
    causes: dict[str, Cause] = {}
    at = corners.sides.index(side)
    pairs = [(name, one, one.sides[at][name], one.sides[1 - at][name]) for name in names for one in probes]
    for form in _forms(corners, pairs):
        probes_of = [Probe(actual, clean, one.norm) for _, one, actual, clean in pairs]
        values = [form.made(name, clean, one) for name, one, _, clean in pairs]
        if form.name not in causes and all(
            probe.explains(value) for probe, value in zip(probes_of, values, strict=True)
        ):
            before, after = max((probe.before, gap(probe.found, v)) for probe, v in zip(probes_of, values, strict=True))
            description = f"{side}'s gradient of {', '.join(names)} {form.told}"
            causes[form.name] = Cause(form.name, layer, description, form.fix, before, after)
    return list(causes.values())


def _forms(corners: PairModels, pairs: Sequence[tuple[str, Given, Array, Array]]) -> Iterator[Form]:
    fix = "no gradient arrives there: look for detach(), no_grad() or stop_gradient between it and the loss"
    yield Form("gradient stopped", "is zero", fix, lambda _, clean, __: np.zeros_like(clean))
    embeddings = {name for name, (kind, _) in corners.layout.items() if kind == "embedding"}
    pad = corners.pad if corners.pad is not None else _still(pairs)
    if pad is not None and all(name in embeddings for name, *_ in pairs):
        fix = "leave out padding_idx= of torch's Embedding, or keep that row still in Keras as well"
        description = "is zero in the row of padding, and right elsewhere"
        yield Form("pad row", description, fix, lambda _, clean, __: _without(clean, [pad]))
    if corners.pad is not None and all(name in embeddings for name, *_ in pairs):
        fix = "leave out scale_grad_by_freq= of torch's Embedding"
        description = "is divided by how often each token occurs"
        yield Form("gradient scaled", description, fix, lambda _, clean, one: _by_frequency(clean, one.ids))
    _, _, actual, clean = max(pairs, key=lambda pair: float(np.abs(pair[3]).max()) / pair[1].norm)
    if clean.any() and actual.any():
        factor = float((actual * clean).sum() / (clean**2).sum())
        fix = "take the factor out: what leads from there to the loss has it in its gradient"
        for value in dict.fromkeys((float(f"{factor:.6e}"), factor)):
            description = f"is {value:.9g} times what it should be"
            yield Form("gradient scaled", description, fix, partial(_times, value))


def _times(value: float, _: object, clean: Array, __: object) -> Array:
    return value * clean


def _still(pairs: Sequence[tuple[str, Given, Array, Array]]) -> int | None:
    """The one row that has no gradient on the wrong side and has one on the other; None, if it is not one."""
    rows = {int(row) for *_, actual, clean in pairs for row in np.flatnonzero(clean.any(-1) & ~actual.any(-1))}
    return rows.pop() if len(rows) == 1 else None


def _without(clean: Array, rows: Sequence[int]) -> Array:
    actual = clean.copy()
    actual[list(rows)] = 0.0
    return actual


def _by_frequency(clean: Array, ids: Array) -> Array:
    counts = np.bincount(ids.ravel(), minlength=len(clean))
    actual: Array = clean / np.maximum(counts, 1)[:, None]
    return actual
