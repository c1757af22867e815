"""A factor that one side has alone: one number, or one at each place along an axis, where a number may be added too."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import permutations

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.constants import SPARE
from parity.diagnose.operators.operands import LONE
from parity.diagnose.operators.proposal import NEAR, Proposal, Spot, always, called
from parity.diagnose.search import within
from parity.dtypes import Array

LONGEST = 256  # places along an axis, each with a factor of its own
FEW = 3  # factors that are told


def scaled(spot: Spot) -> Iterator[Proposal]:
    """The result times a constant, solved for: one of TensorFlow's values is a multiple of it."""
    operation, values = spot.operation, spot.run.trace.values
    value = values[operation.makes[0]] if len(operation.makes) == 1 else None
    if value is None or value.array is None or not value.sketch.rich or value.array.dtype.kind != "f":
        return
    seen = set[float]()
    for place in spot.alignment.wanted:
        other = spot.there.values[place]
        ratio = other.sketch.largest / value.sketch.largest if other.sketch.size == value.sketch.size else 0.0
        for factor in (ratio, -ratio):
            if ratio and np.isfinite(ratio) and _multiple(value.ordered, other.ordered, factor, spot.alignment.digits):
                # A factor that somebody wrote has few digits: 0.5, not 0.50000001.
                plain = float(f"{factor:.6g}")
                factor = plain if abs(plain - factor) <= spot.alignment.digits * abs(factor) else factor
                if factor not in seen:
                    seen.add(factor)
                    yield _scaled(spot, factor)


def _multiple(value: Array, other: Array, factor: float, digits: float) -> bool:
    """Whether one sorted array is the other times a factor, which turns the order round where it is negative."""
    ordered = value * factor if factor > 0 else value[::-1] * factor
    return within(ordered, other, digits * float(np.abs(other).max()))


def _scaled(spot: Spot, factor: float) -> Proposal:
    return Proposal(
        always(Edit(spot.number, after=partial(np.multiply, factor))),
        "scale",
        f"what {called(spot.operation)}{spot.place} makes in torch is {factor:g} times as large in tensorflow{spot.by}",
        f"the same factor on both sides: {factor:g} in torch{spot.place}, or {1 / factor:g} in tensorflow",
        only=LONE["negative"] if factor < 0 else "",
    )


def scaled_along(spot: Spot) -> Iterator[Proposal]:
    """The result times a factor and plus a number of its own at each place along an axis, as of a channel, solved for.

    As where a normalisation has other numbers: the constants of pictures, the first of a transform's coefficients.
    """
    operation, values = spot.operation, spot.run.trace.values
    value = values[operation.makes[0]] if len(operation.makes) == 1 else None
    if value is None or value.array is None or not value.sketch.rich or value.array.dtype.kind != "f":
        return
    mine, seen = value.array, set[tuple[int, bytes]]()
    for place in spot.alignment.wanted[:NEAR]:
        other = spot.there.values[place].array
        if other is None or other.size != mine.size or other.ndim != mine.ndim or mine.ndim < 2:
            continue
        orders = (other.transpose(axes) for axes in permutations(range(mine.ndim)))
        for theirs in (of for of in orders if of.shape == mine.shape):
            for axis in (axis for axis, length in enumerate(mine.shape) if 1 < length <= LONGEST):
                factors = _along(mine, theirs, axis, spot.alignment.digits)
                if factors is not None and (key := (axis, np.round(factors, 9).tobytes())) not in seen:
                    seen.add(key)
                    yield _scaled_along(spot, axis, *factors)


def _along(mine: Array, theirs: Array, axis: int, digits: float) -> Array | None:
    """The factor and the number that is added at each place along an axis, (2, places); None where they do not fit.

    Nor where they are the same at all places: that is a factor or a constant, and told as such.
    """
    x, y = (np.moveaxis(of, axis, 0).reshape(mine.shape[axis], -1) for of in (mine, theirs))
    limit = digits * float(np.abs(y).max())
    if x.shape[1] < SPARE or not np.isfinite(y).all() or not np.isfinite(x).all():
        return None
    spread = x - x.mean(1, keepdims=True)
    squares = (spread * spread).sum(1)
    if not (squares > limit * limit).all():  # equal numbers have any factor
        return None
    factors = (spread * y).sum(1) / squares
    added = y.mean(1) - factors * x.mean(1)
    if not within(factors[:, None] * x + added[:, None], y, limit):
        return None
    added = np.where(np.abs(added) <= limit, 0.0, added)
    return np.stack([factors, added]) if np.ptp(factors) > digits or np.ptp(added) > limit else None


def _scaled_along(spot: Spot, axis: int, factors: Array, added: Array) -> Proposal:
    """The proposal that the result has these factors and numbers added along an axis of torch's array."""
    rank = spot.run.trace.values[spot.operation.makes[0]].shape
    shape = [-1 if at == axis else 1 for at in range(len(rank))]
    change = partial(_affine, factors.reshape(shape), added.reshape(shape))
    what = " and ".join(filter(None, (_told("times", factors, 1.0), _told("plus", added, 0.0))))
    return Proposal(
        always(Edit(spot.number, after=change)),
        "scale" if np.ptp(factors) > 0 or factors[0] != 1 else "offset",
        f"what {called(spot.operation)}{spot.place} makes in torch is in tensorflow, along axis {axis} of torch's "
        f"array, {what}{spot.by}",
        f"the same numbers on both sides at each of the {len(factors)} places along that axis{spot.place}",
        only="alone",
    )


def _told(word: str, numbers: Array, nothing: float) -> str:
    """Numbers along an axis as they are told: where they are unlike most, or the first of them."""
    plain = [float(f"{number:.6g}") for number in numbers]
    [(usual, times)] = Counter(plain).most_common(1)
    if times == len(plain):
        return "" if usual == nothing else f"{word} {usual:g}"
    others = [f"{number:g} at place {at}" for at, number in enumerate(plain) if number != usual]
    if 2 * times < len(plain):
        return f"{word} {', '.join(f'{of:g}' for of in plain[:FEW])}{', ...' if len(plain) > FEW else ''}"
    more = f" and {len(others) - FEW} more" if len(others) > FEW else ""
    rest = "as it is" if usual == nothing else f"{word} {usual:g}"
    return f"{word} {', '.join(others[:FEW])}{more}, and {rest} elsewhere"


def _affine(factors: Array, added: Array, array: Array) -> Array:
    return array * factors + added
