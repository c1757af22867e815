"""What the builders loaded is the same on both sides, bit for bit: the conversion of a checkpoint was right.

Of a pair whose builders give values of which one side's are made from the other's: each parameter in its canonical
form; where a side computes it, as of a weight norm, but for a few roundings. What has no part in the outputs of either
side is left out; and so is what differs where the outputs do not and would if it were another: heads in another order,
a factor that moved to another layer. Where the values are unrelated, each side having drawn its own, there is nothing
to judge.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity import strategies
from parity.backends.protocol import Trainable
from parity.canonical.weights import OWN
from parity.checks.stage import Stage
from parity.compare.judge import Verdict
from parity.dtypes import Array
from parity.inputs.batch import Batch
from parity.pair.models import PairModels

COST = 5
NEEDS = (Trainable,)
STAGE = Stage.CONVERSION
FAILED = "what the builders loaded differs"
# By which share of the largest number in a parameter its numbers are moved, to see whether the outputs heed them: large
# beside rounding, small beside what would saturate a gate.
MOVED = 2.0**-10
UNRELATED = "unrelated values of the builders"


def examples(corners: PairModels) -> SearchStrategy[strategies.Example]:
    return strategies.examples(corners, of=st.just(OWN))


def verify(corners: PairModels, example: strategies.Example) -> list[Verdict]:
    """Judge each parameter as loaded; where some differ, judge the outputs, and keep of these what the outputs heed."""
    carried = corners.carried
    if carried is None:
        return [Verdict("parameters as loaded", "identical", len(corners.layout), 0.0, 0.0, UNRELATED)]
    ours, theirs = (carried.values[side] for side in corners.sides)
    verdicts = [*carried.verdicts.values()]
    if not any(verdict.fails for verdict in verdicts):
        return verdicts
    corners.ensure(example.weights)
    batch = corners.batch(example)
    outputs = [of.judge(f"{name} as loaded", places=batch.mask) for name, of in corners.outputs(batch).items()]
    if any(verdict.fails for verdict in outputs):
        return verdicts
    return outputs + [
        verdict
        for name, verdict in zip(carried.judged, verdicts, strict=True)
        if not verdict.fails or not _heeded(corners, batch, name, ours[name] != theirs[name])
    ]


def _heeded(corners: PairModels, batch: Batch, name: str, places: Array) -> bool:
    """Whether the outputs of both sides move where a parameter does, at these places."""
    return all(_moves(corners, side, batch, name, places) for side in corners.sides)


def _moves(corners: PairModels, side: str, batch: Batch, name: str, places: Array) -> bool:
    """Whether a side's outputs move by more than rounding where a parameter is moved at these places, a mask of its
    shape.

    The model has its own values again afterwards, whatever happens.
    """
    model = corners.widest(side)
    before, value = model.outputs(batch.ids), model.read()[name]
    size = np.abs(value).max(initial=0.0) or 1.0
    moves = MOVED * size * np.random.default_rng(0).standard_normal(value.shape)  # one for all a norm would take away
    model.write({name: np.where(places, value + moves, value).astype(value.dtype)})
    try:
        after = model.outputs(batch.ids)
    finally:
        model.write({name: value})
    mask = ... if batch.mask is None else batch.mask
    # MOVED^2, 1e-6 of the largest output: far less than what a parameter that is read moves, far above rounding.
    return any(
        np.abs(after[at][mask] - array[mask]).max(initial=0.0) > MOVED**2 * np.abs(array[mask]).max(initial=0.0)
        for at, array in before.items()
        if array.dtype.kind == "f"
    )
