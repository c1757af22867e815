"""Cells written by dense layers or plain arrays, however their gates are held, beside the framework's own."""

from functools import partial

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import strategies
from parity.backends.torch.layers import layers
from parity.canonical.opened import STATE_FIRST
from parity.checks import forward, runner, weights
from parity.diagnose.explain import diagnose
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


class OtherOrder(TwoForAll):
    """The same with the gates of its arrays in another order."""

    def gates(self, x, state):
        i, f, o, g = super().gates(x, state)
        return i, f, g, o


def in_keras():
    layers = keras.layers
    return keras.Sequential([keras.Input((STEPS, INPUT)), layers.LSTM(UNITS), layers.Dense(2)])


@pytest.mark.parametrize("written", [OneAGate, TwoAGate, TwoForAll, OtherOrder])
def test_a_cell_written_by_dense_layers_is_the_frameworks_own(written):
    corners = PairModels(Pair("cell", written, in_keras, inputs=strategies.arrays(STEPS, INPUT)))
    outcome = runner.run_check(forward, corners, 0, 1, "parity check")

    assert [finding.message for finding in outcome.findings] == []


class GruBySix(nn.Module):
    """A GRU as six layers; the update gate comes first."""

    def __init__(self):
        super().__init__()
        for gate in "zrn":
            setattr(self, f"W{gate}", nn.Linear(INPUT, UNITS))
            setattr(self, f"U{gate}", nn.Linear(UNITS, UNITS))
        self.head = nn.Linear(UNITS, 2)

    def forward(self, x):
        state = x.new_zeros(len(x), UNITS)
        for step in x.unbind(1):
            z = (self.Wz(step) + self.Uz(state)).sigmoid()
            r = (self.Wr(step) + self.Ur(state)).sigmoid()
            state = z * state + (1 - z) * (self.Wn(step) + r * self.Un(state)).tanh()
        return self.head(state)


class GruByTwo(nn.Module):
    """A GRU as two layers; the update gate comes first."""

    def __init__(self):
        super().__init__()
        self.given, self.state, self.head = (
            nn.Linear(INPUT, 3 * UNITS),
            nn.Linear(UNITS, 3 * UNITS),
            nn.Linear(UNITS, 2),
        )

    def forward(self, x):
        state = x.new_zeros(len(x), UNITS)
        for step in x.unbind(1):
            given, inner = self.given(step).chunk(3, -1), self.state(state).chunk(3, -1)
            z, r = ((of + by).sigmoid() for of, by in zip(given[:2], inner[:2], strict=True))
            state = z * state + (1 - z) * (given[2] + r * inner[2]).tanh()
        return self.head(state)


class GruOfBoth(nn.Module):
    """A GRU as three layers of the state and what is given, joined, whose reset gate acts first."""

    def __init__(self):
        super().__init__()
        self.z, self.r, self.n = (nn.Linear(UNITS + INPUT, UNITS) for _ in range(3))
        self.head = nn.Linear(UNITS, 2)

    def forward(self, x):
        state = x.new_zeros(len(x), UNITS)
        for step in x.unbind(1):
            both = torch.cat([state, step], -1)
            z, r = self.z(both).sigmoid(), self.r(both).sigmoid()
            state = z * state + (1 - z) * self.n(torch.cat([r * state, step], -1)).tanh()
        return self.head(state)


class Gru(nn.Module):
    """A GRU as torch has it, whose reset gate acts behind the product."""

    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(INPUT, UNITS, batch_first=True), nn.Linear(UNITS, 2)

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])


class OfImages(Written):
    """A convolutional LSTM, whose four gates are one convolution of what is given and the state, joined."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(2, 1, 1)

    def build(self):
        self.both = nn.Conv2d(3 + 2, 8, 3, padding=1)

    def forward(self, x):
        state = memory = x.new_zeros(len(x), 2, *x.shape[3:])
        for step in x.unbind(1):
            i, f, o, g = self.both(torch.cat([step, state], 1)).chunk(4, 1)
            memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
            state = o.sigmoid() * memory.tanh()
        return self.head(state)


def images_in_keras():
    cell = keras.layers.ConvLSTM2D(2, 3, padding="same", recurrent_activation="sigmoid", data_format="channels_last")
    turned, back = keras.layers.Permute((1, 3, 4, 2)), keras.layers.Permute((3, 1, 2))
    return keras.Sequential([keras.Input((2, 3, 4, 5)), turned, cell, keras.layers.Conv2D(1, 1), back])


class GruByMatrices(nn.Module):
    """A GRU as nine plain arrays, whose reset gate acts before the recurrent matrix."""

    def __init__(self):
        super().__init__()
        for gate in "rzn":
            for name, shape in (("W", (INPUT, UNITS)), ("U", (UNITS, UNITS)), ("b", (UNITS,))):
                setattr(self, f"{name}{gate}", nn.Parameter(torch.zeros(shape)))
        self.head = nn.Linear(UNITS, 2)

    def forward(self, x):
        state = x.new_zeros(len(x), UNITS)
        for step in x.unbind(1):
            r = (step @ self.Wr + state @ self.Ur + self.br).sigmoid()
            z = (step @ self.Wz + state @ self.Uz + self.bz).sigmoid()
            state = z * state + (1 - z) * (step @ self.Wn + (r * state) @ self.Un + self.bn).tanh()
        return self.head(state)


class LstmByMatrices(nn.Module):
    """An LSTM as twelve plain arrays with their inputs first; the forget gate comes first."""

    def __init__(self):
        super().__init__()
        shapes = {"W": (INPUT, UNITS), "U": (UNITS, UNITS), "b": (UNITS,)}
        self.of = nn.ParameterDict({f"{n}{g}": nn.Parameter(torch.zeros(s)) for g in "figo" for n, s in shapes.items()})
        self.head = nn.Linear(UNITS, 2)

    def forward(self, x):
        state = memory = x.new_zeros(len(x), UNITS)
        for step in x.unbind(1):
            f, i, g, o = (step @ self.of[f"W{g}"] + state @ self.of[f"U{g}"] + self.of[f"b{g}"] for g in "figo")
            memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
            state = o.sigmoid() * memory.tanh()
        return self.head(state)


class Experts(nn.Module):
    """A mixture of three experts, each by itself."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(INPUT, 3, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(INPUT, 6), nn.Tanh(), nn.Linear(6, 2)) for _ in range(3))

    def forward(self, x):
        made = torch.stack([expert(x) for expert in self.experts], -1)
        return (made * self.gate(x).softmax(-1)[:, None]).sum(-1)


class Stacked(keras.Model):
    """The same with the kernels and biases of all experts in one array each."""

    def build(self, _):
        shapes = {"gate": (INPUT, 3), "up": (3, INPUT, 6), "up_bias": (3, 6), "down": (3, 6, 2), "down_bias": (3, 2)}
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape=shape, name=name))

    def call(self, x):
        ops = keras.ops
        inside = ops.tanh(ops.einsum("bi,eij->bej", x, self.up) + self.up_bias)
        made = ops.einsum("bej,ejk->bek", inside, self.down) + self.down_bias
        return ops.einsum("bek,be->bk", made, ops.softmax(ops.matmul(x, self.gate)))


def keras_cell(kind, **settings):
    layers = keras.layers
    return keras.Sequential([keras.Input((STEPS, INPUT)), kind(UNITS, **settings), layers.Dense(2)])


@pytest.mark.parametrize(
    ("written", "other", "shape"),
    [
        (GruBySix, partial(keras_cell, keras.layers.GRU), (STEPS, INPUT)),
        (GruByTwo, partial(keras_cell, keras.layers.GRU), (STEPS, INPUT)),
        (GruOfBoth, partial(keras_cell, keras.layers.GRU, reset_after=False), (STEPS, INPUT)),
        (OfImages, images_in_keras, (2, 3, 4, 5)),
        (GruByMatrices, partial(keras_cell, keras.layers.GRU, reset_after=False), (STEPS, INPUT)),
        (LstmByMatrices, in_keras, (STEPS, INPUT)),
        (Experts, Stacked, (INPUT,)),
    ],
)
def test_arrays_that_the_other_side_holds_as_one_are_stacked_in_the_order_that_it_has(written, other, shape):
    corners = PairModels(Pair("stacked", written, other, inputs=strategies.arrays(*shape)))
    outcomes = [runner.run_check(module, corners, 0, 1, "parity check") for module in (weights, forward)]

    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []


def test_a_gru_whose_reset_gate_acts_first_is_another_and_is_told_so():
    other = partial(keras_cell, keras.layers.GRU, reset_after=False)
    corners = PairModels(Pair("first", Gru, other, inputs=strategies.arrays(STEPS, INPUT)))
    (cause,) = diagnose(corners, runner.run_check(forward, corners, 0, 1, "parity check")).causes

    assert (cause.name, cause.where) == ("reset_after", "gru")
    assert cause.told == "torch reset_after True, tensorflow reset_after False"


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
