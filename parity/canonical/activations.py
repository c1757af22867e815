"""Functions of one array that both frameworks know, in NumPy: the forms that are taken for one another.

A GELU by erf, by tanh or by a sigmoid; a leaky ReLU of this slope or that; a hard sigmoid of x / 6 or of 0.2 x: ports
choose the wrong one of a family, so each form stands here by itself, with its constant in its name. A new activation is
an entry of `FUNCTIONS`, and of `WRITTEN` where the frameworks' own names for it are not `keras.activations.NAME` and
`torch.nn.functional.NAME`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from parity.dtypes import Array

Function = Callable[[Array], Array]

_erf = np.frompyfunc(math.erf, 1, 1)  # NumPy has no erf; this one gives an array of Python floats


def softmax(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """exp(x) / sum(exp(x)) over an axis, or over several at once, with the maximum subtracted first: no overflow."""
    powers = np.exp(x - x.max(axis, keepdims=True))
    result: Array = np.divide(powers, powers.sum(axis, keepdims=True))
    return result


def log_softmax(x: Array, axis: int = -1) -> Array:
    """log(softmax(x)) without the logarithm of a small number."""
    x = x - x.max(axis, keepdims=True)
    result: Array = np.subtract(x, np.log(np.exp(x).sum(axis, keepdims=True)))
    return result


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) by tanh: no overflow at either end."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def leaky(slope: float) -> Function:
    """Return the leaky ReLU of this slope: x above 0, slope * x below."""
    return lambda x: np.where(x < 0, slope * x, x)


def _gelu(x: Array) -> Array:
    """x * Phi(x), by the error function. Hendrycks and Gimpel, 2016: https://arxiv.org/abs/1606.08415"""
    result: Array = np.multiply(0.5 * x, 1 + np.asarray(_erf(x / math.sqrt(2)), x.dtype))
    return result


def _gelu_tanh(x: Array) -> Array:
    """The same paper's approximation of it by tanh, which is up to 5e-4 off."""
    result: Array = np.multiply(0.5 * x, 1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return result


def _elu(x: Array) -> Array:
    """x above 0, exp(x) - 1 below; of nothing large, so that what `where` throws away does not overflow."""
    return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)


def _softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def _softplus_torch(x: Array) -> Array:
    """torch.nn.Softplus, which is the identity above its `threshold` of 20: 2e-9 less than log(1 + exp(x)) there."""
    return np.where(x > 20, x, np.logaddexp(0, x))


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


# SELU's two constants. Klambauer et al., 2017: https://arxiv.org/abs/1706.02515
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805

FUNCTIONS: Mapping[str, Function] = {
    "identity": lambda x: x,
    "relu": _relu,
    "gelu (erf)": _gelu,
    "gelu (tanh)": _gelu_tanh,
    "gelu (quick)": lambda x: x * sigmoid(1.702 * x),
    "silu": lambda x: x * sigmoid(x),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "leaky_relu (slope 0.01)": leaky(0.01),
    "leaky_relu (slope 0.1)": leaky(0.1),
    "leaky_relu (slope 0.2)": leaky(0.2),
    "leaky_relu (slope 0.3)": leaky(0.3),
    "elu": _elu,
    "selu": lambda x: np.where(x < 0, SCALE * ALPHA * np.expm1(np.minimum(x, 0)), SCALE * x),
    "softplus": _softplus,
    "softplus (identity above 20)": _softplus_torch,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_sigmoid (0.2 x + 0.5)": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "relu6": lambda x: np.clip(x, 0, 6),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "square": np.square,
    "relu squared": lambda x: np.square(_relu(x)),
}
# A setting's name -> the form above that it means: a layer's `activation=` may name a family, of which the frameworks'
# default is meant.
MEANS = {None: "identity", "linear": "identity", "gelu": "gelu (erf)", "swish": "silu", "hard_swish": "hard_silu"}
# The name above -> what a user of TensorFlow and of torch writes for it.
WRITTEN = {
    "identity": ("x", "x"),
    "gelu (erf)": ("keras.activations.gelu(x, approximate=False)", "torch.nn.functional.gelu(x)"),
    "gelu (tanh)": (
        "keras.activations.gelu(x, approximate=True)",
        'torch.nn.functional.gelu(x, approximate="tanh")',
    ),
    "gelu (quick)": ("x * keras.activations.sigmoid(1.702 * x)", "x * torch.sigmoid(1.702 * x)"),
    "hard_tanh": ("keras.activations.hard_tanh(x)", "torch.nn.functional.hardtanh(x)"),
    "square": ("x**2", "x**2"),
    "relu squared": ("keras.activations.relu(x) ** 2", "torch.nn.functional.relu(x) ** 2"),
}


def named(name: Any) -> Function | None:
    """The function that a layer's setting names, None of a layer without activation; None if it is not among the known.

    The answer to `named(None)` is the identity.
    """
    return FUNCTIONS.get(MEANS.get(name, name))


def written(name: str) -> str:
    """What a user of Keras writes for a function of x, by its name in `FUNCTIONS` or `along`, or any leaky ReLU's."""
    if name in WRITTEN:
        return WRITTEN[name][0]
    stem, _, rest = name.partition(" (")
    if stem == "leaky_relu":
        return f"keras.activations.leaky_relu(x, negative_slope={rest.removeprefix('slope ').rstrip(')')})"
    if " over axes " in name:
        return name
    if " over axis " in name:
        return f"keras.activations.{name.replace(' over axis ', '(x, axis=')})"
    return f"keras.activations.{stem}(x)"


PROBABILITIES = "log of probabilities"  # that are clipped to be `LEAST` from 0 and 1
LEAST = 1e-7  # keras.config.epsilon()


def along(dimensions: int) -> Iterator[tuple[str, Function]]:
    """Functions over one axis of an array of so many dimensions, each named with its axis, which counts from the end.

    The first axis, the batch, is left out where there is another.
    """
    for axis in range(1 - dimensions, 0) if dimensions > 1 else (-1,):
        yield f"softmax over axis {axis}", partial(softmax, axis=axis)
        yield f"log_softmax over axis {axis}", partial(log_softmax, axis=axis)
        yield f"unit norm over axis {axis}", partial(_unit, axis=axis)
        yield f"{PROBABILITIES} over axis {axis}", partial(_log_shares, axis=axis)
    for axis in range(1 - dimensions, -1):
        yield f"softmax over axes {axis} to -1 at once", partial(softmax, axis=(*range(axis, 0),))


def _log_shares(x: Array, axis: int) -> Array:
    """log(x / sum(x)) along an axis, the shares being clipped: what Keras's categorical_crossentropy has."""
    with np.errstate(all="ignore"):
        shares = x / x.sum(axis, keepdims=True)
    result: Array = np.log(np.clip(shares, LEAST, 1 - LEAST))
    return result


def _unit(x: Array, axis: int) -> Array:
    """x over its Euclidean norm along an axis; zeros stay zeros."""
    norm = np.sqrt(np.square(x).sum(axis, keepdims=True))
    return x / np.where(norm == 0, 1, norm)
