"""Why gradients part: changes to the gradient through torch's operations, after which all are TensorFlow's.

Where an operation gives one of its operands another gradient than its counterpart does, the form of the two is told:
nothing, a multiple, cut off at a bound, that of another function, or what comes as if the operation were not there.
torch's loss is run once more with these forms; the cause is what leaves nothing, on other examples too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, product
from typing import Any

import numpy as np

from parity.backends.operations import GRADIENTS, Operation, Pull, Trace
from parity.backends.protocol import Trainable
from parity.canonical.activations import FUNCTIONS, Function
from parity.canonical.weights import Weights
from parity.checks.results import Cause, DifferingOperation
from parity.diagnose import Diagnosis
from parity.diagnose.operators.align import Alignment, aligned
from parity.diagnose.operators.backward import Backward
from parity.diagnose.operators.proposal import at, called, once
from parity.diagnose.search import case_of
from parity.diagnose.specimens import specimen
from parity.dtypes import Array
from parity.errors import ERRORS, reason
from parity.inputs.arrays import Sample
from parity.inputs.batch import Batch
from parity.pair.models import PairModels

FEW = 3  # operations of a side that are told
MANY = 16  # ways to choose among forms that fit
FAULTS = 4  # that are looked for one behind another
STEP = 1e-5  # to either side, for the slope of a function
STOPS = ("StopGradient", "PreventGradient")
STOPPED = "let the gradient pass on both sides, or on neither: look for detach(), no_grad() or stop_gradient"


def placed(corners: PairModels, example: Any, diagnosis: Diagnosis) -> Diagnosis:
    """The same with the first operations whose gradients differ on an example; or what kept them from being found."""
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
    """The same with the first operations whose gradients differ on the first of these, and why on all of them."""
    if corners.pair.lacking((Trainable,)) or any((side, "float64") not in corners.learning() for side in corners.sides):
        return diagnosis
    examples = [Example(corners, *example) for example in batches]
    first = tuple(operations(corners, examples[0].pulled(())))
    proved = tuple(causes(examples)) if corners.backends[corners.sides[0]].EDITABLE and first else ()
    diagnosis = replace(diagnosis, operations=first)
    if not proved:
        return diagnosis
    if len(diagnosis.where) == 1:  # the loss, or what of a layer stands in nobody's code
        proved = tuple(replace(cause, where=cause.where or diagnosis.where[0]) for cause in proved)
    where = diagnosis.where or tuple(dict.fromkeys(cause.where for cause in proved))
    return replace(diagnosis, where=where, causes=proved, ruled_out=())


@dataclass(frozen=True)
class Form:
    """What the other side's gradient is of this one's: a cause's name, how it is said, and the change to it."""

    name: str
    claim: str
    fix: str
    change: Callable[[Array, Array], Array]
    past: bool = False


Change = tuple[Pull, Form, Operation, str]  # and TensorFlow's operation at the same place


class Example:
    """Weights and a batch, on which each side's loss ran once, with its gradients."""

    def __init__(self, corners: PairModels, weights: Weights, batch: Batch) -> None:
        corners.ensure(weights)
        self._ensure = partial(corners.ensure, weights)
        self._run, other = (
            corners.models[side, "float64"].record(batch.ids, True, GRADIENTS, batch.targets) for side in corners.sides
        )
        self._other: Trace = other.trace

    def pulled(self, pulls: Sequence[Pull]) -> Alignment:
        """Both runs, torch's with these changes to its gradients."""
        self._ensure()
        return aligned(self._run.pulled(pulls) if pulls else self._run.trace, self._other, "float64")


def operations(corners: PairModels, alignment: Alignment) -> Iterator[DifferingOperation]:
    """Of each side, the first operations, from the loss on, that make other gradients of equal ones."""
    for place, side in enumerate(corners.sides):
        entries: dict[Any, DifferingOperation] = {}
        for one in Backward(alignment, place).parted():
            line = (one.line.file, one.line.number, one.line.code) if one.line else ("", 0, "")
            entries.setdefault(
                (one.layer, line), DifferingOperation(side, f"gradient through {called(one)}", one.layer, *line)
            )
        yield from [*entries.values()][:FEW]


def _batch(corners: PairModels, seed: int) -> Batch:
    """A batch of the search's own."""
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
    back = Backward(first.pulled(()), 0)
    before = left = back.left()
    for _ in range(FAULTS):
        if not left:
            break
        tried = [
            (Backward(first.pulled(_pulls([*chosen, *new])), 0), new) for new in islice(product(*_proposed(back)), MANY)
        ]
        if not any(new for _, new in tried):
            return []
        back, more = min(tried, key=lambda one: one[0].left())
        chosen, left = [*chosen, *more], back.left()
    if left or not chosen or any(Backward(example.pulled(_pulls(chosen)), 0).left() for example in examples[1:]):
        return []
    return once([_cause(change, before) for change in chosen])


def _pulls(changes: Sequence[Change]) -> list[Pull]:
    return [pull for pull, *_ in changes]


def _cause(change: Change, before: float) -> Cause:
    _, form, one, there = change
    return Cause(form.name, one.layer, form.claim.format(f"{called(one)}{at(one)}") + there, form.fix, before, 0.0)


def _proposed(back: Backward) -> Iterator[list[Change]]:
    """Of each first operation that gives another gradient, and each operand of it, the forms that fit."""
    there = Backward(back.alignment, 1)
    for number, place, theirs in [*_own(back)] or _behind(back, there):
        one, value = back.own.operations[number], back.own.values[place].array
        use, result = back.use(number, place), back.own.gradients.get(one.makes[0])
        forms = {
            form.claim: form
            for of in theirs
            for form in _forms(use, of, result, value)
            if _fits(back, form, use, of, result, value)
        }
        if forms:
            behind = _there(back, [*there.parted()], one, place)
            yield [(Pull(number, place, form.change, form.past), form, one, behind) for form in forms.values()]


def _own(back: Backward) -> Iterator[tuple[int, int, list[Array | None]]]:
    """torch's first operations by their numbers, their operands, and what their counterparts give those."""
    for one in back.parted():
        number = next(n for n, of in enumerate(back.own.operations) if of is one)
        for place in {place: None for _, place in one.takes}:
            if back.parts(number, place):
                yield number, place, back.theirs(number, place)


def _behind(back: Backward, there: Backward) -> Iterator[tuple[int, int, list[Array | None]]]:
    """The same of TensorFlow's first operations that make the numbers that they take: what takes them in torch."""
    for one in there.parted():
        number = next(n for n, of in enumerate(there.own.operations) if of is one)
        takers = [of for of in there.own.operations if not {*one.makes}.isdisjoint(taken for _, taken in of.takes)]
        result = {twin for of in takers for result in of.makes for twin in there.twins(result)}
        for own in {taken: None for _, taken in one.takes}:
            for taker, of in enumerate(back.own.operations):
                for place in there.twins(own) & {place for _, place in of.takes}:
                    if not result.isdisjoint(of.makes):
                        yield taker, place, [there.use(number, own)]


def _fits(
    back: Backward, form: Form, use: Array | None, other: Array | None, result: Array | None, value: Array | None
) -> bool:
    passed = result if form.past else use
    if passed is None or value is None or (form.past and passed.shape != value.shape):
        return False
    with np.errstate(all="ignore"):
        return back.alike(form.change(passed, value), other)


def _forms(use: Array | None, other: Array | None, result: Array | None, value: Array | None) -> Iterator[Form]:
    none, nothing = (of is None or not of.any() for of in (use, other))
    if nothing:
        claim = "torch's gradient passes {}; no gradient passes there in tensorflow"
        yield Form("gradient stopped", claim, STOPPED, lambda of, _: np.zeros_like(of))
    if none and result is not None:
        claim = "no gradient passes torch's {}; in tensorflow it does"
        yield Form("gradient stopped", claim, STOPPED, lambda of, _: of, past=True)
    if use is not None and other is not None and not none and not nothing:
        factor = float(np.sqrt((other**2).sum() / (use**2).sum()))
        bound = float(np.abs(other).max())
        for sign in (1, -1):
            plain = sign * float(f"{factor:.6g}")
            for times in dict.fromkeys((plain, sign * factor)):
                claim = f"tensorflow's gradient is {times:.9g} times torch's through {{}}"
                fix = "take the factor out, or have it on both sides: what leads from there to the loss has it"
                yield Form("gradient scaled", claim, fix, partial(_times, times))
        claim = f"tensorflow's gradient is torch's through {{}}, cut off at {bound:.6g}"
        yield Form("clipped", claim, "cut the gradient off on both sides, or on neither", partial(_cut, bound))
    if result is not None and value is not None and not nothing:
        claim = "tensorflow's gradient goes past torch's {} as if it were the identity"
        fix = "a straight-through gradient on both sides, x + (f(x) - x).detach(), or on neither"
        yield Form("straight through", claim, fix, lambda of, _: of, past=True)
        for name, function in FUNCTIONS.items():
            claim = f"torch has the gradient of {{}}, tensorflow that of {name}"
            fix = f"the gradient of one function on both sides, {name}'s or the other"
            yield Form("activation", claim, fix, partial(_sloped, function), past=True)


def _times(factor: float, gradient: Array, _: Array) -> Array:
    return factor * gradient


def _cut(bound: float, gradient: Array, _: Array) -> Array:
    return np.clip(gradient, -bound, bound)


def _sloped(function: Function, gradient: Array, value: Array) -> Array:
    slope: Array = (function(value + STEP) - function(value - STEP)) / (2 * STEP)
    return gradient * slope


def _there(back: Backward, parted: Sequence[Operation], one: Operation, place: int) -> str:
    """TensorFlow's operation at the same place: what gives another gradient, stops it, or takes the value."""
    values = {twin for of in (*one.makes, place) for twin in back.twins(of)}
    takers = [of for of in back.other.operations if not values.isdisjoint(at for _, at in of.takes)]
    near = [of for of in parted if any(of is taker for taker in takers)] or (parted if len(parted) == 1 else [])
    near = [*near, *(of for of in takers if of.name in STOPS), *takers]
    return f": {called(near[0])}{at(near[0])}" if near else ""
