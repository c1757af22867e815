"""Both losses are the mean cross entropy over the targets that are not padding.

torch's `ignore_index` equals Keras's masked loss, and each equals the formula
mean(log(sum(exp(z))) - z[target]) computed in float64 by NumPy from that side's own logits.
"""

import numpy as np
from hypothesis.strategies import SearchStrategy

from parity.backends import SIDES
from parity.layers import Array
from parity.pair import Corners
from parity.runs import Square
from parity.square import Verdict, judge
from parity.strategies import Case, cases


def examples(corners: Corners) -> SearchStrategy[Case]:
    return cases(corners.tokenizer)


def verify(corners: Corners, example: Case) -> list[Verdict]:
    corners.ensure(example.weights)
    pad = corners.tokenizer.pad
    batch = example.batch(pad)
    counted = batch.targets != pad
    loss, logits = corners.loss(batch.ids, batch.targets), corners.logits(batch.ids, counted)
    # A confident loss is a small difference of large logits: their rounding is its rounding.
    scale = max(logits.meaning.scale, loss.meaning.scale)
    formula = logits.map(lambda array: masked_mean(array, batch.targets[counted]))
    verdicts = [judge("loss", loss, scale=scale)]
    for side in SIDES:
        against = Square.within(side, loss, formula, (side, "formula"))
        verdicts.append(judge(f"{side} loss against the formula", against, scale=scale))
    return verdicts


def masked_mean(logits: Array, targets: Array) -> Array:
    """Mean of log(sum(exp(z))) - z[target], in nats, in the logits' dtype; (tokens, vocab) and (tokens,)."""
    wide = logits.astype(np.float64)
    top = wide.max(axis=-1)
    total = np.log(np.exp(wide - top[:, None]).sum(axis=-1)) + top
    return np.array(np.mean(total - wide[np.arange(len(targets)), targets]), logits.dtype)
