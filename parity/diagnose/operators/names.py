"""A cause's name, from the operation that an edit changes: as its users call it, where there is a word for it."""

from typing import Any

import numpy as np

from parity.backends.operations import Operation, Trace
from parity.dtypes import Array

ACTIVATIONS = {
    *("relu", "relu6", "gelu", "silu", "elu", "selu", "celu", "leaky_relu", "prelu", "hardswish", "hardsigmoid"),
    *("hardtanh", "softplus", "softsign", "mish", "sigmoid", "tanh", "logsigmoid", "softmax", "log_softmax"),
    *("Relu", "Relu6", "Gelu", "Elu", "Selu", "LeakyRelu", "Softplus", "Softsign", "Sigmoid", "Tanh", "Softmax"),
    *("LogSoftmax",),
}
RECURRENT = {"gru", "lstm", "rnn_tanh", "rnn_relu"}
ORDERS = ("order", "flatten order")  # causes of a place that reads the same numbers in another order
NORMS = {"layer_norm", "batch_norm", "group_norm", "instance_norm", "rms_norm"}
PRODUCTS = {"mul", "multiply", "div", "divide", "true_divide", "__mul__", "__rmul__", "__truediv__", "Mul", "RealDiv"}
PRODUCTS |= {"Div", "MUL", "DIV"}
SUMS = {"add", "sub", "rsub", "__add__", "__radd__", "__sub__", "AddV2", "Add", "Sub", "BiasAdd", "ADD", "SUB"}
BOUNDS = {"clamp", "clamp_min", "clamp_max", "clip", "maximum", "minimum", "Maximum", "Minimum", "ClipByValue"}
CASTS = {"half", "bfloat16", "torch.float16", "torch.bfloat16", "Half", "BFloat16"}
ARGUMENTS = {
    "eps": "epsilon",
    "negative_slope": "slope",
    "num_groups": "groups",
    "approximate": "activation",
    "diagonal": "mask offset",
    "label_smoothing": "label smoothing",
    "reduction": "reduction",
    "padding": "padding",
    "shifts": "time shift",
    "unbiased": "variance",
    "correction": "variance",
    "scale": "attention scale",
}
CHOICES = {"where", "masked_fill", "masked_fill_"}  # of a value, or a constant where a mask says so
NOTHING_LEFT = -1e3  # or less, added to a score, leaves nothing of it: exp(-1000) is 0 in every precision
HALF = 0.5  # of its places, in less of which an inverted mask is the other
SMALL = 0.05  # no more than this an added constant is taken for an epsilon


def bare(name: str) -> str:
    """An operation's name as both frameworks may have it: "sub" of __sub__ and Sub, "add" of AddV2."""
    name = name.strip("_").lower().rstrip("0123456789").removesuffix("v")
    return {"squareddifference": "square", "realdiv": "div", "true_divide": "div", "multiply": "mul"}.get(name, name)


def of_argument(operation: Operation, argument: str, value: Any, other: Any) -> str:
    """The cause's name where an argument of an operation has another value."""
    numbers = argument != "alpha" and all(type(one) in (int, float) for one in (value, other))
    name = operation.name.strip("_")
    if argument in ARGUMENTS:
        return ARGUMENTS[argument]
    if operation.name in CHOICES and numbers and min(value, other) <= NOTHING_LEFT:
        return "mask value"
    if "softmax" in name and argument == "dim":
        return "softmax axis"
    if numbers and operation.name in SUMS and min(value, other) > 0 and max(value, other) <= SMALL:
        return "epsilon"
    if numbers and operation.name in PRODUCTS:
        return "scale"
    if numbers and operation.name in SUMS:
        return "offset"
    return "argument"


def of_omission(trace: Trace, operation: Operation, passes: int) -> str:
    """The cause's name where one side alone does an operation; `passes` is the operand that goes on without it."""
    if operation.name in ACTIVATIONS:
        return "activation"
    if operation.name in NORMS:
        return "norm placement"
    if operation.name in BOUNDS:
        return "clipped"
    if operation.name in CASTS or any(str(value) in CASTS for value in operation.settings.values()):
        return "lower precision"
    taken = [place for place in operation.operands if place != passes]
    others = [trace.values[place] for place in taken]
    constants = trace.made_of(lambda leaf: leaf.startswith("constant"))  # as an identity matrix is
    single = all(trace.values[place].shape == () or place in constants for place in taken)
    if operation.name in PRODUCTS and single:
        return "scale"
    if operation.name in SUMS and single:
        return "offset"
    floats = all(value.array is not None and value.array.dtype.kind == "f" for value in others)
    if operation.name in SUMS and others and floats and not any(value.leaf for value in others):
        return "residual"
    return "extra operation"


def of_masks(mine: Array, theirs: Array) -> str:
    """The cause's name where two masks (..., queries, keys) of one shape hide other places; "mask" of no known kind."""
    if any(mask.all() or not mask.any() for mask in (mine, theirs)):
        return "mask missing"
    if float((mine == theirs).mean()) < HALF:  # each says what the other does not
        return "mask inverted"
    if mine.ndim < 2 or not mine.shape[-1] == mine.shape[-2] > 1:  # of no queries and keys
        return "mask"
    if mine[..., 0, -1].all() and not mine[..., -1, 0].all():  # it says what is hidden
        mine, theirs = ~mine, ~theirs
    nested = [np.array_equal(less & more, less) for less, more in ((mine, theirs), (theirs, mine))]
    for less, more in ((mine, theirs), (theirs, mine)):
        if np.array_equal(less, more & less.any(-2, keepdims=True)):  # of every row, as padding
            return "mask missing"
    first = bool((mine.argmax(-1) != theirs.argmax(-1)).any())
    last = bool((mine[..., ::-1].argmax(-1) != theirs[..., ::-1].argmax(-1)).any())
    return "mask window" if not last or (first and any(nested)) else "mask offset"


def hiding(array: Array | None) -> bool:
    """Whether an array is a mask: zeros and ones alone, of which there are both."""
    if array is None or array.size < 2 or array.dtype.kind not in "bf":
        return False
    return bool(((array == 0) | (array == 1)).all() and array.any() and not array.all())


def hides(operation: Operation, array: Array | None) -> bool:
    """Whether an operation hides by an array what else it takes: by zeros in a product or a choice, by large in a sum.

    What is summed up along edges, a matrix of zeros and ones, hides nothing; nor does an identity that is added to it.
    """
    if operation.name in SUMS and array is not None and array.dtype.kind == "f" and array.size > 1:
        return bool(((array == 0) | (array <= NOTHING_LEFT)).all() and array.any() and not array.all())
    joins = operation.name in PRODUCTS | CHOICES
    return hiding(array) and (joins or (array is not None and array.dtype.kind == "b"))
