"""Weights that one side holds as a length g and a direction v, and the other so, too, or as one plain array."""

from functools import partial

import keras
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

from parity import strategies
from parity.backends import load
from parity.backends.build import Build
from parity.checks import conversion, forward, gradients, reload, runner, weights
from parity.errors import ParityError
from parity.pair import normed
from parity.pair.models import PairModels
from parity.pair.pair import Pair


class Normed(keras.layers.Layer):
    """A dense layer whose kernel is `g` times what `v` points to, as torch's weight norm has it."""

    axis = 0

    def build(self, shape):
        self.v = self.add_weight(name="v", shape=(shape[-1], 5))
        self.g = self.add_weight(name="g", shape=(5,), initializer="ones")
        self.b = self.add_weight(name="b", shape=(5,), initializer="zeros")

    def call(self, x):
        return keras.ops.matmul(x, self.g * self.v / keras.ops.norm(self.v, axis=self.axis, keepdims=True)) + self.b


def half_normed():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), Normed()])


@pytest.mark.parametrize("compute", [weight_norm, parametrizations.weight_norm], ids=["hook", "parametrization"])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_what_the_other_side_holds_apart_is_linked_apart(compute):
    def both_normed():
        return nn.Sequential(compute(nn.Linear(3, 4)), compute(nn.Linear(4, 5)))

    corners = PairModels(Pair("apart", both_normed, half_normed, inputs=strategies.arrays(3)))
    outcomes = [runner.run_check(check, corners, 0, 2, "") for check in (weights, forward, gradients)]

    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []
    assert {shape for _, shape in corners.layout.values()} == {(4, 3), (4,), (5, 4), (5, 1), (5,)}
    assert corners.models["torch", "float64"].computed == {"0.weight": "WeightNorm"}


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))


class Wrong(Normed):
    """Its norm is that of the other axis."""

    axis = 1


class Scaled(Normed):
    """It scales what comes out, and normalizes nothing."""

    def call(self, x):
        return keras.ops.matmul(x, self.g * self.v) + self.b


def plain_beside(kind=Normed, change=lambda v, g: (v, g)):
    """The weights of `plain`, its second layer's as a v of another length, with g."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), kind()])
    first, bias, second, last = (tensor.numpy() for tensor in plain().state_dict().values())
    wide = second.astype(np.float64)
    v, g = change(wide.T * np.arange(1, 6), np.sqrt((wide**2).sum(1)))
    model.set_weights([first.T, bias, v, g, last])
    return model


def beside(**how):
    return PairModels(Pair("beside", plain, partial(plain_beside, **how), inputs=strategies.arrays(3)))


def test_a_plain_weight_is_linked_with_the_g_and_v_that_the_other_side_holds():
    corners = beside()
    outcomes = [runner.run_check(check, corners, 0, 2, "") for check in (conversion, weights, forward, gradients)]

    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []
    assert outcomes[0].verdict == "rounding"
    assert {shape for _, shape in corners.layout.values()} == {(4, 3), (4,), (5, 4), (5, 1), (5,)}
    assert any("training of the plain weight of torch's 1" in line for line in corners.exercised.missing(()))


class ByHand(nn.Module):
    """As `Normed`, of torch, with its v as long as it likes."""

    def __init__(self, layer):
        super().__init__()
        wide = layer.weight.detach().double()
        self.v = nn.Parameter((wide * torch.arange(1, 6)[:, None]).float())
        self.g, self.b = nn.Parameter(wide.norm(dim=1).float()), layer.bias

    def forward(self, x):
        return nn.functional.linear(x, (self.g / self.v.norm(dim=1))[:, None] * self.v, self.b)


def by_hand():
    layers = plain()
    return nn.Sequential(layers[0], ByHand(layers[1]))


@pytest.mark.parametrize("sides", [{"a": plain, "b": by_hand}, {"a": by_hand, "b": plain}], ids=["first", "second"])
def test_it_is_so_whichever_side_comes_first(sides):
    corners = PairModels(Pair("turned", sides, inputs=strategies.arrays(3)))
    outcomes = [runner.run_check(check, corners, 0, 2, "") for check in (conversion, forward)]

    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []


class Loose(nn.Module):
    """As `by_hand`, its parameters beside its other layer."""

    def __init__(self):
        super().__init__()
        first, inner = by_hand()
        self.first, self.v, self.b = first, inner.v, inner.b
        self.g = nn.Parameter(inner.g.detach()[:, None])

    def forward(self, x):
        return nn.functional.linear(self.first(x), self.g * self.v / self.v.norm(dim=1, keepdim=True), self.b)


def keras_plain(kernel=lambda kernel: kernel):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(5)])
    first, bias, second, last = (tensor.numpy() for tensor in plain().state_dict().values())
    model.set_weights([first.T, bias, kernel(second.T), last])
    return model


@pytest.mark.parametrize("build", [by_hand, Loose], ids=["a module", "beside layers"])
def test_it_is_so_where_keras_has_the_plain_weight(build):
    corners = PairModels(Pair("plain", build, keras_plain, inputs=strategies.arrays(3)))
    checks = conversion, weights, forward, gradients, reload
    outcomes = [runner.run_check(check, corners, 0, 2, "") for check in checks]

    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []
    assert outcomes[0].verdict == "rounding"
    assert len(corners.layout) == 5
    assert any("training of the plain weight of tensorflow's dense_1" in line for line in corners.exercised.missing(()))


def test_a_plain_kernel_that_was_carried_wrongly_beside_g_and_v_differs():
    wrong = partial(keras_plain, lambda kernel: kernel[:, ::-1])
    corners = PairModels(Pair("plain", Loose, wrong, inputs=strategies.arrays(3)))

    assert runner.run_check(conversion, corners, 0, 2, "").verdict == "different"


def saturated():
    """Its kernels are so large that a longer one changes nothing behind tanh."""
    return nn.Sequential(nn.Linear(3, 40), nn.Tanh(), nn.Linear(40, 40, bias=False), nn.Tanh(), nn.Linear(40, 5))


def test_a_plain_weight_is_no_direction_where_its_length_does_nothing_either_way():
    model = load()["torch"].Model(Build(saturated, sample=np.full((2, 3), 1e2, np.float32)), "float32", None)

    assert normed.directions("torch", model, model._build, ["0", "2"]) == set()


def test_a_norm_along_the_other_axis_differs():
    assert runner.run_check(forward, beside(kind=Wrong), 0, 2, "").verdict == "different"


@pytest.mark.parametrize(
    "change", [lambda v, g: (v, g * 1.001), lambda v, g: (v[:, ::-1], g), lambda v, g: (v, g[::-1])]
)
def test_a_g_or_v_that_was_carried_wrongly_differs(change):
    assert runner.run_check(conversion, beside(change=change), 0, 2, "").verdict == "different"


def test_a_scale_that_is_no_norm_is_not_linked_as_one():
    with pytest.raises(ParityError, match="unmatched are torch's 1"):
        beside(kind=Scaled)
