"""Convolutions over images: LeNet, VGG, MobileNet and their like, and each form of convolution by itself."""

from functools import partial

import keras
import torch
from keras import layers
from torch import nn
from torch.nn import functional

from benchmarks.zoo.calls import BOTH, LAST
from parity import Pair, strategies

ROWS, COLUMNS = 10, 8
SHAPE = (ROWS, COLUMNS, 3)


def torch_conv(*args, **how):
    return nn.Sequential(nn.Conv2d(3, *args, **how), nn.ReLU())


def keras_conv(*args, **how):
    return keras.Sequential([keras.Input(SHAPE), layers.Conv2D(*args, activation="relu", **how)])


def torch_grouped():
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, groups=2))


def keras_grouped():
    first = layers.Conv2D(6, 3, padding="same", activation="relu")
    return keras.Sequential([keras.Input(SHAPE), first, layers.Conv2D(8, 3, groups=2)])


def torch_separable():
    return nn.Sequential(
        nn.Conv2d(3, 3, 3, groups=3, padding=1, bias=False), nn.Conv2d(3, 7, 1), nn.BatchNorm2d(7), nn.ReLU6()
    )


def keras_separable():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            layers.Conv2D(7, 1),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(6.0),
        ]
    )


def torch_transposed(**how):
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.ConvTranspose2d(5, 4, 2, **how))


def keras_transposed(**how):
    first = layers.Conv2D(5, 3, activation="relu")
    return keras.Sequential([keras.Input(SHAPE), first, layers.Conv2DTranspose(4, 2, **how)])


class TorchLeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.hidden, self.head = nn.Linear(24, 11), nn.Linear(11, 5)

    def forward(self, x):
        x = functional.max_pool2d(torch.relu(self.first(x)), 2)
        x = functional.max_pool2d(torch.relu(self.second(x)), 2)
        return self.head(torch.relu(self.hidden(x.permute(0, 2, 3, 1).flatten(1))))


def keras_lenet():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="first"),
            layers.MaxPooling2D(2),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="second"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(11, activation="relu", name="hidden"),
            layers.Dense(5, name="head"),
        ]
    )


def torch_vgg():
    def block(one, two):
        return [nn.Conv2d(one, two, 3, padding=1), nn.BatchNorm2d(two), nn.ReLU(inplace=True)]

    return nn.Sequential(
        *block(3, 4),
        *block(4, 5),
        nn.AvgPool2d(2),
        *block(5, 6),
        nn.Dropout2d(0.2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 7),
    )


def keras_vgg():
    def block(width):
        norm = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        return [layers.Conv2D(width, 3, padding="same"), norm, layers.Activation("relu")]

    return keras.Sequential(
        [
            keras.Input(SHAPE),
            *block(4),
            *block(5),
            layers.AveragePooling2D(2),
            *block(6),
            layers.SpatialDropout2D(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7),
        ]
    )


class TorchPadded(nn.Module):
    """What Keras's "same" does with a stride: more at the end."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2)

    def forward(self, x):
        return functional.gelu(self.conv(functional.pad(x, (0, 1, 0, 1))))


def keras_padded():
    x = keras.Input(SHAPE)
    y = layers.Conv2D(6, 3, strides=2, padding="same", name="conv")(x)
    return keras.Model(x, keras.ops.gelu(y, approximate=False))


def keras_zero_padded():
    x = keras.Input(SHAPE)
    y = layers.Conv2D(6, 3, strides=2)(layers.ZeroPadding2D(1)(x))
    return keras.Model(x, layers.ReLU()(y))


def torch_upsampled():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2), nn.Conv2d(4, 5, (1, 3)))


def keras_upsampled():
    parts = layers.Conv2D(4, 3), layers.UpSampling2D(2), layers.Conv2D(5, (1, 3))
    return keras.Sequential([keras.Input(SHAPE), *parts])


IMAGES = strategies.arrays(3, ROWS, COLUMNS)
FORMS = {
    "valid": (partial(torch_conv, 6, 3), partial(keras_conv, 6, 3)),
    "same": (partial(torch_conv, 6, (3, 5), padding="same"), partial(keras_conv, 6, (3, 5), padding="same")),
    "strided": (partial(torch_conv, 6, 3, stride=2), partial(keras_conv, 6, 3, strides=2)),
    "same-strided": (TorchPadded, keras_padded),
    "zero-padded": (partial(torch_conv, 6, 3, stride=2, padding=1), keras_zero_padded),
    "dilated": (partial(torch_conv, 6, 3, dilation=2), partial(keras_conv, 6, 3, dilation_rate=2)),
    "grouped": (torch_grouped, keras_grouped),
    "separable": (torch_separable, keras_separable),
    "transposed": (torch_transposed, keras_transposed),
    "transposed-strided": (partial(torch_transposed, stride=2), partial(keras_transposed, strides=2)),
    "upsampled": (torch_upsampled, keras_upsampled),
}
CLASSIFIERS = {"lenet": (TorchLeNet, keras_lenet), "vgg": (torch_vgg, keras_vgg)}
PAIRS = (
    *(Pair(f"cnn2d-{name}", *sides, inputs=IMAGES, call=BOTH) for name, sides in FORMS.items()),
    *(Pair(f"cnn2d-{name}", *sides, inputs=IMAGES, call=LAST) for name, sides in CLASSIFIERS.items()),
)
