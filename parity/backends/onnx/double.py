"""An ONNX graph in float64: its reference implementation, with every number in the file raised to double.

What an author wrote as 1e-5 stands in the file as the float32 next to it. An attribute, and a constant of one number
that is a short decimal or the root of one, is taken for what was written: the other side has it so.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from parity.backends.onnx.convolution import Conv
from parity.backends.onnx.files import label
from parity.dtypes import Array
from parity.errors import ParityError, reason

NARROW = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}
# Kinds that onnx.reference computes in float32, and gives in the type that it was given.
INSIDE = {"AffineGrid", "GridSample", "LinearAttention", "CausalConvWithState"}
SIZING = {"Resize", "Upsample", "Range"}  # kinds whose constants are sizes: moved by a little, they make another shape
DTYPES = ("to", "dtype", "output_dtype", "softmax_precision")  # attributes that name a type; numbers of one enumeration
# Numbers that formulas hold; the last two are those of selu.
KNOWN = (math.pi, 2 / math.pi, math.sqrt(2 / math.pi), math.log(2), 1.6732632423543772, 1.0507009873554805)
DIGITS, FEW = 6, 4  # of a short decimal; of one that a root, or what it divides, is made of


class Erf(OpRun):
    """The error function: onnx.reference has it in float32 whatever it is given."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (np.vectorize(math.erf, otypes=[x.dtype])(x),)


class Double(ReferenceEvaluator):
    """The reference implementation of a graph in float64, and of the graphs and functions in it."""

    def __init__(self, proto: Any, *args: Any, **named: Any) -> None:
        named["new_ops"] = named.get("new_ops") or [Erf, Conv]
        super().__init__(raised(proto), *args, **named)

    def _init(self) -> None:
        super()._init()
        for node in self.rt_nodes_:
            for name in node.attributes_names_:
                setattr(node, name, _written(getattr(node, name)))
            node.run = partial(_run, node.onnx_node, node.run)


def numbers(model: Any) -> dict[str, Array]:
    """The initializers that float in 32 bits or fewer, as float32, by name; none of those that are sizes."""
    sizes = {name for node in model.graph.node if node.op_type in SIZING for name in node.input}
    initializers = [of for of in model.graph.initializer if of.data_type in NARROW and of.name not in sizes]
    return {of.name: numpy_helper.to_array(of).astype(np.float32) for of in initializers}


def exact(array: Array) -> Array:
    """An array in float64; of a single float32, what its author wrote."""
    if array.size == 1 and array.dtype != np.float64:
        return np.full(array.shape, _literal(array.item()))
    return array.astype(np.float64)


def with_numbers(model: Any, values: Mapping[str, Array]) -> Any:
    """A copy of a model with other initializers, in the types that they have."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for of in copy.graph.initializer:
        if of.name in values:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(of.data_type)
            of.CopyFrom(numpy_helper.from_array(values[of.name].astype(dtype), of.name))
    return copy


def raised(proto: Any) -> Any:
    """A copy of a model, graph or function whose numbers are double; graphs within its nodes are left as they are."""
    copy = type(proto)()
    copy.CopyFrom(proto)
    graph = copy.graph if isinstance(copy, onnx.ModelProto) else copy
    for tensor in getattr(graph, "initializer", ()):
        _raise(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            _raise_attribute(node, attribute)
        # Without a value it makes float32 zeros.
        if node.op_type == "ConstantOfShape" and not node.attribute:
            node.attribute.append(onnx.helper.make_attribute("value", numpy_helper.from_array(np.zeros(1))))
    return copy


def _raise_attribute(node: Any, attribute: Any) -> None:
    """Make double of what an attribute holds or names, in place: a type, a tensor, a constant's numbers."""
    if attribute.name in DTYPES and attribute.i in NARROW:
        attribute.i = TensorProto.DOUBLE
    elif attribute.type == AttributeProto.TENSOR:
        _raise(attribute.t)
    elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
        array = np.float32(attribute.f) if attribute.name == "value_float" else np.float32(attribute.floats)
        tensor = numpy_helper.from_array(np.asarray(array))
        _raise(tensor)
        attribute.CopyFrom(onnx.helper.make_attribute("value", tensor))


def _raise(tensor: Any) -> None:
    """Make double of a tensor of a narrower type, in place."""
    if tensor.data_type in NARROW:
        array = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(exact(array), tensor.name))


def _literal(value: float) -> float:
    """The number that rounds to this float32 and that an author may have written; the float32 itself if there is none.

    A short decimal, 1 / one, the square root of one, 1 / that, or one of `KNOWN`, in this order.
    """
    if not value or not math.isfinite(value):
        return value
    short = float(f"{value:.{DIGITS}g}"), 1 / float(f"{1 / value:.{FEW}g}")
    root = math.copysign(math.sqrt(float(f"{value**2:.{FEW}g}")), value)
    over = math.copysign(1 / math.sqrt(float(f"{value**-2:.{FEW}g}")), value)
    return next((one for one in (*short, root, over, *KNOWN) if np.float32(one) == np.float32(value)), value)


def _written(value: Any) -> Any:
    """An attribute as its author wrote it: the shortest decimal that is the same float32."""
    if isinstance(value, np.float32):
        literal = _literal(float(value))
        return float(str(value)) if literal == float(value) else literal  # beside a NumPy one, a float is rounded
    return [_written(one) for one in value] if isinstance(value, list) else value


def _run(node: Any, run: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Run a node of the reference implementation. Raises ParityError, naming it, where it is not float64 throughout."""
    try:
        with np.errstate(all="ignore"):
            results = run(*args, **named)
    except ParityError:
        raise
    except Exception as error:  # whatever an implementation of a kind raises of float64
        raise ParityError(f"{label(node)}: onnx.reference cannot run it in float64: {reason(error)}") from error
    if node.op_type in INSIDE or any(getattr(one, "dtype", None) in (np.float32, np.float16) for one in results):
        raise ParityError(f"{label(node)} computes in float32 in onnx.reference")
    return results
