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
from parity.diagnose.operators.proposal import Proposal, Spot, always, called, constant
from parity.dtypes import Array

Pads = tuple[tuple[int, int], ...]  # of each axis, before and behind
INPUTS = "input", "self"  # of an operation of torch's functional interface, and of one of its own
WINDOWS = re.compile(r"(conv|max_pool)([123])d")
TRANSPOSED = re.compile(r"conv_transpose([123])d")


def padded(spot: Spot) -> Iterator[Proposal]:
    """The same window over an input with other padding at its two ends."""
    named = WINDOWS.fullmatch(spot.operation.name)
    inputs = [place for place, leaf in enumerate(spot.leaves) if leaf.argument in INPUTS and leaf.place is not None]
    if not named or len(inputs) != 1:
        return
    axes, values = int(named[2]), (-np.inf, 0.0) if named[1] == "max_pool" else (0.0,)
    padding, reach, stride = (_numbers(spot, axes, what) for what in ("padding", "reach", "stride"))
    if not padding or not reach or not stride:
        return
    size = spot.run.trace.values[spot.leaves[inputs[0]].place or 0].shape[-axes:]
    now = tuple((one, one) for one in padding)
    cleared = [constant(spot.number, at, 0) for at, leaf in enumerate(spot.leaves) if leaf.argument == "padding"]
    for value, pads in product(values, dict.fromkeys((*_pads(size, now, reach, stride), now))):
        if (value, pads) != (values[0], now):
            change = partial(_padded, inputs[0], pads, value)
            zeros = " zeros" if value != values[0] else ""
            yield _proposal(spot, padding, pads, zeros, Edit(spot.number, inputs[0], change), *cleared)


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
    numbers = numbers * axes if len(numbers) == 1 else numbers
    return [*numbers] if len(numbers) == axes and all(type(one) is int for one in numbers) else []


def _pads(size: Sequence[int], now: Pads, reach: Sequence[int], stride: Sequence[int]) -> Iterator[Pads]:
    """What TensorFlow's "same" pads, then all of the padding at one end, then that of a causal convolution."""
    needed = [max((-(-n // by) - 1) * by + wide - n, 0) for n, by, wide in zip(size, stride, reach, strict=True)]
    yield tuple((one // 2, one - one // 2) for one in needed)
    yield tuple((before + behind, 0) for before, behind in now)
    yield tuple((0, before + behind) for before, behind in now)
    yield tuple((wide - 1, 0) for wide in reach)
    yield tuple((0, 0) for _ in now)


def cropped(spot: Spot) -> Iterator[Proposal]:
    """A transposed convolution of the same size, cut from the whole at another place."""
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


def _padded(place: int, pads: Pads, value: float, arguments: Sequence[Any]) -> Array:
    array: Array = arguments[place]
    widths = [(0, 0)] * (array.ndim - len(pads)) + [*pads]
    return np.pad(array, widths, constant_values=value)


def _proposal(spot: Spot, padding: Sequence[int], pads: Pads, zeros: str, *edits: Edit) -> Proposal:
    ends = ", ".join(f"{before}{zeros} before and {behind}{zeros} behind" for before, behind in pads)
    least = " with what is less than any number" if zeros else ""
    axes = "each axis in turn" if len(pads) > 1 else "its axis"
    return Proposal(
        always(*edits),
        "padding",
        f"torch's {called(spot.operation)}{spot.place} pads {[*padding]} at both ends{least}; tensorflow pads {ends}, "
        f"{axes}{spot.by}",
        f"pad by hand on one side: F.pad before {spot.operation.name} with padding=0 in torch{spot.place}, or "
        'ZeroPadding with padding="valid" in Keras',
    )
