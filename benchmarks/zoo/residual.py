"""Convolutional networks that branch and join: residual, dense, squeeze-excite, inverted, U-Net, inception."""

import keras
import torch
from keras import layers, ops
from torch import nn
from torch.nn import functional

from benchmarks.zoo.calls import BOTH, LAST
from parity import Pair, strategies

SHAPE = (8, 12, 3)
IMAGES = strategies.arrays(3, 8, 12)
EPSILON = {"momentum": 0.9, "epsilon": 1e-5}


class TorchBlock(nn.Module):
    def __init__(self, one, two, stride=1):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(one, two, 3, stride, 1, bias=False), nn.BatchNorm2d(two)
        self.conv2, self.norm2 = nn.Conv2d(two, two, 3, 1, 1, bias=False), nn.BatchNorm2d(two)
        self.short = None
        if one != two or stride > 1:
            self.short = nn.Sequential(nn.Conv2d(one, two, 1, stride, bias=False), nn.BatchNorm2d(two))

    def forward(self, x):
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return functional.relu(y + (self.short(x) if self.short else x))


class TorchResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.blocks = nn.Sequential(TorchBlock(4, 4), TorchBlock(4, 6, 2), TorchBlock(6, 6))
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = functional.relu(self.norm(self.stem(x)))
        return self.head(self.blocks(x).mean((2, 3)))


def keras_block(x, width, stride=1):
    def convolved(x, kernel, stride):
        x = layers.ZeroPadding2D(1)(x) if kernel == 3 else x
        x = layers.Conv2D(width, kernel, strides=stride, use_bias=False)(x)
        return layers.BatchNormalization(**EPSILON)(x)

    y = layers.ReLU()(convolved(x, 3, stride))
    y = convolved(y, 3, 1)
    if stride > 1 or x.shape[-1] != width:
        x = convolved(x, 1, stride)
    return layers.ReLU()(layers.Add()([y, x]))


def keras_resnet():
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(**EPSILON)(x))
    for width, stride in ((4, 1), (6, 2), (6, 1)):
        x = keras_block(x, width, stride)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


class TorchDenseNet(nn.Module):
    def __init__(self, growth=4):
        super().__init__()
        widths = [3, 3 + growth, 3 + 2 * growth]
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.convs = nn.ModuleList(nn.Conv2d(width, growth, 3, padding=1) for width in widths)
        self.pool, self.head = nn.AvgPool2d(2), nn.Conv2d(3 + 3 * growth, 5, 1)

    def forward(self, x):
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(torch.relu(norm(x)))], 1)
        return self.head(self.pool(x))


def keras_densenet():
    inputs = x = keras.Input(SHAPE)
    for _ in range(3):
        y = layers.Activation("relu")(layers.BatchNormalization(**EPSILON)(x))
        x = layers.Concatenate()([x, layers.Conv2D(4, 3, padding="same")(y)])
    return keras.Model(inputs, layers.Conv2D(5, 1)(layers.AveragePooling2D(2)(x)))


class TorchSqueeze(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(3, 8, 3), nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x):
        x = functional.silu(self.conv(x))
        gate = torch.sigmoid(self.up(functional.silu(self.down(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


def keras_squeeze():
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, activation="silu", name="conv")(inputs)
    gate = layers.GlobalAveragePooling2D()(x)
    gate = layers.Dense(2, activation="silu", name="down")(gate)
    gate = layers.Reshape((1, 1, 8))(layers.Dense(8, activation="sigmoid", name="up")(gate))
    return keras.Model(inputs, layers.Multiply()([x, gate]))


class TorchInverted(nn.Module):
    """MobileNet's block: wider, depthwise, narrower, and what came in."""

    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(
            nn.Conv2d(3, 9, 1, bias=False),
            nn.BatchNorm2d(9),
            nn.ReLU6(),
            nn.Conv2d(9, 9, 3, padding=1, groups=9, bias=False),
            nn.BatchNorm2d(9),
            nn.ReLU6(),
            nn.Conv2d(9, 3, 1, bias=False),
            nn.BatchNorm2d(3),
        )

    def forward(self, x):
        return x + self.parts(x)


def keras_inverted():
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(9, 1, use_bias=False)(inputs)
    x = layers.ReLU(6.0)(layers.BatchNormalization(**EPSILON)(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization(**EPSILON)(x))
    x = layers.BatchNormalization(**EPSILON)(layers.Conv2D(3, 1, use_bias=False)(x))
    return keras.Model(inputs, layers.Add()([inputs, x]))


class TorchUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.middle = nn.Conv2d(6, 8, 3, padding=1)
        self.up2, self.join2 = nn.ConvTranspose2d(8, 6, 2, 2), nn.Conv2d(12, 6, 3, padding=1)
        self.up1, self.join1 = nn.ConvTranspose2d(6, 4, 2, 2), nn.Conv2d(8, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        one = functional.relu(self.down1(x))
        two = functional.relu(self.down2(functional.max_pool2d(one, 2)))
        x = functional.relu(self.middle(functional.max_pool2d(two, 2)))
        x = functional.relu(self.join2(torch.cat([self.up2(x), two], 1)))
        x = functional.relu(self.join1(torch.cat([self.up1(x), one], 1)))
        return self.head(x)


def keras_unet():
    def conv(x, width, name):
        return layers.Conv2D(width, 3, padding="same", activation="relu", name=name)(x)

    inputs = keras.Input(SHAPE)
    one = conv(inputs, 4, "down1")
    two = conv(layers.MaxPooling2D(2)(one), 6, "down2")
    x = conv(layers.MaxPooling2D(2)(two), 8, "middle")
    x = layers.Concatenate()([layers.Conv2DTranspose(6, 2, strides=2, name="up2")(x), two])
    x = conv(x, 6, "join2")
    x = layers.Concatenate()([layers.Conv2DTranspose(4, 2, strides=2, name="up1")(x), one])
    return keras.Model(inputs, layers.Conv2D(2, 1, name="head")(conv(x, 4, "join1")))


class TorchConvNext(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 2, 2)
        self.depthwise, self.norm = nn.Conv2d(width, width, 3, padding=1, groups=width), nn.LayerNorm(width, 1e-6)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.down(functional.gelu(self.up(y))).permute(0, 3, 1, 2)


class KerasConvNext(keras.Model):
    def __init__(self, width=6, **kwargs):
        super().__init__(**kwargs)
        self.stem = layers.Conv2D(width, 2, strides=2)
        self.depthwise, self.norm = layers.DepthwiseConv2D(3, padding="same"), layers.LayerNormalization(epsilon=1e-6)
        self.up, self.down = layers.Dense(4 * width), layers.Dense(width)

    def call(self, x):
        x = self.stem(x)
        y = self.norm(self.depthwise(x))
        return x + self.down(ops.gelu(self.up(y), approximate=False))


class TorchSpatial(nn.Module):
    """Attention over places: a convolution of the mean and the most over all channels."""

    def __init__(self):
        super().__init__()
        self.conv, self.mask = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x):
        x = torch.tanh(self.conv(x))
        told = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.mask(told))


class KerasSpatial(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(5, 3, padding="same", activation="tanh")
        self.mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid")

    def call(self, x):
        x = self.conv(x)
        return x * self.mask(ops.concatenate([ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)], -1))


IMAGE_TO_IMAGE = {
    "densenet": (TorchDenseNet, keras_densenet),
    "squeeze-excite": (TorchSqueeze, keras_squeeze),
    "inverted": (TorchInverted, keras_inverted),
    "unet": (TorchUNet, keras_unet),
    "convnext": (TorchConvNext, KerasConvNext),
    "spatial-attention": (TorchSpatial, KerasSpatial),
}
PAIRS = (
    Pair("resnet", TorchResNet, keras_resnet, inputs=IMAGES, call=LAST),
    *(Pair(name, *sides, inputs=IMAGES, call=BOTH) for name, sides in IMAGE_TO_IMAGE.items()),
)
