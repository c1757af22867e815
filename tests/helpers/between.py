"""A pair that differs in what stands between a convolution and a dense layer, and what is found of it."""

import keras
import tensorflow as tf
from torch import nn

from parity import Pair, strategies
from parity.canonical.weights import Weights
from parity.diagnose import operators
from parity.pair.models import PairModels

IMAGES = strategies.arrays(3, 7, 5)


class Torch(nn.Module):
    """A convolution, what is between, and a dense layer behind a mean."""

    def __init__(self, between):
        super().__init__()
        self.conv, self.head, self.between = nn.Conv2d(3, 6, 2), nn.Linear(6, 4), between

    def forward(self, x):
        x = self.between(self.conv(x))
        return self.head(x.mean((2, 3)))


class Keras(keras.Model):
    """As `Torch`, with its channels last."""

    def __init__(self, between, **kwargs):
        super().__init__(**kwargs)
        self.conv, self.head = keras.layers.Conv2D(6, 2, name="conv"), keras.layers.Dense(4, name="head")
        self.between = between

    def call(self, x):
        x = self.between(self.conv(tf.transpose(x, (0, 2, 3, 1))))
        return self.head(tf.reduce_mean(x, (1, 2)))


def same(x):
    return x


def pair(ours, theirs):
    return PairModels(Pair("own", lambda: Torch(ours), lambda: Keras(theirs), inputs=IMAGES))


def given(corners, *scales):
    return [(Weights(seed, scale), corners.given(seed)[0]) for seed, scale in enumerate(scales)]


def found(corners, scales=(1.0, 1.0, 3.0)):
    examples = given(corners, *scales)
    runs = operators.Examples(corners, examples)
    return operators.operations(runs), operators.causes(runs) or operators.exchanged(runs.anew({}))
