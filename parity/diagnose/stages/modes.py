"""Why training mode differs in what it draws or keeps: another rate of a dropout, another momentum.

A setting is proved if TensorFlow's models draw, or keep, what torch's do with another value of it: torch's own, or what
a rate leaves, as of a probability to keep that is taken for one to drop.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from parity.backends.modes import Setting
from parity.canonical.weights import Weights
from parity.checks import calls
from parity.compare.judge import Verdict
from parity.compare.messages import few
from parity.diagnose import Cause, Diagnosis
from parity.diagnose.constants import told as constant
from parity.diagnose.located import diagnosed
from parity.diagnose.search import needed
from parity.diagnose.stages import drop_places
from parity.dtypes import Inputs
from parity.inputs.batch import Batch
from parity.pair import draws
from parity.pair.models import PairModels
from parity.pair.rehearsal import rehearse

ARGUMENTS = {"deviation": "stddev"}  # canonical setting -> the argument of Keras's layer, where it is another
Values = Mapping[Setting, float]
Again = Callable[[], Sequence[Verdict]]


def explain(corners: PairModels, example: Any, verdict: Verdict) -> Diagnosis | None:
    """The diagnosis of what is drawn or kept in training mode; None if the verdict is of something else.

    Outputs of two models that draw cannot be compared: how much is drawn is (`pair.draws`), and what is kept of it.
    """
    batch = calls.trainable(corners.batch(example))
    corners.ensure(example.weights)
    if frozen := _frozen(corners, batch, verdict):
        return diagnosed(frozen)
    if not isinstance(verdict, draws.Drawn | calls.Kept):
        return None
    if isinstance(verdict, draws.Drawn):
        theirs = corners.models[corners.sides[1], "float32"].modes
        where, tried = verdict.path or _drawing(corners, batch, theirs.rates()), "the rates of what draws"
        causes = _causes(corners, _rates(corners, batch), partial(draws.compare, corners, batch.ids), verdict)
    else:
        where, tried = verdict.path, "momentum"
        causes = _momenta(corners, lambda: calls.kept(rehearse(corners, batch, still=True)), verdict)
    if not causes and isinstance(verdict, draws.Drawn):
        causes = drop_places.explain(corners, example.weights, batch.ids)
    if causes:
        return diagnosed(causes)
    return Diagnosis((where,), ruled_out=(f"{tried}: made equal where both sides have one, the difference is left",))


def ready(corners: PairModels, weights: Weights, ids: Inputs, training: bool) -> Inputs:
    """Load weights; the inputs, of which training mode takes no lone row."""
    corners.ensure(weights)
    return calls.trainable(Batch(ids, None, None)).ids if training else ids


def _frozen(corners: PairModels, batch: Batch, verdict: Verdict) -> list[Cause]:
    """Batch normalization stays in evaluation mode on one side: what leaves nothing where the other's does, too."""

    def judged() -> list[Verdict]:
        runs = rehearse(corners, batch, still=True)
        outputs = [of.judge(f"{name} in training mode") for name, of in runs["first"].items()]
        return [*calls.kept(runs), *outputs]

    failing = [of for of in judged() if of.fails]  # by what each layer keeps and the outputs, as both sides run
    if verdict.subject not in {of.subject for of in failing}:
        return []
    for side, other in (corners.sides, corners.sides[::-1]):
        with contextlib.ExitStack() as stack:
            for (of, _), model in corners.models.items():
                if of == side:
                    stack.enter_context(model.modes.frozen())
            left = judged()
        if not any(of.fails for of in left):
            # A statistic that is not among them any more is changed by neither side: the bits are the same.
            after = next((of.figure for of in left if of.subject == verdict.subject), 0.0)
            layers = dict.fromkeys(of.path for of in failing if isinstance(of, calls.Kept))
            claim = f"{other} does not train it: it normalizes by its running statistics in training mode, too; {side}"
            fix = "training=training where it is called, and trainable=True, or train() and not eval() of torch"
            return [
                Cause("training mode", path, f"{claim} by the batch's own", fix, verdict.figure, after)
                for path in layers
            ]
    return []


def _rates(corners: PairModels, batch: Batch) -> Iterator[Values]:
    """What TensorFlow's layers may have to draw by: by names, by the order of calls, what each rate leaves."""
    model, other = (corners.models[side, "float32"] for side in corners.sides)
    ours, theirs = model.modes.rates(), other.modes.rates()
    yield {key: ours[key] for key in theirs if key in ours}
    # A functional dropout has no layer and no name: what is left is the order in which rates come up in a run.
    with model.modes.observed():
        called = model.modes.dropped(lambda: model.outputs(batch.ids, eager=True, training=True))
    for rates in (list(ours.values()), called):
        if len(rates) == len(theirs):
            yield dict(zip(theirs, rates, strict=True))
    # A probability to keep that was taken for one to drop.
    yield {key: 1 - rate for key, rate in theirs.items() if key[1] == "rate"}


def _momenta(corners: PairModels, again: Callable[[], Sequence[calls.Kept]], verdict: calls.Kept) -> list[Cause]:
    """A cause for each two momenta that differ, of all layers that have them and keep something else."""
    ours, theirs = (corners.models[side, "float32"].modes.momenta() for side in corners.sides)
    parted = {of.path for of in again() if of.fails}
    values = {key: ours[key] for key in theirs if key[0] in parted and ours.get(key, theirs[key]) != theirs[key]}
    with _having(corners, values):
        left = {of.subject: of for of in again()}
    if not values or any(of.fails for of in left.values() if (of.path, "momentum") in values):
        return []
    layers: dict[tuple[float, float], list[str]] = {}
    for key, value in values.items():
        layers.setdefault((value, theirs[key]), []).append(key[0])
    nodes, after = corners.models[corners.sides[1], "float32"].named_modules(), left[verdict.subject].figure
    causes = []
    for (our, other), paths in layers.items():
        new = constant(round(1 - our, 12))  # torch's arguments are shares of what is new
        description = f"{corners.sides[0]} keeps {constant(our)} of running statistics (momentum={new} there), "
        description += f"{corners.sides[1]} {constant(other)}" + (f", in {len(paths)} layers" if len(paths) > 1 else "")
        fix = f"momentum={constant(our)} in {nodes[paths[0]]} {few(paths)}"
        causes.append(Cause("momentum", paths[0], description, fix, verdict.figure, after))
    return causes


def _causes(corners: PairModels, candidates: Any, again: Again, verdict: Verdict) -> list[Cause]:
    """Of the first candidate that leaves no difference, the values that it needs."""
    modes = corners.models[corners.sides[1], "float32"].modes
    theirs = modes.rates()
    for values in candidates:
        keys = [key for key, value in values.items() if theirs[key] != value]

        def left(some: Sequence[Setting], values: Values = values) -> float | None:
            return _left(corners, {key: values[key] for key in some}, again, verdict)

        if keys and left(keys) is not None:
            keys = needed(keys, lambda some: left(some) is not None)
            after = left(keys) or 0.0
            return [_cause(corners, key, theirs[key], values[key], verdict, after) for key in keys]
    return []


def _cause(corners: PairModels, key: Setting, theirs: float, ours: float, verdict: Verdict, after: float) -> Cause:
    """The cause that one setting of the second side's is `theirs`, and draws as the first side does with `ours`."""
    path, setting = key
    argument = ARGUMENTS.get(setting, setting)
    one, other = corners.sides
    fix = f"{argument}={constant(ours)} in {corners.models[other, 'float32'].named_modules()[path]} {path}"
    saying = f"{other} {path} has {argument} {constant(theirs)}; with {constant(ours)} it draws as {one} does"
    return Cause("dropout", path, saying, fix, verdict.figure, after)


def _drawing(corners: PairModels, batch: Batch, rates: Values) -> str:
    """The one layer of TensorFlow's that draws; the code between layers, if there are several or it draws itself."""
    itself = calls.still_draws(corners.models[corners.sides[1], "float32"], batch)
    return next(iter(rates))[0] if len(rates) == 1 and not itself else ""


def _left(corners: PairModels, values: Values, again: Again, verdict: Verdict) -> float | None:
    """The figure of a verdict where TensorFlow has these values; None where one fails, or it is compared no more."""
    with _having(corners, values):
        judged = {of.subject: of for of in again()}
    if verdict.subject not in judged or any(of.fails for of in judged.values()):
        return None
    return judged[verdict.subject].figure


@contextlib.contextmanager
def _having(corners: PairModels, values: Values) -> Iterator[None]:
    """Inside, the second side's models have these settings, in every precision."""
    with contextlib.ExitStack() as stack:
        for (side, _), model in corners.models.items():
            if side == corners.sides[1]:
                stack.enter_context(model.modes.having(values))
        yield
