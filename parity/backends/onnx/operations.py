"""What an ONNX graph does, node by node: the values that it makes, as its reference implementation has them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from parity.backends.deployed import outcome
from parity.backends.onnx.files import graphs
from parity.backends.operations import Operation, Trace
from parity.dtypes import Array

# Kinds that make of a tensor's lengths those of another: no arithmetic of the model's.
SHAPING = {"Size", "Concat", "Gather", "Slice", "Squeeze", "Unsqueeze", "Cast", "Reshape", "Identity"}
SHAPING |= {"Add", "Sub", "Mul", "Div", "Min", "Max"}


class Recorded:
    """A run of a graph. An operation's `layer` is its node's name; it has no line of code.

    `runs` are the values of the graph by name, one run a row where its batch is one; `outputs` what is given by place.
    """

    def __init__(self, model: Any, runs: Sequence[Mapping[str, Any]], outputs: Mapping[str, Array]) -> None:
        self.trace, self._places = Trace(), dict[str, int]()
        graph = model.graph
        initializers = {tensor.name for tensor in graph.initializer}
        computed = {name for node in graph.node for name in node.output}
        for name, value in runs[0].items():
            if name in initializers:
                self._keep(name, runs[:1], f"constant {name}")
            elif isinstance(value, np.ndarray) and name not in computed:
                self._keep(name, runs, f"input {name}")
        versions = {opset.domain: opset.version for opset in model.opset_import}
        for node in graph.node:
            self._add(node, runs, versions)
        ends = [self._places[of.name] for of in graph.output if of.name in self._places]
        self.trace.outputs = {place: outcome(self.trace, array, ends) for place, array in outputs.items()}

    def _keep(self, name: str, runs: Sequence[Mapping[str, Any]], leaf: str = "") -> int:
        arrays = [run[name] for run in runs]
        self._places[name] = self.trace.add(arrays[0] if len(arrays) == 1 else np.stack(arrays), leaf)
        return self._places[name]

    def _add(self, node: Any, runs: Sequence[Mapping[str, Any]], versions: Mapping[str, int]) -> None:
        """Add a node to the trace: as an operation, or its results as leaves where it computes constants or lengths."""
        outputs = [name for name in node.output if isinstance(runs[0].get(name), np.ndarray) and name]
        if leaf := self._leaf(node, [runs[0][name] for name in outputs]):
            for name in outputs:
                self._keep(name, runs[:1], f"{leaf} {name}")
            return
        arguments = [*zip(_arguments(node, versions), node.input, strict=False)]
        arguments += [("captured", name) for name in _captured(node)]
        takes = tuple((argument, self._places[name]) for argument, name in arguments if name in self._places)
        makes = tuple(self._keep(name, runs) for name in outputs)
        settings = {**self.trace.constants(takes, "biu"), **_attributes(node)}
        name = node.name or next(iter(node.output), node.op_type)
        self.trace.operations.append(Operation(node.op_type, takes, makes, settings, name, None))

    def _leaf(self, node: Any, arrays: Sequence[Array]) -> str:
        """What a node makes, if it is no operation of the model's: of constants another, of lengths another."""
        values = self.trace.values
        leaves = {values[self._places[name]].leaf.partition(" ")[0] for name in node.input if name in self._places}
        if node.op_type == "Constant" or leaves == {"constant"}:
            return "constant"
        lengths = node.op_type in SHAPING and leaves <= {"constant", "length"}
        return "length" if node.op_type == "Shape" or (lengths and all(of.dtype.kind in "iu" for of in arrays)) else ""


def _arguments(node: Any, versions: Mapping[str, int]) -> list[str]:
    """The names that a node's kind has for its inputs, in order; the last one may be a list."""
    try:
        schema = onnx.defs.get_schema(node.op_type, versions[node.domain], node.domain)
    except (KeyError, onnx.defs.SchemaError):  # a function of the file's own
        return list(node.input)
    names = [argument.name for argument in schema.inputs]
    return names + names[-1:] * (len(node.input) - len(names))


def _captured(node: Any) -> Iterator[str]:
    """The names of values that graphs within a node take, those from around it and their own."""
    for attribute in node.attribute:
        for holder in (attribute.g, *attribute.graphs):
            for graph in graphs(holder):
                for inner in graph.node:
                    yield from inner.input


def _attributes(node: Any) -> dict[str, Any]:
    """A node's attributes that are numbers or texts, or lists of these; a float32 as its shortest decimal."""
    attributes = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        values = [
            of.decode(errors="replace") if isinstance(of, bytes) else of
            for of in (value if isinstance(value, list) else [value])
        ]
        if all(isinstance(one, bool | int | float | str) for one in values):
            plain = [float(str(np.float32(of))) if isinstance(of, float) else of for of in values]
            attributes[attribute.name] = plain if isinstance(value, list) else plain[0]
    return attributes
