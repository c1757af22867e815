"""Why two losses of a pair's own differ, given the same outputs: in their values, or in their gradients alone.

A relation of the two is proved on outputs that it was not found on: of other weights and inputs, of other
sizes and numbers of rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from parity.canonical.weights import Weights
from parity.compare.divergence import divergence
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.compare.square import PrecisionSquare, norm
from parity.diagnose import Cause, Diagnosis
from parity.diagnose.constants import factor, proposals
from parity.diagnose.layers.weight_relations import numbers
from parity.diagnose.locate import Located
from parity.diagnose.locate.hooks import NONE, SegmentResult
from parity.diagnose.search import Candidate, Explained, Probe, differing, gap, proved
from parity.dtypes import EPS, Array
from parity.inputs import sampling
from parity.inputs.arrays import Sample
from parity.pair import criterion
from parity.pair.criterion import Outputs
from parity.pair.models import PairModels

WHERE = "loss"
OTHERS = (Weights(5, 1.0), Weights(6, 0.01), Weights(7, 1.0))  # small ones give outputs of another size
MANY, ENOUGH = 32, 4  # samples that are drawn for some on which the losses differ, and how many of these are used
_TELLING = WeakKeyDictionary[PairModels, list[tuple[Sample, bool]]]()
INSIDE = 1e-3  # of an output, how far it is moved from where a loss may have a corner
SAME = "multiply and add the same on both sides: look at reduction=, and at what is summed or averaged by hand"
WEIGH = (
    "the losses' values agree: look at what weighs their terms, and at detach() of torch and stop_gradient of "
    "TensorFlow on the way to them"
)
PART = "give a term, or one side of a threshold, the same weight: a beta or delta, an alpha, the weight of a class"


def explain(corners: PairModels, example: Sample, backward: bool) -> Explained | None:
    """The causes that are proved of losses that differ, and what was ruled out; of their gradients, if asked for.

    None where those are alike, so that the losses are not to blame.
    """
    outputs = criterion.outputs_of(corners, example.inputs)
    if not backward:
        if any(array.size != 1 for array in criterion.loss(corners, example.inputs, outputs).both):
            return [], ["a loss is no scalar"]
        causes = _in_part(corners, example)
        differ = ["the losses differ, given the same outputs, and not by a factor at some elements"]
        return causes, [] if causes else differ
    gradients = criterion.gradients(corners, example.inputs, _inside(outputs))
    failing = [place for place, square in gradients.items() if square.judge(place, norm(gradients)).fails]
    where = ", ".join(f"by output{place}" for place in failing)
    return ([], [f"the losses' values agree, and their gradients {where} differ"]) if failing else None


def telling(corners: PairModels) -> list[tuple[Sample, bool]]:
    """Draw samples on which the losses differ, and whether only their gradients do; a few, or none.

    A loss that is cut off at zero, or goes by the number of rows or by a class, is the same on most samples. They are
    drawn once for these models.
    """
    if not corners.pair.loss or corners.pair.inputs is None:
        return []
    if corners not in _TELLING:
        drawn = sampling.specimens(corners.pair.inputs, MANY, seed=1)
        samples = [Sample(Weights(seed, 1.0), inputs) for seed, inputs in enumerate(drawn)]
        backward = not (of := [*islice((one for one in samples if _differ(corners, one, False)), ENOUGH)])
        of = of or [*islice((one for one in samples[:ENOUGH] if _differ(corners, one, True)), ENOUGH)]
        _TELLING[corners] = [(one, backward) for one in of]
    return _TELLING[corners]


def _differ(corners: PairModels, sample: Sample, backward: bool) -> bool:
    """Whether the losses of the same outputs differ on a sample, or if `backward` their gradients."""
    corners.ensure(sample.weights)
    outputs = criterion.outputs_of(corners, sample.inputs)
    if not backward:
        return criterion.loss(corners, sample.inputs, outputs).judge(WHERE).fails
    gradients = criterion.gradients(corners, sample.inputs, _inside(outputs))
    return any(of.judge(place, norm(gradients)).fails for place, of in gradients.items())


def located(corners: PairModels, example: Sample, layers: Located) -> tuple[Located, Diagnosis, bool]:
    """Add the losses to a location in which no linked layer differs, as what introduces a difference.

    And whether only their gradients do.
    """
    corners.ensure(example.weights)
    square = criterion.loss(corners, example.inputs, criterion.outputs_of(corners, example.inputs))
    verdict = square.judge(WHERE)
    own = explain(corners, example, backward=not verdict.fails)
    if own is None:
        return layers, Diagnosis(layers=layers.layers, weaker=layers.weaker), False
    piece = SegmentResult(WHERE, "gradient by the same outputs", NONE, "different", unlike="their values agree")
    if verdict.fails:
        probe = _probe(square, verdict.limit)
        limit, whole = verdict.limit, all(square.has_float64)
        alike = probe.clean.shape == probe.found.shape
        gap = divergence(probe.clean, probe.found) if alike else NONE
        description = "" if alike else "their shapes differ"
        piece = SegmentResult(
            WHERE, "value of the same outputs", gap, verdict.word, limit, unlike=description, whole=whole
        )
    causes, ruled_out = own
    diagnosis = Diagnosis((WHERE,), tuple(causes), tuple(ruled_out), layers.layers, weaker=layers.weaker)
    return replace(layers, gradients=[piece]), diagnosis, not verdict.fails


def related(corners: PairModels, example: Sample) -> list[Cause]:
    """Explain losses' values by a factor or a constant, where no edit of what ran says which operation has it.

    It is read off one batch of outputs, and proved on several: each is its own probe, the second side's loss beside the
    first's, within what the judge allows for rounding.
    """
    probes, rows, elements = list[Probe](), list[int](), list[int]()
    for inputs, outputs in _outputs(corners, example):
        square = criterion.loss(corners, inputs, outputs)
        probes.append(_probe(square, square.judge(WHERE).limit))
        rows.append(len(next(iter(outputs.values()))))
        elements.append(sum(array.size for array in outputs.values()))
    worst = differing(probes)
    # Of losses that differ in one value any factor is right.
    several = len({float(f"{probe.clean:.9g}") for probe in probes if probe.before > probe.limit}) > 1
    if worst is None or not several or not np.isfinite(worst.clean + worst.found):
        return []
    clean = [probe.clean for probe in probes]
    sizes = {"rows": rows, "elements": elements, "elements of a row": np.divide(elements, rows)}
    ways = [
        ("reduction", f"{how} the number of {what}", [*map(change, clean, of)])
        for what, of in sizes.items()
        for how, change in (("times", np.multiply), ("divided by", np.divide))
    ]
    ways += [(name, how, [*map(of, clean)]) for name, how, of in numbers(worst.clean, worst.found)]
    candidates = (Candidate(name, f"gives torch's loss {how}", SAME, values) for name, how, values in ways)
    return list(islice(proved(WHERE, corners.sides[1], probes, candidates), 1))


def related_gradients(corners: PairModels, example: Sample) -> list[Cause]:
    """Explain losses' gradients by the same outputs by a factor, where no edit of what ran says where it is.

    One that is zero everywhere is so many times the other, but not the other of it. Each output has to be explained.
    """
    gradients = [
        criterion.gradients(corners, inputs, _inside(outputs)) for inputs, outputs in _outputs(corners, example)
    ]
    causes = list[Cause]()
    for place in gradients[0]:
        probes = [_probe(of[place], of[place].judge(place, norm(of)).limit) for of in gradients]
        turned = [Probe(probe.clean, probe.found, probe.scale) for probe in probes]
        ways = ((*corners.sides[::-1], probes), (*corners.sides, turned))
        proofs = [cause for way in ways for cause in _by_a_factor(f"by output{place}", *way)]
        if differing(probes) and not proofs:
            return []
        causes += proofs[:1]
    return causes


def _by_a_factor(by: str, one: str, other: str, probes: Sequence[Probe]) -> Iterator[Cause]:
    """That a side's gradient is a multiple of the other's in every probe; of zero it is none."""
    worst = differing(probes)
    if worst is not None and worst.clean.any() and np.isfinite(worst.clean + worst.found).all():
        candidates = (
            Candidate(
                "gradient scaled" if number else "gradient stopped",
                f"is {number:.6g} times {other}'s",
                WEIGH,
                [number * probe.clean for probe in probes],
            )
            for _, number in proposals(factor(worst.clean, worst.found), ())
        )
        yield from islice(proved(WHERE, f"{by} of the same outputs, {one}'s gradient", probes, candidates), 1)


def _in_part(corners: PairModels, example: Sample) -> list[Cause]:
    """Losses whose slopes are equal at some elements of the outputs, and at all others multiples of one another."""
    probes = []
    for inputs, outputs in _outputs(corners, example):
        gradients = criterion.gradients(corners, inputs, _inside(outputs))
        limits = [square.judge(place, norm(gradients)).limit for place, square in gradients.items()]
        each = [_probe(square, limit) for square, limit in zip(gradients.values(), limits, strict=True)]
        theirs, ours = np.concatenate([p.found.ravel() for p in each]), np.concatenate([p.clean.ravel() for p in each])
        probes.append(Probe(theirs, ours, max(probe.scale for probe in each)))
    worst = differing(probes)
    if worst is None or not all(np.isfinite(probe.clean + probe.found).all() for probe in probes):
        return []
    place = int(np.abs(worst.found - worst.clean).argmax())
    if not worst.clean[place] or not worst.found[place]:  # a term that a threshold shuts out is no multiple
        return []
    times = float(f"{worst.found[place] / worst.clean[place]:.6g}")
    # The elements that differ have to be this multiple, all of them, and in every batch; which they are may change.
    parts = [np.abs(probe.found - probe.clean) > probe.limit for probe in probes]
    values = [np.where(part, times * probe.clean, probe.clean) for part, probe in zip(parts, probes, strict=True)]
    if not all(probe.explains(value) for probe, value in zip(probes, values, strict=True)):
        return []
    if all(probe.explains(times * probe.clean) for probe in probes):
        return []  # a factor of the whole: an edit says which operation has it
    count, total = (sum(int(figure) for figure in of) for of in ([p.sum() for p in parts], [p.size for p in parts]))
    description = (
        f"tensorflow's slope is {times:.6g} times torch's at {count} of {total} elements of outputs, equal elsewhere"
    )
    after = max(gap(probe.found, value) for probe, value in zip(probes, values, strict=True))
    return [Cause("scale", WHERE, f"of the losses, {description}", PART, max(probe.before for probe in probes), after)]


def _outputs(corners: PairModels, example: Sample) -> Iterator[tuple[Any, Outputs]]:
    """Inputs and outputs to compare the losses on, those of the failing example first; once and twice each row."""
    samples = [example, *(Sample(weights, corners.given(place)[0]) for place, weights in enumerate(OTHERS))]
    samples += [sample for sample, _ in telling(corners)]
    for sample in samples:
        corners.ensure(sample.weights)
        for one in (sample, sample.chosen((*sample.rows,) * 2)):
            yield one.inputs, criterion.outputs_of(corners, one.inputs)


def _inside(outputs: Outputs) -> Outputs:
    """Outputs a little smaller, and none of them zero: probabilities stay probabilities."""
    random = np.random.default_rng(0)

    def moved(array: Array) -> Array:
        if array.dtype.kind != "f":
            return array
        least = INSIDE * float(np.abs(array).max(initial=0.0))
        share = random.uniform(0, 1, array.shape)
        return np.where(array == 0, least * share, array * (1 - INSIDE * share)).astype(array.dtype)

    return {place: moved(array) for place, array in outputs.items()}


def _probe(square: PrecisionSquare, limit: float) -> Probe:
    """TensorFlow's array beside torch's, each in the widest dtype that it has; `limit` is its limit."""
    ours, theirs = (
        next(array for array in (square.rows[d][place] for d in ("float64", "float32")) if array is not None)
        for place in (0, 1)
    )
    return Probe(theirs.astype(np.float64), ours.astype(np.float64), limit / (MAX_FLOAT64_ULPS * EPS["float64"]))
