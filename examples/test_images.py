"""A small network on images, which has its channels first in PyTorch and last in Keras."""

import keras
import tensorflow as tf
from torch import nn

from parity import Pair, parametrize, strategies

CHANNELS, HEIGHT, WIDTH, FILTERS, MORE, CLASSES = 3, 12, 10, 7, 11, 13


class TorchNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(CHANNELS, FILTERS, 3), nn.BatchNorm2d(FILTERS)
        self.pool = nn.MaxPool2d(2)
        self.conv2, self.norm2 = nn.Conv2d(FILTERS, MORE, 3, bias=False), nn.BatchNorm2d(MORE)
        self.head = nn.Linear(3 * 2 * MORE, CLASSES)

    def forward(self, x):
        x = self.pool(self.norm1(self.conv1(x)).relu())  # (batch, 3, 12, 10) -> (batch, 7, 5, 4)
        x = self.norm2(self.conv2(x)).relu()  # (batch, 11, 3, 2)
        return self.head(x.flatten(1))  # (batch, classes)


def build_keras():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((HEIGHT, WIDTH, CHANNELS)),
            layers.Conv2D(FILTERS, 3),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(MORE, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Permute((3, 1, 2)),
            layers.Flatten(),
            layers.Dense(CLASSES),
        ]
    )


def call_keras(model, images, training):
    return model(tf.transpose(images, (0, 2, 3, 1)), training=training)


images = strategies.arrays(CHANNELS, HEIGHT, WIDTH)
pair = Pair("images", TorchNetwork, build_keras, inputs=images, call={"tensorflow": call_keras})


@parametrize(pair, examples=5)
def test_parity(check):
    check()
