"""A recurrent cell is watched as it is: its states have no axis of layers, as those of a whole layer have."""

import numpy as np
import torch
from torch import nn

from parity.backends import load


class Stepping(nn.Module):
    def __init__(self):
        super().__init__()
        self.whole, self.cell = nn.GRU(3, 5, batch_first=True), nn.GRUCell(3, 5)

    def forward(self, x):
        state = self.whole(x)[1][0]
        return self.cell(x[:, 0], state)


class Watch:
    def __init__(self):
        self.shapes = {}

    def before_call(self, path, inputs):
        return inputs if path == "cell" else None

    def after_call(self, call):
        self.shapes[call.path] = [array.shape for array in (*call.inputs, *call.outputs)]
        return call.outputs


def test_states_have_a_row_of_the_batch_each_and_can_be_put_back():
    inputs, watch = np.ones((2, 4, 3), np.float32), Watch()
    torch.manual_seed(0)
    model = load()["torch"].Model(Stepping, "float32", None)

    found = model.run_with_hooks(inputs, ["whole", "cell"], watch)[""]
    assert watch.shapes == {"whole": [(2, 4, 3), (2, 4, 5), (2, 5)], "cell": [(2, 3), (2, 5), (2, 5)]}
    np.testing.assert_array_equal(found, model.outputs(inputs)[""])
