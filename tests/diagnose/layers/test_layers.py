"""Why a layer differs: its settings and its formula; each fault made by NumPy."""

from dataclasses import replace

import numpy as np
import pytest

from parity.canonical.formulas import layer
from parity.diagnose.layers import explain
from parity.diagnose.locate.segment import Segment
from tests.helpers.segments import BATCH, LIMIT, UNITS, drawn, input_of, leaf, proved, told, weights_of

# Settings


@pytest.mark.parametrize(
    ("kind", "name", "values", "cause"),
    [
        ("layer_norm", "epsilon", (1e-5, 1e-3), "epsilon"),
        ("dense", "activation", ("gelu", "gelu (tanh)"), "activation"),
        ("dense", "activation", ("leaky_relu (slope 0.01)", "leaky_relu (slope 0.3)"), "slope"),
        ("lstm", "recurrent_activation", ("sigmoid", "hard_sigmoid"), "activation"),
        ("lstm", "activation", ("tanh", "relu"), "activation"),
        ("gru", "reset_after", (True, False), "reset_after"),
        ("lstm", "go_backwards", (False, True), "time shift"),
        ("conv1d", "padding", (1, "causal"), "padding"),
    ],
)
def test_a_setting_is_the_cause(kind, name, values, cause):
    assert proved(leaf(kind, settings=({name: values[0]}, {name: values[1]}))) == [cause]


def test_a_setting_is_told_with_both_values_and_the_fix_in_keras_words():
    ((cause,), _) = explain(leaf("layer_norm", settings=({"epsilon": 1e-5}, {"epsilon": 1e-3})))

    assert cause.told == "torch epsilon 1e-05, tensorflow epsilon 0.001"
    assert cause.fix == "epsilon=1e-05 in LayerNormalization layer_norm"


def test_two_settings_are_both_named_and_a_harmless_third_is_not():
    ours = {"activation": "tanh", "recurrent_activation": "sigmoid", "dropout": 0.0}
    theirs = {"activation": "relu", "recurrent_activation": "hard_sigmoid", "dropout": 0.1}

    assert proved(leaf("lstm", settings=(ours, theirs))) == ["activation", "activation"]


def test_a_setting_that_does_not_close_the_gap_is_ruled_out_with_what_is_left():
    settings = ({"dropout": 0.0}, {"dropout": 0.1})
    _, ruled_out = explain(leaf("dense", settings=settings, after=lambda y: y + 0.1 * np.sin(y)))

    assert any("dropout 0.1: made equal," in line and line.endswith("is left") for line in ruled_out)


def test_a_layer_that_is_not_what_differs_proves_nothing_when_it_is_run_again():
    x, right = input_of("dense"), weights_of("dense")
    made = layer("dense", x, right, {})

    def again(*_, **__):  # as without what is done to its output afterwards
        return made

    found, settings = (made, made + np.sin(made)), ({"activation": "relu"}, {"activation": "tanh"})
    segment = Segment(
        "head", "dense", "output", {"input": x}, found, LIMIT, settings=settings, weights=right, again=again
    )
    assert proved(segment) == []


# Formulas


FORMULAS = [
    ("lstm", {"recurrent_activation": "hard_sigmoid (0.2 x + 0.5)"}, "activation"),
    ("gru", {"activation": "relu"}, "activation"),
    ("gru", {"reset_after": False}, "reset_after"),
    ("conv1d", {"shift": 1}, "time shift"),
    ("conv1d", {"shift": -1}, "time shift"),
    ("conv1d", {"dilation": 2, "before": 2}, "dilation"),
    ("lstm", {"go_backwards": True}, "time shift"),
    ("lstm", {"clip": 1.0}, "clipped"),
    ("lstm", {"handed": 1.0}, "clipped"),
    ("lstm", {"peep": 0.1}, "recurrence"),
    ("lstm", {"first": 1.0}, "first state"),
    ("gru", {"first": 1.0}, "first state"),
    ("lstm", {"first": (drawn(BATCH, UNITS) / 9, drawn(BATCH, UNITS) / 5)}, "state kept"),
    ("gru", {"first": drawn(BATCH, UNITS) / 3}, "state kept"),
]


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
@pytest.mark.parametrize(("kind", "options", "cause"), FORMULAS)
def test_a_formula_is_the_cause_on_either_side(kind, options, cause, side):
    segment = leaf(kind, side, **options)

    assert proved(segment) == [cause]
    assert told(segment).startswith(side)


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
@pytest.mark.parametrize(("after", "cause"), [(lambda y: y / 0.7, "scale"), (lambda y: y + 1e-3, "offset")])
def test_what_is_done_to_the_output_is_the_cause(after, cause, side):
    segment = leaf("dense", side, after=after)

    assert proved(segment) == [cause]
    assert told(segment).startswith(("torch's output is the other's", "tensorflow's output is the other's"))
    assert explain(segment, whole=False)[0] == []


@pytest.mark.parametrize(("kind", "place"), [("lstm", "output 2"), ("lstm", "output 3"), ("gru", "output 2")])
def test_the_last_state_is_explained_as_the_outputs_are(kind, place):
    x, right = input_of(kind), weights_of(kind)
    changed = {**right, "bias": 2 * right["bias"]}
    found = tuple(layer(kind, x, weights, {"returned": place}) for weights in (right, changed))
    segment = Segment("lstm", kind, place, {"input": x}, found, LIMIT, weights=right)

    assert found[0].shape == (BATCH, UNITS)
    assert proved(segment) == ["bias doubled"]


@pytest.mark.parametrize("kind", ["dense", "lstm", "gru", "conv1d", "layer_norm", "embedding"])
def test_a_clean_layer_has_no_cause(kind):
    assert explain(leaf(kind)) == ([], [])


TRIED = {
    "dense": ("bias missing", "transposed"),
    "lstm": ("gate order", "activation", "clipped"),
    "gru": ("gate order", "reset_after", "state kept"),
    "conv1d": ("kernel backwards", "time shift", "padding"),
    "layer_norm": ("weights swapped",),
    "embedding": ("weights not copied", "clipped", "scale"),
}
NEVER = dict.fromkeys(("dense", "conv1d", "layer_norm", "embedding"), "gate order") | {"lstm": "reset_after"}


@pytest.mark.parametrize("kind", TRIED)
def test_an_unknown_formula_has_no_cause_and_what_was_tried_is_said(kind):
    causes, ruled_out = explain(leaf(kind, after=lambda y: y + 0.1 * np.sin(3 * y)))
    (line,) = (line for line in ruled_out if line.startswith("tensorflow: neither the layer's formula as set nor with"))

    assert causes == []
    assert "torch computes the layer's formula as set" in ruled_out
    assert all(cause in line for cause in TRIED[kind])
    assert NEVER.get(kind, "epsilon") not in line


def test_of_a_kind_without_a_formula_nothing_is_ruled_out():
    segment = replace(leaf("dense", after=lambda y: y + 0.1 * np.sin(3 * y)), kind="conv2d", again=None)

    causes, ruled_out = explain(segment)

    assert causes == []
    assert "no formula of a conv2d is known: nothing was recomputed" in ruled_out
    assert not any("padding" in line or "transposed" in line for line in ruled_out)
