"""Both sides take other tokens later on alike: of texts they change no earlier one's logits, on neither side.

Of ids without a tokenizer the sides are compared alone: whether a side should look ahead is not for parity to say.
"""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.compare.judge import Verdict
from parity.inputs.arrays import Sample
from parity.inputs.edges import continued
from parity.pair.answer import Answer
from parity.pair.models import Corners
from parity.strategies import Case, changed, texts_of

FAILED = "outputs differ when later tokens change"
SHARE = 2
LATEST = 6  # the column from which ids are others, at most, and how much higher these are


def examples(corners: Corners) -> SearchStrategy[tuple[Case, int, int] | Sample]:
    if corners.pair.inputs is not None:
        return changed(corners, continued, st.integers(1, LATEST), st.integers(1, LATEST))

    def cut(case: Case) -> SearchStrategy[tuple[Case, int, int]]:
        time = max(map(len, case.rows)) - 1
        return st.tuples(st.just(case), st.integers(1, time - 1), st.integers(1, corners.tokenizer.vocab - 1))

    drawn = texts_of(corners)
    return drawn.filter(lambda case: max(map(len, case.rows)) > 2).flatmap(cut)


def verify(corners: Corners, example: tuple[Case, int, int] | Sample) -> list[Verdict]:
    if isinstance(example, Sample):
        return [square.judge(f"{name} after a change") for name, square in corners.answers(example).items()]
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
        Answer.to_both(side, before, after, names).judge(f"{side} logits before a change", places=early)
        for side in corners.sides
    ]
