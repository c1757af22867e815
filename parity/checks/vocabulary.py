"""Both sides read every id of the vocabulary as the same token: each is an input once.

Drawn texts see a small part of a large vocabulary, and a table that is one row off, or cut at the end, is right for
most of them. A large vocabulary comes in parts, because an id costs the logits of all others: no part is drawn twice,
and as many examples as there are parts see them all.
"""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.canonical.weights import Weights
from parity.checks.stage import Stage
from parity.compare.judge import Verdict
from parity.dtypes import Array
from parity.pair.models import PairModels
from parity.strategies import Case

STAGE = Stage.ARRANGEMENT
FAILED = "outputs differ"
# The most logits of a part, 32 MB in float64; four corners hold as many at once.
LOGITS = 2**22
TIME = 12  # ids in a row
WEIGHTS = Weights(0, 1.0)


def examples(corners: PairModels) -> SearchStrategy[range]:
    vocab = corners.tokenizer.vocab
    size = max(1, LOGITS // vocab)
    return st.sampled_from([range(start, min(start + size, vocab)) for start in range(0, vocab, size)])


def case(corners: PairModels, example: range) -> Case:
    """The ids of a part as an example of drawn weights, `TIME` in a row."""
    last = corners.tokenizer.pad  # of a row: a target only
    return Case(WEIGHTS, tuple((*example[start : start + TIME], last) for start in range(0, len(example), TIME)))


def verify(corners: PairModels, example: range) -> list[Verdict]:
    """Judge the logits after each id of the part."""
    corners.ensure(WEIGHTS)
    batch = case(corners, example).batch(corners.tokenizer.pad)
    subject = f"logits after each id from {example[0]} to {example[-1]}"
    return [corners.logits(batch.ids, batch.mask).judge(subject, places=batch.mask)]


def fed(corners: PairModels, example: range) -> tuple[Weights, Array]:
    """The ids."""
    return WEIGHTS, case(corners, example).batch(corners.tokenizer.pad).ids
