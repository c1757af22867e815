"""ONNX files, read as data: sizes before anything else, tensors beside the file alone, and no code of anybody's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import external_data_helper as external

from parity.backends.deployed import Slot, problems
from parity.errors import ParityError
from parity.files import MOST, read_bytes, replacing

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
QUANTISED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"}
QUANTISED |= {"ConvInteger", "MatMulInteger"}


def read(path: Path) -> Any:
    """A file's model with all of its tensors in it. Raises ParityError, one line, for whatever cannot be run."""
    data = read_bytes(path)
    with problems(path, "is no ONNX file"):
        model = onnx.load_model_from_string(data)
    if not model.graph.node or not model.graph.output:
        raise ParityError(f"{path}: is no ONNX file: it has no graph")
    own = {(function.domain, function.name) for function in model.functions}
    beside: dict[Path, bytes] = {path: data}
    for graph in graphs(model):
        for node in graph.node:
            if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
                raise ParityError(
                    f"{path}: {label(node)} is a custom operator, of the domain {node.domain!r}: it needs code that "
                    "parity does not load"
                )
            if node.op_type in QUANTISED:
                raise ParityError(
                    f"{path}: {label(node)} is quantised: its error is that of its scale, not float32's, and "
                    "parity judges none such"
                )
        _take_in(graph, path, beside)
    _hold_constants(model.graph)
    return model


def write(model: Any, path: Path) -> None:
    """Write a model whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def exposed(model: Any) -> Any:
    """A copy of a model whose outputs are all that its nodes make."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = {of.name for of in copy.graph.output}
    inner = [name for node in copy.graph.node for name in node.output if name and name not in outputs]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    return copy


def graphs(holder: Any) -> Iterator[Any]:
    """The graph of a model, its functions, and every graph that a node of one holds."""
    inner = [holder.graph, *holder.functions] if isinstance(holder, onnx.ModelProto) else [holder]
    for graph in inner:
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                for own in (attribute.g, *attribute.graphs):
                    if own.node or own.output:
                        yield from graphs(own)


def tensors(graph: Any) -> Iterator[Any]:
    """The tensors that a graph holds itself: initializers, and those of its nodes' attributes."""
    yield from getattr(graph, "initializer", ())
    for node in graph.node:
        for attribute in node.attribute:
            yield from ([attribute.t] if attribute.HasField("t") else [])
            yield from attribute.tensors


def label(node: Any) -> str:
    """A node as it is told: its name, or what it makes, and its operator."""
    return f"{node.name or next(iter(node.output), 'a node')} ({node.op_type})"


def slot(value: Any) -> Slot:
    """An input of a graph as a `Slot`. Raises ParityError where it is no tensor."""
    of = value.type.tensor_type
    if not of.elem_type:
        raise ParityError(f"the graph takes {value.name}, which is no tensor")
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(of.elem_type))
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in of.shape.dim)
    return Slot(value.name, dtype, shape)


def _hold_constants(graph: Any) -> None:
    """Make an initializer of each node that only gives a constant, so that both are parameters alike."""
    others = []
    for node in graph.node:
        [*values] = node.attribute
        if node.op_type == "Constant" and len(values) == 1 and values[0].name == "value":
            values[0].t.name = node.output[0]
            graph.initializer.append(values[0].t)
        else:
            others.append(node)
    if len(others) < len(graph.node):
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in others]
        del graph.node[:]
        graph.node.extend(nodes)


def _take_in(graph: Any, path: Path, beside: dict[Path, bytes]) -> None:
    """Read a graph's tensors that stand in other files into it; `beside` is path -> bytes of those read so far.

    Raises ParityError for a file outside of the model's folder, for bytes that it lacks, or beyond `MOST` in all.
    """
    folder = path.resolve().parent
    for tensor in filter(external.uses_external_data, tensors(graph)):
        what = f"{path}: the data of {tensor.name}"
        with problems(path, f"the data of {tensor.name} cannot be found"):
            info = external.ExternalDataInfo(tensor)
            place = (folder / info.location).resolve()
        if not info.location or not place.is_relative_to(folder):
            raise ParityError(f"{what} stands in {info.location!r}, which is not beside the file")
        if place not in beside:
            beside[place] = read_bytes(place, MOST - sum(map(len, beside.values())))
        start, data = info.offset or 0, beside[place]
        end = len(data) if info.length is None else start + info.length
        if not 0 <= start <= end <= len(data):
            raise ParityError(f"{what} ends behind its file, {info.location}")
        tensor.raw_data = data[start:end]
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
