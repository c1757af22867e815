"""How a model is called changes nothing: a second time, outside tf.function, in training mode.

A second call gives identical bits, and no call in evaluation mode changes a parameter. In training
mode the outputs are compared, and the running statistics behind two calls: torch's variance is an
estimate from each batch and Keras's the batch's own, a known divergence, so the batch's own is kept
on both sides. Where one side draws at random and the other does not, that is a finding. Where both
do, the frameworks' own dropout and noise are switched off for these, and what is drawn is compared
by many draws (`parity.pair.draws`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import optree
from hypothesis.strategies import SearchStrategy

from parity import strategies
from parity.backends.protocol import BackendModel, Trainable
from parity.checks.known_divergences import show
from parity.checks.results import KnownDivergence
from parity.checks.stage import Stage
from parity.compare.exact import equal
from parity.compare.judge import Verdict, judge_exact
from parity.compare.messages import few
from parity.dtypes import Array
from parity.inputs.batch import Batch
from parity.pair import draws
from parity.pair.answer import Answer
from parity.pair.models import PairModels
from parity.pair.rehearsal import alone, rehearse

NEEDS = (Trainable,)
STAGE = Stage.CALLS
FAILED = "outputs differ by how the model is called"
COST = 5


@dataclass(frozen=True)
class Kept(Verdict):
    """A verdict on what two calls in training mode leave in a parameter."""

    parameter: str = ""

    @property
    def path(self) -> str:
        """The layer that has the parameter."""
        return self.parameter.rpartition(".")[0]


def examples(corners: PairModels) -> SearchStrategy[strategies.Example]:
    return strategies.examples(corners)


def verify(corners: PairModels, example: strategies.Example) -> list[Verdict]:
    """Call both models twice, eagerly and in training mode; judge what they give and what they leave behind."""
    corners.ensure(example.weights)
    batch, before = corners.batch(example), corners.shelf().keep(_held(corners))
    once, again, eager = corners.outputs(batch), corners.outputs(batch), corners.outputs(batch, eager=True)
    verdicts = []
    # Two calls of one trace give identical bits; a call outside the graph may round otherwise, and is judged as
    # rounding.
    for name, square in once.items():
        verdicts += [
            judge_exact(f"{run} {name}, called twice", first, second, ("first", "second"))
            for (run, _, first), (_, _, second) in zip(square.present, again[name].present, strict=True)
        ]
        for side in corners.sides:
            own = Answer.to_both(side, square, eager[name], ("as called", "called eagerly"))
            verdicts.append(own.judge(f"{side} {name} outside a graph", places=batch.mask))
    verdicts += [
        judge_exact(f"{subject} after calls", before[subject], array, ("before", "after"))
        for subject, array in _held(corners)
    ]
    return verdicts + _training(corners, trainable(batch))


def known(corners: PairModels) -> list[KnownDivergence]:
    """The frameworks' own running statistics beside those of the batches, of a pair that has such a layer."""
    if all(kind != "batch_norm" for kind, _ in corners.layout.values()):
        return []
    return [
        show(framework, name, *arrays)
        for framework, backend in corners.frameworks.items()
        for name, arrays in backend.statistics().items()
    ]


def _held(corners: PairModels) -> Iterator[tuple[str, Array]]:
    """Every parameter of both sides' float32 models, "side layer.parameter" -> array."""
    for side in corners.sides:
        for name, array in corners.models[side, "float32"].parameters().items():
            yield f"{side} {name}", array


def trainable(batch: Batch) -> Batch:
    """A batch for training mode: a lone row is in it twice, since batch normalization refuses a single value, which has
    no variance.
    """
    leaves = optree.tree_leaves(batch.ids)
    if len(leaves[0]) > 1:
        return batch
    ids = optree.tree_map(lambda array: np.repeat(array, 2, 0), batch.ids)
    return Batch(ids, None, None if batch.mask is None else np.repeat(batch.mask, 2, 0))


def _training(corners: PairModels, batch: Batch) -> list[Verdict]:
    """Judge two calls in training mode: whether they draw, what they draw, what they give without it,
    what they leave.
    """
    models = [corners.models[side, "float32"] for side in corners.sides]
    moving = {side: ", ".join(sorted(of.moving)) for side, of in zip(corners.sides, models, strict=True) if of.moving}
    if moving:  # it was made a weight, which the user's model has not in this mode
        names = "; ".join(f"{side} computes {of} otherwise there" for side, of in moving.items())
        corners.exercised.leave_out("training mode", names)
        return []
    before = [model.modes.state() for model in models]
    answers = rehearse(corners, batch)
    # Whether it draws is read from two calls of one model, not from its layers: any code may draw.
    drawn = _unequal(answers)
    for place, model in enumerate(models):
        if drawn[place].any() and answers["kept"]:  # what the first call kept may show in the second
            drawn[place] &= draws.differs(model, batch.ids)
        # Two calls may have drawn the same.
        # Two calls are cheap and mostly enough. Many copies are drawn only where the sides disagree, or a model has a
        # dropout or a generator whose state moved, and yet two calls were the same.
        if not drawn[place].all() and (drawn.any() or model.modes.rates() or model.modes.state() != before[place]):
            drawn[place] = draws.random(model, batch.ids)
    one, other = corners.sides
    verdicts = [judge_exact("whether training mode draws at random", drawn[0], drawn[1], (one, other))]
    if drawn.any():
        both = draws.compare(corners, batch.ids) if drawn.all() else []
        if drawn.all() and not both:
            corners.exercised.leave_out("what both sides draw", "the inputs cannot be given many times in one batch")
        verdicts += both
        # A user's own dropout cannot be switched off: what training mode gives is then not comparable beyond its draws.
        if _still_draws(corners, batch):
            return verdicts
        answers = rehearse(corners, batch, still=True)
    outputs = [of.judge(f"{name} in training mode", places=batch.mask) for name, of in answers["first"].items()]
    if any(verdict.fails for verdict in outputs) and _left_out(corners, batch):
        return verdicts
    return verdicts + outputs + kept(answers)


def _left_out(corners: PairModels, batch: Batch) -> bool:
    """Whether one side alone has statistics that training mode takes, as of a norm that the other has folded: it says
    so. Where each has some that the other has not, they are the same in another form, and are compared.
    """
    lone = alone(corners, batch) if corners.pair.own_weights else {}
    for side, names in lone.items() if len(lone) == 1 else ():
        how = f"{side} changes {few(names)}, which the other side holds nowhere"
        corners.exercised.leave_out("outputs in training mode", how)
    return len(lone) == 1


def _still_draws(corners: PairModels, batch: Batch) -> bool:
    """Whether either side draws at random with the framework's own dropout and noise switched off.

    Once it does, it is taken to do so in all examples of a check. The many calls on the inputs as they are
    (`draws.SINGLE`) are made in the first example only.
    """
    # `decided` is the check's memory between examples; None where nobody runs a check.
    decided = {} if corners.decided is None else corners.decided
    if not decided.get("still draws"):
        alone = 0 if "still draws" in decided else draws.SINGLE
        models = [corners.models[side, "float32"] for side in corners.sides]
        decided["still draws"] = any(still_draws(model, batch, alone) for model in models)
    return decided["still draws"]


def still_draws(model: BackendModel, batch: Batch, alone: int = draws.SINGLE) -> bool:
    """Whether a model draws where the framework's own dropout and noise are switched off."""
    with model.modes.still():
        return bool(draws.random(model, batch.ids, alone).any())


def kept(answers: Mapping[str, Mapping[str, Answer]]) -> list[Kept]:
    """Judge what two calls in training mode leave in each parameter that they change."""
    verdicts = {name: of.judge(f"{name} after two calls in training mode") for name, of in answers["kept"].items()}
    return [Kept(**vars(verdict), parameter=name) for name, verdict in verdicts.items()]


def _unequal(answers: Mapping[str, Mapping[str, Answer]]) -> Array:
    """Whether two calls give different bits: (sides, outputs), bool, in float32."""
    pairs = [
        (square.rows["float32"], answers["second"][name].rows["float32"]) for name, square in answers["first"].items()
    ]
    return np.array([[not _equal(ours[side], theirs[side]) for ours, theirs in pairs] for side in (0, 1)])


def _equal(first: Array | None, second: Array | None) -> bool:
    """Whether two runs gave the same bits, NaN like NaN; a run that there is not equals none."""
    return first is not None and second is not None and equal(first, second)
