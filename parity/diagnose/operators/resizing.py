"""Resizing by formulas that torch's `interpolate` has no argument for.

TensorFlow's first resizing counts from the corner of a pixel, its cubic one has another constant than torch's:
https://www.tensorflow.org/api_docs/python/tf/compat/v1/image/resize, https://github.com/pytorch/pytorch/issues/25039
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.diagnose.operators.proposal import Proposal, Spot, always, called
from parity.dtypes import Array

Kernel = Callable[[Array], Array]


def resized(spot: Spot) -> Iterator[Proposal]:
    """Propose another formula of resizing to the same size."""
    operation = spot.operation
    places = [place for place, leaf in enumerate(spot.leaves) if leaf.place is not None]
    if operation.name not in ("interpolate", "upsample") or len(places) != 1 or len(operation.makes) != 1:
        return
    lengths = spot.run.trace.values[operation.makes[0]].shape[2:]
    forms: tuple[tuple[str, Kernel, float, bool], ...] = (
        ("linear, from the corner of a pixel and not its centre (half_pixel_centers=False)", _linear, 0.0, False),
        ("cubic with a constant of -0.5, where torch has -0.75", partial(_cubic, -0.5), 0.5, True),
        ("cubic with a constant of -0.5, where torch has -0.75", partial(_cubic, -0.5), 0.5, False),
    )
    for description, kernel, shift, inside in forms:
        yield Proposal(
            always(Edit(spot.number, None, partial(_made, places[0], lengths, kernel, shift, inside))),
            "operation",
            f"torch does {called(operation)}{spot.place}; tensorflow resizes {description}{spot.by}",
            "resize by the same formula on both sides: tf.image.resize counts from the centres of pixels, as "
            "align_corners=False; cubic ones differ between the frameworks whatever is set",
        )


def _made(
    place: int, lengths: Sequence[int], kernel: Kernel, shift: float, inside: bool, arguments: Sequence[Any]
) -> Array:
    """Resize (batch, channels, *sizes) to `lengths`, one axis after the other: the kernels are separable."""
    array: Array = arguments[place]
    for axis, length in enumerate(lengths, 2):
        weights = _weights(array.shape[axis], length, kernel, shift, inside)
        array = np.moveaxis(np.tensordot(weights, array, (1, axis)), 0, axis)
    return np.asarray(array, arguments[place].dtype)


def _weights(before: int, after: int, kernel: Kernel, shift: float, inside: bool) -> Array:
    """The matrix (after, before) that resizes an axis: every row sums to 1.

    `shift` is 0.5 where centres of pixels are counted, 0 for their corners. What is outside counts as the edge, or,
    where `inside`, not at all.
    """
    center = (np.arange(after) + shift) * before / after - shift
    taps = np.floor(center)[:, None] + np.arange(-1, 3)
    weights = kernel(np.abs(center[:, None] - taps))
    weights = np.where((taps < 0) | (taps >= before), 0.0, weights) if inside else weights
    matrix = np.zeros((after, before))
    np.add.at(matrix, (np.arange(after)[:, None], np.clip(taps, 0, before - 1).astype(int)), weights)
    result: Array = matrix / matrix.sum(1, keepdims=True)
    return result


def _linear(distance: Array) -> Array:
    """The triangle kernel, max(1 - |d|, 0)."""
    weights: Array = np.maximum(1 - distance, 0.0)
    return weights


def _cubic(a: float, distance: Array) -> Array:
    """Keys' cubic convolution kernel with the constant a, of |d|: https://doi.org/10.1109/TASSP.1981.1163711"""
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    weights: Array = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    return weights
