"""Both sides compute the same logits at every token: any ids, any length, any drawn weights."""

from hypothesis.strategies import SearchStrategy

from parity.pair import Corners
from parity.square import Verdict, judge
from parity.strategies import Case, cases


def examples(corners: Corners) -> SearchStrategy[Case]:
    return cases(corners.tokenizer, corners.pair.length)


def verify(corners: Corners, example: Case) -> list[Verdict]:
    corners.ensure(example.weights)
    batch = example.batch(corners.tokenizer.pad)
    return [judge("logits", corners.logits(batch.ids, batch.mask), places=batch.mask)]
