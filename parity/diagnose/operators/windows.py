"""Padding of a convolution or a pooling that is not the same on both ends, which torch has no argument for.

TensorFlow's "same" pads what the stride leaves to pad, and where that is odd, one more behind than before:
https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.paddings import MODES
from parity.diagnose.operators.proposal import Proposal, Spot, always, called, constant
from parity.dtypes import Array

Pads = tuple[tuple[int, int], ...]  # of each axis, before and behind
Window = tuple[int, list[int], list[Pads], list[int], list[int]]
INPUTS = "input", "self"  # of an operation of torch's functional interface, and of one of its own
WINDOWS = re.compile(r"(?:conv|max_pool)([123])d")
MEANS = re.compile(r"avg_pool([123])d")
POOLED = re.compile(r"(adaptive_)?(avg|max)_pool([123])d")
TRANSPOSED = re.compile(r"conv_transpose([123])d")


def padded(spot: Spot) -> Iterator[Proposal]:
    """Propose the same window over an input with other padding at its two ends."""
    window = _window(spot, WINDOWS)
    if window is None:
        return
    place, padding, known, _, _ = window
    cleared = [constant(spot.number, at, 0) for at, leaf in enumerate(spot.leaves) if leaf.argument == "padding"]
    own, *others = (-np.inf, 0.0) if "max" in spot.operation.name else (0.0,)  # what stands there, and what could
    for value, pads in product((own, *others), known):
        if (value, pads) != (own, known[-1]):
            change = partial(_padded, place, pads, value)
            more = " of zeros, where torch's are less than any number" if value != own else ""
            yield _proposal(spot, padding, pads, more, Edit(spot.number, place, change), *cleared)


def averaged(spot: Spot) -> Iterator[Proposal]:
    """Propose a mean over windows with other padding at its two ends, which counts or does not."""
    window = _window(spot, MEANS)
    if window is not None:
        place, padding, known, reach, stride = window
        for counted, pads in product((False, True), known[:-1]):
            change = partial(_averaged, place, pads, reach, stride, counted)
            more = " that count" if counted else " that do not count"
            yield _proposal(spot, padding, pads, more, Edit(spot.number, None, change))
        yield from _without_ends(spot, window)


def pooled(spot: Spot) -> Iterator[Proposal]:
    """Propose to pool TensorFlow's windows: of another width and step, or for those that are laid to fit a size."""
    named = POOLED.fullmatch(spot.operation.name)
    inputs = [place for place, leaf in enumerate(spot.leaves) if leaf.argument in INPUTS and leaf.place is not None]
    if not named or len(inputs) != 1:
        return
    axes, [place] = int(named[3]), inputs
    size = spot.run.trace.values[spot.leaves[place].place or 0].shape[-axes:]
    for other in spot.near:
        reach, stride = (_theirs(other.settings.get(name), axes) for name in ("ksize", "strides"))
        if not reach or not stride or "Pool" not in other.name:
            continue
        none = tuple((0, 0) for _ in size)
        pads = next(_pads(size, none, reach, stride)) if other.settings.get("padding") == "SAME" else none
        yield Proposal(
            always(Edit(spot.number, None, partial(_pooled, place, pads, reach, stride, "Max" in other.name))),
            "argument",
            f"torch's {called(spot.operation)}{spot.place} pools{_bins(spot, named, size)}; tensorflow pools windows "
            f"of {reach} by steps of {stride}{spot.by}",
            f"the same windows on both sides: {'max' if 'Max' in other.name else 'avg'}_pool{axes}d of {reach} by "
            f"{stride} in torch{spot.place}, or in tensorflow those that torch takes",
            subject=f"windows of {reach} by {stride} in tensorflow",
        )


def _bins(spot: Spot, named: re.Match[str], size: Sequence[int]) -> str:
    """The windows of an adaptive pooling, in words: of each axis from start(i) = floor(i n / m) to ceil((i + 1) n / m).

    https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
    """
    shape = spot.run.trace.values[spot.operation.makes[0]].shape[-len(size) :]
    if not named[1]:
        return " other windows"
    bins = [[f"{i * n // m}:{-(-(i + 1) * n // m)}" for i in range(m)] for n, m in zip(size, shape, strict=True)]
    return f" windows that cover its {[*size]}: {', then '.join(', '.join(of) for of in bins)}"


def _theirs(numbers: Any, axes: int) -> list[int]:
    """The numbers of an argument of TensorFlow's for the inner axes, wherever the channels stand."""
    inner = numbers[1:-1] if isinstance(numbers, list) and numbers[-1:] == [1] else []
    inner = inner or (numbers[2:] if isinstance(numbers, list) else [])
    return inner[len(inner) - axes :] if len(inner) >= axes and all(one == 1 for one in inner[:-axes]) else []


def _pooled(
    place: int, pads: Pads, reach: Sequence[int], stride: Sequence[int], most: bool, arguments: Sequence[Any]
) -> Array:
    """The largest or the mean of each window over the last axes, of what of it is no padding."""
    if not most:
        return _averaged(place, pads, reach, stride, False, arguments)
    array = _padded(place, pads, -np.inf, arguments)
    axes = tuple(range(array.ndim - len(pads), array.ndim))
    steps = (slice(None),) * (array.ndim - len(pads)) + tuple(slice(None, None, by) for by in stride)
    windows = np.lib.stride_tricks.sliding_window_view(array, [*reach], axes)
    return np.asarray(windows[steps].max(tuple(range(-len(pads), 0))))


def filled(spot: Spot) -> Iterator[Proposal]:
    """Propose that what a window's padding holds is no zeros, but what stands at the ends of the input."""
    window = _window(spot, WINDOWS) or _window(spot, MEANS)
    if window is None or not any(window[1]):
        return
    place, padding, *_ = window
    cleared = [constant(spot.number, at, 0) for at, leaf in enumerate(spot.leaves) if leaf.argument == "padding"]
    for mode in (mode for mode in MODES if mode != "constant"):
        change = partial(_padded, place, tuple((one, one) for one in padding), mode)
        words, ours, theirs = MODES[mode]
        yield Proposal(
            always(Edit(spot.number, place, change), *cleared),
            "padding value",
            f"the padding of torch's {called(spot.operation)}{spot.place} holds no numbers of the input, and that of "
            f"tensorflow {words}{spot.by}",
            f"pad with the same on both sides: {words} is {ours} in torch, {theirs} in tensorflow",
            subject=f"padding with {words} in tensorflow",
        )


def _without_ends(spot: Spot, window: Window) -> Iterator[Proposal]:
    """Propose that the ends of a mean's input, which were joined to it by hand, are its padding instead."""
    place, padding, _, reach, stride = window
    size = spot.run.trace.values[spot.leaves[place].place or 0].shape[-len(reach) :]
    if any(padding) or any(length < 2 * wide for length, wide in zip(size, reach, strict=True)):
        return
    for counted in (False, True):
        yield Proposal(
            always(Edit(spot.number, None, partial(_averaged_inside, place, reach, stride, counted))),
            "padding value",
            f"torch's {called(spot.operation)}{spot.place} takes what is joined to both ends of its input as numbers; "
            f"tensorflow pads there, with what {'counts as zeros' if counted else 'does not count in the mean'}"
            f"{spot.by}",
            f'join the same to both ends on both sides{spot.place} and pool with padding 0 or "valid", or pad both',
        )


def _averaged_inside(
    place: int, reach: Sequence[int], stride: Sequence[int], counted: bool, arguments: Sequence[Any]
) -> Array:
    """Average pooling, padded to the same size, of an array without the ends that a window reaches beyond it."""
    array: Array = arguments[place]
    fronts = [(wide - 1) // 2 for wide in reach]
    cuts = [slice(front, -(wide - 1 - front) or None) for front, wide in zip(fronts, reach, strict=True)]
    inside = array[(slice(None),) * (array.ndim - len(reach)) + tuple(cuts)]
    pads = next(_pads(inside.shape[-len(reach) :], ((0, 0),) * len(reach), reach, stride))
    return _averaged(0, pads, reach, stride, counted, [inside])


def _window(spot: Spot, names: re.Pattern[str]) -> Window | None:
    """Of an operation with a window: (leaf of its input, its padding, all paddings to try, reach, stride).

    The paddings end with its own; reach is how many places the window spans with its dilation. None for any other.
    """
    named = names.fullmatch(spot.operation.name)
    inputs = [place for place, leaf in enumerate(spot.leaves) if leaf.argument in INPUTS and leaf.place is not None]
    if not named or len(inputs) != 1:
        return None
    axes = int(named[1])
    padding, reach, stride = (_numbers(spot, axes, what) for what in ("padding", "reach", "stride"))
    if not padding or not reach or not stride:
        return None
    size = spot.run.trace.values[spot.leaves[inputs[0]].place or 0].shape[-axes:]
    now = tuple((one, one) for one in padding)
    others = dict.fromkeys(pads for pads in _pads(size, now, reach, stride) if pads != now)
    return inputs[0], padding, [*others, now], reach, stride


def _numbers(spot: Spot, axes: int, what: str) -> list[int]:
    """An argument's whole numbers, one an axis: how far the window reaches, from its kernel and dilation."""
    if what == "reach":
        weights = [leaf.place for leaf in spot.leaves if leaf.argument == "weight" and leaf.place is not None]
        kernel = list(spot.run.trace.values[weights[0]].shape[-axes:]) if weights else []
        kernel = kernel or _numbers(spot, axes, "kernel_size")
        dilation = _numbers(spot, axes, "dilation") or [1] * axes
        return [(one - 1) * apart + 1 for one, apart in zip(kernel, dilation, strict=True)] if kernel else []
    numbers = [leaf.plain for leaf in spot.leaves if leaf.argument == what and leaf.place is None]
    if not numbers:
        default = spot.run.defaults(spot.number).get(what)
        numbers = [default] if isinstance(default, int) else list(default) if isinstance(default, list | tuple) else []
    if not numbers and what == "stride":
        numbers = [leaf.plain for leaf in spot.leaves if leaf.argument == "kernel_size"]  # of a pooling
    if not numbers and what == "padding":
        numbers = [0]  # the default, which a function written in C++ has as a list
    numbers = numbers * axes if len(numbers) == 1 else numbers
    return [*numbers] if len(numbers) == axes and all(type(one) is int for one in numbers) else []


def _pads(size: Sequence[int], now: Pads, reach: Sequence[int], stride: Sequence[int]) -> Iterator[Pads]:
    """Paddings to try: TensorFlow's "same", all of it at one end, that of a causal convolution, none."""
    needed = [max((-(-n // by) - 1) * by + wide - n, 0) for n, by, wide in zip(size, stride, reach, strict=True)]
    yield tuple((one // 2, one - one // 2) for one in needed)
    yield tuple((before + behind, 0) for before, behind in now)
    yield tuple((0, before + behind) for before, behind in now)
    yield tuple((wide - 1, 0) for wide in reach)
    yield tuple((0, 0) for _ in now)


def cropped(spot: Spot) -> Iterator[Proposal]:
    """Propose a transposed convolution of the same size, cut from the whole at another place."""
    named = TRANSPOSED.fullmatch(spot.operation.name)
    if not named:
        return
    axes = int(named[1])
    padding, stride, reach = (_numbers(spot, axes, what) for what in ("padding", "stride", "reach"))
    if not padding or not stride or not reach:
        return
    takes, makes = spot.operation.takes[0][1], spot.operation.makes[0]
    before, after = (spot.run.trace.values[place].shape[-axes:] for place in (takes, makes))
    spare = [(n - 1) * by + wide - length for n, by, wide, length in zip(before, stride, reach, after, strict=True)]
    whole = [
        constant(spot.number, at, 0)
        for at, leaf in enumerate(spot.leaves)
        if leaf.argument in ("padding", "output_padding") and leaf.place is None
    ]
    for front in range(min(spare) + 1):
        if [front] * axes != padding:
            yield Proposal(
                always(*whole, Edit(spot.number, after=partial(_cut, front, after))),
                "padding",
                f"torch's {called(spot.operation)}{spot.place} cuts {padding} from the beginning of each axis; "
                f"tensorflow cuts {front}{spot.by}",
                f"cut the same on both sides: padding=0 and a slice from {front} in torch{spot.place}, or "
                'padding="valid" and Cropping in Keras',
            )


def _cut(front: int, lengths: Sequence[int], array: Array) -> Array:
    inner = tuple(slice(front, front + length) for length in lengths)
    return array[(slice(None),) * (array.ndim - len(inner)) + inner]


def _padded(place: int, pads: Pads, mode: Any, arguments: Sequence[Any]) -> Array:
    """The argument at this place, padded by a number or in a mode of NumPy's."""
    array: Array = arguments[place]
    widths = [(0, 0)] * (array.ndim - len(pads)) + [*pads]
    how: dict[str, Any] = {"mode": mode} if isinstance(mode, str) else {"constant_values": mode}
    return np.pad(array, widths, **how)


def _averaged(
    place: int, pads: Pads, reach: Sequence[int], stride: Sequence[int], counted: bool, arguments: Sequence[Any]
) -> Array:
    """Average pooling of the last axes, padded by zeros that count in the mean where `counted`."""
    array: Array = arguments[place]
    axes = tuple(range(array.ndim - len(pads), array.ndim))
    steps = (slice(None),) * (array.ndim - len(pads)) + tuple(slice(None, None, by) for by in stride)
    inside = tuple(range(-len(pads), 0))

    def sums(of: Array, pads: Pads) -> Array:
        widths = [(0, 0)] * (array.ndim - len(pads)) + [*pads]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(of, widths), [*reach], axes)
        total: Array = windows[steps].sum(inside)
        return total

    count = float(np.prod(reach)) if counted else sums(np.ones_like(array), pads)
    return np.asarray(sums(array, pads) / count, array.dtype)


def _proposal(spot: Spot, padding: Sequence[int], pads: Pads, more: str, *edits: Edit) -> Proposal:
    ends = ", ".join(
        f"{before} before and {behind} after" for before, behind in (pads if len({*pads}) > 1 else pads[:1])
    )
    axes = "its axis" if len(pads) == 1 else "each axis in turn" if len({*pads}) > 1 else "on each axis"
    return Proposal(
        always(*edits),
        "padding",
        f"torch's {called(spot.operation)}{spot.place} pads {[*padding]} at both ends; tensorflow pads {ends}, "
        f"{axes}{more}{spot.by}",
        f"pad by hand on one side: F.pad before {spot.operation.name} with padding=0 in torch{spot.place}, or "
        'ZeroPadding with padding="valid" in Keras',
    )
