"""From a finding to its causes: which layer or stage introduces the difference, and why."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from types import ModuleType
from typing import Any

from parity import checks
from parity.backends import BACKENDS
from parity.backends.hooks import Settings
from parity.backends.protocol import Recordable, Traceable
from parity.canonical.weights import Weights
from parity.checks.results import DifferingOperation, Outcome
from parity.checks.stage import OfLoss, Stage, fed
from parity.compare.judge import Verdict
from parity.diagnose import Cause, Diagnosis, operators
from parity.diagnose.layers import jointly
from parity.diagnose.locate import Located, one_side
from parity.diagnose.locate.hooks import CALL, inside
from parity.diagnose.located import diagnosed, located, places_of
from parity.diagnose.operators import pulls
from parity.diagnose.search import Explained, case_of
from parity.diagnose.specimens import elsewhere, specimen
from parity.diagnose.stages import (
    conversion,
    criterion,
    data,
    generation,
    gradients,
    inputs,
    loss,
    modes,
    optimizer,
    own_weights,
    processes,
    serialization,
    tokenizer,
)
from parity.diagnose.wording import named, with_computed
from parity.errors import ERRORS, reason
from parity.inputs.arrays import Sample
from parity.pair.models import PairModels

# stage -> its module of causes
STAGES: dict[Stage, ModuleType] = {
    Stage.TOKENIZER: tokenizer,
    Stage.DATA: data,
    Stage.LOSS: loss,
    Stage.OPTIMIZER: optimizer,
    Stage.GENERATION: generation,
    Stage.FILES: serialization,
}


def diagnose(corners: PairModels, outcome: Outcome) -> Diagnosis:
    """Where the first finding of a check's outcome comes from, and the causes that are proved.

    Whatever is raised on the way is one of its `errors`: a finding is never lost for want of a cause.
    """
    try:
        diagnosis = _diagnosed(corners, outcome)
        if stage_of(checks.named(outcome.name)) is Stage.GRADIENTS and not diagnosis.operations:
            diagnosis = backward(corners, outcome.findings[0].given, diagnosis)
        computed = {n: how for model in corners.models.values() for n, how in getattr(model, "computed", {}).items()}
        return named(with_computed(diagnosis, computed), corners.sides)
    except ERRORS as error:
        corners.forget()
        stage = stage_of(checks.named(outcome.name))
        return Diagnosis((stage.value,) if stage in STAGES else (), errors=(reason(error),))


def _diagnosed(corners: PairModels, outcome: Outcome) -> Diagnosis:
    """As `diagnose`, with whatever is raised: the first of these ways that leads to a cause, or to a place at least.

    A side that is a file has operations and no layers. What the check is about comes first: a stage or the user's own
    loss, parameters, parity's loss, training mode. Else the batch is run, layer by layer.
    """
    example, verdict, check = outcome.findings[0].given, outcome.worst, checks.named(outcome.name)
    stage = stage_of(check)
    if (reason := corners.pair.lacking((Traceable,))) and stage is not Stage.TOKENIZER:
        return of_operations(corners, check, example, reason)
    if of_stage := _of_stage(corners, stage, example, verdict):
        return of_stage
    if of_weights := _of_weights(corners, stage, example):
        return of_weights
    if isinstance(verdict, OfLoss) and (of_loss := diagnosed(*loss.explain(corners, example, verdict))).causes:
        return of_loss
    if stage is Stage.CALLS and verdict is not None and (of_modes := modes.explain(corners, example, verdict)):
        return of_modes
    if stage is Stage.PROCESSES and verdict is not None:
        return diagnosed(*processes.explain(corners, example, verdict), processes.WHERE)
    return _by_layers(corners, check, example)


def _by_layers(corners: PairModels, check: ModuleType | None, example: Any) -> Diagnosis:
    """Where a layer introduces a difference, that layer, and the operations in it; else call=, or a leak of both sides.

    The checks of calls compare training mode, too, so that it is run in either.
    """
    stage = stage_of(check)
    # The failing example was made small; what is richer tells causes apart that it does not.
    batches = specimen(corners, 0), batch_of(corners, check, example)
    for training, (weights, ids) in product((False, True) if stage is Stage.CALLS else (False,), batches):
        ids = modes.ready(corners, weights, ids, training)
        if causes := one_side.unsteady(corners, ids, training):
            return diagnosed(causes)
        located_layers, diagnosis = located(corners, ids, training, whole=training)
        if located_layers.introduces:
            # What nothing was asked of before `forward` keeps nothing from it.
            if check is not checks.forward and not training and (causes := one_side.aged(corners, ids)):
                return replace(diagnosis, causes=tuple(causes))
            diagnosis = diagnosis if training else by_operation(corners, diagnosis, Sample(weights, ids))
            return diagnosis if stage is Stage.GRADIENTS else of_gradients(corners, located_layers, diagnosis, example)
    if stage is Stage.OUTPUTS and (reason := inputs.parted(corners, ids, located_layers)):
        return by_operation(corners, replace(diagnosis, where=(CALL,), ruled_out=(reason,)), Sample(weights, ids))
    causes = hidden(corners, check, example)
    shown = " that float32 shows" if corners.reason else ""
    reason = f"no linked layer introduces a difference{shown}{_left(corners, stage)}"
    tried, errors = ((), ()) if causes else ((reason,), diagnosis.errors)
    return Diagnosis(places_of(causes), tuple(causes), tried, weaker=corners.reason, errors=errors)


def of_gradients(corners: PairModels, layers: Located, diagnosis: Diagnosis, example: Any) -> Diagnosis:
    """Add the operations whose gradients differ, and why, where those of layers do and no operation does."""
    alone = any(piece.fails for piece in layers.gradients) and not diagnosis.operations
    return backward(corners, example, diagnosis) if alone else diagnosis


def _of_stage(corners: PairModels, stage: Stage, example: Any, verdict: Verdict | None) -> Diagnosis | None:
    """The diagnosis of a stage that is no layer, or of losses of the pair's own; None where neither is to blame."""
    if corners.pair.loss and stage in (Stage.LOSS, Stage.GRADIENTS):
        own = criterion.explain(corners, example, backward=stage is Stage.GRADIENTS)
        if own is not None:  # what gradients are alone is looked for behind all ways
            diagnosis = diagnosed(*own, criterion.WHERE)
            return diagnosis if stage is Stage.GRADIENTS else by_operation(corners, diagnosis, example, loss=True)
    elif stage in STAGES and verdict is not None:
        explained: Explained = STAGES[stage].explain(corners, example, verdict)
        of_stage = diagnosed(*explained, stage.value)
        if not of_stage.causes and stage is Stage.OPTIMIZER and (samples := criterion.telling(corners)):
            # The steps are right, and the losses are not: on the examples of their own check they are alike.
            own = criterion.explain(corners, *samples[0])
            return of_losses(corners, diagnosed(*(own or ([], [])), criterion.WHERE), *samples[0])
        return of_stage
    return None


def of_operations(corners: PairModels, check: ModuleType | None, failing: Any, reason: str) -> Diagnosis:
    """Where and why a side that has no layers differs: the first operations of it that do."""
    stage = stage_of(check)
    if corners.pair.lacking((Recordable,)) or stage is Stage.FILES:
        where = (stage.value,) if stage is Stage.FILES else ()
        return Diagnosis(where, ruled_out=(f"{reason}: nothing inside of it was seen",))
    bare = [side for side, role in corners.pair.roles.items() if Traceable not in BACKENDS[role.backend].offers]
    if causes := one_side.drawing(corners, bare, specimen(corners, 0)):
        return diagnosed(causes)
    diagnosis = _of_weights(corners, stage, failing) or Diagnosis(weaker=corners.reason)
    for example in (specimen(corners, 0), batch_of(corners, check, failing)):  # the failing one was made small
        diagnosis = by_operation(corners, diagnosis, Sample(*example))
        if diagnosis.operations:
            break
    places = (one.layer for one in diagnosis.operations if one.side == bare[-1])
    return replace(diagnosis, where=(*dict.fromkeys(places),) or diagnosis.where)


def of_losses(corners: PairModels, diagnosis: Diagnosis, at: Sample, gradients: bool) -> Diagnosis:
    """Add the operations at which losses of a pair's own part, and why; of their gradients, if these alone differ."""
    return backward(corners, at, diagnosis) if gradients else by_operation(corners, diagnosis, at, loss=True)


def by_operation(corners: PairModels, diagnosis: Diagnosis, at: Sample, loss: bool = False) -> Diagnosis:
    """Add to a diagnosis the operations at which both runs part, and an edit of torch's run where no cause is known."""
    first: tuple[DifferingOperation, ...] = ()
    causes = diagnosis.causes
    search = bool(diagnosis.open) or not causes
    try:
        more = [(of.weights, of.inputs) for of, _ in criterion.telling(corners)] if loss else []
        others = (fed(corners, one) for one in checks.forward.beyond(corners))
        examples = [(at.weights, at.inputs), *elsewhere(corners), *more, *others]
        runs = operators.Examples(corners, examples, loss)  # recording them takes most of the time
        found_at = (tuple(operators.operations(runs, number)) for number in range(len(examples)))
        first = next(filter(None, found_at), ())  # an example may hide in rounding what another shows
        if first and search:
            causes = _together(diagnosis, operators.causes(runs.anew(_known(corners, diagnosis, at))))
            diagnosis = replace(diagnosis, open=()) if causes != diagnosis.causes else diagnosis
        if causes == diagnosis.causes and diagnosis.open:  # what one side's arrays are of the other's
            corners.ensure(at.weights)
            related = located(corners, at.inputs)[1]
            diagnosis = replace(related, errors=tuple(dict.fromkeys((*diagnosis.errors, *related.errors))))
            causes = diagnosis.causes
        if (first or loss) and not causes:
            causes = tuple(operators.exchanged(runs.anew({})))
            causes = causes or (tuple(criterion.related(corners, at)) if loss else ())
            doubt = "" if causes else operators.uneditable(corners)
            diagnosis = replace(diagnosis, errors=(*diagnosis.errors, *filter(None, [doubt])))
    except ERRORS as error:
        diagnosis = replace(diagnosis, errors=(*diagnosis.errors, reason(error)))
    place = criterion.WHERE if loss else CALL if diagnosis.where == (CALL,) else None
    causes = causes if place is None else tuple(replace(cause, where=place) for cause in causes)
    return replace(diagnosis, where=_where(diagnosis, causes), operations=first, causes=causes)


def _known(corners: PairModels, diagnosis: Diagnosis, example: Sample) -> Settings:
    """The settings of layers that are causes, with which the first side runs while others are looked for."""
    if not (diagnosis.open and diagnosis.causes) or operators.uneditable(corners):
        return {}
    model = corners.widest(corners.sides[0])
    corners.ensure(example.weights)
    try:
        settings = jointly.settled(corners, example.inputs, diagnosis.causes)
        with model.corrected(settings):
            return settings
    except ERRORS:  # a layer that has no such setting: all causes are looked for at once
        return {}


def _together(diagnosis: Diagnosis, edits: Sequence[Cause]) -> tuple[Cause, ...]:
    """The causes of layers, and the edits of what else differs."""
    layers = {cause.where for cause in diagnosis.causes} - {"", CALL}
    return (*diagnosis.causes, *(edit for edit in edits if edit.where not in layers)) if edits else diagnosis.causes


def _where(diagnosis: Diagnosis, causes: tuple[Cause, ...]) -> tuple[str, ...]:
    """The layers found; or those of the causes, where a mask is one, or where no layer found is or holds one."""
    places = places_of(causes)
    own = not {"", CALL}.isdisjoint(diagnosis.where)  # code of the user's, in which an operation has no layer
    others = not own and not any(inside(of, layer) for of in places for layer in diagnosis.where)
    if causes and not diagnosis.causes and (others or causes[0].name in ("mask of the inputs", "mask missing")):
        return places
    return diagnosis.where


def _left(corners: PairModels, stage: Stage) -> str:
    """What is left of a pair's own where no layer differs: the outputs agreed before gradients were looked at."""
    if stage in (Stage.GRADIENTS, Stage.LOSS, Stage.OPTIMIZER) and corners.pair.loss:
        return "; loss= is left: the models' outputs agree, and it makes something else of them or of the inputs"
    if corners.pair.call:
        return "; call= is left: it makes something else of the models' outputs"
    return ""


def backward(corners: PairModels, example: Any, diagnosis: Diagnosis) -> Diagnosis:
    """The same of gradients that differ alone: by the first operations that give others, or by what is trained."""
    diagnosis = pulls.placed(corners, example, diagnosis)
    if not diagnosis.causes and diagnosis.where == (criterion.WHERE,):
        return replace(diagnosis, causes=tuple(criterion.related_gradients(corners, example)))
    causes = () if diagnosis.causes else tuple(gradients.explain(corners))
    if len(diagnosis.where) == 1:
        causes = tuple(replace(cause, where=diagnosis.where[0]) for cause in causes)
    return replace(diagnosis, causes=causes) if causes else diagnosis


def _of_weights(corners: PairModels, stage: Stage, example: Any) -> Diagnosis | None:
    """The diagnosis of parameters that differ, where the stage is about them; None of another stage."""
    if stage is Stage.OUTPUTS and corners.pair.own_weights:
        carried = own_weights.explain(corners) or conversion.of_given(corners)
        return diagnosed(carried) if carried else None
    if stage is Stage.WEIGHTS:
        return diagnosed(*conversion.written(corners, example))
    if stage is Stage.CONVERSION and corners.carried is not None:
        return diagnosed(*conversion.explain(corners, corners.carried))
    return None


def stage_of(check: ModuleType | None) -> Stage:
    """The stage that a check is about."""
    stage: Stage = getattr(check, "STAGE", Stage.ARRANGEMENT)
    return stage


def batch_of(corners: PairModels, check: ModuleType | None, example: Any) -> tuple[Weights, Any]:
    """The weights and the batch on which a check failed."""
    batch: tuple[Weights, Any] = getattr(check, "fed", fed)(corners, example)
    return batch


def hidden(corners: PairModels, check: ModuleType | None, example: Any) -> list[Cause]:
    """Causes of leaks common to both sides: a token depends on positions that are hidden from it."""
    views = getattr(check, "views", None)
    if views is None or corners.pad is None:
        return []
    both = views(corners, example)
    if causes := one_side.leaking(corners, both):
        return causes
    case = case_of(example)
    return gradients.leaks(corners, case.weights, both, case.batch(corners.pad).targets)
