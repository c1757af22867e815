"""Weights that torch computes from others before each call: weight and spectral norm, pruning, a user's own."""

from functools import partial

import keras
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from parity import strategies
from parity.backends import load
from parity.backends.build import Build
from parity.canonical.weights import Weights
from parity.checks import calls, conversion, forward, gradients, runner, weights
from parity.diagnose.explain import diagnose
from parity.errors import ParityError
from parity.inputs.batch import Batch
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


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).mT


def symmetric():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    parametrize.register_parametrization(layers[0], "weight", Symmetric())
    return layers


class Mirrored(keras.layers.Layer):
    """A dense layer of its own, whose kernel is as it is, or the upper triangle and what it mirrors."""

    def __init__(self, mirrors):
        super().__init__()
        self.mirrors = mirrors

    def build(self, shape):
        self.w, self.b = self.add_weight(name="w", shape=(shape[-1], 4)), self.add_weight(name="b", shape=(4,))

    def call(self, x):
        ops = keras.ops
        kernel = ops.triu(self.w) + ops.transpose(ops.triu(self.w, 1)) if self.mirrors else self.w
        return ops.matmul(x, kernel) + self.b


def mirrored(mirrors=True):
    return keras.Sequential(
        [keras.Input((4,)), Mirrored(mirrors), keras.layers.Activation("tanh"), keras.layers.Dense(2)]
    )


@pytest.mark.parametrize("mirrors", [True, False], ids=["what it is of", "the weight"])
def test_own_code_beside_it_holds_the_weight_or_what_it_is_computed_of(mirrors):
    corners = PairModels(Pair("own", symmetric, partial(mirrored, mirrors), inputs=strategies.arrays(4)))
    outcomes = [runner.run_check(check, corners, 0, 2, "") for check in (weights, forward, gradients)]

    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []
    assert (corners.models["torch", "float64"].computed == {}) == mirrors


def carrying():
    model = mirrored()
    state = {name: tensor.detach().numpy() for name, tensor in symmetric().state_dict().items()}
    own = state["0.parametrizations.weight.original"]
    model.set_weights([own, state["0.bias"], state["2.weight"].T, state["2.bias"]])
    return model


def test_what_the_builders_loaded_stays_where_both_ways_are_tried():
    corners = PairModels(Pair("carried", symmetric, carrying, inputs=strategies.arrays(4)))

    assert corners.carried is not None
    for values in corners.carried.values.values():
        np.testing.assert_array_equal(values["2.kernel"], symmetric()[2].weight.detach().numpy())
    assert runner.run_check(conversion, corners, 0, 2, "").verdict == "identical"


def test_a_pair_that_has_no_counterparts_apart_either_is_told_by_whole_layers():
    wide = keras.layers.Dense(7)
    pair = Pair(
        "apart",
        lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4))),
        lambda: keras.Sequential([keras.Input((3,)), wide]),
        inputs=strategies.arrays(3),
    )
    with pytest.raises(ParityError, match=r"torch's 0 has dense kernel \(4, 3\), bias \(4\)"):
        PairModels(pair)


def spectral():
    return keras.Sequential([keras.Input((3,)), keras.layers.SpectralNormalization(keras.layers.Dense(5))])


def test_a_weight_that_training_computes_otherwise_is_not_judged_there_and_named():
    corners = PairModels(
        Pair("spectral", lambda: parametrizations.spectral_norm(nn.Linear(3, 5)), spectral, inputs=strategies.arrays(3))
    )
    outcomes = [runner.run_check(check, corners, 0, 2, "") for check in (forward, calls)]

    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []
    assert "training mode: torch computes weight otherwise there" in corners.exercised.missing(())


def test_what_a_call_in_training_mode_keeps_in_a_weight_is_no_draw_and_is_put_back():
    corners = PairModels(Pair("kept", lambda: nn.Sequential(nn.Linear(3, 5)), spectral, inputs=strategies.arrays(3)))
    corners.load(Weights(0, 1.0))
    before = corners.models["tensorflow", "float32"].read()
    batch = Batch(np.ones((2, 3), np.float32), None, None)
    failing = [verdict.subject for verdict in calls._training(corners, batch) if verdict.fails]

    assert failing
    assert not any("draws" in subject for subject in failing)
    for name, array in corners.models["tensorflow", "float32"].read().items():
        np.testing.assert_array_equal(array, before[name])


def audio():
    torch.manual_seed(0)
    return nn.Sequential(parametrizations.weight_norm(nn.Conv1d(3, 6, 3)))


def folded(change):
    """The kernel of g and v as a converter folds them in float64, where torch computes it in float32."""
    state = {name.rpartition(".")[2]: tensor.numpy() for name, tensor in audio().state_dict().items()}
    g, v = (state[name].astype(np.float64) for name in ("original0", "original1"))
    weight = g * v / np.sqrt((v**2).sum((1, 2), keepdims=True))
    model = keras.Sequential([keras.Input((9, 3)), keras.layers.Conv1D(6, 3)])
    model.layers[0].set_weights([change(weight).astype(np.float32).transpose(2, 1, 0), state["bias"]])
    return model


def of_time(model, x, training):
    return model(keras.ops.transpose(x, (0, 2, 1)), training=training)


def by_time(model, x, training):
    return model.train(training)(x).transpose(1, 2)


def converted(change):
    calls_of = {"torch": by_time, "tensorflow": of_time}
    pair = Pair("audio", audio, partial(folded, change), inputs=strategies.arrays(3, 9), call=calls_of)
    return runner.run_check(conversion, PairModels(pair), 0, 2, "")


def test_a_weight_norm_that_was_folded_in_float64_is_rounding():
    found = converted(lambda weight: weight)

    assert (found.verdict, found.findings) == ("rounding", [])


def test_a_weight_norm_that_was_folded_otherwise_differs():
    assert converted(lambda weight: weight * (1 + 2**-20)).verdict == "different"


class Upper(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).mT


class KerasUpper(keras.layers.Layer):
    """As a linear layer with `Upper`, but that the other triangle has the other sign."""

    def __init__(self):
        super().__init__()
        self.w, self.b = self.add_weight(shape=(6, 6), name="w"), self.add_weight(shape=(6,), name="b")

    def call(self, x):
        ops = keras.ops
        return x @ (ops.triu(self.w) - ops.transpose(ops.triu(self.w, 1))) + self.b


def test_what_torch_computes_and_the_other_side_computes_otherwise_is_not_said_to_be_missing_in_torch_alone():
    def in_torch():
        model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))
        parametrize.register_parametrization(model[0], "weight", Upper())
        return model

    def in_keras():
        layers = [KerasUpper(), keras.layers.Activation("tanh"), keras.layers.Dense(2)]
        return keras.Sequential([keras.Input((6,)), *layers])

    corners = PairModels(Pair("upper", in_torch, in_keras, inputs=strategies.arrays(6)))
    causes = diagnose(corners, runner.run_check(forward, corners, 0, 2, "")).causes

    assert all("0.weight is what Upper has computed, and is taken as it is" in cause.told for cause in causes)
    assert causes
