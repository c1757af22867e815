"""How a model is called changes nothing: a second time, outside tf.function, in training mode.

A second call gives identical bits. In training mode the sides are compared where neither draws at
random, as dropout does; where one does and the other does not, that is a finding.
"""

import numpy as np
from hypothesis.strategies import SearchStrategy

from parity.backends import SIDES
from parity.pair import Corners
from parity.runs import Square
from parity.square import Verdict, exact, judge
from parity.strategies import Case, cases

SHARE = 5


def examples(corners: Corners) -> SearchStrategy[Case]:
    return cases(corners.tokenizer, corners.pair.length)


def verify(corners: Corners, example: Case) -> list[Verdict]:
    corners.ensure(example.weights)
    batch = example.batch(corners.tokenizer.pad)
    call = batch.ids, batch.mask
    once, again = corners.logits(*call), corners.logits(*call)
    verdicts = [
        exact(f"{name} logits, called twice", first, second, ("first", "second"))
        for (name, _, first), (_, _, second) in zip(once.present, again.present, strict=True)
    ]
    eager = corners.eager(*call)
    for side in SIDES:
        own = Square.within(side, once, eager, ("as called", "called eagerly"))
        verdicts.append(judge(f"{side} logits outside a graph", own, places=batch.mask))
    return verdicts + _training(corners, example)


def _training(corners: Corners, example: Case) -> list[Verdict]:
    batch = example.batch(corners.tokenizer.pad)
    ids, mask = batch.ids, batch.mask
    if ids.size == 1:  # batch normalization refuses it: one value has no variance
        ids, mask = (np.repeat(array, 2, axis=0) for array in (ids, mask))
    trained, again = (corners.eager(ids, mask, training=True) for _ in range(2))
    corners.load(example.weights)  # batch normalization keeps what it has seen
    random = [
        not np.array_equal(first, second, equal_nan=True)
        for (_, dtype, first), (_, _, second) in zip(trained.present, again.present, strict=True)
        if dtype == "float32"
    ]
    one, other = (np.array([drawn]) for drawn in random)
    verdicts = [exact("whether training mode draws at random", one, other, trained.sides)]
    if not any(random):
        verdicts.append(judge("logits in training mode", trained, places=mask))
    return verdicts
