"""Pooling over time and over images, and what else takes places away: cropping, slices, maxima, sums."""

from functools import partial

import keras
import torch
from keras import layers, ops
from torch import nn

from benchmarks.zoo.calls import BOTH, LAST
from parity import Pair, strategies

SIGNALS, IMAGES = strategies.arrays(3, 12), strategies.arrays(3, 8, 6)


def torch_signal(*pool):
    return nn.Sequential(nn.Conv1d(3, 5, 3), *pool, nn.Conv1d(5, 4, 2))


def keras_signal(*pool):
    parts = [one() for one in pool]
    return keras.Sequential([keras.Input((12, 3)), layers.Conv1D(5, 3), *parts, layers.Conv1D(4, 2)])


def torch_image(*pool):
    return nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), *pool, nn.Conv2d(5, 4, 2))


def keras_image(*pool):
    parts = [one() for one in pool]
    return keras.Sequential([keras.Input((8, 6, 3)), layers.Conv2D(5, 3, padding="same"), *parts, layers.Conv2D(4, 2)])


class TorchGlobal(nn.Module):
    """The mean, the most, the least and the sum of each channel."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 5, 3), nn.Linear(20, 4)

    def forward(self, x):
        x = torch.tanh(self.conv(x)).flatten(2)
        return self.head(torch.cat([x.mean(2), x.amax(2), x.amin(2), x.sum(2)], 1))


class KerasGlobal(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv, self.head = layers.Conv2D(5, 3, activation="tanh"), layers.Dense(4)

    def call(self, x):
        x = self.conv(x)
        found = [reduce(x, (1, 2)) for reduce in (ops.mean, ops.max, ops.min, ops.sum)]
        return self.head(ops.concatenate(found, 1))


class TorchLogSum(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(3, 5, 3), nn.Linear(5, 4)

    def forward(self, x):
        return self.head(self.conv(x).logsumexp(2))


class KerasLogSum(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv, self.head = layers.Conv1D(5, 3), layers.Dense(4)

    def call(self, x):
        return self.head(ops.logsumexp(self.conv(x), 1))


def sides(torch_side, keras_side, ours, theirs):
    return partial(torch_side, *ours), partial(keras_side, *theirs)


ONE = {
    "max-1d": ([nn.MaxPool1d(2)], [partial(layers.MaxPooling1D, 2)]),
    "mean-1d": ([nn.AvgPool1d(3, 2)], [partial(layers.AveragePooling1D, 3, 2)]),
    "crop-1d": ([nn.ZeroPad1d((-1, -2))], [partial(layers.Cropping1D, (1, 2))]),
    "repeat-1d": ([nn.Upsample(scale_factor=3)], [partial(layers.UpSampling1D, 3)]),
}
TWO = {
    "max-2d": ([nn.MaxPool2d(2)], [partial(layers.MaxPooling2D, 2)]),
    "overlapping-2d": ([nn.MaxPool2d(3, 2)], [partial(layers.MaxPooling2D, 3, 2)]),
    "mean-2d": ([nn.AvgPool2d((2, 3))], [partial(layers.AveragePooling2D, (2, 3))]),
    "zero-pad-2d": ([nn.ZeroPad2d((1, 2, 3, 0))], [partial(layers.ZeroPadding2D, ((3, 0), (1, 2)))]),
}
PAIRS = (
    *(Pair(f"pool-{n}", *sides(torch_signal, keras_signal, *p), inputs=SIGNALS, call=BOTH) for n, p in ONE.items()),
    *(Pair(f"pool-{n}", *sides(torch_image, keras_image, *p), inputs=IMAGES, call=BOTH) for n, p in TWO.items()),
    Pair("pool-global", TorchGlobal, KerasGlobal, inputs=IMAGES, call=LAST),
    Pair("pool-log-sum", TorchLogSum, KerasLogSum, inputs=SIGNALS, call=LAST),
)
