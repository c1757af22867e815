"""Unstable twins: the same function in float64, which loses float32 by the way it is computed.

Both sides agree in float64, to rounding: what tells them apart is each side's own error in float32, beside the other's.
It shows where numbers are large, or cancel: inputs of many sizes have to be drawn.
"""

from parity.dtypes import Module, Tensor
from parity.selftest.faults.fault import Fault
from parity.selftest.faults.inject_layers import (
    Change,
    after,
    around,
    during,
    fault,
    is_torch,
    library,
    reading,
    setting,
)


def log_of_softmax(z: Tensor) -> Tensor:
    """log(softmax(z)) and the constant that it lacks: minus infinity where a probability is below float32's least."""
    lib = library(z)
    top = lib.amax(z, -1, True)
    powers = lib.exp(z - top)
    total = lib.sum(powers, -1, True)
    return lib.log(powers / total) + lib.log(total) + top


def softmax_of_powers(x: Tensor, axis: int) -> Tensor:
    """exp(x) / sum(exp(x)), whose powers overflow."""
    lib = library(x)
    powers = lib.exp(x)
    return powers / lib.sum(powers, axis, True)


def there_and_back(x: Tensor) -> Tensor:
    """A constant is added and taken away."""
    if is_torch(x):
        return x + 1e4 - 1e4
    import keras

    # The random number is the constant itself: the graph would fold a constant away.
    return x + 1e4 - keras.random.uniform((), 1e4, 1e4, keras.backend.standardize_dtype(x.dtype))


def difference_of_squares(model: Module) -> None:
    """Variance as E[x^2] - E[x]^2, of numbers that stand far from zero."""

    def altered(_: object, x: Tensor) -> Tensor:
        norm = model.norm
        x = x + 100
        mean = x.mean(-1, True)
        variance = (x * x).mean(-1, True) - mean * mean
        return (x - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias

    around("norm", altered)(model)


def sigmoid_of_powers(x: Tensor) -> Tensor:
    """exp(x) / (1 + exp(x)), infinity over infinity from 89 on."""
    powers = library(x).exp(x)
    return powers / (1 + powers)


def tanh_of_powers(x: Tensor) -> Tensor:
    """(exp(2x) - 1) / (exp(2x) + 1), infinity over infinity from 45 on, and two ones that cancel near 0."""
    powers = library(x).exp(2 * x)
    return (powers - 1) / (powers + 1)


def only_in_float32(change: Change) -> Change:
    """What a device does with float32 alone."""
    return lambda x: change(x) if "32" in str(x.dtype) else x


def ten_bits(x: Tensor) -> Tensor:
    """Rounded to the ten bits that are left of float32 in TensorFloat-32, by Veltkamp's splitting.

    Dekker, 1971: https://doi.org/10.1007/BF01397083. Of 24 bits, times 2^13 + 1 leaves 11, the leading one among them.
    """
    large = 2.0**13 + 1
    upper = x * large
    return upper - (upper - x)


UNSTABLE, ATTENTION = "unstable formula", "blocks.0.attention"
SOFTMAX = during(ATTENTION, "torch", softmax=softmax_of_powers)
KERAS_SOFTMAX = during(ATTENTION, "keras.ops", softmax=softmax_of_powers)
FAULTS: tuple[Fault, ...] = (
    fault("keras", "lstm", "log(softmax), TensorFlow", after("head", log_of_softmax), "head", UNSTABLE),
    fault("torch", "gru", "log(softmax), torch", after("head", log_of_softmax), "head", UNSTABLE),
    fault("torch", "transformer", "softmax of powers, torch", SOFTMAX, ATTENTION, UNSTABLE),
    fault("keras", "transformer", "softmax of powers, TensorFlow", KERAS_SOFTMAX, ATTENTION, UNSTABLE),
    fault("torch", "lstm", "constant of 1e4, torch", after("head", there_and_back), "head", UNSTABLE),
    fault("keras", "lstm", "constant of 1e4, TensorFlow", after("head", there_and_back), "head", UNSTABLE),
    fault("torch", "transformer", "variance as E[x^2] - E[x]^2", difference_of_squares, "norm", UNSTABLE),
    fault(
        "keras",
        "lstm",
        "sigmoid of powers, LSTM",
        setting("lstm.cell", recurrent_activation=sigmoid_of_powers),
        "lstm",
        UNSTABLE,
    ),
    fault(
        "keras",
        "gru",
        "sigmoid of powers, GRU",
        setting("gru.cell", recurrent_activation=sigmoid_of_powers),
        "gru",
        UNSTABLE,
    ),
    fault("torch", "conv", "tanh of powers, torch", during("", "torch", tanh=tanh_of_powers), "", UNSTABLE),
    fault("keras", "conv", "tanh of powers, TensorFlow", during("", "keras.ops", tanh=tanh_of_powers), "", UNSTABLE),
    # On GPUs TensorFlow has TensorFloat-32 on by default, and torch has it off for products of matrices.
    # https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_tensor_float_32_execution
    fault("torch", "gru", "TensorFloat-32, torch", reading("head", weight=only_in_float32(ten_bits)), "head", UNSTABLE),
    fault(
        "keras",
        "conv",
        "TensorFloat-32, TensorFlow",
        reading("head", kernel=only_in_float32(ten_bits)),
        "head",
        UNSTABLE,
    ),
)
