"""Both sides take more padding alike: of texts it changes no token's logits, on neither side.

More of it on the right; on the left too, where the pair claims that this changes nothing. Inputs with
padding of their own, ids without a tokenizer, become longer where the models take that, and otherwise more of
them is padding; whether a side should heed it is not for parity to say, and so the sides are compared alone.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.canonical.weights import Weights
from parity.checks.stage import Stage, View, Views
from parity.compare.judge import Verdict
from parity.dtypes import Inputs
from parity.inputs.arrays import Sample
from parity.inputs.edges import lengthened, shortened
from parity.pair.answer import Answer
from parity.pair.models import PairModels
from parity.strategies import Case, changed, texts_of

STAGE = Stage.ARRANGEMENT
FAILED = "outputs differ with more padding"
EXTRA = 6  # columns of padding, at most


def examples(corners: PairModels) -> SearchStrategy[tuple[Case, int, str] | Sample]:
    if corners.pair.inputs is not None:
        change = shortened if corners.exercised.one_length(EXTRA) else lengthened
        return changed(corners, change, st.integers(1, EXTRA))
    # Positions count from the left: padding there moves every token unless the model makes up for it.
    ends = ("right", "left") if corners.pair.left_padding else ("right",)
    drawn = texts_of(corners, EXTRA)
    return st.tuples(drawn, st.integers(1, EXTRA), st.sampled_from(ends))


def verify(corners: PairModels, example: tuple[Case, int, str] | Sample) -> list[Verdict]:
    """Judge each side's logits of the padded batch against those of the batch as drawn, and the sides."""
    if isinstance(example, Sample):
        return [square.judge(f"{name} of more padding") for name, square in corners.answers(example).items()]
    case, extra, end = example
    corners.ensure(case.weights)
    first, second = views(corners, example)
    short, padded = corners.logits(first.ids, first.mask), corners.logits(second.ids, second.mask)
    verdicts = [padded.judge("logits of the padded batch", places=second.mask)]
    for side in corners.sides:
        names = ("as drawn", f"with {extra} pads more on the {end}")
        own = Answer.to_both(side, short, padded, names)
        verdicts.append(own.judge(f"{side} logits under padding", places=first.mask))
    return verdicts


def views(corners: PairModels, example: tuple[Case, int, str]) -> Views:
    """The batch as drawn, and with more padding on one end; all tokens."""
    case, extra, end = example
    batch = case.batch(corners.tokenizer.pad)
    columns = ((0, 0), (0, extra) if end == "right" else (extra, 0))
    padded = np.pad(batch.ids, columns, constant_values=corners.tokenizer.pad)
    return Views(View(batch.ids, batch.mask), View(padded, np.pad(batch.mask, columns)))


def fed(corners: PairModels, example: tuple[Case, int, str] | Sample) -> tuple[Weights, Inputs]:
    """The padded batch."""
    if isinstance(example, Sample):
        return example.weights, example.inputs
    return example[0].weights, views(corners, example).second.ids
