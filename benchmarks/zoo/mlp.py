"""Dense layers: deep, wide, residual, normed, with dropout, tied, low-rank, as experts."""

import keras
import torch
from keras import layers, ops
from torch import nn
from torch.nn import functional

from parity import Pair, strategies

IN, OUT = 7, 5


def torch_deep(*widths, activation=nn.ReLU):
    sizes = (IN, *widths)
    hidden = [part for one, two in zip(sizes, widths, strict=False) for part in (nn.Linear(one, two), activation())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], OUT))


def keras_deep(*widths, activation="relu"):
    hidden = [layers.Dense(width, activation=activation) for width in widths]
    return keras.Sequential([keras.Input((IN,)), *hidden, layers.Dense(OUT)])


def torch_shallow():
    return torch_deep(11)


def keras_shallow():
    return keras_deep(11)


def torch_five():
    return torch_deep(9, 11, 13, 10, 8, activation=nn.Tanh)


def keras_five():
    return keras_deep(9, 11, 13, 10, 8, activation="tanh")


def torch_batch_normed():
    return nn.Sequential(
        nn.Linear(IN, 11, bias=False), nn.BatchNorm1d(11), nn.ReLU(), nn.Dropout(0.3), nn.Linear(11, OUT)
    )


def keras_batch_normed():
    return keras.Sequential(
        [
            keras.Input((IN,)),
            layers.Dense(11, use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Dropout(0.3),
            layers.Dense(OUT),
        ]
    )


def torch_softmax():
    return nn.Sequential(nn.Linear(IN, 11), nn.GELU(), nn.Linear(11, OUT), nn.Softmax(-1))


def keras_softmax():
    inputs = keras.Input((IN,))
    x = ops.gelu(layers.Dense(11)(inputs), approximate=False)
    return keras.Model(inputs, layers.Dense(OUT, activation="softmax")(x))


class TorchResidual(nn.Module):
    def __init__(self, blocks=3, width=11):
        super().__init__()
        self.enter, self.leave = nn.Linear(IN, width), nn.Linear(width, OUT)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.ups = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(blocks))
        self.downs = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(blocks))

    def forward(self, x):
        x = self.enter(x)
        for norm, up, down in zip(self.norms, self.ups, self.downs, strict=True):
            x = x + down(functional.silu(up(norm(x))))
        return self.leave(x)


class KerasResidual(keras.Model):
    def __init__(self, blocks=3, width=11, **kwargs):
        super().__init__(**kwargs)
        self.enter, self.leave = layers.Dense(width), layers.Dense(OUT)
        self.norms = [layers.LayerNormalization(epsilon=1e-5) for _ in range(blocks)]
        self.ups = [layers.Dense(2 * width, activation="silu") for _ in range(blocks)]
        self.downs = [layers.Dense(width) for _ in range(blocks)]

    def call(self, x):
        x = self.enter(x)
        for norm, up, down in zip(self.norms, self.ups, self.downs, strict=True):
            x = x + down(up(norm(x)))
        return self.leave(x)


class TorchDense(nn.Module):
    """Each layer sees all that came before it."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(IN, 6), nn.Linear(IN + 6, 9), nn.Linear(IN + 6 + 9, OUT)

    def forward(self, x):
        a = torch.relu(self.a(x))
        b = torch.relu(self.b(torch.cat([x, a], -1)))
        return self.c(torch.cat([x, a, b], -1))


def keras_dense():
    x = keras.Input((IN,))
    a = layers.Dense(6, activation="relu", name="a")(x)
    b = layers.Dense(9, activation="relu", name="b")(layers.Concatenate()([x, a]))
    return keras.Model(x, layers.Dense(OUT, name="c")(layers.Concatenate()([x, a, b])))


class TorchExperts(nn.Module):
    """Every expert, weighed by a softmax over them."""

    def __init__(self, experts=3):
        super().__init__()
        self.gate = nn.Linear(IN, experts)
        self.experts = nn.ModuleList(nn.Linear(IN, OUT) for _ in range(experts))

    def forward(self, x):
        weights = self.gate(x).softmax(-1)
        return (torch.stack([expert(x) for expert in self.experts], 1) * weights[..., None]).sum(1)


class KerasExperts(keras.Model):
    def __init__(self, experts=3, **kwargs):
        super().__init__(**kwargs)
        self.gate = layers.Dense(experts, activation="softmax")
        self.experts = [layers.Dense(OUT) for _ in range(experts)]

    def call(self, x):
        weights = self.gate(x)
        return ops.sum(ops.stack([expert(x) for expert in self.experts], 1) * weights[..., None], 1)


class TorchCross(nn.Module):
    """Deep and cross: x0 * (W x + b) + x."""

    def __init__(self):
        super().__init__()
        self.crosses = nn.ModuleList(nn.Linear(IN, IN) for _ in range(2))
        self.head = nn.Linear(IN, OUT)

    def forward(self, inputs):
        x = inputs
        for cross in self.crosses:
            x = inputs * cross(x) + x
        return self.head(x)


class KerasCross(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.crosses = [layers.Dense(IN) for _ in range(2)]
        self.head = layers.Dense(OUT)

    def call(self, inputs):
        x = inputs
        for cross in self.crosses:
            x = inputs * cross(x) + x
        return self.head(x)


class TorchRepeated(nn.Module):
    """One layer called three times."""

    def __init__(self):
        super().__init__()
        self.enter, self.again, self.leave = nn.Linear(IN, 9), nn.Linear(9, 9), nn.Linear(9, OUT)

    def forward(self, x):
        x = self.enter(x)
        for _ in range(3):
            x = torch.tanh(self.again(x))
        return self.leave(x)


def keras_repeated():
    again = layers.Dense(9, activation="tanh", name="again")
    inputs = keras.Input((IN,))
    x = layers.Dense(9, name="enter")(inputs)
    for _ in range(3):
        x = again(x)
    return keras.Model(inputs, layers.Dense(OUT, name="leave")(x))


def torch_low_rank():
    return nn.Sequential(nn.Linear(IN, 2, bias=False), nn.Linear(2, 13), nn.ELU(), nn.LayerNorm(13), nn.Linear(13, OUT))


def keras_low_rank():
    return keras.Sequential(
        [
            keras.Input((IN,)),
            layers.Dense(2, use_bias=False),
            layers.Dense(13, activation="elu"),
            layers.LayerNormalization(epsilon=1e-5),
            layers.Dense(OUT),
        ]
    )


ROWS = strategies.arrays(IN)
PAIRS = tuple(
    Pair(f"mlp-{name}", torch_side, keras_side, inputs=ROWS)
    for name, torch_side, keras_side in (
        ("shallow", torch_shallow, keras_shallow),
        ("five", torch_five, keras_five),
        ("batch-normed", torch_batch_normed, keras_batch_normed),
        ("softmax", torch_softmax, keras_softmax),
        ("residual", TorchResidual, KerasResidual),
        ("dense", TorchDense, keras_dense),
        ("experts", TorchExperts, KerasExperts),
        ("cross", TorchCross, KerasCross),
        ("repeated", TorchRepeated, keras_repeated),
        ("low-rank", torch_low_rank, keras_low_rank),
    )
)
