"""Both sides take other tokens later on alike: of texts they change no earlier one's logits, on neither side.

Of ids without a tokenizer the sides are compared alone: whether a side should look ahead is not for parity to say.
"""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.checks.stage import Stage, View, Views
from parity.compare.judge import Verdict
from parity.inputs.arrays import Sample
from parity.inputs.edges import continued
from parity.pair.answer import Answer
from parity.pair.models import PairModels
from parity.strategies import Case, changed, texts_of

STAGE = Stage.ARRANGEMENT
FAILED = "outputs differ when later tokens change"
COST = 2
# Near the start: a token that looks ahead looks at what is next to it, as a rule.
LATEST = 6  # the last column from which ids may be others, and the most by which these are higher


def examples(corners: PairModels) -> SearchStrategy[tuple[Case, int, int] | Sample]:
    """A case, the column from which ids are others, and by how much they are higher; or inputs changed likewise."""
    if corners.pair.inputs is not None:
        return changed(corners, continued, st.integers(1, LATEST), st.integers(1, LATEST))

    def cut(case: Case) -> SearchStrategy[tuple[Case, int, int]]:
        time = max(map(len, case.rows)) - 1
        return st.tuples(st.just(case), st.integers(1, time - 1), st.integers(1, corners.tokenizer.vocab - 1))

    drawn = texts_of(corners)
    return drawn.filter(lambda case: max(map(len, case.rows)) > 2).flatmap(cut)


def verify(corners: PairModels, example: tuple[Case, int, int] | Sample) -> list[Verdict]:
    """Of texts, each side's logits before the change against those without it; of other inputs, the sides."""
    if isinstance(example, Sample):
        return [square.judge(f"{name} after a change") for name, square in corners.answers(example).items()]
    corners.ensure(example[0].weights)
    first, second = views(corners, example)
    before, after = corners.logits(first.ids, first.mask), corners.logits(second.ids, second.mask)
    names = ("as drawn", f"other ids from position {example[1]} on")
    return [
        Answer.to_both(side, before, after, names).judge(f"{side} logits before a change", places=first.mask)
        for side in corners.sides
    ]


def views(corners: PairModels, example: tuple[Case, int, int]) -> Views:
    """The ids as drawn, and with others from a position on; the tokens before it."""
    case, length, shift = example
    batch = case.batch(corners.tokenizer.pad)
    early = batch.mask.copy()
    early[:, length:] = False
    changed = batch.ids.copy()
    # A shift by less than the vocabulary leaves no id as it was; ids drawn anew might.
    changed[:, length:] = (changed[:, length:] + shift) % corners.tokenizer.vocab
    return Views(View(batch.ids, early), View(changed, early))
