"""Why a training differs: each side's steps by the recipe's formulas, and by those with a fault in them.

A side is trained by the failing recipe for four steps or more, and by the same with decay, a change
of rate and another number of micro-batches. A fault is proved if it gives every change of every
weight in both. Where several do, those stay that give the optimizer's state, and an Adam's steps too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.backends.protocol import BackendModel
from parity.canonical.optimizer_steps import Trace
from parity.canonical.optimizers import OWN, Recipe
from parity.canonical.weights import Weights
from parity.checks.training import Training, steady
from parity.compare.judge import Verdict
from parity.compare.messages import few
from parity.diagnose import Cause
from parity.diagnose.search import Evidence, Explained, Probe, differing, proved
from parity.diagnose.stages import own_optimizer
from parity.diagnose.stages.optimizer_variants import Steps, Variant, candidates
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
    example, _ = steady(corners, example)
    causes, ruled = [], []
    for side in corners.sides:
        model = corners.models.get((side, "float64"))
        if model is None:
            ruled.append(f"{side} has no float64 run: nothing can be recomputed")
            continue
        # Steps enough to see the example's change of rate, and what grows with their count.
        longer = replace(example, steps=max(STEPS, (example.recipe.drop or 0) + 2))
        # A fault that the example does not show, because it has no decay, no change of rate, no micro-batches.
        recipe = replace(example.recipe, decay=example.recipe.decay or 0.01, drop=example.recipe.drop or 3)
        fuller = Training(Weights(5, 1.0), ROWS, recipe, STEPS, 3 - example.micro if example.micro < 3 else 1)
        evidence = [Steps(_record(corners, model, training)) for training in (longer, fuller)]
        worst = differing(evidence)
        if worst is None:
            ruled.append(f"{side}'s steps are those of the recipe")
            continue
        proofs = _settled(corners, side, model, evidence)
        proofs = [replace(cause, told=cause.told + _since(worst, cause.told)) for cause in proofs]
        proofs = proofs or _rows(corners, side, model, example)
        causes += proofs
        if not proofs:
            ruled.append(f"{side}: {verdict.subject} is explained by none of {TRIED}{_since(evidence[0])}")
    return causes, ruled


def _record(corners: PairModels, model: BackendModel, training: Training) -> Trace:
    """Train a side by an example and note every step, from the example's weights."""
    return record(corners, model, training.weights, training.recipe, training.batches(corners))


def _since(steps: Steps, description: str = "") -> str:
    """From which step on which parameters move otherwise than they should, if not all do from the first.

    Not the parameters, where the `description` has all of them.
    """
    off, places = np.abs(steps.probe.found - steps.probe.clean) > steps.limit, steps.trace.places
    names = [name for name, place in places.items() if off[:, place].any()]
    group = "" if len(names) == len(places) or all(name in description for name in names) else f", in {few(names)}"
    first = np.flatnonzero(off.any(1))
    return group + (f", from step {first[0] + 1} on" if first.size and first[0] else "")


@dataclass(frozen=True, eq=False)
class State:
    """The state behind a training as evidence: a fault may leave every weight right and not what is carried along."""

    trace: Trace
    before: float = 0.0
    limit: float = 0.0

    def apart(self, variant: Variant) -> float:
        """How many of the optimizer's moments, each (n,), are not those of the recipe that `variant` makes."""
        moments = self.trace.moments(variant(self.trace.recipe))
        probes = {
            name: Probe(array, moments[name], float(np.abs(array).max())) for name, array in self.trace.state.items()
        }
        return float(sum(probe.before > probe.limit for probe in probes.values()))


def _settled(corners: PairModels, side: str, model: BackendModel, evidence: Sequence[Steps]) -> list[Cause]:
    """The causes that are proved on the evidence; of several, those that an Adam's steps and state leave, if any."""
    pieces: list[Evidence[Variant]] = [*evidence]
    causes = list(proved(WHERE, side, pieces, candidates(evidence)))
    if len(causes) > 1:
        trace = _record(corners, model, Training(Weights(5, 1.0), ROWS, ADAM, STEPS, 2))
        for piece in (Steps(trace), State(trace)):
            names = {cause.name for cause in causes}
            again = (one for one in candidates(evidence) if one.name in names)
            if fewer := list(proved(WHERE, side, [*pieces, piece], again)):
                pieces, causes = [*pieces, piece], fewer
    return causes


def _rows(corners: PairModels, side: str, model: BackendModel, example: Training) -> list[Cause]:
    """Repeated rows, by undoing the repetition: without it, no difference is left."""
    probes = []
    for rows in REPEATED, UNIQUE:
        trace = _record(corners, model, Training(Weights(5, 1.0), rows, example.recipe, 1, 1))
        probes.append(Steps(trace).probe)
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
