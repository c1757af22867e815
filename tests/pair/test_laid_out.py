"""What a right converter laid out otherwise is so for drawn weights, whatever else is wrong; and a longer table."""

from functools import partial

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair, strategies
from parity.checks import conversion, forward, runner
from parity.pair.models import PairModels


class Net(nn.Module):
    """Ids, a layer whose units the other side reads in another order, and a layer behind them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.wide, self.narrow = nn.Embedding(9, 5), nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, ids):
        return self.narrow(self.wide(self.table(ids)[:, 0]).tanh())


class Port(keras.Model):
    def __init__(self, rows):
        super().__init__()
        layers = keras.layers
        self.table, self.wide, self.narrow = layers.Embedding(rows, 5), layers.Dense(8, "tanh"), layers.Dense(3)

    def call(self, ids):
        units = keras.ops.reshape(self.wide(self.table(ids)[:, 0]), (-1, 2, 4))
        return self.narrow(keras.ops.reshape(keras.ops.transpose(units, (0, 2, 1)), (-1, 8)))


def same(array):
    return array


def port(wide=same, narrow=same, rows=9):
    state = {name: tensor.numpy() for name, tensor in Net().state_dict().items()}
    model = Port(rows)
    model(np.zeros((1, 1), np.int64))
    model.table.set_weights([np.pad(state["table.weight"], ((0, rows - 9), (0, 0)))])
    model.wide.set_weights([wide(state["wide.weight"].T), state["wide.bias"]])
    turned = state["narrow.weight"].reshape(3, 2, 4).transpose(0, 2, 1).reshape(3, 8)
    model.narrow.set_weights([narrow(turned.T), state["narrow.bias"]])
    return model


def outcomes(**how):
    corners = PairModels(Pair("laid", Net, partial(port, **how), inputs=strategies.arrays(1, below=9)))
    return [runner.run_check(check, corners, 0, 3, "") for check in (conversion, forward)]


def test_it_holds_where_nothing_is_wrong():
    assert [found.message for outcome in outcomes() for found in outcome.findings] == []


@pytest.mark.parametrize(
    "wrong",
    [{"wide": lambda kernel: kernel[:, ::-1]}, {"narrow": lambda kernel: kernel.astype(np.float16)}],
    ids=["another order, of another layer", "rounded, the same layer"],
)
def test_it_is_no_difference_beside_what_is_wrong(wrong):
    carried, run = outcomes(**wrong)

    assert carried.verdict == "different"
    assert [found.message for found in run.findings] == []


def test_a_table_of_the_same_name_may_be_longer():
    assert [found.message for outcome in outcomes(rows=12) for found in outcome.findings] == []
