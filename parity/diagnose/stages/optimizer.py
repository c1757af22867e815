"""Why a training differs: each side's steps by the recipe's formulas, and by those with a fault in them.

A side is trained by the failing recipe for four steps or more, and by the same with decay, a change
of rate and another number of micro-batches. A fault is proved if it gives every change of every
weight in both. Where several do, those stay that give the optimizer's state, and an Adam's steps too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity.backends.protocol import BackendModel
from parity.canonical.faulty_recipe import FaultyRecipe
from parity.canonical.optimizer_steps import Trace
from parity.canonical.optimizers import OWN, Recipe
from parity.canonical.weights import Weights
from parity.checks.training import Training
from parity.compare.judge import Verdict
from parity.diagnose import Cause
from parity.diagnose.search import Explained, Probe, differing, gap
from parity.diagnose.stages import own_optimizer
from parity.diagnose.stages.configuration import some
from parity.diagnose.stages.optimizer_variants import Made, forms
from parity.dtypes import Array
from parity.pair.models import PairModels
from parity.pair.optimizers import record

WHERE = "optimizer"
STEPS = 4
# The same lengths, with ids that come again and without: what differs by repetition alone shows in the first only.
REPEATED, UNIQUE = ((7, 7, 7, 7, 5, 7), (9, 9, 9, 5)), ((5, 6, 7, 8, 10), (11, 12, 13, 14))
ROWS = ((5, 6, 7, 7, 7, 5, 9), (8, 3, 7, 7), (9, 9, 9, 12, 13, 14))
ADAM = Recipe("adam", 0.001, decay=0.01, drop=3)
TRIED = (
    "another epsilon or place of it, momentum, memory, step count, decay, clipping, rate, accumulation, a multiple of "
    "the gradient, rounded weights, a parameter that stays or is trained twice, repeated rows"
)


def explain(corners: PairModels, example: Any, verdict: Verdict) -> Explained:
    """The causes that are proved, and what was ruled out. `example` is that of the check of training."""
    if example.recipe == OWN:
        return own_optimizer.explain(corners, example)
    causes, ruled = [], []
    for side in corners.sides:
        model = corners.models.get((side, "float64"))
        if model is None:
            ruled.append(f"{side} has no float64 run: nothing can be recomputed")
            continue
        traces = [_record(corners, model, training) for training in (_longer(example), _fuller(example))]
        probes = [Probe(trace.changes, trace.after(FaultyRecipe(trace.recipe)), trace.scale) for trace in traces]
        if differing(probes) is None:
            ruled.append(f"{side}'s steps are those of the recipe")
            continue
        proofs = _settled(corners, model, _proved(side, traces, probes))
        proofs = proofs or _rows(corners, side, model, example)
        causes += proofs
        if not proofs:
            ruled.append(f"{side}: {verdict.subject} is explained by none of {TRIED}{_since(traces[0], probes[0])}")
    return causes, ruled


def _record(corners: PairModels, model: BackendModel, training: Training) -> Trace:
    """Train a side by an example and note every step, from the example's weights."""
    return record(corners, model, training.weights, training.recipe, training.batches(corners))


def _longer(example: Training) -> Training:
    """The example with steps enough to see its change of rate, and what grows with their count."""
    return replace(example, steps=max(STEPS, (example.recipe.drop or 0) + 2))


def _fuller(example: Training) -> Training:
    """Another training by the same optimizer with decay, a change of rate and another number of micro-batches.

    A fault that the example does not show, because it has none of these, shows here.
    """
    recipe = replace(example.recipe, decay=example.recipe.decay or 0.01, drop=example.recipe.drop or 3)
    return Training(Weights(5, 1.0), ROWS, recipe, STEPS, 3 - example.micro if example.micro < 3 else 1)


def _proved(side: str, traces: Sequence[Trace], probes: Sequence[Probe]) -> list[tuple[Cause, Made]]:
    """The first form of each cause that gives all changes in all traces: at some places first, then everywhere."""
    causes: dict[str, tuple[Cause, Made]] = {}
    worst = differing(probes)
    assert worst is not None
    # A form is tried at a few places first: most are wrong there already, and what passes is tried at all of them.
    places = [_telling(probe) for probe in probes]
    for form in forms(traces, probes):
        if form.name in causes or not _explains(form.made, traces, probes, places):
            continue
        if _explains(form.made, traces, probes, [slice(None)] * len(traces)):
            trace = traces[probes.index(worst)]
            after = gap(worst.found, trace.after(form.made(trace.recipe)))
            description = f"{side} {form.told}{_since(trace, worst, form.told)}"
            causes[form.name] = Cause(form.name, WHERE, description, form.fix, worst.before, after), form.made
    return list(causes.values())


def _since(trace: Trace, probe: Probe, description: str = "") -> str:
    """From which step on which parameters move otherwise than they should, if not all do from the first."""
    off = np.abs(probe.found - probe.clean) > probe.limit
    names = [name for name, place in trace.places.items() if off[:, place].any()]
    group = (
        "" if len(names) == len(trace.places) or all(name in description for name in names) else f", in {some(names)}"
    )
    steps = np.flatnonzero(off.any(1))
    return group + (f", from step {steps[0] + 1} on" if steps.size and steps[0] else "")


def _explains(predict: Made, traces: Sequence[Trace], probes: Sequence[Probe], places: Sequence[Any]) -> bool:
    """Whether a form gives what each trace shows, at these places, to what rounding accounts for."""
    with np.errstate(all="ignore"):
        return all(
            gap(probe.found[:, at], trace.after(predict(trace.recipe), at)) <= probe.limit
            for trace, probe, at in zip(traces, probes, places, strict=True)
        )


def _telling(probe: Probe) -> Array:
    """128 places of a row, or fewer: the 64 where the clean formula is furthest off, and 64 spread evenly."""
    missed = np.abs(probe.found - probe.clean).max(0)
    places_of: Array = np.concatenate([np.argsort(missed)[-64:], np.linspace(0, missed.size - 1, 64).astype(int)])
    return places_of


def _settled(corners: PairModels, model: BackendModel, candidates: list[tuple[Cause, Made]]) -> list[Cause]:
    """Of several causes those that also give an Adam's changes and state, if any do."""
    if len(candidates) > 1:
        trace = _record(corners, model, Training(Weights(5, 1.0), ROWS, ADAM, STEPS, 2))
        probe = Probe(trace.changes, trace.changes, trace.scale)
        exact = [
            (cause, predict) for cause, predict in candidates if _explains(predict, [trace], [probe], [slice(None)])
        ]
        candidates = exact or candidates
        candidates = [
            (cause, predict) for cause, predict in candidates if _keeps(trace, predict(trace.recipe))
        ] or candidates
    return [cause for cause, _ in candidates]


def _keeps(trace: Trace, faulty: FaultyRecipe) -> bool:
    """Whether the state behind a trace is what the faulty recipe gives."""
    moments = trace.moments(faulty)
    return all(Probe(a, moments[m], float(np.abs(a).max())).explains(moments[m]) for m, a in trace.state.items())


def _rows(corners: PairModels, side: str, model: BackendModel, example: Training) -> list[Cause]:
    """Repeated rows, by undoing the repetition: without it, no difference is left."""
    probes = []
    for rows in REPEATED, UNIQUE:
        trace = _record(corners, model, Training(Weights(5, 1.0), rows, example.recipe, 1, 1))
        probes.append(Probe(trace.changes, trace.after(FaultyRecipe(trace.recipe)), trace.scale))
    before, after = probes
    alone = trace.recipe.clip is not None or _only_repeated(corners, trace, before)
    if before.before <= before.limit or after.before > after.limit or not alone:
        return []
    description = f"{side} squares the rows of a repeated token's gradient before it sums them"
    fix = "sum them first: tf.convert_to_tensor(gradient) before keras.optimizers' apply"
    return [Cause("sparse rows", WHERE, description, fix, before.before, after.before)]


def _only_repeated(corners: PairModels, trace: Trace, probe: Probe) -> bool:
    """Whether nothing is off but rows of repeated tokens. Where gradients are clipped, all is: by their norm."""
    off = (np.abs(probe.found - probe.clean) > probe.limit).any(0)
    ids, counts = np.unique(np.concatenate(REPEATED), return_counts=True)
    for name, place in trace.places.items():
        kind, shape = corners.layout[name]
        if kind == "embedding":
            off[place].reshape(shape)[ids[counts > 1]] = False
    return not off.any()
