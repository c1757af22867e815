"""Why a side does not hold what was drawn: each relation from weights that were altered by NumPy."""

import numpy as np
import pytest

from parity.canonical.weights import Weights, draw
from parity.diagnose import CAUSES
from parity.diagnose.layers.weights import what_happened

LAYOUT = {
    "embedding.table": ("embedding", (30, 6)),
    "lstm.input_kernel": ("lstm", (20, 6)),
    "lstm.recurrent_kernel": ("lstm", (20, 5)),
    "lstm.bias": ("lstm", (20,)),
    "gru.input_kernel": ("gru", (12, 6)),
    "gru.recurrent_kernel": ("gru", (12, 4)),
    "gru.bias": ("gru", (2, 12)),
    "convs.0.kernel": ("conv1d", (7, 6, 3)),
    "convs.0.bias": ("conv1d", (7,)),
    "norm.gain": ("layer_norm", (6,)),
    "norm.bias": ("layer_norm", (6,)),
    "square.kernel": ("dense", (6, 6)),
    "square.bias": ("dense", (6,)),
    "head.kernel": ("dense", (30, 7)),
    "head.bias": ("dense", (30,)),
}
KINDS = {name: kind for name, (kind, _) in LAYOUT.items()}
DRAWN = draw(LAYOUT, Weights(3, 1.0))


def explain_weights(*args, **options):
    changes, ruled_out = what_happened(*args, **options)
    return [change.blamed for change in changes], ruled_out


def order(array, *places, axis=0):
    blocks = np.split(array, len(places), axis)
    return np.concatenate([blocks[place] for place in places], axis)


def blocks_transposed(array, count):
    return np.concatenate([block.T for block in np.split(array, count)])


def with_rows(array, first, second):
    array = array.copy()
    array[[first, second]] = array[[second, first]]
    return array


def nudged(array, *places):
    array = array.copy()
    for place in places:
        array[place] += np.float32(1e-6)
    return array


def with_row(array, place, factor):
    array = array.copy()
    array[place] *= factor
    return array


def corner(array):
    array, size = array.copy(), min(array.shape)
    array[:size, :size] = array[:size, :size].T.copy()
    return array


def bfloat16(array):
    return (array.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


ALTERED = [
    ("lstm.input_kernel", lambda x: order(x, 1, 0, 2, 3), "gate order", "order forget, input, cell, output"),
    ("lstm.bias", lambda x: order(x, 0, 1, 3, 2), "gate order", "order input, forget, output, cell"),
    ("gru.recurrent_kernel", lambda x: order(x, 1, 0, 2), "gate order", "order update, reset, new"),
    ("gru.bias", lambda x: order(x, 2, 1, 0, axis=-1), "gate order", "order new, update, reset"),
    ("square.kernel", lambda x: x.T, "transposed", "transposed"),
    ("lstm.recurrent_kernel", lambda x: blocks_transposed(x, 4), "transposed", "each gate's block transposed"),
    ("head.kernel", corner, "transposed", "its first 7 rows and columns transposed"),
    ("convs.0.kernel", lambda x: x[..., ::-1], "kernel backwards", "backwards in time"),
    ("head.bias", lambda x: 0 * x, "bias missing", "all zeros"),
    ("lstm.bias", lambda x: 2 * x, "bias doubled", "doubled"),
    ("lstm.bias", lambda x: x + np.repeat([0, 1, 0, 0], 5).astype(x.dtype), "offset", "1 added in the forget gate"),
    ("gru.bias", lambda x: x[::-1], "weights swapped", "its two parts exchanged"),
    ("gru.bias", lambda x: np.stack([x[0] + x[1], 0 * x[1]]), "biases summed", "summed on the input's part"),
    ("norm.gain", lambda x: x + 1, "offset", "1 added"),
    ("norm.gain", lambda x: 0 * x + 1, "weights not copied", "all ones"),
    ("embedding.table", lambda x: x * np.float32(3), "scale", "multiplied by 3"),
    ("head.kernel", bfloat16, "weights rounded", "cut off to bfloat16"),
    ("head.kernel", lambda x: x.astype(np.float16).astype(x.dtype), "weights rounded", "rounded through float16"),
    ("embedding.table", lambda x: with_rows(x, 3, 5), "weights changed", "rows 3, 5 in each other's place"),
    ("embedding.table", lambda x: np.roll(x, 1, 0), "weights changed", "each row one further"),
    ("head.kernel", lambda x: nudged(x, (4, 2)), "weights changed", "1 element at (4, 2)"),
    ("head.bias", lambda x: nudged(x, 4, 7), "weights changed", "2 elements, the first at (4,)"),
    ("embedding.table", lambda x: with_row(x, -1, 2), "weights changed", "6 elements, the first at (29, 0)"),
]


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "alter", "cause", "words"), ALTERED, ids=[f"{one[0]} {one[3]}" for one in ALTERED])
def test_a_relation_is_proved_for_one_parameter(name, alter, cause, words, dtype, side):
    found = {**DRAWN, name: alter(DRAWN[name])}
    causes, ruled_out = explain_weights(DRAWN, {n: a.astype(dtype) for n, a in found.items()}, KINDS, side)

    assert ruled_out == []
    assert [(proved.name, proved.where) for proved in causes] == [(cause, name.rpartition(".")[0])]
    assert causes[0].name in CAUSES
    assert causes[0].after == 0 < causes[0].before
    assert causes[0].told.startswith(f"{side} has {name}")
    assert words in causes[0].told
    assert causes[0].fix.endswith(f"({side})")


def test_an_order_that_a_layer_shares_is_one_cause():
    found = {**DRAWN, **{name: order(DRAWN[name], 0, 2, 1, 3) for name in DRAWN if name.startswith("lstm")}}
    ((cause,), _) = explain_weights(DRAWN, found, KINDS, "tensorflow")

    assert cause.told == (
        "tensorflow has lstm.input_kernel, lstm.recurrent_kernel and lstm.bias "
        "with its gates in the order input, cell, forget, output"
    )


def test_parameters_in_each_others_place():
    found = {**DRAWN, "norm.gain": DRAWN["norm.bias"], "norm.bias": DRAWN["norm.gain"]}
    causes, _ = explain_weights(DRAWN, found, KINDS, "torch")

    assert {cause.name for cause in causes} == {"weights swapped"}
    assert {cause.told for cause in causes} == {
        "torch has norm.gain with what norm.bias holds",
        "torch has norm.bias with what norm.gain holds",
    }


def test_a_fresh_layer_was_not_copied_and_its_bias_is_not_called_missing():
    found = {**DRAWN, "norm.gain": np.ones(6, np.float32), "norm.bias": np.zeros(6, np.float32)}
    causes, _ = explain_weights(DRAWN, found, KINDS, "tensorflow")

    assert {cause.name for cause in causes} == {"weights not copied"}


def test_a_parameter_that_stands_as_before_was_not_copied():
    before = {name: np.random.default_rng(0).random(array.shape, np.float32) for name, array in DRAWN.items()}
    found = {**DRAWN, "gru.bias": before["gru.bias"]}

    assert [cause.name for cause in explain_weights(DRAWN, found, KINDS, "torch", initial=before)[0]] == [
        "weights not copied"
    ]
    assert explain_weights(DRAWN, found, KINDS, "torch")[0] == []  # it may be anything


def test_clean_weights_have_no_cause():
    assert explain_weights(DRAWN, {name: array.copy() for name, array in DRAWN.items()}, KINDS, "torch") == ([], [])


def test_unknown_values_have_no_cause_and_what_was_tried_is_said():
    found = {**DRAWN, "head.kernel": DRAWN["head.kernel"] + np.sin(9 * DRAWN["head.kernel"])}
    causes, (line,) = explain_weights(DRAWN, found, KINDS, "torch")

    assert causes == []
    assert line.startswith("head.kernel in torch: ")
    assert "transposed, another order of gates, zeros or ones" in line


def test_a_relation_that_holds_but_for_one_element_is_not_proved():
    found = {**DRAWN, "lstm.bias": nudged(2 * DRAWN["lstm.bias"], 3)}

    assert explain_weights(DRAWN, found, KINDS, "torch")[0] == []
