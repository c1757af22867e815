"""Where loaded models part on a batch, layer by layer, and why each of these layers does."""

from collections.abc import Sequence
from functools import partial

from parity.diagnose import Cause, Diagnosis
from parity.diagnose.layers import explain
from parity.diagnose.layers.jointly import jointly
from parity.diagnose.locate import Located, locate
from parity.diagnose.locate.captures import segments
from parity.diagnose.locate.hooks import CALL
from parity.diagnose.locate.segment import Segment
from parity.diagnose.specimens import elsewhere, specimen
from parity.diagnose.stages import inputs
from parity.diagnose.wording import place
from parity.dtypes import Inputs
from parity.errors import ERRORS, reason
from parity.pair.models import PairModels


def located(corners: PairModels, ids: Inputs, training: bool = False, whole: bool = True) -> tuple[Located, Diagnosis]:
    """Where the loaded weights' models part on ids (batch, time), and why.

    What is raised while a cause is looked for is one of the diagnosis's `errors`; the places stand. Unless `whole`,
    no cause is looked for that an edit of what ran would say better.
    """
    result, loaded = locate(corners, ids, training), corners.loaded
    ruled_out: list[str] = []
    unexplained: list[str] = []
    errors = [] if result.introduces else list(result.errors)
    causes, captured = _captured(corners, ids, result, training, errors)
    for segment in captured:
        try:
            proved, tried = explain(segment, whole)
        except ERRORS as error:
            proved, tried = [], []
            errors.append(f"{place(segment.path)}: {reason(error)}")
        known = {(cause.name, cause.where) for cause in causes}
        causes += [cause for cause in proved if (cause.name, cause.where) not in known]
        ruled_out += tried
        unexplained += [] if proved or segment.unstable else [segment.path]
    if loaded is not None:  # a cause is proved at other weights, too
        corners.ensure(loaded)
    where = [piece.path for piece in result.introduces]
    if CALL in where and not whole:
        unexplained.append(CALL)
    elif CALL in where:
        try:
            others = [specimen(corners, seed)[1] for seed in range(1, 4)]
            causes, ruled_out = inputs.blamed(corners, [ids, *others], result)
        except ERRORS as error:
            errors.append(f"{CALL}: {reason(error)}")
    if causes and all(cause.where not in where for cause in causes):
        where = [cause.where for cause in causes]
    places = tuple(dict.fromkeys(where))
    return result, Diagnosis(
        places, tuple(causes), tuple(ruled_out), result.layers, tuple(errors), result.weaker, open=tuple(unexplained)
    )


def _captured(
    corners: PairModels, ids: Inputs, result: Located, training: bool, errors: list[str]
) -> tuple[list[Cause], list[Segment]]:
    """The causes that settings of several layers are together; without such, what differs, each to be explained alone.

    What is raised is one more of `errors`.
    """
    others = partial(elsewhere, corners)
    try:
        if not training and (causes := jointly(corners, ids, result, others)):
            return causes, []
    except ERRORS as error:
        errors.append(reason(error))
    try:
        return [], segments(corners, ids, result, training, others)
    except ERRORS as error:
        errors.append(reason(error))
    return [], []


def places_of(causes: Sequence[Cause]) -> tuple[str, ...]:
    """Where causes are, each place once."""
    return tuple(dict.fromkeys(cause.where for cause in causes))


def diagnosed(causes: Sequence[Cause], ruled_out: Sequence[str] = (), where: str = "") -> Diagnosis:
    """What is said of causes: their places, or where there are none the place `where`, if that is one."""
    places = places_of(causes) or tuple(filter(None, [where]))
    return Diagnosis(places, tuple(causes), tuple(ruled_out))
