"""Two networks and the reference models as LiteRT files, and every fault that can be planted in the flatbuffer of one.

Imports the runtimes, so that `parity.backends.load`, which knows in which order that works, has to come before it.
"""

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import flatbuffers
import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from benchmarks.exported import TEXTS, tokenizer
from parity import Pair, reference, strategies
from parity.backends import load
from parity.backends.build import Build
from parity.backends.litert import files
from parity.errors import ParityError

MOST = 3  # of a family in one file
SIZES = {"pictures": (8, 8, 3), "signals": (16, 3)}
NAMES = (*SIZES, *TEXTS)
MASKING = 1e30  # a number that hides scores behind a softmax
TIME = 9  # ids of a text where a loop's arrays need a fixed length
LOOPS = ("lstm", "gru")
Plant = Callable[[Any], None]
RELU6 = schema.ActivationFunctionType.RELU6
# Kind -> attribute, its other value, and the family.
ATTRIBUTES: dict[str, list[tuple[str, Callable[[Any], Any], str]]] = {
    "LEAKY_RELU": [("alpha", lambda old: 1.01 * old, "attribute")],
    "SOFTMAX": [("beta", lambda old: 1.01 * old, "attribute")],
    "GELU": [("approximate", lambda old: not old, "attribute")],
    "CONV_2D": [("fusedActivationFunction", lambda old: 0 if old else RELU6, "activation")],
    "DEPTHWISE_CONV_2D": [("fusedActivationFunction", lambda old: 0 if old else RELU6, "activation")],
    "FULLY_CONNECTED": [("fusedActivationFunction", lambda old: 0 if old else RELU6, "activation")],
    "AVERAGE_POOL_2D": [
        ("padding", lambda old: 1 - old, "padding"),
        ("filterWidth", lambda old: old + 1, "attribute"),
    ],
    "MAX_POOL_2D": [("filterHeight", lambda old: old - 1, "attribute")],
    "RESIZE_BILINEAR": [
        ("halfPixelCenters", lambda old: not old, "attribute"),
    ],
}
# Kind -> another that takes the same, by the number of its code.
OPERATORS = {
    "TANH": schema.BuiltinOperator.LOGISTIC,
    "LOGISTIC": schema.BuiltinOperator.TANH,
    "MAX_POOL_2D": schema.BuiltinOperator.AVERAGE_POOL_2D,
    "RSQRT": schema.BuiltinOperator.SQRT,
    "SQUARED_DIFFERENCE": schema.BuiltinOperator.SUB,
    "ELU": schema.BuiltinOperator.TANH,
    "MEAN": schema.BuiltinOperator.SUM,
}
SWAPPED = ("SUB", "DIV")


def pictures() -> Any:
    """Convolutions, pooling, resizing, a norm."""
    x = inputs = keras.Input(SIZES["pictures"])
    x = layers.LeakyReLU(0.2)(layers.Conv2D(8, 3, padding="same")(x))
    x = layers.AveragePooling2D(3, 2, "same")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.BatchNormalization()(x))
    x = layers.Activation("elu")(layers.Conv2D(12, 3)(layers.ZeroPadding2D(((1, 2), (1, 0)))(x)))
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(10, activation="relu")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def signals() -> Any:
    """A norm, gates, differences, products of two."""
    x = inputs = keras.Input(SIZES["signals"])
    x = layers.LayerNormalization()(layers.Conv1D(7, 3, padding="same", activation="gelu")(x))
    gate, value = layers.Dense(6, activation="sigmoid")(x), layers.Dense(6, activation="tanh")(x)
    x = layers.Subtract()([layers.Multiply()([gate, value]), layers.Dense(6)(x)])
    x = layers.LayerNormalization()(layers.Softmax(1)(x))
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling1D()(x)))


def build(name: str) -> Any:
    """A network whose weights, gains and biases too, are drawn from a seed."""
    keras.utils.set_random_seed(0)
    own = {"pictures": pictures, "signals": signals}
    model = own[name]() if name in own else reference.pair(name, tokenizer()).tensorflow()
    random = np.random.default_rng(0)
    for variable in model.variables:
        spread = 0.2 * random.standard_normal(variable.shape) if len(variable.shape) == 1 else 0
        variable.assign(np.abs(variable.numpy() + spread) if "variance" in variable.path else variable.numpy() + spread)
    return model


def convert(name: str, folder: Path) -> Path:
    """The file of a network."""
    path, model = folder / f"{name}.tflite", build(name)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it saves
        converter = tf.lite.TFLiteConverter.from_keras_model(model) if name in SIZES else _converter(name, model)
        path.write_bytes(converter.convert())
    return path


def _converter(name: str, model: Any) -> Any:
    """Of a text's model, a function of ids, whose variables are constants."""
    shape = (1, TIME) if name in LOOPS else (None, None)
    signature = [tf.TensorSpec(shape, tf.int64)]
    program = tf.function(lambda ids: model(ids, training=False), input_signature=signature).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(program)])


def pair(name: str, file: Path) -> Pair:
    """A network beside a file."""
    sides = {"tensorflow": partial(build, name), "litert": file}
    if name in SIZES:
        return Pair(name, **sides, inputs=strategies.arrays(*SIZES[name]))
    text = reference.pair(name, tokenizer())
    if name in LOOPS:
        return Pair(name, **sides, inputs=strategies.ids(TIME, tokenizer().vocab))
    return Pair(name, **sides, tokenizer=tokenizer(), length=text.length)


def faults(file: files.File) -> Iterator[tuple[str, int, Plant]]:
    """Every fault that a file can have: its family, its operator's place and what plants it."""
    for at, operator in enumerate(file.graph.operators):
        kind = file.kind(operator)
        for name, change, family in ATTRIBUTES.get(kind, ()):
            yield family, at, partial(_attribute, at, name, change)
        for name, default in _defaults(operator):
            yield "default", at, partial(_attribute, at, name, lambda _, default=default: default)
        if kind in OPERATORS:
            yield "operator", at, partial(_operator, at, OPERATORS[kind])
        if kind in SWAPPED:
            yield "operands", at, partial(_swapped, at)
        if kind == "WHILE":
            yield from (("gates", at, plant) for plant in _gates(file, operator))
        for place, tensor in enumerate(operator.inputs):
            array = _constant(file.model, tensor) if tensor >= 0 else None
            if array is not None:
                for family, change in _changes(file, operator, kind, array):
                    yield family, at, partial(_value, at, place, change)


def _defaults(operator: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an operator whose values a reader would not take for them where they are left out."""
    if operator.builtinOptions is not None:
        default = vars(type(operator.builtinOptions)())
        yield from (
            (name, default[name]) for name, value in vars(operator.builtinOptions).items() if default[name] != value
        )


def _changes(file: files.File, operator: Any, kind: str, array: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Other values of a constant: the family, and what makes them."""
    if array.dtype.kind != "f":
        if kind in INTEGERS:
            yield INTEGERS[kind]
    elif array.size == 1:
        if "RSQRT" in _users(file, operator):
            yield "epsilon", lambda old: old * np.float32(10)
        else:
            yield "constant", lambda old: np.asarray(old * 1.01 if abs(old.item()) < MASKING else -10, old.dtype)
    else:
        yield "half", lambda old: old.astype(np.float16).astype(old.dtype)
        if array.ndim == 1:
            yield "bias", np.zeros_like


def _gates(file: files.File, operator: Any) -> Iterator[Plant]:
    """Kernels in the body of a loop, (gates * units, width), with the gates in another order."""
    at = operator.builtinOptions.bodySubgraphIndex
    for place in range(len(file.model.subgraphs[at].tensors)):
        array = _constant(file.model, place, at)
        if array is not None and array.dtype.kind == "f" and array.ndim == 2:
            yield partial(_turned, at, place)


def _users(file: files.File, operator: Any) -> list[str]:
    """The kinds of the operators that take what one makes."""
    return [file.kind(of) for of in file.graph.operators if operator.outputs[0] in of.inputs]


def _constant(model: Any, tensor: int, graph: int = 0) -> Any:
    of = model.subgraphs[graph].tensors[tensor]
    data = model.buffers[of.buffer].data
    if data is None or of.type not in (schema.TensorType.FLOAT32, schema.TensorType.INT32):
        return None
    dtype = np.float32 if of.type == schema.TensorType.FLOAT32 else np.int32
    return np.frombuffer(bytes(data), dtype).reshape(of.shape)


def _attribute(at: int, name: str, change: Callable[[Any], Any], model: Any) -> None:
    options = model.subgraphs[0].operators[at].builtinOptions
    setattr(options, name, change(getattr(options, name)))


def _operator(at: int, code: int, model: Any) -> None:
    new = schema.OperatorCodeT()
    new.builtinCode, new.deprecatedBuiltinCode, new.version = code, min(code, 127), 1
    model.operatorCodes.append(new)
    operator = model.subgraphs[0].operators[at]
    operator.opcodeIndex = len(model.operatorCodes) - 1
    if code in (schema.BuiltinOperator.LOGISTIC, schema.BuiltinOperator.TANH, schema.BuiltinOperator.SQRT):
        operator.builtinOptions, operator.builtinOptionsType = None, schema.BuiltinOptions.NONE
    if code == schema.BuiltinOperator.SUB:
        operator.builtinOptions, operator.builtinOptionsType = schema.SubOptionsT(), schema.BuiltinOptions.SubOptions


def _swapped(at: int, model: Any) -> None:
    operator = model.subgraphs[0].operators[at]
    operator.inputs = [*operator.inputs][::-1]


def _value(at: int, place: int, change: Callable[[Any], Any], model: Any) -> None:
    """Another value of an operand, for this operator alone."""
    graph = model.subgraphs[0]
    old = graph.tensors[graph.operators[at].inputs[place]]
    buffer, tensor = schema.BufferT(), schema.TensorT()
    array = _constant(model, graph.operators[at].inputs[place])
    buffer.data = np.frombuffer(np.ascontiguousarray(change(array)).tobytes(), np.uint8)
    model.buffers.append(buffer)
    vars(tensor).update(vars(old))
    tensor.buffer = len(model.buffers) - 1
    graph.tensors.append(tensor)
    graph.operators[at].inputs = [*graph.operators[at].inputs]
    graph.operators[at].inputs[place] = len(graph.tensors) - 1


def _shifted(array: Any) -> Any:
    """Pads: one less before, and one more behind."""
    new, at = array.copy(), int(np.argmax(array[:, 0]))
    new[at] += [-1, 1]
    return new


def _turned(graph: int, tensor: int, model: Any) -> None:
    buffer = model.buffers[model.subgraphs[graph].tensors[tensor].buffer]
    array = _constant(model, tensor, graph)
    buffer.data = np.frombuffer(np.roll(array, len(array) // 4, 0).tobytes(), np.uint8)


def _exchanged(array: Any) -> Any:
    """A permutation whose last two axes are exchanged."""
    return np.concatenate([array[:-2], array[:-3:-1]])


# Kind -> the family of its integers, and what makes others of them.
INTEGERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "PAD": ("pads", _shifted),
    "MEAN": ("axis", lambda axes: axes - 1),
    "TRANSPOSE": ("axis", _exchanged),
}


def planted(name: str, folder: Path) -> Iterator[tuple[str, str, Path]]:
    """The files with a fault of one network: family, operator and path; a few of each family."""
    clean, path, many = files.read(convert(name, folder)), folder / "planted.tflite", Counter[str]()
    random = np.random.default_rng(0)
    sample = random.integers(1, 999, (4, TIME))
    if name in SIZES:
        sample = random.standard_normal((4, *SIZES[name])).astype(np.float32)
    right = _outputs(folder / f"{name}.tflite", sample)
    for family, at, plant in faults(clean):
        if many[family] == MOST:
            continue
        copy = schema.ModelT.InitFromPackedBuf(clean.data, 0)
        plant(copy)
        builder = flatbuffers.Builder(len(clean.data))
        builder.Finish(copy.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        try:
            wrong = _outputs(path, sample)
        except ParityError:  # no model: a fault that shows by itself
            continue
        if wrong.shape == right.shape and np.abs(wrong - right).max() > 1e-4 * np.abs(right).max():
            many[family] += 1
            yield family, clean.name(int(clean.graph.operators[at].outputs[0])), path


def _outputs(path: Path, sample: Any) -> Any:
    model = load(["litert"])["litert"].Model(Build(path, sample=sample, backend="litert"), "float32", None)
    return model.outputs(sample)[""]
