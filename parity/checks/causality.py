"""A later token never changes an earlier one's logits: on neither side."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.backends import SIDES
from parity.corners import Corners
from parity.runs import Square
from parity.square import Verdict, judge
from parity.strategies import Case, cases

SHARE = 2


def examples(corners: Corners) -> SearchStrategy[tuple[Case, int, int]]:
    def cut(case: Case) -> SearchStrategy[tuple[Case, int, int]]:
        time = max(map(len, case.rows)) - 1
        return st.tuples(st.just(case), st.integers(1, time - 1), st.integers(1, corners.tokenizer.vocab - 1))

    drawn = cases(corners.tokenizer, corners.pair.length)
    return drawn.filter(lambda case: max(map(len, case.rows)) > 2).flatmap(cut)


def verify(corners: Corners, example: tuple[Case, int, int]) -> list[Verdict]:
    case, kept, shift = example
    corners.ensure(case.weights)
    batch = case.batch(corners.tokenizer.pad)
    early = batch.mask.copy()
    early[:, kept:] = False
    changed = batch.ids.copy()
    changed[:, kept:] = (changed[:, kept:] + shift) % corners.tokenizer.vocab  # every one another
    before, after = corners.logits(batch.ids, early), corners.logits(changed, early)
    names = ("as drawn", f"other ids from position {kept} on")
    return [
        judge(f"{side} logits before a change", Square.within(side, before, after, names), places=early)
        for side in SIDES
    ]
