"""An LSTM written by dense layers, however its gates are held, beside the framework's own."""

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import strategies
from parity.backends.torch.layers import layers
from parity.canonical.opened import STATE_FIRST
from parity.checks import forward, runner
from parity.pair.models import PairModels
from parity.pair.pair import Pair

INPUT, UNITS, STEPS = 5, 4, 3


class Written(nn.Module):
    """Steps of a cell, whose gates are made by `gates` of what is given and the state: input, forget, cell, output."""

    def __init__(self):
        super().__init__()
        self.build()
        self.head = nn.Linear(UNITS, 2)

    def forward(self, x):
        state = memory = x.new_zeros(len(x), UNITS)
        for step in range(STEPS):
            i, f, g, o = self.gates(x[:, step], state)
            memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
            state = o.sigmoid() * memory.tanh()
        return self.head(state)


class OneAGate(Written):
    """Four layers of the state and what is given, joined; the forget gate comes first."""

    def build(self):
        self.f, self.i, self.g, self.o = (nn.Linear(UNITS + INPUT, UNITS) for _ in range(4))

    def gates(self, x, state):
        both = torch.cat([state, x], -1)
        f = self.f(both)
        return self.i(both), f, self.g(both), self.o(both)


class TwoAGate(Written):
    """Eight layers; the forget gate comes first here, too."""

    def build(self):
        for gate in "ifgo":
            setattr(self, f"W{gate}", nn.Linear(INPUT, UNITS))
            setattr(self, f"U{gate}", nn.Linear(UNITS, UNITS, bias=False))

    def gates(self, x, state):
        made = {gate: getattr(self, f"W{gate}")(x) + getattr(self, f"U{gate}")(state) for gate in "figo"}
        return [made[gate] for gate in "ifgo"]


class TwoForAll(Written):
    """Two layers, each with a bias."""

    def build(self):
        self.given, self.state = nn.Linear(INPUT, 4 * UNITS), nn.Linear(UNITS, 4 * UNITS)

    def gates(self, x, state):
        return (self.given(x) + self.state(state)).chunk(4, -1)


def in_keras():
    layers = keras.layers
    return keras.Sequential([keras.Input((STEPS, INPUT)), layers.LSTM(UNITS), layers.Dense(2)])


@pytest.mark.parametrize("written", [OneAGate, TwoAGate, TwoForAll])
def test_a_cell_written_by_dense_layers_is_the_frameworks_own(written):
    corners = PairModels(Pair("cell", written, in_keras, inputs=strategies.arrays(STEPS, INPUT)))
    outcome = runner.run_check(forward, corners, 0, 1, "parity check")

    assert [finding.message for finding in outcome.findings] == []


def test_two_kernels_are_one_by_their_columns_and_back_bit_for_bit():
    lstm = nn.LSTM(INPUT, UNITS)
    ((kernel, bias),) = [layer.parts for layer in layers(lstm, {}, (STATE_FIRST,))]
    given, state = (variable.detach().numpy() for variable in kernel.variables)
    packed = kernel.transform.pack(given, state)

    assert (kernel.parameter, bias.parameter, packed.shape) == ("kernel", "bias", (4 * UNITS, UNITS + INPUT))
    assert [np.array_equal(*both) for both in zip(kernel.transform.unpack(packed), (given, state), strict=True)] == [
        True
    ] * 2
    np.testing.assert_array_equal(kernel.transform.gradient(None, state), kernel.transform.pack(0 * given, state))
