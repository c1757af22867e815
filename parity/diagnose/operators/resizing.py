"""Resizing by formulas that torch's `interpolate` has no argument for.

TensorFlow's first resizing counts from the corner of a pixel, its cubic one has another constant than torch's:
https://www.tensorflow.org/api_docs/python/tf/compat/v1/image/resize, https://github.com/pytorch/pytorch/issues/25039
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.backends.operations import Edit
from parity.canonical.resizing import Kernel, cubic, linear, weights
from parity.diagnose.operators.proposal import Proposal, Spot, always, called
from parity.dtypes import Array


def resized(spot: Spot) -> Iterator[Proposal]:
    """Propose another formula of resizing to the same size."""
    operation = spot.operation
    places = [place for place, leaf in enumerate(spot.leaves) if leaf.place is not None]
    if operation.name not in ("interpolate", "upsample") or len(places) != 1 or len(operation.makes) != 1:
        return
    lengths = spot.run.trace.values[operation.makes[0]].shape[2:]
    forms: tuple[tuple[str, Kernel, float, bool], ...] = (
        ("linear, from the corner of a pixel and not its centre (half_pixel_centers=False)", linear, 0.0, False),
        ("cubic with a constant of -0.5, where torch has -0.75", partial(cubic, -0.5), 0.5, True),
        ("cubic with a constant of -0.5, where torch has -0.75", partial(cubic, -0.5), 0.5, False),
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
    """Resize (batch, channels, *sizes) to `lengths`, one axis after the other: the kernels are separable.

    `shift` is 0.5 where centres of pixels are counted, 0 for their corners.
    """
    array: Array = arguments[place]
    for axis, length in enumerate(lengths, 2):
        centers = (np.arange(length) + shift) * array.shape[axis] / length - shift
        matrix = weights(centers, array.shape[axis], kernel, inside)
        array = np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
    return np.asarray(array, arguments[place].dtype)
