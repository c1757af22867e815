"""Other forms of an operation: one that could be mistaken for it, other axes of a norm, padding, a constant, resizing.

TensorFlow's first resizing counts from the corner of a pixel, its cubic one has another constant than torch's:
https://www.tensorflow.org/api_docs/python/tf/compat/v1/image/resize, https://github.com/pytorch/pytorch/issues/25039
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.canonical.resizing import Kernel, cubic, linear, weights
from parity.diagnose.operators.moves import floored
from parity.diagnose.operators.names import ACTIVATIONS
from parity.diagnose.operators.paddings import JOINS, joined, padded_by
from parity.diagnose.operators.proposal import Proposal, Spot, always, called, changed, constant, passed
from parity.diagnose.operators.windows import cropped, padded
from parity.dtypes import Array

REDUCTIONS: dict[str, Callable[[Array], Array]] = {
    "the mean over all elements": lambda each: np.asarray(each.mean()),
    "the sum over all elements": lambda each: np.asarray(each.sum()),
    "the sum over each row, then the mean over the rows": lambda each: np.asarray(each.sum() / len(each)),
    "the mean over the elements that are not zero": lambda each: np.asarray(each.sum() / max((each != 0).sum(), 1)),
}
# An argument of which zeros are nothing -> the cause where one side does not give it, and what is done with it.
ADDED = {"hx": ("first state", "starts from"), "bias": ("bias missing", "adds")}
HALVES: dict[str, Callable[[Array], Array]] = {
    "up": lambda x: np.floor(x + 0.5),
    "away from zero": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
}
NORMS = ("group_norm", "layer_norm", "instance_norm", "batch_norm")


def siblings(spot: Spot) -> Iterator[Proposal]:
    """Propose another operation of the same operands."""
    for name in spot.run.siblings(spot.number):
        yield Proposal(
            always(Edit(spot.number, called=name)),
            "activation" if spot.operation.name in ACTIVATIONS else "operation",
            f"torch does {spot.here}; with {name} in its place it makes what tensorflow does{spot.by}",
            f"{name} for {spot.operation.name} in torch{spot.place}, or in tensorflow what {spot.operation.name} does",
            subject=f"{spot.operation.name} in torch, {name} in tensorflow",
        )


def _reduced(spot: Spot) -> Iterator[Proposal]:
    """The loss of each element, put together in another way: a weighted mean is divided by the weights' sum."""
    none = constant(spot.number, next(iter(spot.plain("reduction")), "reduction"), "none")
    for text, reduce in REDUCTIONS.items():
        yield Proposal(
            always(none, Edit(spot.number, after=reduce)),
            "reduction",
            f"torch's {spot.here} reduces otherwise: what tensorflow gives is {text}{spot.by}",
            f"reduce alike on both sides: {text} in torch{spot.place}, by reduction='none', or in tensorflow what "
            "torch does; a mean with weight= or ignore_index= divides by the sum of the weights that count",
        )


def _norms(spot: Spot) -> Iterator[Proposal]:
    """Mean and variance over other axes."""
    named = {leaf.argument: place for place, leaf in enumerate(spot.leaves)}
    rank = len(spot.values[spot.operation.operands[0]].shape)
    defaults = spot.run.defaults(spot.number)
    epsilon = spot.operation.settings.get("eps", defaults.get("eps"))
    if not isinstance(epsilon, float) or "input" not in named:
        return
    if spot.operation.name == "batch_norm":
        yield from _other_channels(spot, named["input"], rank)
        yield Proposal(
            always(Edit(spot.number, None, partial(_normed, named, (0, *range(2, rank)), epsilon, 1))),
            "training mode",
            f"torch's {spot.here} takes its running mean and variance, tensorflow those of the batch{spot.by}",
            f"leave training mode off in tensorflow, or let torch{spot.place} run in it",
        )
    weight = next((spot.operands[leaf] for leaf in spot.tensors("weight")), spot.operation.operands[0])
    first = 1 if spot.operation.name != "layer_norm" else rank - len(spot.values[weight].shape)
    for size in range(1, rank):
        # Never over the batch: a norm that did would depend on the rows beside, which `batching` finds.
        for axes in combinations(range(1, rank), size):
            yield Proposal(
                always(Edit(spot.number, None, partial(_normed, named, axes, epsilon, first))),
                "axes",
                f"torch's {spot.here} takes mean and variance over other axes than tensorflow{spot.by}; over axes "
                f"{[*axes]} of torch's array it makes the same",
                "normalize over the same axes on both sides: GroupNormalization in Keras for torch's GroupNorm, "
                "axis= of LayerNormalization for LayerNorm",
            )


def _other_channels(spot: Spot, place: int, rank: int) -> Iterator[Proposal]:
    """Batch normalization of another axis than the channels."""
    for axis in range(2, rank):
        turn = partial(np.swapaxes, axis1=1, axis2=axis)
        yield Proposal(
            always(changed(spot.number, place, turn), Edit(spot.number, after=turn)),
            "axes",
            f"torch's {spot.here} normalizes along axis 1, the channels, tensorflow along axis {axis} of torch's "
            f"array, which is as long{spot.by}",
            "axis=-1 of BatchNormalization where the channels stand last, axis=1 where they stand as in torch",
        )


def _normed(
    named: dict[str, int], axes: tuple[int, ...], epsilon: float, first: int, arguments: Sequence[Any]
) -> Array:
    """Normalize the input over `axes` with a biased variance, then apply gain and bias; these start at axis `first`."""
    x: Array = arguments[named["input"]]
    result: Array = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    for name, change in (("weight", np.multiply), ("bias", np.add)):
        value = arguments[named[name]] if name in named else None
        if isinstance(value, np.ndarray):
            rest = x.ndim - first - value.ndim
            result = change(result, value.reshape(*value.shape, *[1] * rest))
    return result


def _resizings(spot: Spot) -> Iterator[Proposal]:
    """Propose another formula of resizing to the same size."""
    if len(spot.operands) != 1 or len(spot.operation.makes) != 1:
        return
    [leaf], lengths = spot.operands, spot.values[spot.operation.makes[0]].shape[2:]
    forms: tuple[tuple[str, Kernel, float, bool], ...] = (
        ("linear, from the corner of a pixel and not its centre (half_pixel_centers=False)", linear, 0.0, False),
        ("cubic with a constant of -0.5, where torch has -0.75", partial(cubic, -0.5), 0.5, True),
        ("cubic with a constant of -0.5, where torch has -0.75", partial(cubic, -0.5), 0.5, False),
    )
    for description, kernel, shift, inside in forms:
        yield Proposal(
            always(passed(spot.number, leaf, partial(_resized, lengths, kernel, shift, inside))),
            "operation",
            f"torch does {spot.here}; tensorflow resizes {description}{spot.by}",
            "resize by the same formula on both sides: tf.image.resize counts from the centres of pixels, as "
            "align_corners=False; cubic ones differ between the frameworks whatever is set",
        )


def _resized(lengths: Sequence[int], kernel: Kernel, shift: float, inside: bool, array: Array) -> Array:
    """Resize (batch, channels, *sizes) to `lengths`, one axis after the other: the kernels are separable.

    `shift` is 0.5 where centres of pixels are counted, 0 for their corners.
    """
    dtype = array.dtype
    for axis, length in enumerate(lengths, 2):
        centers = (np.arange(length) + shift) * array.shape[axis] / length - shift
        matrix = weights(centers, array.shape[axis], kernel, inside)
        array = np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
    return np.asarray(array, dtype)


def unset(spot: Spot) -> Iterator[Proposal]:
    """An operand that is added, or that a recurrence starts from, is zeros in TensorFlow: it is not given there."""
    for argument, (cause, what) in ADDED.items():
        places = spot.tensors(argument)
        for some in (of for size in range(len(places), 0, -1) for of in combinations(places, size)):
            if any(
                at not in spot.arrays or not spot.arrays[at].any() for at in some
            ):  # it is not given in torch either
                continue
            names = " and ".join(f"{spot.argument(at)} ({spot.origin(spot.operands[at])})" for at in some)
            yield Proposal(
                always(*(changed(spot.number, at, np.zeros_like) for at in some)),
                cause,
                f"torch's {spot.operation.name}{spot.place} {what} {names}; in tensorflow it is zeros{spot.by}",
                f"give tensorflow {names} as well, or leave it out in torch{spot.place}",
            )


def _accumulated(spot: Spot) -> Iterator[Proposal]:
    """A running sum without the element itself, or from the end; torch's has no argument for either."""
    axis = spot.operation.settings.get("dim")
    if not isinstance(axis, int) or len(spot.operation.takes) != 1:
        return
    theirs = [one.settings for one in spot.near if one.name.lower() == "cumsum"]
    ways = {(bool(of.get("exclusive")), bool(of.get("reverse"))) for of in theirs}
    for exclusive, reverse in ((True, False), (False, True), (True, True)):
        words = ", ".join(["exclusive"] * exclusive + ["reverse"] * reverse)
        edits = always(passed(spot.number, next(iter(spot.operands)), partial(_running, axis, exclusive, reverse)))
        if ways and (exclusive, reverse) not in ways:  # it does otherwise: what torch does around it may amount to this
            maker = spot.run.trace.makers().get(spot.operation.operands[0])
            if maker is not None and maker.name == "flip" and reverse and not exclusive:
                yield Proposal(
                    edits,
                    "extra operation",
                    f"torch turns round what {called(spot.operation)} takes, {called(maker)}{spot.place}, and what it "
                    f"makes, so that it sums from the end; tensorflow sums from the start{spot.by}",
                    f"leave out {called(maker)} before and behind{spot.place}, or reverse=True of tensorflow's cumsum",
                    subject=f"{maker.name} before and behind {spot.operation.name}, in torch alone",
                )
            continue
        yield Proposal(
            edits,
            "argument",
            f"torch's {spot.here} sums from the start, each element included; tensorflow does so {words}{spot.by}",
            "the same running sum on both sides: without exclusive= and reverse= in tensorflow, or in torch less the "
            f"element itself, or flipped before and behind{spot.place}",
            subject=f"a running sum, {words} in tensorflow",
        )


def _truncated(spot: Spot) -> Iterator[Proposal]:
    """A division of whole numbers that rounds towards zero, where Python's and torch's `//` round down."""
    yield Proposal(
        always(Edit(spot.number, None, _towards_zero)),
        "operation",
        f"torch's {spot.here} rounds down, -1 // 2 to -1, and tensorflow rounds towards zero{spot.by}",
        "round negative quotients alike: // on both sides, or div(rounding_mode='trunc') in torch for a cast to a "
        "whole number in tensorflow",
        subject="a quotient that is rounded towards zero in tensorflow",
    )


def _rounded(spot: Spot) -> Iterator[Proposal]:
    """Halves are rounded up or away from zero, where torch, NumPy and Python round to the even number."""
    for words, change in HALVES.items() if not spot.operation.settings.get("decimals") else ():
        yield Proposal(
            always(passed(spot.number, next(iter(spot.operands)), change)),
            "operation",
            f"torch's {spot.here} rounds halves to the even number, 0.5 to 0 and 1.5 to 2; tensorflow rounds them "
            f"{words}{spot.by}",
            "round halves alike: round of torch and tf.round to the even number, floor(x + 0.5) up, on both sides",
            subject=f"halves that are rounded {words} in tensorflow",
        )


def _towards_zero(arguments: Sequence[Any]) -> Array:
    above, below = arguments[:2]
    return np.asarray(np.trunc(np.true_divide(above, below)), above.dtype)


def _running(axis: int, exclusive: bool, reverse: bool, array: Array) -> Array:
    """The running sum along an axis, without each element itself, or from the end, as TensorFlow's `cumsum` has it."""
    x: Array = np.flip(array, axis) if reverse else array
    total: Array = np.cumsum(x, axis) - (x if exclusive else 0)
    return np.flip(total, axis).copy() if reverse else total


def _unpacked(spot: Spot) -> Iterator[Proposal]:
    """Every row is as long as the longest can be."""
    inputs, lengths = spot.tensors("input"), spot.tensors("lengths")
    if not inputs or not lengths:
        return
    time = bool(spot.operation.settings.get("batch_first"))
    longest = spot.values[spot.operands[inputs[-1]]].shape[time]
    yield Proposal(
        always(changed(spot.number, lengths[-1], partial(np.full_like, fill_value=longest))),
        "mask missing",
        f"torch packs each row to its length{spot.place}, so that padding is not read; tensorflow reads it{spot.by}",
        "give tensorflow's recurrent layer a mask (mask_zero=True, or mask=), or leave pack_padded_sequence out",
    )


def shifted(spot: Spot) -> Iterator[Proposal]:
    """Whole numbers are one higher or lower: ids, positions."""
    value = spot.result
    if value is None or not value.size or value.dtype.kind not in "iuf" or not (value == np.round(value)).all():
        return
    for by, word in ((1, "higher"), (-1, "lower")):
        yield Proposal(
            always(Edit(spot.number, after=partial(np.add, by))),
            "offset",
            f"the numbers that {spot.here} makes are one {word} in tensorflow{spot.by}: counted from another start",
            f"count from the same number on both sides{spot.place}",
        )


BY_NAME: tuple[tuple[Sequence[str], Callable[[Spot], Iterator[Proposal]]], ...] = (
    (NORMS, _norms),
    (("pad",), padded_by),
    (JOINS, joined),
    (("interpolate", "upsample"), _resizings),
    (("cumsum",), _accumulated),
    (("__floordiv__", "floor_divide"), _truncated),
    (("round",), _rounded),
    (("_pack_padded_sequence",), _unpacked),
)


def rewrites(spot: Spot) -> Iterator[Proposal]:
    """Propose another formula of the same operation."""
    forms = [form for names, form in BY_NAME if spot.operation.name in names]
    if not forms and "reduction" in {**spot.operation.settings, **spot.run.defaults(spot.number)}:
        forms = [_reduced]
    for form in forms or (padded, cropped, floored):
        yield from form(spot)
