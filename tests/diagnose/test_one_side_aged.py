"""A side that keeps something from call to call that nothing puts back is told so, by one that is built anew."""

import keras
import pytest
import tensorflow as tf
from torch import nn

from parity import Pair, api
from parity.diagnose.locate.one_side import aged
from parity.pair.models import PairModels
from parity.strategies import arrays


class Counting(keras.Model):
    """Adds how often it was called, which is a variable that Keras does not know, or a weight."""

    def __init__(self, tracked):
        super().__init__()
        self.own, self.tracked = keras.layers.Dense(3, name="own"), tracked
        if tracked:
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
        else:
            self.count = tf.Variable(tf.zeros((), self.compute_dtype), trainable=False)

    def call(self, x, training=False):
        if training:
            self.count.assign_add(tf.ones((), self.compute_dtype))
        return self.own(x) + tf.convert_to_tensor(self.count)


def net():
    return nn.Sequential(nn.Linear(5, 3))


def test_what_a_side_keeps_and_nothing_puts_back_is_the_cause():
    report = api.check(Pair("kept", net, lambda: Counting(False), inputs=arrays(5)), examples=2, checks=["calls"])
    causes = report["calls"].findings[0].diagnosis.causes

    assert [cause.name for cause in causes] == ["state kept"]
    assert causes[0].told.startswith(
        "tensorflow gives another result than one that is built anew with the same weights"
    )
    assert causes[0].after < 1e-12 < causes[0].before


@pytest.mark.parametrize("scarce", [True, False])
def test_nothing_is_told_of_models_that_keep_nothing(scarce):
    corners = PairModels(Pair("kept", net, lambda: keras.Sequential([keras.layers.Dense(3)]), inputs=arrays(5)))
    corners.lean = scarce

    assert aged(corners, corners.given(0)[0]) == []
