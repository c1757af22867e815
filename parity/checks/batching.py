"""A row's output does not depend on the rows beside it: alone, repeated, in any order.

A normalization over the wrong axis, a mask that is shared, a statistic of the batch that is used in evaluation: all of
these give right outputs of the batch that somebody tried. Each side is held against itself, so a bug that both sides
share is found as well.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity import strategies
from parity.checks.stage import Stage, View, Views
from parity.compare.judge import Verdict
from parity.dtypes import Array
from parity.inputs.batch import Batch
from parity.pair.answer import Answer
from parity.pair.models import PairModels
from parity.strategies import ROWS, Example

STAGE = Stage.ARRANGEMENT
FAILED = "outputs differ in another batch"
COST = 2


def examples(corners: PairModels) -> SearchStrategy[tuple[Example, tuple[int, ...]]]:
    """A case, and the rows of its other batch by their places: one of them, all in another order, or some several
    times.
    """
    return strategies.examples(corners).flatmap(_arranged)


def _arranged(case: Example) -> SearchStrategy[tuple[Example, tuple[int, ...]]]:
    """An example, and the places of the rows that make up its other batch."""
    places = st.sampled_from(range(len(case.rows)))
    kinds = [st.lists(places, min_size=2, max_size=ROWS).map(tuple)]
    if len(case.rows) > 1:
        kinds += [st.tuples(places), st.permutations(range(len(case.rows))).map(tuple)]
    return st.tuples(st.just(case), st.one_of(kinds))


def verify(corners: PairModels, example: tuple[Example, tuple[int, ...]]) -> list[Verdict]:
    """Judge the other batch's outputs of both sides, and each side's own in both batches."""
    case, order = example
    corners.ensure(case.weights)
    batch, other = corners.batch(case), corners.batch(case.chosen(order))
    chosen = _places(batch, order)

    def rearranged(output: Array) -> Array:
        return np.take(output, chosen, 0)

    outputs = corners.outputs(other)
    names = ("in the batch as drawn", f"beside rows {', '.join(map(str, order))}")
    verdicts = [square.judge(f"{name} of the other batch", places=other.mask) for name, square in outputs.items()]
    for name, square in corners.outputs(batch).items():
        for side in corners.sides if square.reference.ndim else ():  # what has no axes is of all rows together
            own = Answer.to_both(side, square.map(rearranged), outputs[name], names)
            verdicts.append(own.judge(f"{side} {name} in another batch", places=other.mask))
    return verdicts


def _places(batch: Batch, order: tuple[int, ...]) -> Array:
    """Indices (n,) into the first axis of an output of `batch`, which give the rows of the other batch in their order.

    Of texts the first axis of the logits is of tokens, without padding; of other inputs it is the batch.
    """
    if batch.mask is None:
        return np.array(order)
    # Logits come without padding, row after row: a row's tokens end where the sum of the lengths is.
    ends = np.cumsum(batch.mask.sum(1))
    tokens = np.split(np.arange(ends[-1]), ends[:-1])
    return np.concatenate([tokens[place] for place in order])


def views(corners: PairModels, example: tuple[Example, tuple[int, ...]]) -> Views:
    """The batch as drawn, and the other one; the tokens of the other."""
    case, order = example
    batch, other = corners.batch(case), corners.batch(case.chosen(order))
    return Views(View(batch.ids, batch.mask, _places(batch, order)), View(other.ids, other.mask), beside=True)
