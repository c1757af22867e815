"""Which formula loses float32 precision: each from what both sides made alike in float64."""

from dataclasses import replace

import numpy as np
import pytest

from parity.canonical.activations import log_softmax, softmax
from parity.diagnose.layers import explain
from parity.diagnose.locate.segment import Segment
from tests.helpers.segments import BATCH, LIMIT, TIME, drawn

E = drawn(BATCH, TIME, 48, seed=3)


def unstable(made, side="tensorflow", **given):
    return Segment("head", "Head", "output", given, (made, made), LIMIT, side)


@pytest.mark.parametrize(
    ("made", "given", "words"),
    [
        (log_softmax(40 * E), 40 * E, "log(softmax(x))"),
        (softmax(60 * E), 60 * E, "softmax without the maximum"),
        ((E + 300).var(-1, keepdims=True), E + 300, "E[x^2] - E[x]^2"),
    ],
)
def test_a_formula_that_loses_float32_is_named_with_what_it_loses(made, given, words):
    ((cause,), _) = explain(unstable(made, expand=given))

    assert cause.name == "unstable formula"
    assert words in cause.told
    assert cause.after < cause.before
    assert "tensorflow" in cause.fix


def test_an_unknown_formula_that_loses_float32_is_told_by_its_agreement_in_float64():
    segment = replace(unstable(np.sin(E), "torch", expand=E), noise=(1e-2, 1e-6))
    ((cause,), _) = explain(segment)

    assert cause.told.startswith("torch loses float32 precision; in float64 the sides agree to 0.0e+00")
    assert (cause.before, cause.after) == (1e-2, 1e-6)


def test_what_does_not_lose_less_by_another_formula_is_no_cause():
    causes, ruled_out = explain(unstable(np.sin(E), "torch", expand=E))

    assert causes == []
    assert ruled_out == ["torch loses float32 precision; in float64 the sides agree to 0.0e+00"]


def test_sides_that_do_not_agree_in_float64_are_not_unstable():
    segment = Segment("head", "Head", "output", {}, (E, E + 1), LIMIT, "torch")

    assert explain(segment) == ([], ["the two sides do not agree in float64: 1.0e+00"])
