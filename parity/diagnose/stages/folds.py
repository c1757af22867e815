"""Batch normalizations that a converter folded: into the layer before them, or into a factor and a summand of a file.

Folded, a kernel is multiplied by gain / sqrt(variance + epsilon) at each channel, and the bias is (bias - mean) times
that, plus the norm's own bias. What a converter did instead is told from the values, and the right ones are tried.
Elsewhere factor and summand stand for themselves: rounded there, they are other numbers than those of weights that are
rounded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np

from parity.canonical.layer import Layer
from parity.diagnose.layers.functions import factors_along, owner
from parity.diagnose.relations import Origins
from parity.diagnose.stages.own_orders import Change, Values
from parity.dtypes import EPS, Array

CAUSE = "batch norm folded"
UNITS = 256  # of float32's roundings of the largest term: sums of three cancel


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


def changes(
    layers: Iterable[Layer],
    settings: Mapping[str, Mapping[str, Any]],
    source: Values,
    port: Values,
    every: Sequence[Origins],
) -> Iterator[Change]:
    """The port's kernels and biases with the source's batch normalizations folded in as they should be.

    All that lack the same at once, then each by itself. `layers` and their `settings`, by path, are the source's, and
    `every` is what each parameter of the port was made from.
    """
    alike: dict[str, dict[str, Values]] = {}
    for layer in layers:
        for fold in folds(layer, settings.get(layer.path, {}), source):
            for words, values in _of_fold(fold, source, port, every):
                alike.setdefault(words, {})[layer.path] = values
    for words, norms in alike.items():
        if len(norms) > 1:
            everything = {name: array for values in norms.values() for name, array in values.items()}
            yield CAUSE, f"with {len(norms)} batch normalizations folded in, each {words}", everything
        for path, values in norms.items():
            yield CAUSE, f"with the batch normalization {path} folded in {words}", values


def _of_fold(fold: Fold, source: Values, port: Values, every: Sequence[Origins]) -> Iterator[tuple[str, Values]]:
    """What is wrong where a norm was folded into a kernel of the port and the bias beside it, and both made right.

    Nothing where they are not this norm's: both are told by what they are of its parameters.
    """
    for of in (of for of in every if of.plain is not None and len(of.shape) > 1):
        name, plain = f"{owner(of.name)}.bias", np.asarray(of.plain, np.float64)
        if name not in port or port[name].shape != fold.factor.shape:
            continue
        before = source.get(f"{owner(of.sources[0])}.bias", np.zeros(len(fold.factor)))
        for axis in (axis for axis, length in enumerate(of.shape) if length == len(fold.factor)):
            factor = factors_along(plain, port[of.name].astype(np.float64), axis)
            kernel = None if factor is None else _of_factor(fold, source, factor)
            if factor is None or kernel is None or before.shape != factor.shape:
                continue
            bias = _of_bias(fold, source, before.astype(np.float64), factor, port[name])
            if bias is not None and (kernel or bias):
                shape = [-1 if at == axis else 1 for at in range(plain.ndim)]
                right = {of.name: plain * fold.factor.reshape(shape), name: before * fold.factor + fold.summand}
                yield " and ".join(filter(None, (kernel, bias))), right


def with_biases(origins: Sequence[Origins], source: Values, port: Values) -> list[Origins]:
    """The origins, in which each bias that a folded norm left in the port has what it was made from, too.

    Its kernel's origin names the norm, and so the arrays of the source that it may be made from.
    """
    folded: dict[str, Origins] = {}
    for of in (of for of in origins if of.plain is not None and len(of.sources) > 1):
        name, (before, norm) = f"{owner(of.name)}.bias", (owner(at) for at in of.sources[:2])
        for axis in (axis for axis, length in enumerate(of.shape) if name in port and port[name].shape == (length,)):
            factor = factors_along(np.asarray(of.plain, np.float64), port[of.name].astype(np.float64), axis)
            parts = [at for at in source if owner(at) == norm and at not in of.sources]
            own = [at for at in (f"{before}.bias",) if at in source]
            for bias, (mean, shift) in product((*own, None), permutations((*parts, None, None), 2)):
                names = [at for at in (bias, mean, shift) if at]
                if factor is None or not names or any(source[at].shape != factor.shape for at in names):
                    continue
                one, other, last = (source[at].astype(np.float64) if at else 0 * factor for at in (bias, mean, shift))
                terms = (one * factor, other * factor, last)
                if _same(terms[0] - terms[1] + last, port[name], max(np.abs(term).max() for term in terms)):
                    inner = f"({bias} - {mean})" if bias and mean else bias or f"-{mean}"
                    how = f"{inner} * that factor" + (f" + {shift}" if shift else "")
                    folded.setdefault(name, Origins(name, port[name].shape, tuple(names), (how,)))
    return [folded.get(of.name, of) if not of.sources else of for of in origins]


def _of_factor(fold: Fold, source: Values, factor: Array) -> str | None:
    """What a factor at each channel lacks of a norm's; "" where nothing, None where it is none of this norm's."""
    variance = source[fold.variance].astype(np.float64)
    raised, root = variance + fold.epsilon, np.sqrt(variance + fold.epsilon)
    ways = {
        "": fold.factor,
        "without its gain and variance": np.ones(len(factor)),
        "without its gain": 1 / root,
        "without its variance": fold.gain,
        "divided by its variance, not by the root of it": fold.gain / raised,
        "multiplied by the root of its variance": fold.gain * root,
        "with epsilon behind the root of its variance": fold.gain / (np.sqrt(variance) + fold.epsilon),
    }
    size = np.abs(factor).max()
    words = next((words for words, way in ways.items() if _same(way, factor, size)), None)
    if words is None and np.isfinite(epsilon := float(np.median(np.square(fold.gain / factor) - variance))):
        way = fold.gain / np.sqrt(np.maximum(variance + epsilon, EPS["float32"]))
        words = f"by epsilon {epsilon:.1g}, not {fold.epsilon:g}" if _same(way, factor, size) else None
    return words


def _of_bias(fold: Fold, source: Values, before: Array, factor: Array, bias: Array) -> str | None:
    """What a bias lacks of a norm folded in by a factor; "" where nothing, None where it is none of this norm's."""
    mean, shift, none = source[fold.mean].astype(np.float64), fold.bias, np.zeros(len(factor))
    befores = {"": before * factor, "without the bias before it": none, "with the bias before it as it was": before}
    means = {
        "": -mean * factor,
        "without its mean": none,
        "with its mean added": mean * factor,
        "with its mean as it was": -mean,
    }
    shifts = {"": shift, "without its bias": none, "with its bias subtracted": -shift}
    ways = product(befores.items(), means.items(), shifts.items())
    for way in sorted(ways, key=lambda way: sum(bool(words) for words, _ in way)):
        terms = [term for _, term in way]
        if _same(sum(terms, none), bias, max(np.abs(term).max() for term in terms)):
            return " and ".join(words for words, _ in way if words)
    return None


def _same(one: Array, other: Array, size: float) -> bool:
    """Whether two arrays are the same but for float32's rounding of numbers of this size."""
    return bool((np.abs(one - other) <= UNITS * EPS["float32"] * size).all())
