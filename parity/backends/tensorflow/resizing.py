"""Resizing in float64, which TensorFlow's kernels do in float32 whatever they are given."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from parity.canonical.resizing import Kernel, cubic, linear, weights
from parity.dtypes import Array

# TensorFlow's words for the kernels that torch has, too.
KERNELS: dict[str, Kernel] = {"triangle": linear, "keyscubic": partial(cubic, -0.5)}
NEAR = 2.0**-20  # of a factor: nearer to that of two sizes, it is theirs, rounded to float32


def bilinear(resize: Callable[..., Any]) -> Callable[..., Any]:
    """Its result is float32: https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/ops/image_ops.cc"""

    def exact(
        images: Any, size: Any, align_corners: bool = False, half_pixel_centers: bool = False, name: Any = None
    ) -> Any:
        if images.dtype != tf.float64:
            return resize(images, size, align_corners, half_pixel_centers, name)

        def matrix(before: int, after: int) -> Array:
            places = np.arange(after, dtype=np.float64)
            if align_corners and after > 1:
                return weights(places * ((before - 1) / (after - 1)), before, linear)
            shift = 0.5 if half_pixel_centers else 0.0
            return weights((places + shift) * (before / after) - shift, before, linear)

        return _resized(images, size, matrix)

    return exact


def smoothed(resize: Callable[..., Any]) -> Callable[..., Any]:
    """What `tf.image.resize` calls with `antialias`; its result is float32 as well."""

    def exact(
        images: Any,
        size: Any,
        scale: Any,
        translation: Any,
        kernel_type: str = "lanczos3",
        antialias: bool = True,
        name: Any = None,
    ) -> Any:
        if images.dtype != tf.float64 or kernel_type not in KERNELS:
            return resize(images, size, scale, translation, kernel_type, antialias, name)

        def matrix(before: int, after: int, factor: float, shift: float) -> Array:
            factor = after / before if abs(factor * before / after - 1) < NEAR else float(factor)
            centers = (np.arange(after) + 0.5 - shift) / factor - 0.5
            stretch = max(1 / factor, 1.0) if antialias else 1.0
            return weights(centers, before, KERNELS[kernel_type], True, stretch)

        return _resized(images, size, matrix, scale, translation)

    return exact


def _resized(images: Any, size: Any, matrix: Callable[..., Array], *others: Any) -> Any:
    """Resize (batch, height, width, channels) to `size`, one axis after the other: the kernels are separable.

    `matrix` makes one axis' weights (after, before) of its sizes and its entry in each of `others`.
    """
    for axis, letters in ((1, "ab,nbwc->nawc"), (2, "ab,nhbc->nhac")):
        values = [images.shape[axis], *(_entry(of, axis - 1) for of in (size, *others))]
        images = tf.einsum(letters, _computed(matrix, images, axis, values), images)
    return images


def _entry(of: Any, place: int) -> Any:
    """A number of a tensor where it is known before the graph runs, else a tensor."""
    known = tf.get_static_value(of)
    return of[place] if known is None else known[place]


def _computed(matrix: Callable[..., Array], images: Any, axis: int, values: Sequence[Any]) -> Any:
    if values[0] is not None and not any(map(tf.is_tensor, values)):
        return tf.constant(matrix(*values))
    before = tf.shape(images)[axis] if values[0] is None else values[0]
    array = tf.numpy_function(lambda *sizes: matrix(*sizes), [before, *values[1:]], tf.float64)
    array.set_shape((None, values[0]))
    return array
