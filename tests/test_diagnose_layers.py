"""Why a layer, or a piece of a model's own code, differs: each cause from a fault that was made by NumPy."""

import math

import numpy as np
import pytest

from parity.diagnose import CAUSES, Cause
from parity.diagnose.formulas import layer
from parity.diagnose.functions import softmax
from parity.diagnose.layers import explain
from parity.errors import ParityError
from parity.layers import KINDS
from parity.segment import Segment

BATCH, TIME, WIDTH, UNITS = 4, 13, 6, 5
LIMIT = 1e-11
SIZES = {
    "vocab": 30,
    "width": WIDTH,
    "in": WIDTH,
    "out": 7,
    "units": UNITS,
    "part": 2,
    "time": 3,
}


def drawn(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def weights_of(kind, **sizes):
    sizes = {**SIZES, "gates": (4 if kind == "lstm" else 3) * UNITS, **sizes}
    return {
        name: drawn(*(sizes[axis] for axis in axes), seed=place) / 2
        for place, (name, axes) in enumerate(KINDS[kind].axes.items())
    }


def input_of(kind):
    if kind == "embedding":
        return np.random.default_rng(3).integers(0, 30, (BATCH, TIME))
    return drawn(BATCH, TIME, WIDTH, seed=9) + 0.3


def leaf(kind, side="tensorflow", weights=None, settings=None, after=lambda y: y, **options):
    """A layer of a kind with a fault on one side: other weights, options or something done to its output."""
    x, right = input_of(kind), weights_of(kind)
    own = settings or ({}, {})
    place = ("torch", "tensorflow").index(side)
    found = [layer(kind, x, right, own[0]), layer(kind, x, right, own[1])]
    found[place] = layer(kind, x, {**right, **(weights or {})}, {**own[place], **options})
    found[place] = after(found[place])

    def again(of, settings=(), weights=()):
        at = ("torch", "tensorflow").index(of)
        altered = {**own[at], **dict(settings), **(options if at == place else {})}
        made = layer(kind, x, {**right, **dict(weights)}, altered)
        return after(made) if at == place else made

    return Segment(kind, kind, "output", {"input": x}, tuple(found), LIMIT, settings=own, weights=right, again=again)


def proved(segment):
    """The names of the proved causes, with each one's promise kept."""
    causes, _ = explain(segment)
    for cause in causes:
        assert isinstance(cause, Cause)
        assert cause.name in CAUSES
        assert cause.where == segment.path
        assert cause.told
        assert cause.fix
        assert cause.after <= segment.limit
        assert segment.limit < cause.before
    return [cause.name for cause in causes]


def told(segment):
    ((cause,), _) = explain(segment)
    return cause.told


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
        ("conv1d", "padding", (1, "causal"), "time shift"),
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
    segment = Segment("head", "dense", "output", {"input": x}, found, LIMIT, "", settings, right, again)
    assert proved(segment) == []


# Weights and formulas


def order(array, *places, axis=0):
    blocks = np.split(array, len(places), axis)
    return np.concatenate([blocks[place] for place in places], axis)


def blocks_transposed(array, count):
    return np.concatenate([block.T for block in np.split(array, count)])


def inverted(array, axis):
    reset, update, new = np.split(array, 3, axis)
    return np.concatenate([reset, -update, new], axis)


LSTM, GRU = weights_of("lstm"), weights_of("gru")
READ = [
    ("lstm", {n: order(a, 1, 0, 2, 3) for n, a in LSTM.items()}, "gate order"),
    ("lstm", {n: order(a, 0, 2, 1, 3) for n, a in LSTM.items()}, "gate order"),
    ("lstm", {"bias": order(LSTM["bias"], 0, 1, 3, 2)}, "gate order"),
    ("lstm", {"recurrent_kernel": order(LSTM["recurrent_kernel"], 3, 1, 2, 0)}, "gate order"),
    ("gru", {n: order(a, 1, 0, 2, axis=-1 if n == "bias" else 0) for n, a in GRU.items()}, "gate order"),
    ("lstm", {"recurrent_kernel": blocks_transposed(LSTM["recurrent_kernel"], 4)}, "transposed"),
    ("lstm", {"bias": 0 * LSTM["bias"]}, "bias missing"),
    ("lstm", {"bias": 2 * LSTM["bias"]}, "bias doubled"),
    ("lstm", {"bias": LSTM["bias"] + np.repeat([0, 1, 0, 0], UNITS)}, "offset"),
    ("gru", {"bias": GRU["bias"] * [[1], [0]]}, "bias missing"),
    ("dense", {"bias": 0 * weights_of("dense")["bias"]}, "bias missing"),
    ("conv1d", {"bias": 2 * weights_of("conv1d")["bias"]}, "bias doubled"),
    ("dense", {"kernel": weights_of("dense")["kernel"].astype(np.float16).astype(float)}, "weights rounded"),
    (
        "layer_norm",
        {"gain": weights_of("layer_norm")["bias"], "bias": weights_of("layer_norm")["gain"]},
        "weights swapped",
    ),
    ("layer_norm", {"gain": np.ones(WIDTH)}, "weights not copied"),
    ("layer_norm", {"gain": weights_of("layer_norm")["gain"] + 1}, "offset"),
    ("conv1d", {"kernel": weights_of("conv1d")["kernel"][..., ::-1]}, "kernel backwards"),
    ("gru", {"bias": np.stack([GRU["bias"].sum(0), 0 * GRU["bias"][0]])}, "biases summed"),
    ("gru", {n: inverted(a, -1 if n == "bias" else 0) for n, a in GRU.items()}, "recurrence"),
    ("embedding", {"table": np.roll(weights_of("embedding")["table"], 1, 0)}, "weights changed"),
]


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
@pytest.mark.parametrize(("kind", "weights", "cause"), READ, ids=[f"{kind} {cause}" for kind, _, cause in READ])
def test_weights_read_otherwise_are_the_cause_on_either_side(kind, weights, cause, side):
    segment = leaf(kind, side, weights)

    assert proved(segment) == [cause]
    assert told(segment).startswith(f"{side} reads ")


def test_the_order_of_the_gates_is_spelt_out():
    weights = {name: order(array, 1, 0, 2, 3) for name, array in LSTM.items()}

    assert told(leaf("lstm", weights=weights)) == (
        "tensorflow reads all its weights with its gates in the order forget, input, cell, output"
    )


def test_a_square_kernel_is_found_transposed():
    x, right = input_of("dense"), weights_of("dense", out=WIDTH)
    found = layer("dense", x, right, {}), layer("dense", x, {**right, "kernel": right["kernel"].T}, {})

    assert proved(Segment("head", "dense", "output", {"input": x}, found, LIMIT, weights=right)) == ["transposed"]


FORMULAS = [
    ("layer_norm", {"form": "deviation"}, "epsilon placement"),
    ("layer_norm", {"epsilon": 1e-3}, "epsilon"),
    ("layer_norm", {"form": "unbiased"}, "variance"),
    ("lstm", {"recurrent_activation": "hard_sigmoid (0.2 x + 0.5)"}, "activation"),
    ("gru", {"activation": "relu"}, "activation"),
    ("gru", {"reset_after": False}, "reset_after"),
    ("dense", {"activation": "silu"}, "activation"),
    ("conv1d", {"shift": 1}, "time shift"),
    ("conv1d", {"shift": -1}, "time shift"),
    ("conv1d", {"dilation": 2, "before": 2}, "time shift"),
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


AFTER = [
    ("dense", lambda y: y * math.sqrt(48), "scale"),
    ("dense", lambda y: y * (1 + 1e-9), "scale"),
    ("dense", lambda y: y + 1e-10, "offset"),
    ("dense", lambda y: y / 0.7, "scale"),
    ("conv1d", lambda y: np.concatenate([0 * y[:, :1], y[:, :-1]], 1), "time shift"),
    ("embedding", lambda y: y[:, ::-1], "time shift"),
    ("embedding", lambda y: np.tanh(y), "activation"),
    ("dense", lambda y: softmax(y, 1), "softmax axis"),
]


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
@pytest.mark.parametrize(("kind", "after", "cause"), AFTER)
def test_what_is_done_to_the_output_is_the_cause(kind, after, cause, side):
    segment = leaf(kind, side, after=after)

    assert proved(segment) == [cause]
    assert told(segment).startswith(side)


def nudged(array, *places):
    array = array.copy()
    for place in places:
        array[place] += 1e-6
    return array


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
@pytest.mark.parametrize(
    ("kind", "name", "places"),
    [
        ("dense", "kernel", [(2, 3)]),
        ("dense", "kernel", [(2, 3), (5, 0)]),
        ("dense", "bias", [(4,)]),
        ("conv1d", "kernel", [(2, 3, 1)]),
        ("layer_norm", "gain", [(3,)]),
        ("layer_norm", "bias", [(3,)]),
    ],
)
def test_single_weights_are_found_by_what_they_do(kind, name, places, side):
    segment = leaf(kind, side, {name: nudged(weights_of(kind)[name], *places)})

    assert proved(segment) == ["weights changed"]
    assert all(f"{name} at {', '.join(map(str, place))} were" in told(segment) for place in places)


def test_an_id_that_is_read_as_another():
    table = weights_of("embedding")["table"]
    used = input_of("embedding")[0, 0]
    table[used] = table[7]

    segment = leaf("embedding", weights={"table": table})
    assert proved(segment) == ["weights changed"]
    assert told(segment) == f"tensorflow has other rows for id {used} that of id 7"


def test_rows_that_are_cut_to_a_norm():
    table = weights_of("embedding")["table"]
    norms = np.sqrt(np.square(table).sum(-1, keepdims=True))

    segment = leaf("embedding", "torch", {"table": np.where(norms > 1, table / (norms + 1e-7), table)})
    assert proved(segment) == ["clipped"]
    assert told(segment) == "torch cuts rows to a norm of 1"


def test_rows_that_were_cut_in_the_table_itself():
    right = weights_of("embedding")
    norms = np.sqrt(np.square(right["table"]).sum(-1, keepdims=True))
    cut = {"table": np.where(norms > 1, right["table"] / (norms + 1e-7), right["table"])}
    found = tuple(layer("embedding", input_of("embedding"), weights, {}) for weights in (cut, right))

    segment = Segment("table", "embedding", "output", {"input": input_of("embedding")}, found, LIMIT, weights=cut)
    assert proved(segment) == ["clipped"]
    assert told(segment) == "tensorflow does not cut its rows to a norm of 1, as the other side does"


def test_positions_that_a_mask_skips_are_the_cause():
    skipped = np.random.default_rng(0).random((BATCH, TIME)) < 0.2

    assert skipped.any()
    assert proved(leaf("lstm", skipped=skipped)) == ["mask of the inputs"]
    assert proved(leaf("gru", "torch", skipped=skipped)) == ["mask of the inputs"]


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


@pytest.mark.parametrize("kind", ["dense", "lstm", "gru", "conv1d", "layer_norm", "embedding"])
def test_an_unknown_formula_has_no_cause_and_what_was_tried_is_said(kind):
    causes, ruled_out = explain(leaf(kind, after=lambda y: y + 0.1 * np.sin(3 * y)))

    assert causes == []
    assert any("transposed" in line for line in ruled_out)
    assert any("torch: the layer's formula as set" in line for line in ruled_out)


def test_an_unknown_layer_is_run_again_with_its_weights_read_otherwise():
    def run(x, weights):
        return np.sin(x @ weights["kernel"].T) + weights["bias"]

    x, right = input_of("dense"), weights_of("dense", out=WIDTH)
    found = run(x, right), run(x, {**right, "kernel": right["kernel"].T})

    def again(side, weights=None):
        if side == "tensorflow":
            raise ParityError("this side cannot")
        return run(x, {**right, **(weights or {})})

    segment = Segment("head", "dense", "output", {"input": x}, found, LIMIT, weights=right, again=again)
    assert proved(segment) == ["transposed"]
    assert told(segment) == "tensorflow reads kernel transposed"
