"""Faults in ONNX graphs: `python -m benchmarks.graph_faults FOLDER`. Is each detected, and placed at its node?

Exports the reference pairs and a network for pictures into FOLDER, checks that the files hold as they are, and then
plants one fault at a time: an attribute, an axis, an epsilon, a default in the place of a value, weights that went
through half precision, a lost bias, wrong pads, a constant, an operator. What changes no output is none. With --causes
an edit of what torch ran is looked for, too, which takes minutes a fault.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.exported import IMAGE, TEXTS, export, pair
from benchmarks.planted import Tally
from parity.backends import load
from parity.backends.build import Build
from parity.diagnose import operators
from parity.errors import ParityError

load()
MOST = 3  # of a family in one graph
Fault = tuple[str, str, Callable[[onnx.ModelProto], None]]

# Kind -> attribute -> its other value, None for the default that is taken where it is left out; and the family.
ATTRIBUTES = {
    "LayerNormalization": [("epsilon", lambda old: 10 * old, "epsilon")],
    "BatchNormalization": [("epsilon", lambda old: old / 100, "epsilon"), ("epsilon", None, "default")],
    "GroupNormalization": [("epsilon", None, "default"), ("num_groups", lambda _: 2, "attribute")],
    "InstanceNormalization": [("epsilon", lambda old: 10 * old, "epsilon"), ("epsilon", None, "default")],
    "Softmax": [("axis", lambda _: 0, "axis")],
    "Gelu": [("approximate", lambda _: "tanh", "attribute")],
    "LeakyRelu": [("alpha", lambda old: 1.01 * old, "attribute"), ("alpha", None, "default")],
    "Elu": [("alpha", None, "default"), ("alpha", lambda old: 1.001 * old, "attribute")],
    "Conv": [
        ("pads", lambda old: [p + 1 for p in old[: len(old) // 2]] + [p - 1 for p in old[len(old) // 2 :]], "pads")
    ],
    "AveragePool": [
        ("count_include_pad", lambda old: 1 - old, "attribute"),
        ("pads", lambda old: [0, 0, 2, 2], "pads"),
    ],
    "MaxPool": [("dilations", lambda _: [2, 2], "attribute"), ("pads", lambda _: [1, 1, 0, 0], "pads")],
    "LSTM": [
        ("activations", lambda _: ["Sigmoid", "Tanh", "Relu"], "attribute"),
        ("direction", lambda _: "reverse", "axis"),
        ("clip", lambda _: 0.1, "attribute"),
        ("input_forget", lambda _: 1, "attribute"),
    ],
    "GRU": [
        ("linear_before_reset", None, "default"),
        ("direction", lambda _: "reverse", "axis"),
        ("activations", lambda _: ["Sigmoid", "Relu"], "attribute"),
    ],
    "Resize": [
        ("coordinate_transformation_mode", lambda _: "asymmetric", "default"),
        ("mode", lambda _: "nearest", "attribute"),
    ],
    "Gemm": [("alpha", lambda _: 1.001, "attribute"), ("beta", lambda _: 0.0, "bias")],
}
# Kind -> another that takes the same.
OPERATORS = {
    "Tanh": "Sigmoid",
    "LessOrEqual": "Less",
    "MaxPool": "AveragePool",
    "Gelu": "Relu",
    "LeakyRelu": "Relu",
    "Div": "Mul",
    "Softmax": "LogSoftmax",
    "Elu": "Selu",
}
SWAPPED = ("Sub", "Div", "Where")


def faults(model: onnx.ModelProto) -> Iterator[Fault]:
    """Every fault that a graph can have: its family, its node and what plants it."""
    held = {of.name: numpy_helper.to_array(of) for of in model.graph.initializer}
    called = _computing(model, held)
    for at, node in enumerate(model.graph.node):
        for name, change, family in ATTRIBUTES.get(node.op_type, ()):
            yield family, called[at], _attribute(at, name, change)
        if node.op_type in OPERATORS:
            yield "operator", called[at], _operator(at, OPERATORS[node.op_type])
        if node.op_type in SWAPPED:
            yield "operands", called[at], _swapped(at)
        for place, name in enumerate(node.input):
            array = held.get(name)
            if array is None or array.dtype.kind != "f":
                if array is not None and node.op_type == "Pad" and place == 1:
                    yield "pads", called[at], _value(at, place, _shifted)
                continue
            if array.size == 1:
                yield "constant", called[at], _value(at, place, _constant)
            else:
                yield "half", called[at], _value(at, place, _half)
            if array.ndim == 1 and array.size > 1:
                yield "bias", called[at], _value(at, place, np.zeros_like)
            if array.ndim > 1 and node.op_type in ("LSTM", "GRU") and place in (1, 2):
                yield "gates", called[at], _value(at, place, lambda array: np.roll(array, array.shape[1] // 4, 1))


def _computing(model, held):
    """Of each node its name; where it makes of constants another one, that of the first node that computes with it."""
    nodes, constants = [*model.graph.node], {*held}
    for node in nodes:
        if node.input and constants.issuperset(node.input):
            constants |= {*node.output}
    names = {}
    for at in reversed(range(len(nodes))):
        users = [other for other in range(at + 1, len(nodes)) if {*nodes[at].output} & {*nodes[other].input}]
        constant = constants.issuperset(nodes[at].output) and users
        names[at] = names[users[0]] if constant else nodes[at].name
    return names


def _attribute(at, name, change):
    def plant(model):
        node = model.graph.node[at]
        schema = onnx.defs.get_schema(node.op_type, model.opset_import[0].version)
        default = helper.get_attribute_value(schema.attributes[name].default_value) if change else None
        old = next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)
        kept = [attribute for attribute in node.attribute if attribute.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        if change is not None:
            node.attribute.append(helper.make_attribute(name, change(old)))

    return plant


def _operator(at, kind):
    def plant(model):
        node = model.graph.node[at]
        known = onnx.defs.get_schema(kind, model.opset_import[0].version).attributes
        kept = [attribute for attribute in node.attribute if attribute.name in known]
        node.op_type = kind
        del node.attribute[:]
        node.attribute.extend(kept)

    return plant


def _swapped(at):
    def plant(model):
        node = model.graph.node[at]
        node.input[-2], node.input[-1] = node.input[-1], node.input[-2]

    return plant


def _value(at, place, change):
    """Another value of an operand, for this node alone."""

    def plant(model):
        node = model.graph.node[at]
        [old] = [of for of in model.graph.initializer if of.name == node.input[place]]
        node.input[place] = "planted"
        model.graph.initializer.append(numpy_helper.from_array(change(numpy_helper.to_array(old)), "planted"))

    return plant


def _half(array):
    return array.astype(np.float16).astype(array.dtype)


def _constant(array):
    return np.asarray(array * 1.001 if np.isfinite(array).all() else -10, array.dtype)


def _shifted(array):
    """One place less before, and one more behind."""
    half, new = len(array) // 2, array.copy()
    at = int(np.argmax(array[:half]))
    new[at], new[half + at] = array[at] - 1, array[half + at] + 1
    return new


def planted(name: str, folder: Path) -> Iterator[tuple[str, str, Path]]:
    """The files with a fault of one graph: family, node and path; a few of each family."""
    model, many = onnx.load(export(name, folder)), Counter()
    path, sample = folder / "planted.onnx", _sample(name)
    clean = _given(export(name, folder), sample)
    for family, node, plant in faults(model):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        try:
            plant(copy)
            onnx.save(copy, path)
            given = _given(path, sample)
        except (ParityError, TypeError, ValueError, onnx.defs.SchemaError):  # no model: a fault that shows by itself
            continue
        if (
            many[family] < MOST
            and given.shape == clean.shape
            and np.abs(given - clean).max() > 1e-7 * np.abs(clean).max()
        ):
            many[family] += 1
            yield family, node, path


def _sample(name):
    random = np.random.default_rng(0)
    return random.standard_normal((3, 3, 8, 8)).astype(np.float32) if name == IMAGE else random.integers(1, 999, (3, 9))


def _given(path, sample):
    return load(["onnx"])["onnx"].Model(Build(path, sample=sample, backend="onnx"), "float32", None).outputs(sample)[""]


def main(folder: Path) -> int:
    """Print what each fault came to, and the shares; 1 where something is missed."""
    tally = Tally()
    for name in (*TEXTS, IMAGE):
        tally.clean(name, pair(name, folder, export(name, folder)))
    for name in (IMAGE, *reversed(TEXTS)):
        for family, node, path in planted(name, folder):
            tally.fault(name, family, node, pair(name, folder, path))
    return tally.conclude()


if __name__ == "__main__":
    if "--causes" not in sys.argv:
        operators.causes = operators.exchanged = lambda *_: []
    sys.exit(main(Path(sys.argv[1])))
