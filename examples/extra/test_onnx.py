"""A network for pictures beside the ONNX file that is shipped in its place; needs `parity[onnx]` and onnxscript."""

from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from torch import nn

from parity import Pair, parametrize, strategies

FILE = Path(mkdtemp()) / "pictures.onnx"


class Pictures(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 7, 3, stride=2)
        self.norm, self.head = nn.GroupNorm(3, 6, eps=1e-3), nn.Linear(7, 5)

    def forward(self, x):
        x = self.second(nn.functional.silu(self.norm(self.first(x))))
        return torch.log_softmax(self.head(x.mean((2, 3))), -1)  # (batch, 3, height, width) -> (batch, 5)


def build():
    torch.manual_seed(0)  # in the place of a checkpoint that is loaded
    return Pictures().eval()


@pytest.fixture(scope="module", autouse=True)
def exported():
    rows = {0: torch.export.Dim("rows")}
    torch.onnx.export(build(), (torch.ones(2, 3, 9, 11),), dynamo=True, dynamic_shapes=(rows,)).save(FILE)


pair = Pair("pictures", torch=build, onnx=FILE, inputs=strategies.arrays(3, 9, 11))
# ONNX Runtime's optimisations beside the plain graph: each is a side of its own.
levels = Pair("levels", onnx={"plain": f"{FILE}@none", "optimised": f"{FILE}@all"}, inputs=strategies.arrays(3, 9, 11))


@pytest.mark.filterwarnings("ignore")  # torch's exporter gives warnings of its own
@parametrize(pair, examples=5)
def test_the_file_is_its_source(check):
    check()


@parametrize(levels, examples=5)
def test_optimising_the_graph_changes_nothing(check):
    check()
