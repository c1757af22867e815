"""Autoencoders: dense, convolutional, recurrent, sparse, and a VAE without its noise."""

import keras
import torch
from keras import layers, ops
from torch import nn

from benchmarks.zoo.calls import BOTH
from parity import Pair, strategies

IN, CODE, TIME = 9, 3, 5
SHAPE = (8, 12, 2)


def torch_dense():
    return nn.Sequential(
        nn.Linear(IN, 6), nn.ReLU(), nn.Linear(6, CODE), nn.Linear(CODE, 6), nn.ReLU(), nn.Linear(6, IN), nn.Sigmoid()
    )


def keras_dense():
    inputs = keras.Input((IN,))
    code = layers.Dense(CODE)(layers.Dense(6, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(IN, activation="sigmoid")(layers.Dense(6, activation="relu")(code)))


class TorchVAE(nn.Module):
    """What it makes of the mean, the mean, and the logarithm of the variance."""

    def __init__(self):
        super().__init__()
        self.hidden, self.mean, self.spread = nn.Linear(IN, 7), nn.Linear(7, CODE), nn.Linear(7, CODE)
        self.back, self.out = nn.Linear(CODE, 8), nn.Linear(8, IN)

    def forward(self, x):
        hidden = torch.tanh(self.hidden(x))
        mean, spread = self.mean(hidden), self.spread(hidden)
        return self.out(torch.tanh(self.back(mean))), mean, spread


class KerasVAE(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.mean, self.spread = layers.Dense(7, activation="tanh"), layers.Dense(CODE), layers.Dense(CODE)
        self.back, self.out = layers.Dense(8, activation="tanh"), layers.Dense(IN)

    def call(self, x):
        hidden = self.hidden(x)
        mean, spread = self.mean(hidden), self.spread(hidden)
        return self.out(self.back(mean)), mean, spread


class TorchDivergence(TorchVAE):
    """The divergence from a normal distribution of each row."""

    def forward(self, x):
        _, mean, spread = super().forward(x)
        return (-0.5 * (1 + spread - mean**2 - spread.clamp(max=20).exp())).sum(-1, keepdim=True)


class KerasDivergence(KerasVAE):
    def call(self, x):
        _, mean, spread = super().call(x)
        terms = 1 + spread - ops.square(mean) - ops.exp(ops.minimum(spread, 20.0))
        return ops.sum(-0.5 * terms, -1, keepdims=True)


def torch_convolutional():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 4, 2, 2),
        nn.ReLU(),
        nn.Conv2d(4, 2, 3, padding=1),
    )


def keras_convolutional():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.ZeroPadding2D(1),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.Conv2DTranspose(4, 2, strides=2, activation="relu"),
            layers.Conv2D(2, 3, padding="same"),
        ]
    )


class TorchRecurrent(nn.Module):
    """A GRU's last state, repeated, and a GRU that reads it."""

    def __init__(self):
        super().__init__()
        self.reader, self.writer = nn.GRU(4, 6, batch_first=True), nn.GRU(6, 5, batch_first=True)
        self.out = nn.Linear(5, 4)

    def forward(self, x):
        _, state = self.reader(x)
        return self.out(self.writer(state[0][:, None].repeat(1, TIME, 1))[0])


def keras_recurrent():
    return keras.Sequential(
        [
            keras.Input((TIME, 4)),
            layers.GRU(6, name="reader"),
            layers.RepeatVector(TIME),
            layers.GRU(5, return_sequences=True, name="writer"),
            layers.TimeDistributed(layers.Dense(4, name="out")),
        ]
    )


class TorchTied(nn.Module):
    """The decoder's kernel is the encoder's, turned."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(IN, 6)

    def forward(self, x):
        return torch.relu(self.encoder(x)) @ self.encoder.weight


class KerasTied(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = layers.Dense(6, activation="relu")

    def call(self, x):
        return ops.matmul(self.encoder(x), ops.transpose(self.encoder.kernel))


ROWS = strategies.arrays(IN)
PAIRS = (
    Pair("autoencoder-dense", torch_dense, keras_dense, inputs=ROWS),
    Pair("vae", TorchVAE, KerasVAE, inputs=ROWS),
    Pair("vae-divergence", TorchDivergence, KerasDivergence, inputs=ROWS),
    Pair(
        "autoencoder-convolutional",
        torch_convolutional,
        keras_convolutional,
        inputs=strategies.arrays(2, 8, 12),
        call=BOTH,
    ),
    Pair("autoencoder-recurrent", TorchRecurrent, keras_recurrent, inputs=strategies.arrays(TIME, 4)),
    Pair("autoencoder-tied", TorchTied, KerasTied, inputs=ROWS),
)
