"""Convolutions over time: strides, paddings, dilations, groups, transposed and separable, pooled and flattened."""

from functools import partial

import keras
import torch
from keras import layers
from torch import nn
from torch.nn import functional

from benchmarks.zoo.calls import BOTH, LAST
from parity import Pair, strategies

CHANNELS, TIME = 4, 13


def torch_conv(filters, kernel, **how):
    return nn.Sequential(nn.Conv1d(CHANNELS, filters, kernel, **how), nn.ReLU(), nn.Conv1d(filters, 3, 1))


def keras_conv(filters, kernel, **how):
    first = layers.Conv1D(filters, kernel, activation="relu", **how)
    return keras.Sequential([keras.Input((TIME, CHANNELS)), first, layers.Conv1D(3, 1)])


def torch_transposed(**how):
    return nn.Sequential(nn.ConvTranspose1d(CHANNELS, 5, 3, **how), nn.Tanh())


def keras_transposed(**how):
    return keras.Sequential([keras.Input((TIME, CHANNELS)), layers.Conv1DTranspose(5, 3, activation="tanh", **how)])


def torch_depthwise():
    return nn.Sequential(nn.Conv1d(CHANNELS, 2 * CHANNELS, 3, groups=CHANNELS), nn.ReLU(), nn.Conv1d(8, 3, 1))


def keras_depthwise():
    first = layers.DepthwiseConv1D(3, depth_multiplier=2, activation="relu")
    return keras.Sequential([keras.Input((TIME, CHANNELS)), first, layers.Conv1D(3, 1)])


class TorchCausal(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(CHANNELS, 6, 3, dilation=2), nn.Conv1d(6, 3, 1)

    def forward(self, x):
        return self.head(torch.relu(self.conv(functional.pad(x, (4, 0)))))


def torch_pooled():
    return nn.Sequential(
        nn.Conv1d(CHANNELS, 6, 3, padding=1),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


def keras_pooled():
    return keras.Sequential(
        [
            keras.Input((TIME, CHANNELS)),
            layers.Conv1D(6, 3, padding="same"),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.MaxPooling1D(2),
            layers.Conv1D(8, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(5),
        ]
    )


class TorchFlat(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(CHANNELS, 6, 3, stride=2), nn.Linear(36, 5)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).transpose(1, 2).flatten(1))


def keras_flat():
    conv = layers.Conv1D(6, 3, strides=2, activation="relu")
    return keras.Sequential([keras.Input((TIME, CHANNELS)), conv, layers.Flatten(), layers.Dense(5)])


class TorchInception(nn.Module):
    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv1d(CHANNELS, width, k, padding=k // 2) for width, k in ((3, 1), (5, 3), (6, 5))
        )

    def forward(self, x):
        return torch.cat([torch.relu(branch(x)) for branch in self.branches], 1)


def keras_inception():
    x = keras.Input((TIME, CHANNELS))
    branches = [layers.Conv1D(width, k, padding="same", activation="relu") for width, k in ((3, 1), (5, 3), (6, 5))]
    return keras.Model(x, layers.Concatenate()([branch(x) for branch in branches]))


SIGNALS = strategies.arrays(CHANNELS, TIME)
CONVS = {
    "valid": ({}, {}),
    "same": ({"padding": "same"}, {"padding": "same"}),
    "strided": ({"stride": 2}, {"strides": 2}),
    "dilated": ({"dilation": 3}, {"dilation_rate": 3}),
    "grouped": ({"groups": 2}, {"groups": 2}),
}
SIDES = {
    name: (partial(torch_conv, 6, 3, **ours), partial(keras_conv, 6, 3, **theirs))
    for name, (ours, theirs) in CONVS.items()
} | {
    "transposed": (torch_transposed, keras_transposed),
    "transposed-strided": (partial(torch_transposed, stride=2), partial(keras_transposed, strides=2)),
    "depthwise": (torch_depthwise, keras_depthwise),
    "causal": (TorchCausal, partial(keras_conv, 6, 3, padding="causal", dilation_rate=2)),
    "inception": (TorchInception, keras_inception),
}
HEADS = {"pooled": (torch_pooled, keras_pooled), "flat": (TorchFlat, keras_flat)}
PAIRS = (
    *(Pair(f"cnn1d-{name}", *sides, inputs=SIGNALS, call=BOTH) for name, sides in SIDES.items()),
    *(Pair(f"cnn1d-{name}", *sides, inputs=SIGNALS, call=LAST) for name, sides in HEADS.items()),
)
