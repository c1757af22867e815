"""More right padding never changes a token's logits: on neither side, and not between the sides."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.backends import SIDES
from parity.pair import Corners
from parity.runs import Square
from parity.square import Verdict, judge
from parity.strategies import Case, cases


def examples(corners: Corners) -> SearchStrategy[tuple[Case, int]]:
    return st.tuples(cases(corners.tokenizer), st.integers(1, 6))


def verify(corners: Corners, example: tuple[Case, int]) -> list[Verdict]:
    case, extra = example
    corners.ensure(case.weights)
    pad = corners.tokenizer.pad
    batch = case.batch(pad)
    ids, mask = np.pad(batch.ids, ((0, 0), (0, extra)), constant_values=pad), np.pad(batch.mask, ((0, 0), (0, extra)))
    short, padded = corners.logits(batch.ids, batch.mask), corners.logits(ids, mask)
    verdicts = [judge("logits of the padded batch", padded, places=mask)]
    for side in SIDES:
        names = ("as drawn", f"with {extra} pads more")
        own = Square.within(side, short, padded, names)
        verdicts.append(judge(f"{side} logits under padding", own, places=batch.mask))
    return verdicts
