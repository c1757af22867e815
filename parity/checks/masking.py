"""Both sides take what stands at padding alike: of texts it changes no token's logits, no loss, no gradient.

Padding is added, a row of nothing else among it, and overwritten with another id in the inputs; the
targets keep their padding. An id of padding inside a text is an input like any other. In
inputs with padding of their own, ids without a tokenizer, it becomes another id, and the sides are compared alone.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.backends.protocol import Trainable
from parity.checks.stage import OfLoss, Stage, View, Views
from parity.compare.judge import Verdict
from parity.compare.square import norm
from parity.inputs.arrays import Sample
from parity.inputs.edges import overwritten
from parity.pair.answer import Answer
from parity.pair.models import PairModels
from parity.strategies import Case, changed, texts_of

STAGE = Stage.ARRANGEMENT
FAILED = "results differ with other padding"
COST = 4
EXTRA = 2  # columns of padding
MORE = ((0, 1), (0, EXTRA))  # a row, and columns
FILLER = 2**16  # the largest number that becomes an id of a text's vocabulary, modulo its size


def examples(corners: PairModels) -> SearchStrategy[tuple[Case, int] | Sample]:
    if corners.pair.inputs is not None:
        return changed(corners, overwritten, st.integers(0, FILLER))
    drawn = texts_of(corners, EXTRA)
    return st.tuples(drawn, st.integers(0, corners.tokenizer.vocab - 1))


def verify(corners: PairModels, example: tuple[Case, int] | Sample) -> list[Verdict]:
    """Judge each side's logits, loss and gradients with more padding, overwritten, against those without."""
    if isinstance(example, Sample):
        return [square.judge(f"{name} without padding") for name, square in corners.answers(example).items()]
    case, filler = example
    corners.ensure(case.weights)
    batch = case.batch(corners.tokenizer.pad)
    first, second = views(corners, example)
    targets = np.pad(batch.targets, MORE, constant_values=corners.tokenizer.pad)
    names = ("as drawn", f"with {filler} at masked positions")
    clean, dirty = corners.logits(first.ids, first.mask), corners.logits(second.ids, second.mask)
    losses = () if corners.pair.lacking((Trainable,)) else ((batch.ids, batch.targets), (second.ids, targets))
    loss, dirty_loss = [corners.loss(*one) for one in losses] or (None, None)
    # Models with weights of their own share no parameter names to compare gradients by.
    batches = () if corners.pair.own_weights else losses
    gradients, dirty_gradients = [corners.gradients(*one) for one in batches] or ({}, {})
    scale = norm(gradients)
    verdicts = []
    for side in corners.sides:
        own = Answer.to_both(side, clean, dirty, names)
        verdicts.append(own.judge(f"{side} logits under masking", places=batch.mask))
        if loss is not None and dirty_loss is not None:
            own, scale_of = (
                Answer.to_both(side, loss, dirty_loss, names),
                max(clean.float64_difference.scale, loss.float64_difference.scale),
            )
            verdicts.append(OfLoss(**vars(own.judge(f"{side} loss under masking", scale=scale_of))))
        for name, square in gradients.items():
            own = Answer.to_both(side, square, dirty_gradients[name], names)
            if own.reference.size:  # not frozen on this side
                verdicts.append(own.judge(f"{side} gradient of {name} under masking", scale=scale))
    return verdicts


def views(corners: PairModels, example: tuple[Case, int]) -> Views:
    """The batch as drawn, and with more padding, all of it overwritten; all tokens."""
    case, filler = example
    batch = case.batch(corners.tokenizer.pad)
    mask = np.pad(batch.mask, MORE)
    return Views(View(batch.ids, batch.mask), View(np.where(mask, np.pad(batch.ids, MORE), filler), mask))
