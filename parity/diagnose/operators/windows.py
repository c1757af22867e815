"""Padding of a convolution or a pooling that is not the same on both ends, which torch has no argument for.

TensorFlow's "same" pads what the stride leaves to pad, and where that is odd, one more behind than before:
https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.paddings import MODES, pads_with
from parity.diagnose.operators.proposal import Proposal, Spot, always, called, changed, constant, passed
from parity.dtypes import Array

Pads = tuple[tuple[int, int], ...]  # of each axis, before and behind
INPUTS = "input", "self"  # of an operation of torch's functional interface, and of one of its own
WINDOWS = re.compile(r"(?:conv|max_pool)([123])d")
MEANS = re.compile(r"avg_pool([123])d")
POOLED = re.compile(r"(adaptive_)?(avg|max)_pool([123])d")
TRANSPOSED = re.compile(r"conv_transpose([123])d")


@dataclass(frozen=True)
class Window:
    """What an operation slides along the inner axes of its input, leaf `leaf`: of each axis its padding, reach, stride.

    Reach is how many places it spans with its dilation. `ways` are the paddings to try; its own is the last.
    """

    leaf: int
    padding: list[int]
    ways: list[Pads]
    reach: list[int]
    stride: list[int]


def padded(spot: Spot) -> Iterator[Proposal]:
    """Propose the same window over an input with other padding at its two ends."""
    window = _window(spot, WINDOWS)
    if window is None:
        return
    own, *others = (-np.inf, 0.0) if "max" in spot.operation.name else (0.0,)  # what stands there, and what could
    for value, pads in product((own, *others), window.ways):
        if (value, pads) != (own, window.ways[-1]):
            more = " of zeros, where torch's are less than any number" if value != own else ""
            yield _proposal(spot, window, pads, more, *_padded_first(spot, window, pads, value))


def averaged(spot: Spot) -> Iterator[Proposal]:
    """Propose a mean over windows with other padding at its two ends, which counts or does not."""
    window = _window(spot, MEANS)
    if window is not None:
        for counted, pads in product((False, True), window.ways[:-1]):
            change = partial(_averaged, pads, window.reach, window.stride, counted=counted)
            more = " that count" if counted else " that do not count"
            yield _proposal(spot, window, pads, more, passed(spot.number, window.leaf, change))
        yield from _without_ends(spot, window)


def pooled(spot: Spot) -> Iterator[Proposal]:
    """Propose to pool TensorFlow's windows: of another width and step, or for those that are laid to fit a size."""
    named = POOLED.fullmatch(spot.operation.name)
    inputs = spot.tensors(*INPUTS)
    if not named or len(inputs) != 1:
        return
    axes, [leaf] = int(named[3]), inputs
    size = spot.values[spot.operands[leaf]].shape[-axes:]
    for other in spot.near:
        reach, stride = (_theirs(other.settings.get(name), axes) for name in ("ksize", "strides"))
        if not reach or not stride or "Pool" not in other.name:
            continue
        none = tuple((0, 0) for _ in size)
        pads = next(_pads(size, none, reach, stride)) if other.settings.get("padding") == "SAME" else none
        means, largest = partial(_averaged, counted=False), partial(_reduced, np.max, -np.inf)
        pooling = partial(largest if "Max" in other.name else means, pads, reach, stride)
        yield Proposal(
            always(passed(spot.number, leaf, pooling)),
            "argument",
            f"torch's {spot.here} pools{_bins(spot, named, size)}; tensorflow pools windows of {reach} by steps of "
            f"{stride}{spot.by}",
            f"the same windows on both sides: {'max' if 'Max' in other.name else 'avg'}_pool{axes}d of {reach} by "
            f"{stride} in torch{spot.place}, or in tensorflow those that torch takes",
            subject=f"windows of {reach} by {stride} in tensorflow",
        )


def _bins(spot: Spot, named: re.Match[str], size: Sequence[int]) -> str:
    """The windows of an adaptive pooling, in words: of each axis from start(i) = floor(i n / m) to ceil((i + 1) n / m).

    https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
    """
    shape = spot.values[spot.operation.makes[0]].shape[-len(size) :]
    if not named[1]:
        return " other windows"
    bins = [[f"{i * n // m}:{-(-(i + 1) * n // m)}" for i in range(m)] for n, m in zip(size, shape, strict=True)]
    return f" windows that cover its {[*size]}: {', then '.join(', '.join(of) for of in bins)}"


def _theirs(numbers: Any, axes: int) -> list[int]:
    """The numbers of an argument of TensorFlow's for the inner axes, wherever the channels stand."""
    inner = numbers[1:-1] if isinstance(numbers, list) and numbers[-1:] == [1] else []
    inner = inner or (numbers[2:] if isinstance(numbers, list) else [])
    return inner[len(inner) - axes :] if len(inner) >= axes and all(one == 1 for one in inner[:-axes]) else []


def filled(spot: Spot) -> Iterator[Proposal]:
    """Propose that what a window's padding holds is no zeros, but what stands at the ends of the input."""
    window = _window(spot, WINDOWS) or _window(spot, MEANS)
    if window is None or not any(window.padding):
        return
    own = f"the input of {called(spot.operation)} with none of its numbers"
    for mode in (mode for mode in MODES if mode != "constant"):
        yield pads_with(spot, "padding value", own, mode, *_padded_first(spot, window, window.ways[-1], mode))


def _padded_first(spot: Spot, window: Window, pads: Pads, mode: Any) -> list[Edit]:
    """The edits by which a window's input is padded so, and by the operation itself no more."""
    edit = changed(spot.number, window.leaf, partial(_padded, pads, mode))
    return [edit, *(constant(spot.number, at, 0) for at in spot.plain("padding"))]


def _without_ends(spot: Spot, window: Window) -> Iterator[Proposal]:
    """Propose that the ends of a mean's input, which were joined to it by hand, are its padding instead."""
    size = spot.values[spot.operands[window.leaf]].shape[-len(window.reach) :]
    if any(window.padding) or any(length < 2 * wide for length, wide in zip(size, window.reach, strict=True)):
        return
    for counted in (False, True):
        inside = partial(_averaged_inside, window.reach, window.stride, counted)
        yield Proposal(
            always(passed(spot.number, window.leaf, inside)),
            "padding value",
            f"torch's {spot.here} takes what is joined to both ends of its input as numbers; tensorflow pads there, "
            f"with what {'counts as zeros' if counted else 'does not count in the mean'}{spot.by}",
            f'join the same to both ends on both sides{spot.place} and pool with padding 0 or "valid", or pad both',
        )


def _averaged_inside(reach: Sequence[int], stride: Sequence[int], counted: bool, array: Array) -> Array:
    """Average pooling, padded to the same size, of an array without the ends that a window reaches beyond it."""
    fronts = [(wide - 1) // 2 for wide in reach]
    cuts = [slice(front, -(wide - 1 - front) or None) for front, wide in zip(fronts, reach, strict=True)]
    inside = array[(slice(None),) * (array.ndim - len(reach)) + tuple(cuts)]
    pads = next(_pads(inside.shape[-len(reach) :], ((0, 0),) * len(reach), reach, stride))
    return _averaged(pads, reach, stride, inside, counted)


def _window(spot: Spot, names: re.Pattern[str]) -> Window | None:
    """The window of an operation that has one; None of any other."""
    named, inputs = names.fullmatch(spot.operation.name), spot.tensors(*INPUTS)
    if not named or len(inputs) != 1:
        return None
    axes = int(named[1])
    padding, reach, stride = (_numbers(spot, axes, what) for what in ("padding", "reach", "stride"))
    if not padding or not reach or not stride:
        return None
    size = spot.values[spot.operands[inputs[0]]].shape[-axes:]
    now = tuple((one, one) for one in padding)
    others = dict.fromkeys(pads for pads in _pads(size, now, reach, stride) if pads != now)
    return Window(inputs[0], padding, [*others, now], reach, stride)


def _numbers(spot: Spot, axes: int, what: str) -> list[int]:
    """An argument's whole numbers, one an axis: how far the window reaches, from its kernel and dilation."""
    if what == "reach":
        weights = spot.tensors("weight")
        kernel = list(spot.values[spot.operands[weights[0]]].shape[-axes:]) if weights else []
        kernel = kernel or _numbers(spot, axes, "kernel_size")
        dilation = _numbers(spot, axes, "dilation") or [1] * axes
        return [(one - 1) * apart + 1 for one, apart in zip(kernel, dilation, strict=True)] if kernel else []
    default = spot.run.defaults(spot.number).get(what)
    numbers = [*spot.plain(what).values()] or ([default] if isinstance(default, int) else [])
    if not numbers:  # a pooling goes on by its width; a function written in C++ has its default as a list
        numbers = {"stride": [*spot.plain("kernel_size").values()], "padding": [0]}.get(what, [])
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
    takes, makes = spot.operation.operands[0], spot.operation.makes[0]
    before, after = (spot.values[place].shape[-axes:] for place in (takes, makes))
    spare = [(n - 1) * by + wide - length for n, by, wide, length in zip(before, stride, reach, after, strict=True)]
    whole = [constant(spot.number, at, 0) for at in spot.plain("padding", "output_padding")]
    for front in range(min(spare) + 1):
        if [front] * axes != padding:
            yield Proposal(
                always(*whole, Edit(spot.number, after=partial(_cut, front, after))),
                "padding",
                f"torch's {spot.here} cuts {padding} from the beginning of each axis; tensorflow cuts {front}{spot.by}",
                f"cut the same on both sides: padding=0 and a slice from {front} in torch{spot.place}, or "
                'padding="valid" and Cropping in Keras',
            )


def _cut(front: int, lengths: Sequence[int], array: Array) -> Array:
    inner = tuple(slice(front, front + length) for length in lengths)
    return array[(slice(None),) * (array.ndim - len(inner)) + inner]


def _padded(pads: Pads, mode: Any, array: Array) -> Array:
    """An array, padded along its last axes by a number or in a mode of NumPy's."""
    widths = [(0, 0)] * (array.ndim - len(pads)) + [*pads]
    how: dict[str, Any] = {"mode": mode} if isinstance(mode, str) else {"constant_values": mode}
    return np.pad(array, widths, **how)


def _reduced(
    reduce: Callable[..., Any], value: float, pads: Pads, reach: Sequence[int], stride: Sequence[int], array: Array
) -> Array:
    """What NumPy's `reduce` makes of each window over the last axes of an array that is padded by a number."""
    outer = array.ndim - len(pads)
    steps = (slice(None),) * outer + tuple(slice(None, None, by) for by in stride)
    axes = tuple(range(outer, array.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(_padded(pads, value, array), [*reach], axes)
    return np.asarray(reduce(windows[steps], axis=tuple(range(-len(pads), 0))))


def _averaged(pads: Pads, reach: Sequence[int], stride: Sequence[int], array: Array, counted: bool) -> Array:
    """Average pooling of the last axes, padded by zeros that count in the mean where `counted`."""
    sums = partial(_reduced, np.sum, 0.0, pads, reach, stride)
    return np.asarray(sums(array) / (np.prod(reach) if counted else sums(np.ones_like(array))), array.dtype)


def _proposal(spot: Spot, window: Window, pads: Pads, more: str, *edits: Edit) -> Proposal:
    ends = ", ".join(
        f"{before} before and {behind} after" for before, behind in (pads if len({*pads}) > 1 else pads[:1])
    )
    axes = "its axis" if len(pads) == 1 else "each axis in turn" if len({*pads}) > 1 else "on each axis"
    return Proposal(
        always(*edits),
        "padding",
        f"torch's {spot.here} pads {window.padding} at both ends; tensorflow pads {ends}, {axes}{more}{spot.by}",
        f"pad by hand on one side: F.pad before {spot.operation.name} with padding=0 in torch{spot.place}, or "
        'ZeroPadding with padding="valid" in Keras',
    )
