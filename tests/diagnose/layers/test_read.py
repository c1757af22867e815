"""Why a layer differs: how it reads its weights, and which of them are others; each fault made by NumPy."""

import numpy as np
import pytest

from parity.canonical.formulas import layer
from parity.diagnose.locate.segment import Segment
from parity.errors import ParityError
from tests.helpers.segments import LIMIT, UNITS, WIDTH, input_of, leaf, proved, told, weights_of


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
