"""One set of weights stands on both sides, bit for bit, and survives the way there and back.

Drawn values are written to all four models and read again; then float32 crosses from torch to
TensorFlow and back, and float64 the same. Every variable of both models is used exactly once.
"""

from hypothesis.strategies import SearchStrategy

from parity import strategies, transfer
from parity.backends import PRECISIONS, SIDES
from parity.layers import Weights
from parity.pair import Corners
from parity.square import Verdict, exact

SHARE = 5


def examples(corners: Corners) -> SearchStrategy[Weights]:
    return strategies.weights()


def verify(corners: Corners, example: Weights) -> list[Verdict]:
    drawn = corners.load(example)
    verdicts = []
    for dtype in PRECISIONS:
        for side in SIDES:
            found = corners.models[side, dtype].read()
            for name, values in drawn.items():
                subject, sides = f"{name} in {side} {dtype}", ("drawn", side)
                verdicts.append(exact(subject, values.astype(dtype, copy=False), found[name], sides))
        torch, tensorflow = (corners.models[side, dtype] for side in SIDES)
        before = torch.read()
        transfer.transfer(torch, tensorflow, corners.layout)
        transfer.transfer(tensorflow, torch, corners.layout)
        after = torch.read()
        for name, values in before.items():
            verdicts.append(exact(f"{name} to tensorflow and back, {dtype}", values, after[name], ("before", "after")))
    return verdicts
