"""One activation between two dense layers: torch's module, and what Keras has for it."""

from functools import partial

import keras
from keras import layers, ops
from torch import nn

from parity import Pair, strategies

IN, WIDTH, OUT = 7, 11, 5


def torch_side(activation):
    return nn.Sequential(nn.Linear(IN, WIDTH), activation(), nn.Linear(WIDTH, OUT))


def keras_side(activation):
    x = keras.Input((IN,))
    return keras.Model(x, layers.Dense(OUT)(activation(layers.Dense(WIDTH)(x))))


def torch_prelu():
    return nn.Sequential(nn.Linear(IN, WIDTH), nn.PReLU(WIDTH), nn.Linear(WIDTH, OUT))


def keras_prelu():
    return keras.Sequential([keras.Input((IN,)), layers.Dense(WIDTH), layers.PReLU(), layers.Dense(OUT)])


def keras_leaky():
    return keras.Sequential(
        [keras.Input((IN,)), layers.Dense(WIDTH), layers.LeakyReLU(negative_slope=0.2), layers.Dense(OUT)]
    )


def keras_relu6():
    return keras.Sequential([keras.Input((IN,)), layers.Dense(WIDTH), layers.ReLU(max_value=6.0), layers.Dense(OUT)])


def keras_elu():
    return keras.Sequential([keras.Input((IN,)), layers.Dense(WIDTH), layers.ELU(alpha=0.7), layers.Dense(OUT)])


def keras_softmax():
    return keras.Sequential([keras.Input((IN,)), layers.Dense(WIDTH), layers.Softmax(), layers.Dense(OUT)])


def keras_named(name):
    return keras.Sequential([keras.Input((IN,)), layers.Dense(WIDTH, activation=name), layers.Dense(OUT)])


def exact_gelu(x):
    return ops.gelu(x, approximate=False)


def hard_tanh(x):
    return ops.clip(x, -1.0, 1.0)


def tanh_shrink(x):
    return x - ops.tanh(x)


BY_NAME = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "selu": nn.SELU,
    "mish": nn.Mish,
    "softsign": nn.Softsign,
    "log_sigmoid": nn.LogSigmoid,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_silu": nn.Hardswish,
    "celu": nn.CELU,
    "soft_shrink": nn.Softshrink,
    "hard_shrink": nn.Hardshrink,
    "softplus": nn.Softplus,
}
BY_FUNCTION = {
    "gelu": (nn.GELU, exact_gelu),
    "gelu_tanh": (partial(nn.GELU, "tanh"), ops.gelu),
    "hard_tanh": (nn.Hardtanh, hard_tanh),
    "tanh_shrink": (nn.Tanhshrink, tanh_shrink),
}
BY_LAYER = {
    "prelu": (torch_prelu, keras_prelu),
    "leaky_relu": (partial(torch_side, partial(nn.LeakyReLU, 0.2)), keras_leaky),
    "relu6": (partial(torch_side, nn.ReLU6), keras_relu6),
    "elu": (partial(torch_side, partial(nn.ELU, 0.7)), keras_elu),
    "softmax": (partial(torch_side, partial(nn.Softmax, -1)), keras_softmax),
}
SIDES = (
    {name: (partial(torch_side, module), partial(keras_named, name)) for name, module in BY_NAME.items()}
    | {name: (partial(torch_side, ours), partial(keras_side, theirs)) for name, (ours, theirs) in BY_FUNCTION.items()}
    | BY_LAYER
)
PAIRS = tuple(Pair(f"act-{name}", *sides, inputs=strategies.arrays(IN)) for name, sides in SIDES.items())
