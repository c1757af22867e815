"""Resizing along one axis, as a matrix of weights, by kernels of which `interpolate` and `tf.image.resize` take theirs.

Centres of pixels are counted, the first pixel's is 0. NumPy only.
"""

from collections.abc import Callable

import numpy as np

from parity.dtypes import Array

Kernel = Callable[[Array], Array]
REACH = 2.0  # of the widest of these kernels, in pixels


def weights(centers: Array, before: int, kernel: Kernel, inside: bool = False, stretch: float = 1.0) -> Array:
    """The matrix (after, before) that resizes an axis of `before` pixels to those at `centers` (after,).

    Every row sums to 1. What is outside counts as the edge, or, where `inside`, not at all. The kernel is as many times
    wider as `stretch` says, so that nothing is skipped where an axis is made shorter.
    """
    reach = int(np.ceil(REACH * stretch))
    taps = np.arange(-reach, before + reach)
    each = kernel(np.abs(centers[:, None] - taps) / stretch)
    each = np.where((taps < 0) | (taps >= before), 0.0, each) if inside else each
    matrix = np.zeros((before, len(centers)))
    np.add.at(matrix, np.clip(taps, 0, before - 1), each.T)
    result: Array = (matrix / matrix.sum(0)).T
    return result


def linear(distance: Array) -> Array:
    """The triangle kernel, max(1 - |d|, 0)."""
    result: Array = np.maximum(1 - distance, 0.0)
    return result


def cubic(a: float, distance: Array) -> Array:
    """Keys' cubic convolution kernel with the constant a, of |d|: https://doi.org/10.1109/TASSP.1981.1163711"""
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    result: Array = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    return result
