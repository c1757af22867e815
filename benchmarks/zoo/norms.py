"""Norms of all kinds, of rows, steps and images."""

from functools import partial

import keras
from keras import layers, ops
from torch import nn
from torch.nn import functional

from benchmarks.zoo.calls import BOTH
from parity import Pair, strategies

IN, WIDTH = 7, 12
IMAGES = strategies.arrays(3, 6, 5)


def torch_rows(norm):
    return nn.Sequential(nn.Linear(IN, WIDTH), norm(), nn.Linear(WIDTH, 5))


def keras_rows(norm, **how):
    return keras.Sequential([keras.Input((IN,)), layers.Dense(WIDTH), norm(**how), layers.Dense(5)])


def torch_images(norm):
    return nn.Sequential(nn.Conv2d(3, 6, 3), norm(), nn.ReLU())


def keras_images(norm, **how):
    return keras.Sequential([keras.Input((6, 5, 3)), layers.Conv2D(6, 3), norm(**how), layers.ReLU()])


class TorchUnit(nn.Module):
    """Rows of length one."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(IN, WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, x):
        return self.two(functional.normalize(self.one(x), dim=-1, eps=1e-6))


class KerasUnit(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one, self.two = layers.Dense(WIDTH), layers.Dense(5)

    def call(self, x):
        x = self.one(x)
        return self.two(x / ops.maximum(ops.sqrt(ops.sum(ops.square(x), -1, keepdims=True)), 1e-6))


class TorchWritten(nn.Module):
    """A layer norm as people write it: without gains."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(IN, WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, x):
        x = self.one(x)
        return self.two((x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt())


class KerasWritten(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one, self.two = layers.Dense(WIDTH), layers.Dense(5)

    def call(self, x):
        x = self.one(x)
        return self.two((x - ops.mean(x, -1, keepdims=True)) / ops.sqrt(ops.var(x, -1, keepdims=True) + 1e-5))


BATCH = partial(keras_rows, layers.BatchNormalization, momentum=0.9, epsilon=1e-5)
ROWS = {
    "batch": (partial(torch_rows, partial(nn.BatchNorm1d, WIDTH)), BATCH),
    "batch-plain": (
        partial(torch_rows, partial(nn.BatchNorm1d, WIDTH, affine=False)),
        partial(BATCH, center=False, scale=False),
    ),
    "layer": (
        partial(torch_rows, partial(nn.LayerNorm, WIDTH)),
        partial(keras_rows, layers.LayerNormalization, epsilon=1e-5),
    ),
    "layer-plain": (
        partial(torch_rows, partial(nn.LayerNorm, WIDTH, elementwise_affine=False)),
        partial(keras_rows, layers.LayerNormalization, epsilon=1e-5, center=False, scale=False),
    ),
    "rms": (
        partial(torch_rows, partial(nn.RMSNorm, WIDTH, 1e-6)),
        partial(keras_rows, layers.RMSNormalization, epsilon=1e-6),
    ),
    "group-rows": (
        partial(torch_rows, partial(nn.GroupNorm, 3, WIDTH)),
        partial(keras_rows, layers.GroupNormalization, groups=3, epsilon=1e-5),
    ),
    "unit": (TorchUnit, KerasUnit),
    "written": (TorchWritten, KerasWritten),
}
PICTURES = {
    "batch-2d": (
        partial(torch_images, partial(nn.BatchNorm2d, 6, eps=1e-3)),
        partial(keras_images, layers.BatchNormalization, momentum=0.9),
    ),
    "group-2d": (
        partial(torch_images, partial(nn.GroupNorm, 2, 6)),
        partial(keras_images, layers.GroupNormalization, groups=2, epsilon=1e-5),
    ),
    "instance-2d": (
        partial(torch_images, partial(nn.GroupNorm, 6, 6)),
        partial(keras_images, layers.GroupNormalization, groups=-1, epsilon=1e-5),
    ),
    "one-group-2d": (
        partial(torch_images, partial(nn.GroupNorm, 1, 6)),
        partial(keras_images, layers.GroupNormalization, groups=1, epsilon=1e-5),
    ),
}
PAIRS = (
    *(Pair(f"norm-{name}", *sides, inputs=strategies.arrays(IN)) for name, sides in ROWS.items()),
    *(Pair(f"norm-{name}", *sides, inputs=IMAGES, call=BOTH) for name, sides in PICTURES.items()),
)
