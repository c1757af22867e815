"""A square parameter of the user's own that is linked transposed: possible, and said."""

import keras
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair, strategies
from parity.pair.models import PairModels


class Torch(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.mixed = nn.Linear(5, 4), nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        return torch.tanh(self.first(x)) @ self.mixed


class Keras(keras.Model):
    def __init__(self, turned):
        super().__init__()
        self.first, self.turned = keras.layers.Dense(4, activation="tanh"), turned
        self.mixed = self.add_weight(shape=(4, 4), initializer="normal", name="mixed")

    def call(self, x):
        return tf.matmul(self.first(x), self.mixed, transpose_b=self.turned)


@pytest.mark.parametrize("turned", [True, False], ids=["transposed", "alike"])
def test_a_square_parameter_that_is_linked_transposed_is_told(turned):
    corners = PairModels(Pair("mixed", Torch, lambda: Keras(turned), inputs=strategies.arrays(5)))
    lines = [line for line in corners.exercised.missing(()) if "the same way round" in line]

    assert len(lines) == turned
    assert all("whether both sides read mixed (4, 4) the same way round: it is linked transposed" in of for of in lines)
