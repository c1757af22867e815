"""Means over what counts: one over all of it, or the mean over rows of each row's own.

Of rows of unequal length they differ: a loss by token weighs a long text more
than a short one, a loss by text does not.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.proposal import Proposal, Spot, always, called
from parity.dtypes import Array

QUOTIENTS = ("div", "divide", "true_divide", "__truediv__")


def regrouped(spot: Spot) -> Iterator[Proposal]:
    """Propose that a quotient of two sums is taken of each row, and the mean of it; or the other way round."""
    if spot.operation.name not in QUOTIENTS or len(spot.operation.takes) != 2:
        return
    values, makers = spot.run.trace.values, spot.run.trace.makers()
    sums = [makers.get(place) for _, place in spot.operation.takes]
    places = [leaf for leaf, one in enumerate(spot.leaves) if one.place is not None]
    if len(places) != 2 or not all(one is not None and one.name == "sum" for one in sums):
        return
    sources = [one.takes[0][1] for one in sums if one is not None]
    shape = values[spot.operation.makes[0]].shape
    here, each, whole = f"{called(spot.operation)}{spot.place}", "of each row, then the mean over rows", "over all rows"
    if not shape and all(len(values[of].shape) > 1 for of in sources):
        takes = [Edit(spot.number, leaf, take=of) for leaf, of in zip(places, sources, strict=True)]
        yield _proposal(spot, here, whole, each, *takes, Edit(spot.number, None, partial(_by_row, places)))
    elif len(shape) == 1 and all(values[one.makes[0]].shape == shape for one in sums if one is not None):
        yield _proposal(spot, here, each, whole, Edit(spot.number, None, partial(_of_all, places)))


def _proposal(spot: Spot, here: str, ours: str, theirs: str, *edits: Edit) -> Proposal:
    return Proposal(
        always(*edits),
        "reduction",
        f"torch's {here} divides one sum by another {ours}, and tensorflow {theirs}{spot.by}",
        f"average alike on both sides: the sum of x * mask over the sum of mask {ours}, or {theirs}",
        subject=f"{theirs} in tensorflow",
    )


def _by_row(places: Sequence[int], arguments: Sequence[Any]) -> Array:
    """The mean over rows of each row's sum, divided by that of its weights: arrays of (rows, ...)."""
    above, below = (arguments[place].reshape(len(arguments[place]), -1).sum(1) for place in places)
    return np.asarray((above / below).mean(), above.dtype)


def _of_all(places: Sequence[int], arguments: Sequence[Any]) -> Array:
    """For every row, the quotient of the sums over all rows: arrays of (rows,)."""
    above, below = (arguments[place] for place in places)
    return np.full_like(above, above.sum() / below.sum())
