"""Causal convolutions over time: WaveNet, TCN, and mixers of places and channels."""

import keras
import torch
from keras import layers, ops
from torch import nn
from torch.nn import functional

from benchmarks.zoo.calls import BOTH
from parity import Pair, strategies

CHANNELS, TIME, WIDTH = 3, 12, 5


class TorchWaveNet(nn.Module):
    def __init__(self, dilations=(1, 2, 4)):
        super().__init__()
        self.enter = nn.Conv1d(CHANNELS, WIDTH, 1)
        self.filters = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 2, dilation=d) for d in dilations)
        self.gates = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 2, dilation=d) for d in dilations)
        self.skips = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 1) for _ in dilations)
        self.leave = nn.Conv1d(WIDTH, 4, 1)

    def forward(self, x):
        x, total = self.enter(x), 0
        for conv, gate, skip in zip(self.filters, self.gates, self.skips, strict=True):
            y = functional.pad(x, (conv.dilation[0], 0))
            y = skip(torch.tanh(conv(y)) * torch.sigmoid(gate(y)))
            x, total = x + y, total + y
        return self.leave(torch.relu(total))


class KerasWaveNet(keras.Model):
    def __init__(self, dilations=(1, 2, 4), **kwargs):
        super().__init__(**kwargs)

        def conv(rate, activation):
            return layers.Conv1D(WIDTH, 2, dilation_rate=rate, padding="causal", activation=activation)

        self.enter = layers.Conv1D(WIDTH, 1)
        self.filters = [conv(rate, "tanh") for rate in dilations]
        self.gates = [conv(rate, "sigmoid") for rate in dilations]
        self.skips = [layers.Conv1D(WIDTH, 1) for _ in dilations]
        self.leave = layers.Conv1D(4, 1)

    def call(self, x):
        x, total = self.enter(x), 0
        for conv, gate, skip in zip(self.filters, self.gates, self.skips, strict=True):
            y = skip(conv(x) * gate(x))
            x, total = x + y, total + y
        return self.leave(ops.relu(total))


class TorchTCN(nn.Module):
    def __init__(self, dilations=(1, 2)):
        super().__init__()
        self.enter = nn.Conv1d(CHANNELS, WIDTH, 1)
        self.ones = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 3, dilation=d) for d in dilations)
        self.twos = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 3, dilation=d) for d in dilations)

    def forward(self, x):
        x = self.enter(x)
        for one, two in zip(self.ones, self.twos, strict=True):
            y = x
            for conv in (one, two):
                y = torch.relu(conv(functional.pad(y, (2 * conv.dilation[0], 0))))
            x = torch.relu(x + y)
        return x


def keras_tcn():
    inputs = keras.Input((TIME, CHANNELS))
    x = layers.Conv1D(WIDTH, 1)(inputs)
    for rate in (1, 2):
        y = x
        for _ in range(2):
            y = layers.Conv1D(WIDTH, 3, dilation_rate=rate, padding="causal", activation="relu")(y)
        x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(inputs, x)


class TorchMixer(nn.Module):
    """MLP-mixer over time (12) and channels (3)."""

    def __init__(self, blocks=2):
        super().__init__()

        def mlps(width, inner):
            return nn.ModuleList(
                nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width)) for _ in range(blocks)
            )

        self.norms1 = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in range(blocks))
        self.norms2 = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in range(blocks))
        self.tokens, self.channels = mlps(TIME, 7), mlps(CHANNELS, 8)

    def forward(self, x):
        x = x.transpose(1, 2)
        for norm1, tokens, norm2, channels in zip(self.norms1, self.tokens, self.norms2, self.channels, strict=True):
            x = x + tokens(norm1(x).transpose(1, 2)).transpose(1, 2)
            x = x + channels(norm2(x))
        return x.transpose(1, 2)


class KerasMixer(keras.Model):
    def __init__(self, blocks=2, **kwargs):
        super().__init__(**kwargs)

        def mlp(width, inner):
            return keras.Sequential([layers.Dense(inner), layers.Activation(exact_gelu), layers.Dense(width)])

        self.norms1 = [layers.LayerNormalization(epsilon=1e-5) for _ in range(blocks)]
        self.norms2 = [layers.LayerNormalization(epsilon=1e-5) for _ in range(blocks)]
        self.tokens = [mlp(TIME, 7) for _ in range(blocks)]
        self.channels = [mlp(CHANNELS, 8) for _ in range(blocks)]

    def call(self, x):
        for norm1, tokens, norm2, channels in zip(self.norms1, self.tokens, self.norms2, self.channels, strict=True):
            x = x + ops.swapaxes(tokens(ops.swapaxes(norm1(x), 1, 2)), 1, 2)
            x = x + channels(norm2(x))
        return x


def exact_gelu(x):
    return ops.gelu(x, approximate=False)


class TorchShift(nn.Module):
    """The step before, beside each step: token shift."""

    def __init__(self):
        super().__init__()
        self.key, self.value = nn.Linear(2 * CHANNELS, 9), nn.Linear(9, CHANNELS)

    def forward(self, x):
        x = x.transpose(1, 2)
        before = functional.pad(x, (0, 0, 1, -1))
        return (x + self.value(torch.relu(self.key(torch.cat([x, before], -1))) ** 2)).transpose(1, 2)


class KerasShift(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.key, self.value = layers.Dense(9, activation="relu"), layers.Dense(CHANNELS)

    def call(self, x):
        before = ops.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return x + self.value(ops.square(self.key(ops.concatenate([x, before], -1))))


SIDES = {
    "wavenet": (TorchWaveNet, KerasWaveNet),
    "tcn": (TorchTCN, keras_tcn),
    "mixer": (TorchMixer, KerasMixer),
    "token-shift": (TorchShift, KerasShift),
}
PAIRS = tuple(Pair(name, *sides, inputs=strategies.arrays(CHANNELS, TIME), call=BOTH) for name, sides in SIDES.items())
