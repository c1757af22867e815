"""A row's logits do not depend on the rows beside it: alone, repeated, in any order."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.backends import SIDES
from parity.layers import Array
from parity.pair import Corners
from parity.runs import Square
from parity.square import Verdict, judge
from parity.strategies import ROWS, Case, cases

SHARE = 2


def examples(corners: Corners) -> SearchStrategy[tuple[Case, tuple[int, ...]]]:
    return cases(corners.tokenizer, corners.pair.length).flatmap(_arranged)


def _arranged(case: Case) -> SearchStrategy[tuple[Case, tuple[int, ...]]]:
    """A case, and the places of the rows that make up its other batch."""
    places = st.sampled_from(range(len(case.rows)))
    kinds = [st.lists(places, min_size=2, max_size=ROWS).map(tuple)]
    if len(case.rows) > 1:
        kinds += [st.tuples(places), st.permutations(range(len(case.rows))).map(tuple)]
    return st.tuples(st.just(case), st.one_of(kinds))


def verify(corners: Corners, example: tuple[Case, tuple[int, ...]]) -> list[Verdict]:
    case, order = example
    corners.ensure(case.weights)
    batch = case.batch(corners.tokenizer.pad)
    other = Case(case.weights, tuple(case.rows[place] for place in order)).batch(corners.tokenizer.pad)
    ends = np.cumsum(batch.mask.sum(1))
    tokens = np.split(np.arange(ends[-1]), ends[:-1])  # of each row, as they stand in the logits
    chosen = np.concatenate([tokens[place] for place in order])

    def rearranged(logits: Array) -> Array:
        return np.take(logits, chosen, 0)

    expected = corners.logits(batch.ids, batch.mask).map(rearranged)
    found = corners.logits(other.ids, other.mask)
    names = ("in the batch as drawn", f"beside rows {', '.join(map(str, order))}")
    verdicts = [judge("logits of the other batch", found, places=other.mask)]
    for side in SIDES:
        own = Square.within(side, expected, found, names)
        verdicts.append(judge(f"{side} logits in another batch", own, places=other.mask))
    return verdicts
