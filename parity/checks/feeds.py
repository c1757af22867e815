"""Each framework's own data path gives the reference batches: ids, targets, order, dtype, padding.

DataLoader with a sampler and pad_sequence, and tf.data with padded_batch: any texts, in any order,
cut to any length on either side, in batches of any size, the last one short. Texts of fewer than two
tokens are dropped. Without their padding the batches are the rows again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.backends.protocol import Plan, Trainable
from parity.checks.stage import Stage
from parity.compare.judge import Verdict, judge_exact
from parity.dtypes import Array
from parity.inputs.batch import batches, rows_of, unpad
from parity.pair.models import PairModels
from parity.strategies import texts

NEEDS = (Trainable,)
STAGE = Stage.DATA
FAILED = "batches differ"
LONGEST = 40  # ids in a row, at most


@dataclass(frozen=True)
class Example:
    """Texts, and how they become batches."""

    texts: tuple[str, ...]
    plan: Plan


def examples(corners: PairModels) -> SearchStrategy[Example]:
    """Texts, some of them empty, and a plan: their order, the limit, which end is cut, how many rows a batch has."""
    short = st.sampled_from(["", " ", "a"])
    return st.lists(st.one_of(texts(), short), min_size=1, max_size=9).map(tuple).flatmap(_planned)


def _planned(lines: tuple[str, ...]) -> SearchStrategy[Example]:
    """A plan for these texts: any order, a limit, the end that is cut, the rows of a batch."""
    order = st.permutations(range(len(lines))).map(tuple)
    side = st.sampled_from(["right", "left"])
    plan = st.builds(Plan, order, st.integers(2, LONGEST), side, st.integers(1, 4))
    return st.builds(Example, st.just(lines), plan)


def verify(corners: PairModels, example: Example) -> list[Verdict]:
    """Compare each backend's batches with the reference batches, exactly; and their rows without the padding."""
    plan, tokenizer = example.plan, corners.tokenizer
    whole = [tokenizer.encode(text) for text in example.texts]
    rows = rows_of([example.texts[place] for place in plan.order], tokenizer, plan.limit, plan.side)
    expected = batches(rows, plan.size, tokenizer.pad)
    verdicts = []
    for side, backend in corners.backends.items():
        fed = backend.feed(whole, plan, tokenizer.pad)
        sides = ("expected", side)
        verdicts.append(
            judge_exact(f"{side} number of batches", np.array([len(expected)]), np.array([len(fed)]), sides)
        )
        for reference, (ids, targets) in zip(expected, fed, strict=False):  # their number is judged above
            verdicts.append(judge_exact(f"{side} ids", reference.ids, ids, sides))
            verdicts.append(judge_exact(f"{side} targets", reference.targets, targets, sides))
        again = [row for ids, targets in fed for row in unpad(ids, targets, tokenizer.pad)]
        verdicts.append(judge_exact(f"{side} rows without their padding", _flat(rows), _flat(again), sides))
    return verdicts


def _flat(rows: Sequence[Sequence[int]]) -> Array:
    """Rows one after the other, each closed by -1, which is no id: where a row ends is compared as well."""
    return np.array([token for row in rows for token in (*row, -1)], np.int64)
