"""Keras on JAX as a side: its checks, how it keeps float64, a run operation by operation, and who has Keras already."""

import numpy as np
import pytest
from torch import nn

import parity
from parity import backends
from parity.backends.operations import GRADIENTS
from parity.dtypes import EPS
from parity.errors import KerasTaken
from parity.pair.models import PairModels

backends.load(["torch", "jax"])

import jax  # noqa: E402 behind parity, which settles what Keras runs on
import jax.numpy as jnp  # noqa: E402 as above
import keras  # noqa: E402 as above

from parity.backends.jax.precision import PATCHES  # noqa: E402 as above
from parity.backends.keras import policy  # noqa: E402 as above

ROWS = np.linspace(-2, 2, 15, dtype=np.float32).reshape(3, 5)


def build():
    return nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.LayerNorm(7), nn.Linear(7, 3))


def build_keras(epsilon=1e-5):
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(7, activation="gelu", name="0"),
            keras.layers.LayerNormalization(epsilon=epsilon, name="2"),
            keras.layers.Dense(3, name="3"),
        ]
    )


def careless():
    return build_keras(epsilon=1e-3)


PAIR = parity.Pair("ported", torch=build, jax=build_keras, inputs=parity.strategies.arrays(5))


@pytest.fixture(scope="module")
def corners():
    return PairModels(PAIR)


def test_every_check_holds_on_jax():
    report = parity.check(PAIR, examples=1)

    assert [finding.message for finding in report.findings] == []
    assert report.holds
    assert {"training", "gradients", "reload", "resume", "determinism"} <= {outcome.name for outcome in report.checks}


def test_a_setting_is_placed_and_proved_down_to_an_operation_of_jax():
    pair = parity.Pair("careless", torch=build, jax=careless, inputs=parity.strategies.arrays(5))
    (finding,) = parity.check(pair, examples=1, checks=["forward"]).findings
    (cause,) = finding.diagnosis.causes

    assert finding.diagnosis.where == ("2",)
    assert (cause.name, cause.fix) == ("epsilon", "epsilon=1e-05 in 2 of jax")
    assert [one.side for one in finding.diagnosis.operations] == ["torch", "jax"]


def attended(x):
    """Five tokens of two heads, attending to each other."""
    x = x.reshape(1, 5, 2, 3)
    return keras.ops.dot_product_attention(x, x, x)


def attended_exactly(x):
    x = x.reshape(5, 2, 3)
    powers = np.exp(np.einsum("tnh,snh->nts", x, x) / 3**0.5)
    return np.einsum("nts,snh->tnh", powers / powers.sum(-1, keepdims=True), x)[None]


EXACT = {
    "mean": ("BIT64_TO_BIT32_DTYPE", keras.ops.mean, np.mean),
    "var": ("BIT64_TO_BIT32_DTYPE", keras.ops.var, np.var),
    "tanh": ("BIT64_TO_BIT32_DTYPE", keras.ops.tanh, np.tanh),
    "attention": ("dot_product_attention", attended, attended_exactly),
}


@pytest.mark.parametrize("op", EXACT)
def test_keras_keeps_float64_only_while_parity_has_it_do_so(op):
    """Where the first assertion fails, Keras or JAX has come round: take the patch off the list."""
    x, (name, run, exact) = np.linspace(0.1, 3, 30), EXACT[op]
    with policy.of("float64", [patch for patch in PATCHES["float64"] if patch[1] != name]):
        assert np.abs(np.asarray(run(x), np.float64) - exact(x)).max() > 1e-10, f"{op} is exact without {name}"

    with backends.load(["jax"])["jax"].precision("float64"):
        assert np.abs(np.asarray(run(x)) - exact(x)).max() < 16 * EPS["float64"]


def test_keras_builds_a_gru_without_bias_only_while_parity_has_it_do_so():
    """As above."""
    gru, x = keras.layers.GRU(3, use_bias=False), np.ones((1, 2, 5), np.float32)
    with pytest.raises(TypeError, match="float64"):
        gru(x)

    with backends.load(["jax"])["jax"].precision("float32"):
        assert gru(x).dtype == "float32"


def test_a_recorded_run_has_the_numbers_layers_and_gradients(corners):
    model = corners.models["jax", "float64"]
    trace = model.record(ROWS, loss=True, form=GRADIENTS, targets=[np.zeros((3, 3))]).trace
    (loss,) = trace.outputs.values()
    layers = {operation.layer for operation in trace.operations}

    assert {"0", "2", "3"} <= layers
    assert float(trace.values[loss].array) == pytest.approx(float(model.loss(ROWS, [np.zeros((3, 3))])), rel=1e-12)
    gradients = model.gradients(ROWS, [np.zeros((3, 3))])
    kernels = {
        value.array.shape: place for place, value in enumerate(trace.values) if value.leaf.startswith("variable")
    }
    assert np.allclose(trace.gradients[kernels[7, 3]].T, gradients["3.kernel"], rtol=1e-12)


class Shifted(keras.layers.Layer):
    """A layer in JAX's own words, with numbers that code writes."""

    def call(self, x):
        return jnp.full(x.shape, 0.5, x.dtype) + 0.25 * x


def test_a_number_that_code_writes_is_a_setting_and_no_operation():
    pair = parity.Pair("shifted", torch=nn.Identity, jax=Shifted, inputs=parity.strategies.arrays(5))
    trace = PairModels(pair).models["jax", "float64"].record(ROWS).trace

    assert [(one.name, one.settings.get("x", one.settings.get("y"))) for one in trace.operations] == [
        ("broadcast_in_dim", 0.5),
        ("mul", 0.25),
        ("add", None),
    ]


def test_a_process_has_keras_on_one_backend():
    with pytest.raises(
        KerasTaken, match="tensorflow needs Keras on tensorflow, but this process has it on jax"
    ) as caught:
        backends.settle_keras(["tensorflow"])

    assert caught.value.wanted == "tensorflow"
    assert jax.config.jax_enable_x64
    assert backends.installed() == ["torch", "jax"]


def test_what_was_compiled_is_dropped_behind_a_check():
    doubled = jax.jit(lambda x: 2 * x)
    doubled(1.0)
    before = doubled._cache_size()
    parity.check(PAIR, examples=1, checks=["forward"])

    assert (before, doubled._cache_size()) == (1, 0)
    assert doubled(2.0) == 4.0
