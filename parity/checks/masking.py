"""What stands at masked positions changes nothing: no token's logits, not the loss, no gradient.

The padding of a batch is overwritten with other ids in the inputs; the targets keep their padding.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.backends import SIDES
from parity.pair import Corners
from parity.runs import Square, norm
from parity.square import Verdict, judge
from parity.strategies import Case, cases

SHARE = 4
EXTRA = 2  # columns of padding, so that every batch has a masked position


def examples(corners: Corners) -> SearchStrategy[tuple[Case, int]]:
    return st.tuples(cases(corners.tokenizer), st.integers(1, corners.tokenizer.vocab - 1))


def verify(corners: Corners, example: tuple[Case, int]) -> list[Verdict]:
    case, filler = example
    corners.ensure(case.weights)
    pad = corners.tokenizer.pad
    batch = case.batch(pad)
    columns = ((0, 0), (0, EXTRA))
    ids, targets = (np.pad(array, columns, constant_values=pad) for array in (batch.ids, batch.targets))
    mask = np.pad(batch.mask, columns)
    scribbled = np.where(mask, ids, filler)
    names = ("padded", f"filled with {filler}")
    clean, dirty = corners.logits(ids, mask), corners.logits(scribbled, mask)
    loss, dirty_loss = corners.loss(ids, targets), corners.loss(scribbled, targets)
    gradients, dirty_gradients = corners.gradients(ids, targets), corners.gradients(scribbled, targets)
    scale = norm(gradients)
    verdicts = []
    for side in SIDES:
        own = Square.within(side, clean, dirty, names)
        verdicts.append(judge(f"{side} logits under masking", own, places=mask))
        own = Square.within(side, loss, dirty_loss, names)
        verdicts.append(judge(f"{side} loss under masking", own, scale=max(clean.meaning.scale, loss.meaning.scale)))
        for name, square in gradients.items():
            own = Square.within(side, square, dirty_gradients[name], names)
            verdicts.append(judge(f"{side} gradient of {name} under masking", own, scale=scale))
    return verdicts
