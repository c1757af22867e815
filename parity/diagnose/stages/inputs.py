"""Why `call=` gives the models other inputs: what one side's are of the other's, found on some and proved on others."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations, islice
from typing import Any

import numpy as np

from parity.compare.judge import MAX_FLOAT64_ULPS, MAX_NOISE_RATIO
from parity.compare.square import NAMES
from parity.diagnose.locate import Located, side_by_side
from parity.diagnose.locate.hooks import CALL, Outside
from parity.diagnose.search import Candidate, Explained, Probe, proved
from parity.dtypes import EPS, Array, Inputs
from parity.inputs.batch import Batch
from parity.pair.models import PairModels

TRIED = "a constant that is added, a factor, both of them for each channel, another order along an axis, exchanged axes"
ADDED = "add the same to both models' inputs in call=, to ids as to others, or to neither"
SCALED = "scale both models' inputs by the same numbers in call="
TURNED = "give both models the same order in call=: of a picture's colours RGB or BGR, of its axes rows before columns"
LONGEST = 4096  # places along an axis whose order is looked for

# A cause's name, what the second side's inputs are of the first's in words, what to change, and that as a function.
Relation = tuple[str, str, str, Callable[[Array], Array]]
Pair = tuple[Array, Array]  # what torch's model was given, and what TensorFlow's was in its axes


def blamed(corners: PairModels, inputs: Sequence[Any], layers: Located) -> Explained:
    """Why call= gives the models other inputs, as `layers` has it: proved on all of these inputs of the pair."""
    pairs_of = dict[str, list[Pair]]()
    for one in inputs:
        watch = Outside(sides=corners.sides)
        side_by_side(corners, corners.widest(corners.sides[1]), watch, one)
        for place, pair in watch.arrays.items():
            pairs_of.setdefault(place, []).append(pair)
    places = [piece.place for piece in layers.introduces]
    every = [explain(place, pairs_of[place], not layers.weaker, corners.sides) for place in places]
    return [one for causes, _ in every for one in causes], [text for _, tried in every for text in tried]


def parted(corners: PairModels, ids: Inputs, layers: Located) -> str:
    """What call= does where the models make the same of the same, and the outputs differ all the same; or nothing."""
    mask = None if corners.pad is None else np.ones(ids.shape, bool)
    outputs = corners.outputs(Batch(ids, None, mask), eager=True) if corners.pair.call and layers.clean else {}
    if not any(square.judge(name).fails for name, square in outputs.items()):
        return ""
    return "the models are given the same and make the same of it: call= makes something else of their outputs"


def explain(place: str, pairs: Sequence[Pair], whole: bool, sides: tuple[str, str] = NAMES) -> Explained:
    """The first relation that holds of all pairs, which were given to `place` of several inputs of the pair.

    It is read off the largest pair, and proved on the others: two that are equal prove nothing.

    Unless both sides ran in float64, float32's rounding is no difference.
    """
    if len({ours.tobytes() for ours, _ in pairs}) < 2:
        return [], [f"{place}: there is nothing to prove a cause on but what differs"]
    one, other = sides
    probes = [Probe(theirs, ours, _scale(theirs, whole)) for ours, theirs in pairs]
    candidates = (
        Candidate(name, description, fix, [function(ours) for ours, _ in pairs])
        for name, description, fix, function in _relations(*max(pairs, key=lambda pair: pair[0].size))
    )
    causes = list(islice(proved(CALL, f"{place}: {other}'s is {one}'s", probes, candidates), 1))
    return causes, [] if causes else [f"{place}: {other}'s is {one}'s with {TRIED}"]


def _scale(array: Array, whole: bool) -> float:
    """The magnitude by which rounding is measured; nothing of integers."""
    units = 1.0 if whole else MAX_NOISE_RATIO["float32"] * EPS["float32"] / (MAX_FLOAT64_ULPS * EPS["float64"])
    return units * float(np.abs(array).max(initial=0.0)) if array.dtype.kind == "f" else 0.0


def _relations(ours: Array, theirs: Array) -> Iterator[Relation]:
    """The relations by which one pair's second array may come from its first, the simplest first."""
    if ours.shape != theirs.shape or not ours.size or "b" in (ours.dtype.kind, theirs.dtype.kind):
        return
    constant = float((theirs * 1.0 - ours).mean())
    # As somebody may have written it: whole, to six digits, as it is.
    for value in dict.fromkeys((float(round(constant)), float(f"{constant:.6g}"), constant)):
        yield ("offset", f"with {value:.9g} added", ADDED, partial(np.add, value))
    yield from _orders(ours, theirs)
    for first, second in combinations(range(1, ours.ndim), 2):
        if ours.shape[first] == ours.shape[second]:
            description = f"with its axes {first} and {second} exchanged"
            yield ("transposed", description, TURNED, partial(np.swapaxes, axis1=first, axis2=second))
    if ours.dtype.kind == theirs.dtype.kind == "f":
        yield from _affine(ours, theirs)


def _orders(ours: Array, theirs: Array) -> Iterator[Relation]:
    """Relations by which what stands along an axis is in another order."""
    for axis in range(1, ours.ndim):
        size = ours.shape[axis]
        if not 1 < size <= LONGEST:
            continue
        rows = [np.moveaxis(array, axis, 0).reshape(size, -1) for array in (ours, theirs)]
        # For each row of the second its nearest in the first, which need not be equal yet: the proof decides.
        order = [int(np.abs(rows[0] * 1.0 - row).max(1).argmin()) for row in rows[1]]
        if sorted(order) != list(range(size)) or order == sorted(order):
            continue
        description = f"in the order {_listed(order)} along axis {axis}"
        if order == list(range(size))[::-1]:
            description = f"in reverse order along axis {axis}" + (", as BGR for RGB" if size == 3 else "")
        yield ("order", description, TURNED, partial(_taken, axis, order))


def _taken(axis: int, order: Sequence[int], array: Array) -> Array:
    """The places of an axis in an order; a reverse one of any length."""
    if list(order) == list(range(len(order)))[::-1]:
        return np.flip(array, axis)
    return np.take(array, order, axis) if array.shape[axis] == len(order) else array


def _affine(ours: Array, theirs: Array) -> Iterator[Relation]:
    """A factor and a constant: of the whole, or of each place along an axis, as of a picture's colours.

    By least squares: the factor is covariance over variance, the constant what is left of the means.
    """
    for axes in ((), *((axis,) for axis in range(1, ours.ndim))):
        over = tuple(axis for axis in range(ours.ndim) if axis not in axes)
        means = [array.mean(over, keepdims=True) for array in (ours, theirs)]
        spread = [array - mean for array, mean in zip((ours, theirs), means, strict=True)]
        with np.errstate(all="ignore"):
            factor = (spread[0] * spread[1]).sum(over, keepdims=True) / (spread[0] ** 2).sum(over, keepdims=True)
        constant = means[1] - factor * means[0]
        scaled = bool(np.abs(factor - 1).max() > EPS["float32"])
        words = [f"times {_listed(factor.ravel())}"] if scaled else []
        words += [f"plus {_listed(constant.ravel())}"] if np.abs(constant).max() > EPS["float32"] else []
        text = f"{', '.join(words)}{f' along axis {axes[0]}' if axes else ''}"
        name, fix = ("scale", SCALED) if scaled else ("offset", ADDED)
        yield (name, text, fix, partial(_fitted, factor, constant))


def _fitted(factor: Array, constant: Array, array: Array) -> Array:
    """An array of another length along the axis is left as it is."""
    fits = all(one in (1, size) for one, size in zip(factor.shape, array.shape, strict=True))
    return factor * array + constant if fits else array


def _listed(values: Sequence[float] | Array) -> str:
    description = ", ".join(f"{float(value):.6g}" for value in values[:8])
    return f"{description}, ..." if len(values) > 8 else description
