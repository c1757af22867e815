"""Why training mode differs in what it draws or keeps: another rate of a dropout, another momentum.

A setting is proved if TensorFlow's models with torch's value draw, or keep, what torch's do.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parity import draws
from parity.backends import SIDES
from parity.backends.modes import Setting
from parity.batch import Batch
from parity.checks import calls
from parity.corners import Corners
from parity.diagnose import Cause, Diagnosis
from parity.diagnose.numbers import told
from parity.square import Verdict

OTHER = SIDES[1]
ARGUMENTS = {"deviation": "stddev"}
Pairs = Sequence[tuple[Setting, Setting]]  # torch's and TensorFlow's of one meaning


def explain(corners: Corners, given: Any, verdict: Verdict) -> Diagnosis | None:
    """The diagnosis of what is drawn or kept in training mode; None if the verdict is of something else."""
    batch = calls.trainable(corners.batch(given))
    corners.ensure(given.weights)
    ours, theirs = (corners.models[side, "float32"].modes for side in SIDES)
    drawn = verdict.subject in [of.subject for of in draws.compare(corners, batch.ids)]
    if drawn:
        rates = ours.rates(), theirs.rates()
        found = _causes(corners, "dropout", rates, paired(*rates), lambda: draws.compare(corners, batch.ids), verdict)
        where = (_drawing(corners, batch, rates[1]),)
    elif verdict.subject.endswith(calls.KEPT):
        momenta = ours.momenta(), theirs.momenta()
        where = (verdict.subject.removesuffix(f" {calls.KEPT}").rpartition(".")[0],)
        keys = [(key, key) for key in momenta[0] if key in momenta[1] and key[0] == where[0]]
        found = _causes(corners, "momentum", momenta, keys, lambda: calls.kept(corners, batch), verdict)
    else:
        return None
    causes, ruled_out = found
    return Diagnosis(tuple(dict.fromkeys(c.where for c in causes)) or where, tuple(causes), tuple(ruled_out))


def paired(ours: Mapping[Setting, float], theirs: Mapping[Setting, float]) -> Pairs:
    """Settings of one meaning: those of one name, and the others in their order, if there are as many of them."""
    found = [(key, key) for key in ours if key in theirs]
    left, right = [key for key in ours if key not in theirs], [key for key in theirs if key not in ours]
    if [what for _, what in left] == [what for _, what in right]:
        found += zip(left, right, strict=True)
    return found


def _causes(
    corners: Corners,
    name: str,
    values: tuple[Mapping[Setting, float], Mapping[Setting, float]],
    pairs: Pairs,
    again: Any,
    verdict: Verdict,
) -> tuple[list[Cause], list[str]]:
    ours, theirs = values
    unequal = [(one, other) for one, other in pairs if ours[one] != theirs[other]]
    what = "momentum" if name == "momentum" else "rates"
    if not unequal:
        return [], [f"{what}: those that both sides have are the same"]
    if _left(corners, ours, unequal, again):
        return [], [f"{what}: made equal, the difference is left"]
    needed = list(unequal)
    for pair in unequal if len(unequal) > 1 else ():
        fewer = [other for other in needed if other != pair]
        if not _left(corners, ours, fewer, again):
            needed = fewer
    with _having(corners, ours, needed):
        after = next((of.figure for of in again() if of.subject == verdict.subject), 0.0)
    kinds = corners.models[OTHER, "float32"].nodes()
    return [
        Cause(
            name,
            other[0],
            _told(one, ours[one], other, theirs[other]),
            f"{ARGUMENTS.get(other[1], other[1])}={told(ours[one])} in {kinds.get(other[0], '')} {other[0]}",
            verdict.figure,
            after,
        )
        for one, other in needed
    ], []


def _told(one: Setting, ours: float, other: Setting, theirs: float) -> str:
    if one[1] == "momentum":
        rest = told(round(1 - ours, 12))
        return f"torch keeps {told(ours)} of running statistics (momentum={rest} there), tensorflow {told(theirs)}"
    return f"torch {one[0]} {one[1]} {told(ours)}, tensorflow {other[0]} {other[1]} {told(theirs)}"


def _drawing(corners: Corners, batch: Batch, rates: Mapping[Setting, float]) -> str:
    """The one layer of TensorFlow's that draws; the model's own code, if there are several or it draws itself."""
    itself = calls.still_draws(corners.models[OTHER, "float32"], batch)
    return next(iter(rates))[0] if len(rates) == 1 and not itself else ""


def _left(corners: Corners, ours: Mapping[Setting, float], pairs: Pairs, again: Any) -> bool:
    """Whether a difference is left where TensorFlow has torch's values."""
    with _having(corners, ours, pairs):
        return any(of.fails for of in again())


@contextlib.contextmanager
def _having(corners: Corners, ours: Mapping[Setting, float], pairs: Pairs) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for (side, _), model in corners.models.items():
            if side == OTHER:
                stack.enter_context(model.modes.having({other: ours[one] for one, other in pairs}))
        yield
