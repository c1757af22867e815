"""Weights that torch computes from others before each call: weight and spectral norm, pruning, a user's own."""

import keras
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from parity import strategies
from parity.backends import load
from parity.backends.build import Build
from parity.checks import forward, runner, weights
from parity.pair.models import PairModels
from parity.pair.pair import Pair


class Positive(nn.Module):
    def forward(self, weight):
        return nn.functional.softplus(weight)


COMPUTED = {
    "WeightNorm": weight_norm,
    "SpectralNorm": spectral_norm,
    "L1Unstructured": lambda layer: prune.l1_unstructured(layer, "weight", 0.3),
    "Positive": lambda layer: parametrize.register_parametrization(layer, "weight", Positive()),
}


def in_torch():
    layers = [nn.Linear(3, 3) for _ in COMPUTED]
    for layer, compute in zip(layers, COMPUTED.values(), strict=True):
        compute(layer)
    return nn.Sequential(*layers)


def in_keras():
    return keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(3) for _ in COMPUTED)])


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_a_computed_weight_is_linked_as_it_is_in_evaluation_and_named():
    corners = PairModels(Pair("computed", in_torch, in_keras, inputs=strategies.arrays(3)))

    outcomes = [runner.run_check(check, corners, 0, 2, "") for check in (weights, forward)]
    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []
    assert set(corners.layout) == {f"{at}.{part}" for at in range(4) for part in ("kernel", "bias")}
    named = ", ".join(f"{at}.weight ({how})" for at, how in enumerate(COMPUTED))
    assert f"how torch computes weights, taken as they are in evaluation: {named}" in corners.exercised.missing(())


@pytest.mark.parametrize("compute", [*COMPUTED.values(), parametrizations.weight_norm, parametrizations.spectral_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_it_has_the_value_that_it_has_in_the_users_model_which_stays_as_it_is(compute):
    layer = nn.Linear(4, 5)
    compute(layer)
    layer.eval()
    inputs = torch.arange(8, dtype=torch.float32).reshape(2, 4)
    expected, names = layer(inputs).detach(), list(layer.state_dict())

    model = load()["torch"].Model(Build(lambda: layer, own=True), "float32", None)
    np.testing.assert_array_equal(model.outputs(inputs.numpy())[""], expected)
    assert list(layer.state_dict()) == names
