"""Why a loss differs: each side's loss from its own float64 logits, by the formula and by the formula with a fault.

A fault is proved if it gives the loss of the failing example and of a batch of its own, from plain
weights and from large ones: rows of unequal length, the pad id inside a text, a target left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity.backends.protocol import BackendModel
from parity.canonical.weights import Weights
from parity.checks.loss import Example
from parity.compare.judge import Verdict
from parity.diagnose import Cause
from parity.diagnose.search import Candidate, Explained, Probe, case_of, differing, proved
from parity.diagnose.stages.loss_variants import Given, over, reductions, smoothings, tokens
from parity.dtypes import Array
from parity.inputs.batch import batch
from parity.pair.models import PairModels

WHERE = "loss"
SMOOTHINGS = (0.1, 0.3)  # what a side is asked for beside the example's amount
TRIED = (
    "another reduction, padding counted, a mask of the inputs, probabilities for logits or clipped, a constant "
    "factor, targets of other positions, labels smoothed otherwise"
)
# A batch whose loss is asked for before each that is looked at: a count that is kept from it shows.
FIRST = np.array([[5, 6, 7]]), np.array([[6, 7, 8]])
Question = tuple[list[Probe], list[Candidate[Array]]]


def explain(corners: PairModels, example: Any, verdict: Verdict) -> Explained:
    """The causes that are proved, and what was ruled out.

    `example` is that of the check of the loss, or a case that another check of losses failed on.
    """
    causes: dict[tuple[str, str], Cause] = {}
    ruled = []
    for side in corners.sides:
        model = corners.models.get((side, "float64"))
        if model is None:
            ruled.append(f"{side} has no float64 run: nothing can be recomputed")
            continue
        asked = [question(corners, model, example) for question in (_mean, _plain, _smoothed)]
        wrong = [(probes, candidates) for probes, candidates in asked if differing(probes)]
        proofs = [cause for probes, candidates in wrong for cause in proved(WHERE, side, probes, candidates)]
        causes = {(cause.name, cause.told): cause for cause in proofs} | causes
        if not wrong:
            ruled.append(f"{side}'s losses are the formula of its own logits")
        elif not proofs:
            ruled.append(f"{side}: {verdict.subject} is explained by none of {TRIED}")
    return list(causes.values()), ruled


def _probes(corners: PairModels, example: Any) -> Iterator[tuple[Array, Array]]:
    """Batches of ids and targets, the weights that belong to each loaded."""
    pad = corners.tokenizer.pad
    case = case_of(example)
    corners.ensure(case.weights)
    if isinstance(example, Example):
        yield example.batch(pad)
    else:
        drawn = case.batch(pad)
        yield drawn.ids, drawn.targets
    rows = [[5, 6, 7, 7, pad, 5, 11, 2], [9, 8, 4, 3], [4, 4]]
    fed = batch([row[: corners.pair.length] for row in rows], pad)
    targets = fed.targets.copy()
    targets[0, 2] = pad
    # Large weights make probabilities of nearly 0, where a loss that clips them, or takes their logarithm, is off.
    for scale in (1.0, 30.0):
        corners.ensure(Weights(5, scale))
        yield fed.ids, targets


def _given(corners: PairModels, model: BackendModel, ids: Array, targets: Array) -> Given:
    """What a loss is given at these ids, by the model's own logits: its formulas start from there."""
    return Given(model.logits(ids), ids, targets, corners.tokenizer.pad)


def _mean(corners: PairModels, model: BackendModel, example: Any) -> Question:
    """Probes and candidates of the mean loss."""
    probes, of = [], []
    for ids, targets in _probes(corners, example):
        # Another batch before it: a loss that depends on the one before shows.
        model.loss(*FIRST)
        one = replace(_given(corners, model, ids, targets), before=FIRST[1].size)
        actual, clean = np.asarray(model.loss(ids, targets)), over(one.losses(), one.counted)
        # A loss is a difference of logits, so its rounding error is measured by theirs.
        probes.append(Probe(actual, clean, max(float(np.abs(one.logits).max()), float(actual))))
        of.append(one)
    forms = [*reductions(probes), *tokens(probes, of, lambda _, losses, mask: over(losses, mask))]
    candidates = [Candidate(*words, map(form, of)) for words, form in forms]
    return probes, [*candidates, *_weighted(corners, model, probes, of)]


def _weighted(
    corners: PairModels, model: BackendModel, probes: Sequence[Probe], of: Sequence[Given]
) -> Iterator[Candidate[Array]]:
    """Classes that weigh differently, by what two targets come to together.

    Each class is asked for beside the first one, by a batch of one row with these two targets.
    """
    if differing(probes) is None:
        return
    classes = np.unique(np.concatenate([one.targets[one.counted] for one in of]))
    weights = np.ones(corners.tokenizer.vocab)
    for other in classes[1:]:
        ids, targets = np.array([[5, 6]]), np.array([[classes[0], other]])
        (first, second), actual = _given(corners, model, ids, targets).losses()[0], float(model.loss(ids, targets))
        # The mean of two losses, weighted: (w1 l1 + w2 l2) / (w1 + w2), solved for w2 with w1 = 1.
        weights[other] = (actual - first) / (second - actual) if second != actual else np.inf
    fix = "weigh all classes alike on both sides, or by the same weight= and class_weight="
    values = []
    with np.errstate(all="ignore"):
        for one in of:
            weight = np.where(one.counted, weights[one.targets], 0.0)
            values.append(np.array((one.losses() * weight).sum() / weight.sum()))
    description = f"weighs the class {classes[-1]} {weights[classes[-1]]:.6g} times as the class {classes[0]}"
    yield Candidate("class weights", description, fix, values)


def _plain(corners: PairModels, model: BackendModel, example: Any) -> Question:
    """Probes and candidates of the losses of single tokens, (batch, time)."""
    probes, of = _single(corners, model, example, (0.0, 0.0, 0.0))
    forms = tokens(probes, of, lambda _, losses, mask: losses * mask)  # each by itself, and none of padding
    candidates = [Candidate(*words, map(form, of)) for words, form in forms]
    words = "gives padding a loss", "leave padding out: ignore_index= of torch, ignore_class= of Keras"
    actual = [np.where(one.counted, one.losses(), probe.found) for one, probe in zip(of, probes, strict=True)]
    return probes, [*candidates, Candidate("padding counted", *words, actual)]


def _smoothed(corners: PairModels, model: BackendModel, example: Any) -> Question:
    """Probes and candidates of the losses of single tokens with labels smoothed."""
    asked = (example.smoothing if isinstance(example, Example) else 0.01, *SMOOTHINGS)
    probes, of = _single(corners, model, example, asked)
    return probes, list(smoothings(probes, of, asked))


def _single(
    corners: PairModels, model: BackendModel, example: Any, smoothings: Sequence[float]
) -> tuple[list[Probe], list["Given"]]:
    """Ask for the losses of single tokens, each batch with its own smoothing; and what they are made of."""
    probes, of = [], []
    for smoothing, (ids, targets) in zip(smoothings, _probes(corners, example), strict=True):
        one = _given(corners, model, ids, targets)
        actual, clean = model.losses(ids, targets, smoothing), one.losses(smoothing) * one.counted
        probes.append(Probe(actual, clean, max(float(np.abs(one.logits).max()), float(np.abs(actual).max()))))
        of.append(one)
    return probes, of
