"""A function of a value that TensorFlow has in another's place: a known one, or a factor that is solved for.

A function that torch's run computes by operations of its own; a factor that one side has alone, one number, or one at
each place along an axis, where a number may be added too.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Operation
from parity.canonical.activations import FUNCTIONS, PROBABILITIES, Function, along, written
from parity.diagnose.constants import SPARE
from parity.diagnose.operators.names import PRODUCTS
from parity.diagnose.operators.operands import LONE
from parity.diagnose.operators.proposal import NEAR, Proposal, Spot, always, at, called, cited, flat, passed
from parity.diagnose.search import within
from parity.dtypes import Array

REACH = 12  # operations of a formula
LONGEST = 256  # places along an axis, each with a factor of its own
FEW = 3  # factors that are told


def instead(spot: Spot) -> Iterator[Proposal]:
    """Propose a known function of one value, or that value itself, in the place of what torch makes of it alone.

    By one operation or by a chain of up to `REACH`, whose last result has the value's shape.
    """
    values, sources = spot.values, {place for place in spot.operation.operands if not _constant(spot, place)}
    if len(sources) != 1:
        return
    [source] = sources
    array = values[source].array
    if array is None or array.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):  # a function that does nothing to these numbers, as a ReLU above 0, says nothing
        functions = [(name, change) for name, change in FUNCTIONS.items() if not np.array_equal(change(array), array)]
    chain = _chain(spot, source)
    for number in chain:
        last = spot.operations[number]
        leaves = enumerate(spot.run.leaves(number))
        leaf = next((n for n, of in leaves if of.place is not None and values[of.place].shape == array.shape), None)
        result = values[last.makes[0]].array if len(last.makes) == 1 else None
        if leaf is None or result is None or result.shape != array.shape:
            continue
        if (np.isfinite(array) & ~np.isfinite(result)).any():  # what is out of range says nothing of its function
            continue
        if number != spot.number:  # of a single operation that is `omitted`
            yield _left_out(spot, source, last, (number, leaf))
        own = _over_some_axis(array, result, spot.alignment.digits)
        for name, function in (*functions, *along(array.ndim)):
            yield _function(spot, source, last, (number, leaf), name, function, own)


def _over_some_axis(array: Array, result: Array, digits: float) -> set[str]:
    """Of which functions over an axis, any of the array's, the result is one: softmax, whatever operations it is."""
    limit = digits * float(np.abs(result[np.isfinite(result)]).max(initial=0.0))
    with np.errstate(all="ignore"):  # what a mask hides
        known = [name for name, function in along(array.ndim + 1) if within(function(array), result, limit)]
    return {name.partition(" over ")[0] for name in known}


def _function(
    spot: Spot, source: int, last: Operation, leaf: tuple[int, int], name: str, function: Function, own: set[str]
) -> Proposal:
    """The proposal that `function` of the value `source` stands in the place of the chain up to `last`.

    `leaf` is (operation's number, place of a leaf of the value's shape), through which the value is taken; `own` what
    the chain is over an axis.
    """
    chain = called(spot.operation) + (f" ... {called(last)}" if last is not spot.operation else "")
    cause = "softmax axis" if "softmax" in name and name.partition(" over ")[0] in own else "activation"
    fix = f"{written(name)} in torch{at(last)}, or in tensorflow what {chain} does"
    description = f"torch does {chain}{at(last)} with {spot.origin(source)}"
    if name.startswith(PROBABILITIES):
        cause, fix = "from_logits", "from_logits=True of Keras's loss, or give both losses probabilities"
        description += ", for logits; tensorflow takes them for probabilities"
    return Proposal(
        always(Edit(*leaf, take=source), passed(*leaf, function)),
        cause,
        f"{description}; with {name} in its place it makes what tensorflow does{spot.by}",
        fix,
    )


def _left_out(spot: Spot, source: int, last: Operation, leaf: tuple[int, int]) -> Proposal:
    """The proposal that the chain up to `last` is skipped: what takes its result takes the value `source`."""
    chain = f"{called(spot.operation)} ... {cited(last)}"
    return Proposal(
        always(Edit(*leaf, take=source), passed(*leaf)),
        "extra operation",
        f"torch does {chain} with {spot.origin(source)}, and tensorflow does not{spot.by}",
        f"leave out {chain} in torch, or do the same in tensorflow",
        subject=f"{spot.operation.name} ... {last.name} in torch alone",
    )


def centred(spot: Spot) -> Iterator[Proposal]:
    """Propose that a mean of squares is the variance, of which the mean is subtracted first; or the other way round."""
    of, makers = spot.operation, spot.run.trace.makers()
    axes = tuple(axis for axis in flat([of.settings.get("dim")]) if type(axis) is int)
    square = makers.get(of.operands[0]) if of.operands else None
    if not axes or of.name not in ("mean", "var") or (of.name == "mean" and not _squares(square)):
        return
    source = square.operands[0] if of.name == "mean" and square is not None else of.operands[0]
    keep, here = bool(of.settings.get("keepdim")), f"{called(of)}{spot.place}"
    words = ["the mean of squares", "the variance"]
    ours, theirs = words if of.name == "mean" else words[::-1]
    yield Proposal(
        always(Edit(spot.number, None, partial(_moment, of.name == "mean", axes, keep), beside=(source,))),
        "variance",
        f"torch's {here} makes {ours} of {spot.origin(source)}, and tensorflow {theirs}{spot.by}",
        "divide by the same on both sides: RMSNorm and RMSNormalization by the root of the mean of squares, LayerNorm "
        "and LayerNormalization by that of the variance",
        subject=f"{theirs} in tensorflow",
    )


def _squares(operation: Operation | None) -> bool:
    """Whether an operation makes squares of what it takes."""
    if operation is None:
        return False
    twice = operation.name in PRODUCTS and len(operation.operands) > len({*operation.operands})
    power = operation.name in ("pow", "__pow__") and operation.settings.get("exponent", 0) == 2
    return operation.name == "square" or twice or power


def _moment(centre: bool, axes: tuple[int, ...], keep: bool, arguments: Sequence[Any]) -> Array:
    x: Array = arguments[-1]
    middle = x.mean(axes, keepdims=True) if centre else 0.0
    return np.asarray(np.square(x - middle).mean(axes, keepdims=keep))


def _chain(spot: Spot, source: int) -> list[int]:
    """The operations from this one on that take that value, what they have made of it, and constants."""
    known, chain = {source}, list[int]()
    for number, one in enumerate(spot.operations[spot.number : spot.number + REACH], spot.number):
        takes = {place for place in one.operands if not _constant(spot, place)}
        if takes and takes <= known:
            known |= {*one.makes}
            chain.append(number)
    return chain


def _constant(spot: Spot, place: int) -> bool:
    return spot.values[place].leaf == "constant"


def scaled(spot: Spot) -> Iterator[Proposal]:
    """The result times a constant, solved for: one of TensorFlow's values is a multiple of it."""
    seen = set[float]()
    if not _telling(spot):
        return
    value = spot.values[spot.operation.makes[0]]
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


def _telling(spot: Spot) -> bool:
    """Whether an operation makes one array of numbers that hardly stand there by chance."""
    array = spot.result
    return array is not None and array.dtype.kind == "f" and spot.values[spot.operation.makes[0]].sketch.rich


def _multiple(value: Array, other: Array, factor: float, digits: float) -> bool:
    """Whether one sorted array is the other times a factor, which turns the order round where it is negative."""
    ordered = value * factor if factor > 0 else value[::-1] * factor
    return within(ordered, other, digits * float(np.abs(other).max()))


def _scaled(spot: Spot, factor: float) -> Proposal:
    return Proposal(
        always(Edit(spot.number, after=partial(np.multiply, factor))),
        "scale",
        f"what {spot.here} makes in torch is {factor:g} times as large in tensorflow{spot.by}",
        f"the same factor on both sides: {factor:g} in torch{spot.place}, or {1 / factor:g} in tensorflow",
        only=LONE["negative"] if factor < 0 else "",
    )


def scaled_along(spot: Spot) -> Iterator[Proposal]:
    """The result times a factor and plus a number of its own at each place along an axis, as of a channel, solved for.

    As where a normalisation has other numbers: the constants of pictures, the first of a transform's coefficients.
    """
    mine, seen = spot.result, set[tuple[int, bytes]]()
    if mine is None or not _telling(spot):
        return
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
    rank = len(spot.values[spot.operation.makes[0]].shape)
    times, plus = (of.reshape([-1 if at == axis else 1 for at in range(rank)]) for of in (factors, added))
    what = " and ".join(filter(None, (_told("times", factors, 1.0), _told("plus", added, 0.0))))
    return Proposal(
        always(Edit(spot.number, after=lambda array: array * times + plus)),
        "scale" if np.ptp(factors) > 0 or factors[0] != 1 else "offset",
        f"what {spot.here} makes in torch is in tensorflow, along axis {axis} of torch's array, {what}{spot.by}",
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
