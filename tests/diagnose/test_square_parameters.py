"""Square matrices whose way round nothing tells: of a faulty pair they are no cause beside the one that is."""

from functools import partial

import keras
import torch
from torch import nn

from parity import Pair, strategies
from parity.checks import forward, runner
from parity.diagnose.explain import diagnose
from parity.pair.models import PairModels

WIDTH, COUNT = 6, 3


class Squares(nn.Module):
    def __init__(self):
        super().__init__()
        self.ws = nn.ParameterList([nn.Parameter(torch.randn(WIDTH, WIDTH)) for _ in range(COUNT)])
        self.b = nn.Parameter(torch.randn(WIDTH))

    def forward(self, x):
        for w in self.ws:
            x = torch.tanh(nn.functional.linear(x, w)) + self.b
        return x


class Turned(keras.layers.Layer):
    """The same with each matrix the other way round; `lacking`, once without the bias."""

    def __init__(self, lacking):
        super().__init__()
        self.lacking = lacking
        self.ws = [self.add_weight(shape=(WIDTH, WIDTH), name=f"w{place}") for place in range(COUNT)]
        self.c = self.add_weight(shape=(WIDTH,), name="c")

    def call(self, x):
        for place, w in enumerate(self.ws):
            x = keras.ops.tanh(x @ w) + (0 if self.lacking and place == 1 else self.c)
        return x


def in_keras(lacking):
    x = keras.Input((WIDTH,))
    return keras.Model(x, Turned(lacking)(x))


def models(lacking):
    return PairModels(Pair("squares", Squares, partial(in_keras, lacking), inputs=strategies.arrays(WIDTH)))


def test_how_a_parameter_is_turned_is_no_cause_beside_what_is_wrong():
    corners = models(True)
    [cause] = diagnose(corners, runner.run_check(forward, corners, 0, 3, "parity check")).causes

    assert corners.unread
    assert cause.subject == "add in torch alone"
    assert runner.run_check(forward, models(False), 0, 3, "parity check").findings == []
