"""Why gradients part: changes to the gradient through torch's operations, after which all are TensorFlow's.

Where an operation gives one of its operands another gradient than its counterpart does, the form of the two is told:
nothing, a multiple, cut off at a bound, that of another function, or what comes as if the operation were not there.
torch's loss is run once more with these forms; the cause is what leaves nothing, on other examples too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby, islice, product
from typing import Any

import numpy as np

from parity.backends.operations import GRADIENTS, Operation, Pull, Trace
from parity.backends.protocol import Trainable
from parity.canonical.weights import Weights
from parity.checks.results import Cause, DifferingOperation
from parity.diagnose import Diagnosis
from parity.diagnose.operators.align import Alignment, aligned
from parity.diagnose.operators.backward import STOPPED, Backward, Form, forms
from parity.diagnose.operators.proposal import cited, once
from parity.diagnose.operators.table import differing
from parity.diagnose.search import case_of, needed
from parity.diagnose.specimens import specimen
from parity.dtypes import Array
from parity.errors import ERRORS, reason
from parity.inputs.arrays import Sample
from parity.inputs.batch import Batch
from parity.pair.models import PairModels

MANY = 16  # combinations of fitting forms that are tried, each with a run of its own
FAULTS = 4  # that are looked for one behind another
STOPS = ("StopGradient", "PreventGradient")
# Arguments of torch's operations that change no value: what they are where they do nothing, and the cause.
GRADIENTS_ALONE = {
    "scale_grad_by_freq": (False, "gradient scaled", "leave out scale_grad_by_freq= of torch's Embedding"),
    "padding_idx": (None, "pad row", "leave out padding_idx= of torch's Embedding, or keep that row still in Keras"),
}


def placed(corners: PairModels, example: Any, diagnosis: Diagnosis) -> Diagnosis:
    """Add the first operations whose gradients differ on an example, or what kept them from being found."""
    try:
        case = case_of(example)
        if isinstance(case, Sample) and corners.pad is not None:  # texts by themselves
            batch = Batch(case.inputs, np.roll(case.inputs, -1, 1), None)
        else:
            batch = corners.batch(case)
        batches = [(case.weights, batch), *((Weights(seed, 1.0), _batch(corners, seed)) for seed in (5, 6))]
        return explained(corners, batches, diagnosis)
    except ERRORS as error:
        return replace(diagnosis, errors=(*diagnosis.errors, f"gradients by operation: {reason(error)}"))


def explained(corners: PairModels, batches: Sequence[tuple[Weights, Batch]], diagnosis: Diagnosis) -> Diagnosis:
    """Add the first operations whose gradients differ on the first of these batches, and why, proved on all of them."""
    if corners.pair.lacking((Trainable,)) or any((side, "float64") not in corners.learning() for side in corners.sides):
        return diagnosis
    examples = [Example(corners, *example) for example in batches]
    first = tuple(operations(corners, examples[0].pulled(())))
    proved = tuple(causes(examples)) if corners.backends[corners.sides[0]].EDITABLE else ()
    diagnosis = replace(diagnosis, operations=first)
    if not proved:
        return diagnosis
    if len(diagnosis.where) == 1:  # the loss, or what of a layer stands in nobody's code
        proved = tuple(replace(cause, where=cause.where or diagnosis.where[0]) for cause in proved)
    where = diagnosis.where or tuple(dict.fromkeys(cause.where for cause in proved))
    return replace(diagnosis, where=where, causes=proved, ruled_out=())


Given = tuple[int, int, list[Array | None]]  # an operation, a value that it takes, and what gradient that should have
Change = tuple[Pull, Form, Operation, str]  # and TensorFlow's operation at the same place


class Example:
    """Weights and a batch, on which each side's loss ran once in float64, with its gradients.

    torch's run can be repeated with changes to its gradients.
    """

    def __init__(self, corners: PairModels, weights: Weights, batch: Batch) -> None:
        corners.ensure(weights)
        self._ensure = partial(corners.ensure, weights)
        self._run, other = (
            corners.models[side, "float64"].record(batch.ids, True, GRADIENTS, batch.targets) for side in corners.sides
        )
        self._other: Trace = other.trace
        self._gradients = corners.models[corners.sides[1], "float64"].gradients(batch.ids, batch.targets)

    def left(self, changes: Sequence[Change]) -> tuple[Backward, float]:
        """torch's gradients with these changes, beside TensorFlow's, and what is left of the difference."""
        back = Backward(self.pulled([pull for pull, *_ in changes]), 0)
        return back, back.left(self._gradients)

    def gap(self, changes: Sequence[Change]) -> float:
        """As what is `left`, with what rounding accounts for."""
        return self.left(changes)[0].left(self._gradients, whole=True)

    def pulled(self, pulls: Sequence[Pull]) -> Alignment:
        """Both runs, torch's with these changes to its gradients."""
        self._ensure()
        return aligned(self._run.pulled(pulls) if pulls else self._run.trace, self._other, "float64")


def operations(corners: PairModels, alignment: Alignment) -> Iterator[DifferingOperation]:
    """Of each side, the first operations, from the loss on, that make other gradients of equal ones."""
    for place, side in enumerate(corners.sides):
        yield from differing(side, Backward(alignment, place).parted(), "gradient through ")


def _batch(corners: PairModels, seed: int) -> Batch:
    """A batch of the search's own, drawn by a seed; of texts the targets are the ids rolled by one."""
    if corners.pad is None:
        return Batch(*corners.given(seed), None)
    ids = specimen(corners, seed)[1]
    return Batch(ids, np.roll(ids, -1, 1), None)


def causes(examples: Sequence[Example]) -> list[Cause]:
    """The changes that leave nothing of the difference of the gradients, on any of these examples.

    Where a value's numbers come again, as behind what stops a gradient, one of several forms is right: what
    leaves least.
    """
    first, chosen = examples[0], list[Change]()
    back, left = first.left(chosen)
    before = left
    for _ in range(FAULTS):
        best = None
        for new in _ways(back) if left else ():
            there, rest = first.left([*chosen, *new])
            closed = not rest and _closed(examples[1:], [*chosen, *new])
            if closed or (rest and (best is None or rest < best[1])):  # on one example several may leave nothing
                best = there, rest, new
            if closed:
                break
        if best is None or best[1] >= left:
            break
        back, left, chosen = best[0], best[1], [*chosen, *best[2]]
    if left or not chosen:
        return []
    chosen = needed(chosen, partial(_closed, examples))  # one that adds nothing is no cause
    after = first.gap(chosen)
    claims = [(form, one, form.claim.format(cited(one)) + there) for _, form, one, there in chosen]
    return once([Cause(form.name, one.layer, claim, form.fix, before, after) for form, one, claim in claims])


def _closed(examples: Sequence[Example], chosen: Sequence[Change]) -> bool:
    """Whether changes leave nothing of the difference on any of these."""
    return not any(example.left(chosen)[1] for example in examples)


def _ways(back: Backward) -> Iterator[list[Change]]:
    """Changes to try together: of the first operations of either side, then single ones that only gradients show."""
    there = Backward(back.alignment, 1)
    for places in (_own(back), _behind(back, there)):
        yield from islice((way for of in product(*_proposed(back, there, places)) if (way := [*of])), MANY)
    single = ([change] for change in (*_called(back), *_hooked(back)))
    yield from islice((way for way in (*single, *_stopped(back, there)) if way), MANY)


def _proposed(back: Backward, there: Backward, places: Iterable[Given]) -> Iterator[list[Change]]:
    """The forms that fit, for each operation that gives another gradient to an operand."""
    every: dict[tuple[int, int], list[Array | None]] = {}
    for number, place, theirs in places:
        every.setdefault((number, place), []).extend(theirs)
    for (number, place), theirs in every.items():
        one, value = back.own.operations[number], back.own.values[place].array
        use, result = back.use(number, place), back.own.gradients.get(one.makes[0])
        fitting = {
            form.claim: form
            for of in theirs
            for form in forms(use, of, result, value)
            if _fits(back, form, use, of, result, value)
        }
        if fitting:
            behind = _there(back, [*there.parted()], one, place)
            yield [(Pull(number, place, form.change, form.past), form, one, behind) for form in fitting.values()]


def _own(back: Backward) -> Iterator[Given]:
    """torch's first operations by their numbers, their operands, and what their counterparts give those."""
    for one in back.parted():
        number = next(n for n, of in enumerate(back.own.operations) if of is one)
        for place in dict.fromkeys(one.operands):
            if back.parts(number, place):
                yield number, place, back.theirs(number, place)


def _behind(back: Backward, there: Backward) -> Iterator[Given]:
    """As `_own`, from TensorFlow's first operations that give another gradient: what takes their operand in torch."""
    for one in there.parted():
        number = next(n for n, of in enumerate(there.own.operations) if of is one)
        reached = there.reached(one)
        for own in dict.fromkeys(one.operands):
            taken = there.twins(own)
            takers = [n for n, of in enumerate(back.own.operations) if not taken.isdisjoint(of.operands)]
            near = [n for n in takers if not reached.isdisjoint(back.own.operations[n].makes)]
            for taker in near or takers:
                for place in taken & {*back.own.operations[taker].operands}:
                    yield taker, place, [there.use(number, own)]


def _called(back: Backward) -> Iterator[Change]:
    """Arguments that change no value, and gradients alone."""
    for number, one in enumerate(back.own.operations):
        for argument, (value, name, fix) in GRADIENTS_ALONE.items():
            own = one.settings.get(argument)
            if own not in (None, value):
                form = Form(name, f"torch's {{}} has {argument}={own}; tensorflow's gradient is that without", fix)
                yield Pull(number, -1, form.change, called={argument: value}, name=one.name), form, one, ""


def _hooked(back: Backward) -> Iterator[Change]:
    """A hook that changes the gradient by a value of torch's, where TensorFlow has none."""
    for number, one in enumerate(back.own.operations):
        for place in one.operands if one.name == "register_hook" else ():
            uses = [use for (n, value), use in back.own.uses.items() if value == place and n != number]
            whole, after = (np.sum(uses, 0) if uses else None), back.own.uses.get((number, place))
            known = forms(whole, after, None, None) if whole is not None else ()
            fitting = (of.name for of in known if whole is not None and back.alike(of.change(whole, whole), after))
            name = next(fitting, "gradient scaled" if uses else "gradient stopped")
            claim = "a hook of torch's changes the gradient by what it is set on; in tensorflow it passes as it is: {}"
            form = Form(name, claim, "the same change to the gradient on both sides, or none")
            yield Pull(number, place, form.change), form, one, ""


def _stopped(back: Backward, there: Backward) -> Iterator[list[Change]]:
    """Changes where one side stops a gradient: it passes in torch, or is stopped by what takes the same value there."""
    yield from _attached(back)
    passed = Form("gradient stopped", "no gradient passes torch's {}; in tensorflow it does", STOPPED, past=True)
    for number, one in enumerate(back.own.operations):
        for place in one.operands if one.name == "detach" else ():
            yield [(Pull(number, place, passed.change, past=True), passed, one, "")]
    claim = "torch's gradient passes {}; no gradient passes there in tensorflow"
    form = Form("gradient stopped", claim, STOPPED, lambda of, _: np.zeros_like(of))
    for other in (of for of in there.own.operations if of.name in STOPS):
        places = there.twins(other.operands[0]) or there.reached(other)
        behind = f": {cited(other)}"
        changes = [
            (Pull(number, place, form.change), form, one, behind)
            for number, one in enumerate(back.own.operations)
            for place in one.operands
            if place in places
        ]
        yield changes
        yield from ([change] for change in changes if len(changes) > 1)


def _attached(back: Backward) -> Iterator[list[Change]]:
    """What runs one behind another where the code has turned gradients off has them, as in TensorFlow."""
    for detached, group in groupby(enumerate(back.own.operations), lambda of: of[1].detached):
        block = [*group]
        results = [place for _, one in block for place in one.makes]
        if not detached or not any(np.any(back.own.gradients.get(place, 0.0)) for place in results):
            continue
        if any(one.name.endswith("_") and not one.name.endswith("__") for _, one in block):  # it writes what it takes
            continue
        number, last = block[-1]
        claim = "torch computes {} where gradients are turned off (no_grad), and none passes; in tensorflow it does"
        form = Form("gradient stopped", claim, STOPPED)
        yield [(Pull(number, -1, form.change, attached=[at for at, _ in block]), form, last, "")]


def _fits(
    back: Backward, form: Form, use: Array | None, other: Array | None, result: Array | None, value: Array | None
) -> bool:
    """Whether a form, applied to torch's gradient, gives TensorFlow's (`other`), in any order of elements."""
    passed = result if form.past else use
    if passed is None or value is None or (form.past and passed.shape != value.shape):
        return False
    with np.errstate(all="ignore"):
        return back.alike(form.change(passed, value), other)


def _there(back: Backward, parted: Sequence[Operation], one: Operation, place: int) -> str:
    """TensorFlow's operation at the same place: what gives another gradient, stops it, or takes the value."""
    values = {twin for of in (*one.makes, place) for twin in back.twins(of)}
    takers = [of for of in back.other.operations if not values.isdisjoint(of.operands)]
    near = [of for of in parted if any(of is taker for taker in takers)] or (parted if len(parted) == 1 else [])
    near = [*near, *(of for of in takers if of.name in STOPS), *takers]
    return f": {cited(near[0])}" if near else ""
