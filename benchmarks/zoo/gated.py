"""GateResult units: GLU and its kind, highways, gates of what came in, a gated mixer over time."""

from functools import partial

import keras
import torch
from keras import layers, ops
from torch import nn
from torch.nn import functional

from benchmarks.zoo.configured import Configured
from parity import Pair, strategies

IN, INNER, TIME = 7, 11, 5
TORCH = {
    "glu": torch.sigmoid,
    "geglu": functional.gelu,
    "swiglu": functional.silu,
    "reglu": torch.relu,
    "bilinear": torch.nn.Identity(),
}


def exact_gelu(x):
    return ops.gelu(x, approximate=False)


def same(x):
    return x


KERAS = {"glu": ops.sigmoid, "geglu": exact_gelu, "swiglu": ops.silu, "reglu": ops.relu, "bilinear": same}


class TorchGated(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(IN, INNER), nn.Linear(IN, INNER), nn.Linear(INNER, IN)
        self.name = name

    def forward(self, x):
        return x + self.down(TORCH[self.name](self.gate(x)) * self.up(x))


class KerasGated(Configured):
    def __init__(self, kind, **kwargs):
        super().__init__(**kwargs)
        self.gate, self.up, self.down = layers.Dense(INNER), layers.Dense(INNER), layers.Dense(IN)
        self.kind = kind

    def call(self, x):
        return x + self.down(KERAS[self.kind](self.gate(x)) * self.up(x))


class TorchSplit(nn.Module):
    """One product, of which a half gates the other."""

    def __init__(self):
        super().__init__()
        self.both, self.down = nn.Linear(IN, 2 * INNER), nn.Linear(INNER, 4)

    def forward(self, x):
        return self.down(functional.glu(self.both(x), -1))


class KerasSplit(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.both, self.down = layers.Dense(2 * INNER), layers.Dense(4)

    def call(self, x):
        return self.down(ops.glu(self.both(x), -1))


class TorchHighway(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.gates = nn.ModuleList(nn.Linear(IN, IN) for _ in range(depth))
        self.others = nn.ModuleList(nn.Linear(IN, IN) for _ in range(depth))

    def forward(self, x):
        for gate, other in zip(self.gates, self.others, strict=True):
            share = torch.sigmoid(gate(x))
            x = share * torch.tanh(other(x)) + (1 - share) * x
        return x


class KerasHighway(keras.Model):
    def __init__(self, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.gates = [layers.Dense(IN, activation="sigmoid") for _ in range(depth)]
        self.others = [layers.Dense(IN, activation="tanh") for _ in range(depth)]

    def call(self, x):
        for gate, other in zip(self.gates, self.others, strict=True):
            share = gate(x)
            x = share * other(x) + (1 - share) * x
        return x


class TorchGMLP(nn.Module):
    """Half of the channels gates the other, mixed over time."""

    def __init__(self):
        super().__init__()
        self.norm, self.up, self.gates = nn.LayerNorm(IN), nn.Linear(IN, 2 * INNER), nn.LayerNorm(INNER)
        self.mix, self.down = nn.Conv1d(TIME, TIME, 1), nn.Linear(INNER, IN)

    def forward(self, x):
        one, two = functional.gelu(self.up(self.norm(x))).chunk(2, -1)
        return x + self.down(one * (1 + self.mix(self.gates(two))))


class KerasGMLP(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm, self.gates = layers.LayerNormalization(epsilon=1e-5), layers.LayerNormalization(epsilon=1e-5)
        self.up, self.mix, self.down = layers.Dense(2 * INNER), layers.Conv1D(TIME, 1), layers.Dense(IN)

    def call(self, x):
        one, two = ops.split(exact_gelu(self.up(self.norm(x))), 2, -1)
        mixed = ops.swapaxes(self.mix(ops.swapaxes(self.gates(two), 1, 2)), 1, 2)
        return x + self.down(one * (1 + mixed))


class TorchSelection(nn.Module):
    """A weight for each number of a row, which a softmax gives."""

    def __init__(self):
        super().__init__()
        self.hidden, self.weights, self.head = nn.Linear(IN, 9), nn.Linear(9, IN), nn.Linear(IN, 3)

    def forward(self, x):
        return self.head(x * self.weights(functional.elu(self.hidden(x))).softmax(-1))


class KerasSelection(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.weights_of = layers.Dense(9, activation="elu"), layers.Dense(IN, activation="softmax")
        self.head = layers.Dense(3)

    def call(self, x):
        return self.head(x * self.weights_of(self.hidden(x)))


ROWS = strategies.arrays(IN)
SIDES = {name: (partial(TorchGated, name), partial(KerasGated, name)) for name in TORCH} | {
    "split": (TorchSplit, KerasSplit),
    "highway": (TorchHighway, KerasHighway),
    "selection": (TorchSelection, KerasSelection),
}
PAIRS = (
    *(Pair(f"gated-{name}", *sides, inputs=ROWS) for name, sides in SIDES.items()),
    Pair("gated-gmlp", TorchGMLP, KerasGMLP, inputs=strategies.arrays(TIME, IN)),
)
