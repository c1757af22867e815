"""A converter's mistakes where one side has one layer and the other several, or a longer table: each by its name."""

from functools import partial

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair, strategies
from parity.checks import conversion, forward, runner
from parity.diagnose.explain import diagnose
from parity.pair.models import PairModels

WIDTH, HEADS, LENGTH, VOCAB = 12, 3, 4, 19
MORE = 5  # rows of a longer table


class Fused(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.embed, self.qkv, self.out = (
            nn.Embedding(VOCAB, WIDTH),
            nn.Linear(WIDTH, 3 * WIDTH),
            nn.Linear(WIDTH, WIDTH),
        )
        self.head = nn.Linear(LENGTH * WIDTH, 7)

    def forward(self, ids):
        q, k, v = self.qkv(self.embed(ids)).chunk(3, -1)
        return self.head(self.out(torch.tanh(q) * k + v).mT.flatten(1))


class Parted(keras.Model):
    """Three layers in the place of one, and a flatten that reads its inputs otherwise."""

    def __init__(self, rows):
        super().__init__()
        self.embed, self.out = keras.layers.Embedding(rows, WIDTH), keras.layers.Dense(WIDTH)
        self.q, self.k, self.v = (keras.layers.Dense(WIDTH) for _ in "qkv")
        self.head = keras.layers.Dense(7)

    def call(self, ids):
        x = self.embed(ids)
        x = self.out(keras.ops.tanh(self.q(x)) * self.k(x) + self.v(x))
        return self.head(keras.ops.reshape(x, (-1, LENGTH * WIDTH)))


def loaded(change=None):
    """The Keras side with torch's weights, of which `change` makes something else."""
    given = {name: of.numpy() for name, of in Fused().state_dict().items()}
    parts = zip("qkv", np.split(given["qkv.weight"], 3), np.split(given["qkv.bias"], 3), strict=True)
    values = {name: [kernel.T, bias] for name, kernel, bias in parts}
    values["out"] = [given["out.weight"].T, given["out.bias"]]
    order = np.arange(LENGTH * WIDTH).reshape(WIDTH, LENGTH).T.ravel()
    values |= {"head": [given["head.weight"][:, order].T, given["head.bias"]], "embed": [given["embed.weight"]]}
    if change:
        change(values)
    model = Parted(len(values["embed"][0]))
    model(np.zeros((1, LENGTH), int))
    for name, arrays in values.items():
        getattr(model, name).set_weights(arrays)
    return model


def heads(array):
    return array.reshape(*array.shape[:-1], HEADS, -1).swapaxes(-1, -2).reshape(array.shape)


def halves(array):
    return array.reshape(*array.shape[:-1], HEADS, 2, -1).swapaxes(-1, -2).reshape(array.shape)


def turned(turn, *names):
    def change(values):
        for name in names:
            values[name] = [turn(array) for array in values[name]]

    return change


def halved(values):
    values["k"][0] = values["k"][0] / 2


def exchanged(values):
    values["q"][0], values["out"][0] = values["out"][0], values["q"][0]


def longer(values):
    values["embed"] = [np.concatenate([np.zeros((MORE, WIDTH), np.float32), *values["embed"]])]


def unturned(values):
    values["head"][0] = Fused().head.weight.detach().numpy().T


def causes_of(change, weights="drawn"):
    pair = Pair("fused", Fused, partial(loaded, change), inputs=strategies.ids(LENGTH, VOCAB), weights=weights)
    check, corners = conversion if weights == "drawn" else forward, PairModels(pair)
    return diagnose(corners, runner.run_check(check, corners, 0, 2, "parity check")).causes


PART = "tensorflow has qkv[part {0} of 3].kernel and qkv[part {0} of 3].bias "
CASES = {
    "heads": (
        turned(heads, "v"),
        "head split",
        {PART.format(3) + "with its 12 rows read as (3, 4) the other way round"},
    ),
    "halves": (
        turned(halves, "q", "k"),
        "rotary halves",
        {
            "tensorflow has qkv[part 1 of 3].kernel, qkv[part 2 of 3].kernel, qkv[part 1 of 3].bias and "
            "qkv[part 2 of 3].bias with each of 3 heads having its halves interleaved"
        },
    ),
    "scaled": (halved, "scale", {"tensorflow has qkv[part 2 of 3].kernel multiplied by 1/2"}),
    "exchanged": (
        exchanged,
        "weights swapped",
        {
            "tensorflow has qkv[part 1 of 3].kernel with what out.kernel holds",
            "tensorflow has out.kernel with what qkv[part 1 of 3].kernel holds",
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_became_of_a_part_of_a_fused_layer_is_named_as_of_a_whole_one(case):
    change, name, told = CASES[case]
    causes = causes_of(change)

    assert {cause.told for cause in causes} == told
    assert {cause.name for cause in causes} == {name}
    assert {cause.where for cause in causes} <= {"qkv", "out"}


def test_a_part_is_proved_by_weights_as_they_are():
    (cause,) = causes_of(turned(heads, "v"), "given")

    assert (cause.name, cause.where) == ("head split", "qkv")


def test_a_table_that_is_longer_and_shifted_is_no_order_of_what_the_model_reads_otherwise():
    (cause,) = causes_of(longer)

    assert (cause.name, cause.where) == ("weights changed", "embed")
    assert cause.told == (
        "tensorflow has embed.table with its rows moved by 5: torch's row 0 is row 5 there; "
        "tensorflow's table has 5 rows more"
    )


def test_an_order_of_a_flatten_that_nothing_turned_is_the_cause_of_weights_as_they_are():
    (cause,) = causes_of(unturned, "given")

    assert cause.name == "flatten order"
    assert cause.told.endswith("dense_4.kernel with its 48 inputs read as (4, 12) the other way round")
