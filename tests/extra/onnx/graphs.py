"""Small ONNX files, written node by node, and the torch models that they were made from."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from parity import strategies

WIDTH, INNER, OUT = 5, 7, 3
INPUTS = strategies.arrays(WIDTH)


class Net(nn.Module):
    """Two dense layers, a norm and a GELU, with weights of their own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.hidden, self.norm, self.head = nn.Linear(WIDTH, INNER), nn.LayerNorm(INNER), nn.Linear(INNER, OUT)

    def forward(self, x):
        return self.head(nn.functional.gelu(self.norm(self.hidden(x))))


def nodes(epsilon=1e-5):
    """The nodes of `Net`."""
    return [
        helper.make_node("Gemm", ["x", "hidden.weight", "hidden.bias"], ["a"], "first", transB=1),
        helper.make_node(
            "LayerNormalization", ["a", "norm.weight", "norm.bias"], ["b"], "norm", axis=-1, epsilon=epsilon
        ),
        helper.make_node("Gelu", ["b"], ["c"], "gelu"),
        helper.make_node("Gemm", ["c", "head.weight", "head.bias"], ["y"], "last", transB=1),
    ]


def model(body, weights, opsets=(("", 20),), rows="rows", width=WIDTH):
    """A graph of one input x (rows, width) and one output y."""
    of = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    taken = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, width])]
    given = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, None])]
    graph = helper.make_graph(body, "g", taken, given, of)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*one) for one in opsets], ir_version=10)


def net_weights():
    """What `Net` holds, by name."""
    return {name: tensor.detach().numpy() for name, tensor in Net().named_parameters()}


def written(path, *given, **named):
    """The path of a model that is written there."""
    onnx.save(model(*given, **named), path)
    return path
