"""Arrays that no training moves, and that hold other numbers on each side: an operation takes them, and is the same."""

import keras
import numpy as np
import torch
from torch import nn

from parity import Pair, strategies
from parity.pair.models import PairModels
from tests.helpers.between import found

BLUR = np.array([1.0, 4.0, 6.0, 4.0, 1.0], np.float32)


class Blurred(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("blur", torch.from_numpy(np.outer([1, 2, 3], BLUR).astype(np.float32))[:, None])
        self.conv = nn.Conv1d(3, 4, 3)

    def forward(self, x):
        return self.conv(nn.functional.conv1d(x, self.blur, padding=self.blur.shape[2] // 2, groups=3))


class Blur(keras.layers.Layer):
    """The same with another kernel, as a weight that is not trained."""

    def __init__(self, blur):
        super().__init__()
        self.values = np.outer(blur, [1, 2, 3]).astype(np.float32)[:, :, None]

    def build(self, shape):
        shape, values = self.values.shape, self.values
        self.blur = self.add_weight(
            shape=shape, name="blur", trainable=False, initializer=lambda _, dtype=None: keras.ops.cast(values, dtype)
        )

    def call(self, x):
        return keras.ops.depthwise_conv(x, self.blur, padding="same")


def in_keras(blur):
    x = keras.Input((3, 9))
    y = keras.layers.Conv1D(4, 3)(Blur(blur)(keras.ops.transpose(x, (0, 2, 1))))
    return keras.Model(x, keras.ops.transpose(y, (0, 2, 1)))


def causes(blur):
    pair = Pair("blurred", Blurred, lambda: in_keras(blur), inputs=strategies.arrays(3, 9))
    return found(PairModels(pair))[1]


def test_a_buffer_of_other_numbers_is_the_cause_and_not_what_takes_it():
    [cause] = causes(BLUR + np.float32([0, 0, 1, 0, 0]))

    assert cause.name == "operand"
    assert "the weight of conv1d" in cause.told
    assert "is blur in torch, and holds other numbers" in cause.told


def test_what_takes_a_buffer_of_another_length_is_not_said_to_take_the_same():
    assert causes(BLUR[1:4]) == []
