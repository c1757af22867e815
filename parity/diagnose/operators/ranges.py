"""A chain of operations that leaves the range of numbers, where the other side computes the same within it."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from parity.backends.operations import Edit, Operation, Trace
from parity.diagnose.operators.orders import layouts_of
from parity.diagnose.operators.others import There
from parity.diagnose.operators.proposal import NEAR, Proposal, Spot, at, cited
from parity.diagnose.operators.walks import reached
from parity.dtypes import Array

POWERS = {"exp", "expm1", "exp2", "pow", "rpow", "square", "softmax", "sigmoid", "sinh", "cosh", "mul", "prod"}
UNDERFLOWS = {"exp", "exp2", "softmax", "sigmoid"}  # of which nothing finite is 0


def overflowing(spot: Spot) -> Iterator[Proposal]:
    """Propose that a chain of one side's is the same function as the other's, and leaves the range of numbers.

    Its result equals the other side's wherever it is finite; elsewhere alone it becomes the other's, which is finite
    there. What is not finite by itself, as a score that a mask hides or a division by 0, is no such chain.
    """
    mine = spot.result
    if mine is None or mine.dtype.kind != "f":
        return
    for place in spot.alignment.wanted[:NEAR]:
        theirs, maker = spot.there.values[place].array, spot.makers.get(place)
        if theirs is None or maker is None or np.isfinite(mine).all() == np.isfinite(theirs).all():
            continue
        for axes in layouts_of(theirs.shape, mine.shape):
            if _same(mine, theirs.transpose(axes), spot.alignment.digits):
                yield from _out_of_range(spot, maker, place, axes)


def _same(mine: Array, theirs: Array, digits: float) -> bool:
    """Whether two arrays hold the same numbers where both are finite: several that differ, and one side has more."""
    both = np.isfinite(mine) & np.isfinite(theirs)
    less = [bool((of & ~both).any()) for of in (np.isfinite(mine), np.isfinite(theirs))]
    if sum(less) != 1 or both.sum() < 2 or not np.ptp(mine[both]) > 0:
        return False
    return bool(np.abs(mine[both] - theirs[both]).max() <= digits * np.abs(theirs[both]).max())


def _out_of_range(spot: Spot, maker: Operation, place: int, axes: Sequence[int]) -> Iterator[Proposal]:
    """The proposal of torch's operation and the one that makes TensorFlow's value `place`, of equal numbers."""
    sides = (
        ("torch's", " in torch", spot.run.trace, spot.operation),
        ("tensorflow's", " in tensorflow", spot.there, maker),
    )
    values = spot.values[spot.operation.makes[0]], spot.there.values[place]
    finite = [0 if of.array is None else int(np.isfinite(of.array).sum()) for of in values]
    bad = finite.index(min(finite))
    side, inside, trace, last = sides[bad]
    other, _, _, good = sides[1 - bad]
    chain = _chain(trace, last, spot.alignment.twins[bad])
    if not any(_leaves(trace, one) for one in chain):
        return
    both = " ... ".join(dict.fromkeys(cited(one) for one in (chain[0], chain[-1])))
    size = values[bad].sketch.size
    yield Proposal(
        partial(_completed, spot, There(spot.there, maker, maker.makes.index(place), axes)),
        "unstable formula",
        f"{side} {both} leaves the range of numbers: {size - min(finite)} of {size} are not finite; {other} "
        f"{cited(good)} makes the same numbers elsewhere, and finite ones there",
        f"compute it{inside}{at(last)} in a form that stays in range, as {other} {good.name} does: with the "
        "maximum taken away before exp(), or by one operation for all of it (softmax, log_softmax, sigmoid, tanh)",
        last.layer,
    )


def _chain(trace: Trace, last: Operation, twins: dict[int, set[int]]) -> list[Operation]:
    """The operations from values that the other side has to the result of `last`, in order."""
    makers = trace.makers()

    def operands(place: int) -> list[int]:
        return [operand for operand in makers[place].operands if operand in makers and operand not in twins]

    chain = {*reached(last.makes, operands)}
    return [one for one in trace.operations if not chain.isdisjoint(one.makes)]


def _leaves(trace: Trace, operation: Operation) -> bool:
    """Whether an operation makes infinity, or a 0 that is none, of numbers that are finite."""
    name = operation.name.strip("_").lower()
    arrays = [trace.values[place].array for place in operation.operands]
    for place in operation.makes if name in POWERS else ():
        result = trace.values[place].array
        for array in arrays:
            if result is None or array is None or array.shape != result.shape:
                continue
            out = np.isinf(result) | ((result == 0) if name in UNDERFLOWS else False)
            if (out & np.isfinite(array)).any():
                return True
    return False


def _completed(spot: Spot, there: There, run: Trace) -> Sequence[Edit]:
    """The edit by which torch's result is TensorFlow's where either is not finite, and its own elsewhere."""
    theirs = there.array(run)
    return [Edit(spot.number, after=lambda own: np.where(np.isfinite(own) & np.isfinite(theirs), own, theirs))]
