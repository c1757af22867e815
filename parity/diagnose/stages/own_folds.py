"""What a converter made of batch normalizations, whose weights are no array of the file: a factor and a summand.

Behind a convolution or a dense layer the factor is in its kernel and the summand in its bias; elsewhere both stand for
themselves. Rounded there, they are other numbers than those of weights that are rounded.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.canonical.layer import Layer
from parity.dtypes import Array

Values = Mapping[str, Array]


@dataclass(frozen=True)
class Fold:
    """A batch normalization as one factor and one summand a channel, (width,) float64 each: x * factor + summand.

    `mean` and `variance` are the names of its parameters; `gain` and `bias` are 1 and 0 where it has none.
    """

    mean: str
    variance: str
    gain: Array
    bias: Array
    factor: Array
    summand: Array
    epsilon: float


def folded(layers: Iterable[Layer], settings: Mapping[str, Mapping[str, Any]], whole: Values, lower: Values) -> Values:
    """The parameters of a model by which its batch normalizations have the factors and summands that a file holds.

    `settings` are the layers' own, by path; `whole` is what the model has, `lower` the file's arrays in a lower
    precision. Means, variances and kernels alone are changed, which every such layer has; none where nothing fits.
    """
    changes: dict[str, Array] = {}
    for layer in layers:
        ways = folds(layer, settings.get(layer.path, {}), whole)
        changes |= next((way for fold in ways if (way := _in_kernel(fold, whole, lower) or _alone(fold, lower))), {})
    return changes


def folds(layer: Layer, settings: Mapping[str, Any], whole: Values) -> Iterator[Fold]:
    """A batch normalization, which alone has an epsilon and a momentum; of one learned array, as a gain and a bias.

    What the model has of its own it has in the order in which both frameworks make it: gain, bias, mean, variance.
    """
    names = [f"{layer.path}.{of.parameter}" for of in layer.parts]
    if not {"epsilon", "momentum"} <= {*settings} or not 2 <= len(names) <= 4:
        return
    arrays = [whole[name].astype(np.float64) for name in names]
    mean, variance = arrays[-2:]
    one, zero = np.ones(len(mean)), np.zeros(len(mean))
    ways = {2: [(one, zero)], 3: [(arrays[0], zero), (one, arrays[0])], 4: [(arrays[0], arrays[1])]}
    for gain, bias in ways[len(arrays)]:
        factor = gain / np.sqrt(variance + settings["epsilon"])
        yield Fold(names[-2], names[-1], gain, bias, factor, bias - mean * factor, settings["epsilon"])


def _alone(fold: Fold, lower: Values) -> Values:
    """The mean and variance by which a norm makes a factor and a summand that the file holds for themselves."""
    factor, summand = _nearest(fold.factor, lower), _nearest(fold.summand, lower)
    if factor is None or summand is None or not (factor * fold.gain).all():
        return {}
    variance = np.square(fold.gain / factor) - fold.epsilon
    return {fold.mean: (fold.bias - summand) / factor, fold.variance: variance}


def _in_kernel(fold: Fold, whole: Values, lower: Values) -> Values:
    """The kernel before a norm, and the norm's mean, by which both together make a kernel and a bias of the file."""
    for name, kernel in whole.items():
        for axis in range(kernel.ndim if kernel.ndim > 1 and fold.factor.all() else 0):
            if kernel.shape[axis] != len(fold.factor):
                continue
            factor = fold.factor.reshape([-1 if of == axis else 1 for of in range(kernel.ndim)])
            before = whole.get(f"{name.rpartition('.')[0]}.bias", np.zeros(1)).astype(np.float64)
            if len(before) not in (1, len(fold.factor)):
                continue
            array, summand = _nearest(kernel * factor, lower), _nearest(before * fold.factor + fold.summand, lower)
            if array is not None and summand is not None:
                return {name: array / factor, fold.mean: before - (summand - fold.bias) / fold.factor}
    return {}


def _nearest(array: Array, lower: Values) -> Array | None:
    """The array of a file whose numbers, wherever they stand, are nearest to these, in these' places; None without one.

    Each number of the file's array has to be some number's nearest, as often as it stands there.
    """
    fits = []
    for of in (of.astype(np.float64) for of in lower.values() if of.size == array.size):
        numbers = np.unique(of)
        above = np.clip(np.searchsorted(numbers, array), 0, len(numbers) - 1)
        below = np.maximum(above - 1, 0)
        nearest = np.where(array - numbers[below] <= numbers[above] - array, numbers[below], numbers[above])
        if np.array_equal(np.sort(nearest, None), np.sort(of, None)):
            fits.append((float(np.abs(nearest - array).max()), nearest))
    return min(fits, key=lambda fit: fit[0])[1] if fits else None
