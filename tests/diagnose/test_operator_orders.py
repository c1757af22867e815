"""What no input reaches, as a weight that a layer makes, is laid out as a whole, not row by row."""

import keras
import numpy as np
import torch
from torch import nn

from parity import Pair, strategies
from parity.diagnose.operators.orders import orders, taken
from parity.pair.models import PairModels
from tests.helpers.between import found


class Net(nn.Module):
    """A layer makes the weights of a product."""

    def __init__(self):
        super().__init__()
        self.code, self.maker = nn.Parameter(torch.randn(4)), nn.Linear(4, 15)

    def forward(self, x):
        return torch.relu(x @ self.maker(self.code).view(5, 3))


class KerasNet(keras.Model):
    """As `Net`, but that the product's weights are read with their axes in another order."""

    def __init__(self):
        super().__init__()
        self.code, self.maker = self.add_weight(shape=(1, 4), name="code"), keras.layers.Dense(15)

    def call(self, x):
        ops = keras.ops
        return ops.relu(ops.matmul(x, ops.transpose(ops.reshape(self.maker(self.code), (3, 5)))))


def test_a_matrix_that_a_layer_makes_and_the_other_side_reads_otherwise_is_a_cause():
    _, [cause] = found(PairModels(Pair("made", Net, KerasNet, inputs=strategies.arrays(5))))

    assert cause.name == "order"
    assert "the other of matmul" in cause.told
    assert "it is read as 3 x 5, and its axes turned" in cause.told


def test_a_whole_has_an_order_that_its_rows_have_not():
    grid = np.arange(15.0)
    matrix, turned = grid.reshape(5, 3), grid.reshape(3, 5).T

    assert [*orders(matrix, turned, 1e-9)] == []
    [(order, description)] = orders(matrix, turned, 1e-9, whole=True)
    assert description == "it is read as 3 x 5, and its axes turned"
    assert np.array_equal(taken(matrix, order), turned)
