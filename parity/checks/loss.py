"""Both sides compute the same loss: the masked mean cross entropy of texts, or the pair's own.

Losses of the pair's own (`loss=`) are given the same outputs, so that nothing else can differ; and the
same with each row twice, which tells a sum from a mean.

Of texts it is the mean over every target that is not padding: torch's `ignore_index` equals Keras's
masked loss, and each equals the formula in float64 by NumPy from that side's own logits z:
log(sum(exp(z))) - z[target], and with smoothed labels, of weight s, log(sum(exp(z))) -
(1 - s) * z[target] - s * mean(z). A target may be left out in the middle of a text. The mean over an
epoch whose last batch is short is the mean over all its tokens.
"""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.backends.protocol import Trainable
from parity.checks.stage import Stage
from parity.compare.judge import Verdict
from parity.dtypes import Array, transport_dtype
from parity.inputs.arrays import Sample
from parity.pair import criterion
from parity.pair.answer import Answer
from parity.pair.models import PairModels
from parity.strategies import LENGTH, ROWS, Case, inputs, texts_of, weights

NEEDS = (Trainable,)
STAGE = Stage.LOSS
FAILED = "losses differ"
COST = 2
SAME = "loss of the same outputs"


@dataclass(frozen=True)
class Example:
    """A case; the column whose targets are left out; the rows of a batch; how much labels are smoothed."""

    case: Case
    left_out: int
    size: int
    smoothing: float

    def batch(self, pad: int) -> tuple[Array, Array]:
        """Ids and targets; the mean over no token being undefined, a column stays if it holds the only ones."""
        batch = self.case.batch(pad)
        targets = batch.targets.copy()
        # In the middle of a text: a mask that is derived from lengths does not see it.
        targets[:, self.left_out : self.left_out + 1] = pad
        return batch.ids, targets if np.any(targets != pad) else batch.targets


def examples(corners: PairModels) -> SearchStrategy[Example | Sample]:
    if corners.pair.inputs is not None:
        return st.builds(Sample, weights(corners), inputs(corners, edges=False))  # the mean over no token is undefined
    drawn = texts_of(corners)
    return st.builds(Example, drawn, st.integers(0, LENGTH), st.integers(1, ROWS), st.sampled_from([0.1, 0.01, 0.5]))


def verify(corners: PairModels, example: Example | Sample) -> list[Verdict]:
    """Judge each side's losses against the formula by its own logits, and the sides against each other."""
    if isinstance(example, Sample):
        return _own(corners, example)
    corners.ensure(example.case.weights)
    ids, targets = example.batch(corners.tokenizer.pad)
    counted = targets != corners.tokenizer.pad
    wanted = targets[counted]
    logits, loss = corners.logits(ids, counted), corners.loss(ids, targets)
    plain, smooth = corners.losses(ids, targets), corners.losses(ids, targets, example.smoothing)
    smoothed = f"losses with labels smoothed by {example.smoothing}"
    claims = [  # subject, what a side gives, what it should equal
        ("loss", loss, logits.map(lambda z: _mean(formula(z, wanted)))),
        ("losses of each token", plain.map(lambda x: x[counted]), logits.map(lambda z: formula(z, wanted))),
        (smoothed, smooth.map(lambda x: x[counted]), logits.map(lambda z: formula(z, wanted, example.smoothing))),
        ("mean of the losses everywhere", plain.map(lambda x: _mean(x, len(wanted))), loss),
        ("loss of an epoch", _epoch(corners, ids, targets, example.size, loss), loss),
    ]
    # A confident loss is a small difference of large logits: their rounding is its rounding.
    scale = max(logits.float64_difference.scale, loss.float64_difference.scale)
    verdicts = [answer.judge(subject, scale=scale) for subject, answer, _ in claims]
    for subject, answer, expected in claims:
        for side in corners.sides:
            own = Answer.to_both(side, answer, expected, (side, "formula" if expected is not loss else "loss"))
            verdicts.append(own.judge(f"{side} {subject} against the {own.sides[1]}", scale=scale))
    return verdicts


def _own(corners: PairModels, example: Sample) -> list[Verdict]:
    """Judge the pair's own loss of the same outputs, and of these with each row twice.

    A loss that is infinite or NaN on both sides tells nothing, and is left out.
    """
    corners.ensure(example.weights)
    verdicts = []
    for subject, rows in ((SAME, example), (f"{SAME}, each row twice", example.chosen((*example.rows,) * 2))):
        square = criterion.loss(corners, rows.inputs, criterion.outputs_of(corners, rows.inputs))
        if any(array is not None and np.isfinite(array).all() for array in square.rows["float64"]):
            verdicts.append(square.judge(subject))
    return verdicts


def _epoch(corners: PairModels, ids: Array, targets: Array, size: int, whole: Answer) -> Answer:
    """The mean over an epoch of batches of `size` rows, each weighed by the targets that it counts.

    The answer has `whole`'s reruns, with which a verdict near a limit is tried again: both are the same mean.
    """
    counts = (targets != corners.tokenizer.pad).sum(1)
    # A batch of padding alone has no mean.
    parts = [slice(start, start + size) for start in range(0, len(ids), size) if counts[start : start + size].any()]
    losses = [corners.loss(ids[part], targets[part]) for part in parts]
    weights = np.array([counts[part].sum() for part in parts])

    def mean(dtype: str, place: int) -> Array | None:
        losses_of_place = [loss.rows[dtype][place] for loss in losses]
        return (
            None
            if losses_of_place[0] is None
            else _mean(np.array(losses_of_place) * weights.astype(transport_dtype(dtype)), weights.sum())
        )

    rows = {dtype: (mean(dtype, 0), mean(dtype, 1)) for dtype in losses[0].rows}
    return replace(whole, rows=rows)


def _mean(values: Array, count: int | None = None) -> Array:
    """A scalar array in the values' dtype, summed in float64."""
    return np.array(np.sum(values, dtype=np.float64) / (count or values.size), values.dtype)


def formula(logits: Array, targets: Array, smoothing: float = 0.0) -> Array:
    """Cross entropy in nats of each token: logits (tokens, vocab) and ids (tokens,) -> (tokens,), in the logits' dtype.

    Computed in float64, whatever the logits are in. The module's docstring has the formula.
    """
    wide = logits.astype(np.float64)
    top = wide.max(axis=-1)
    total = np.log(np.exp(wide - top[:, None]).sum(axis=-1)) + top
    target = wide[np.arange(len(targets)), targets]
    return np.asarray(total - (1 - smoothing) * target - smoothing * wide.mean(axis=-1), logits.dtype)
