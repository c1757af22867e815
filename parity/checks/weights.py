"""One set of weights stands on both sides, bit for bit, and survives the way there and back.

Drawn values are written to every model and read again; then they cross from one side to the other and back, in every
precision that both run in. Every variable of both models is used exactly once. All other checks rest on this one: what
differs with unequal weights says nothing.
"""

from collections.abc import Mapping

from hypothesis.strategies import SearchStrategy

from parity import strategies
from parity.backends.protocol import Trainable
from parity.canonical.weights import Weights
from parity.checks.stage import Stage
from parity.compare.judge import Verdict, judge_exact
from parity.dtypes import Array, transport_dtype
from parity.pair import transfer
from parity.pair.models import PairModels

NEEDS = (Trainable,)
STAGE = Stage.WEIGHTS
FAILED = "weights differ"
COST = 5


def examples(corners: PairModels) -> SearchStrategy[Weights]:
    return strategies.weights()


def verify(corners: PairModels, example: Weights) -> list[Verdict]:
    """Write drawn weights to every corner, read them back, and carry them across and back."""
    read = {corner: (model.parameters(), list[Verdict]()) for corner, model in corners.models.items()}
    drawn = corners.load(example)
    for name, values in drawn.items():
        # `parameters()` reads lazily, one at a time: no second copy of all weights exists.
        for (side, dtype), (actual, its) in read.items():
            subject, sides = f"{name} in {side} {dtype}", ("drawn", side)
            its.append(judge_exact(subject, values.astype(transport_dtype(dtype), copy=False), actual[name], sides))
    verdicts = [verdict for _, its in read.values() for verdict in its]
    for dtype in corners.dtypes:
        if all((side, dtype) in corners.models for side in corners.sides):
            right = not any(verdict.fails for verdict in read[corners.sides[0], dtype][1])
            verdicts += _there_and_back(corners, dtype, drawn if right else None)
    corners.load(example)  # as the next check expects them: a fault in the writing was carried across
    return verdicts


def _there_and_back(corners: PairModels, dtype: str, drawn: Mapping[str, Array] | None) -> list[Verdict]:
    """Carry one side's parameters to the other and back, and compare them with what they were: drawn, where it is so.

    Such values are drawn again as they are asked for, where others have to be kept.
    """
    one, other = (corners.models[side, dtype] for side in corners.sides)
    before = corners.shelf().keep(one.parameters().items()) if drawn is None else drawn
    after = one.parameters()
    transfer.transfer(one, other, corners.layout)
    transfer.transfer(other, one, corners.layout)
    return [
        judge_exact(
            f"{name} to {corners.sides[1]} and back, {dtype}",
            values.astype(transport_dtype(dtype), copy=False),
            after[name],
            ("before", "after"),
        )
        for name, values in before.items()
    ]
