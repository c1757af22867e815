"""Both sides give every parameter the same gradient of the masked mean loss.

Differences are measured against the norm of all gradients together, because a gradient that is
mathematically zero holds nothing but rounding.
"""

from hypothesis.strategies import SearchStrategy

from parity.pair import Corners
from parity.runs import norm
from parity.square import Verdict, judge
from parity.strategies import Case, cases

SHARE = 2


def examples(corners: Corners) -> SearchStrategy[Case]:
    return cases(corners.tokenizer)


def verify(corners: Corners, example: Case) -> list[Verdict]:
    corners.ensure(example.weights)
    batch = example.batch(corners.tokenizer.pad)
    gradients = corners.gradients(batch.ids, batch.targets)
    scale = norm(gradients)
    return [judge(f"gradient of {name}", square, scale=scale) for name, square in gradients.items()]
