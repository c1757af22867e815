"""Settings of two numbers, as a picture's stride, are causes; also where they make arrays of two shapes."""

import keras
import pytest
import tensorflow as tf
from torch import nn

from parity import Pair, strategies
from parity.checks import forward, runner
from parity.diagnose.explain import diagnose
from parity.pair.models import PairModels

SETTINGS = {
    "stride": ({"strides": 2}, "torch stride (1, 1), tensorflow stride (2, 2)", "strides=(1, 1) in Conv2D first"),
    "dilation": (
        {"dilation_rate": 2},
        "torch dilation (1, 1), tensorflow dilation (2, 2)",
        "dilation_rate=(1, 1) in Conv2D first",
    ),
}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(5, 4)

    def forward(self, x):
        return self.last(self.norm(self.first(x)).relu().mean((2, 3)))


def in_keras(setting):
    layers, x = keras.layers, keras.Input((11, 9, 3))
    y = layers.Conv2D(5, 3, name="first", **SETTINGS[setting][0])(x)
    y = layers.ReLU()(layers.BatchNormalization(epsilon=1e-3, name="norm")(y))
    return keras.Model(x, layers.Dense(4, name="last")(layers.GlobalAveragePooling2D()(y)))


def last(model, x, training):
    return model(tf.transpose(x, (0, 2, 3, 1)), training=training)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_that_makes_another_shape_is_the_cause_beside_an_epsilon(setting):
    pair = Pair("net", Net, lambda: in_keras(setting), inputs=strategies.arrays(3, 11, 9), call={"tensorflow": last})
    corners = PairModels(pair)
    causes = diagnose(corners, runner.run_check(forward, corners, 0, 2, "parity check")).causes
    (cause,) = (of for of in causes if of.where == "first")

    assert (cause.name, cause.told, cause.fix) == (setting, *SETTINGS[setting][1:])
