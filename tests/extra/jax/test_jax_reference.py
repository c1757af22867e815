"""The reference pairs on JAX, and faults that are planted in them there."""

import pytest

import parity
from parity import backends, checks, reference, selftest
from parity.checks.runner import run_check
from parity.diagnose.explain import diagnose
from parity.selftest.faults import FAULTS

backends.load(["torch", "jax"])
# One that a layer's setting, a cell, a variable, an operation and a gradient each is planted by.
PLANTED = [
    "LayerNorm epsilon 1e-6",
    "GRU resets before the product, Keras",
    "LSTM gates f, i, c, o",
    "softmax over the queries, TensorFlow",
    "gradient by half",
]


@pytest.mark.parametrize("name", reference.PAIRS)
def test_reference_twins_agree_on_jax(name, small):
    pair = reference.pair(name, small)
    report = parity.check(pair, examples=1, checks=["forward", "gradients", "generation"])

    assert pair.sides == ("torch", "jax")
    assert report.holds


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_in_keras_is_placed_on_jax(name, small):
    fault = next(fault for fault in FAULTS if fault.name == name)
    corners = fault.inject(reference.pair(fault.pair, small))
    outcome = run_check(getattr(checks, fault.check), corners, 0, 5, "parity check", shrink=False)

    assert diagnose(corners, outcome).where == (fault.where,)


def test_what_is_in_tensorflows_own_terms_is_not_planted_there():
    families, twins = selftest.chosen(None)
    planted = {one.name: one for one in [*twins, *(fault for of in families.values() for fault in of)]}

    assert {one.pair for one in planted.values()} == {*reference.PAIRS}
    assert not {"another scale outside tf.function", "a layer with a graph of its own"} & {*planted}
