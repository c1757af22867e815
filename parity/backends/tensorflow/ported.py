"""A TensorFlow model of a folder or a file, what it takes and what it gives.

Line for line beside `parity/backends/torch/ported.py`.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import optree
import tensorflow as tf

from parity.backends.keras import formats, modules
from parity.backends.tensorflow.engine import raw
from parity.backends.tensorflow.precision import precision
from parity.dtypes import PRECISIONS, Inputs, Module, Outputs
from parity.errors import ParityError

FOLDERS = ("kerashub", "saved_model")
LENGTH = 7  # of an axis that a model leaves open, as its sample has it


def of_folder(kind: str, path: Path, head: bool) -> Module:  # noqa: ARG001 its twin has several heads
    """The backbone of a KerasHub preset, or a SavedModel, which is a program. Raises what reading it raises."""
    if kind == "saved_model":
        return tf.saved_model.load(str(path))
    import keras_hub

    return keras_hub.models.Backbone.from_preset(str(path), dtype=keras.config.floatx())


def of_file(build: Callable[[], Any] | None, path: Path) -> Module:
    """A model with the values of a file of float32, or the model in it. Raises ParityError where there is none."""
    if build is None:
        return _in_precision(formats.whole(path))
    model = build()
    with precision("float32"), modules.names_anew():
        source = formats.load(build(), path)
    for ours, theirs in zip(modules.variables(model), modules.variables(source), strict=True):
        raw(ours[1]).assign(tf.cast(raw(theirs[1]), raw(ours[1]).dtype))
    return model


def is_model(value: Any) -> bool:
    """Whether an object is a model of this framework."""
    try:
        modules.accept(value)
    except ParityError:
        return False
    return True


def takes(model: Module) -> dict[str, Any]:
    """Say what a model takes: ids, {"below", "shape"}, pictures or other arrays, {"shape"}, of those that say it.

    Of several inputs of a model that is none of KerasHub's {"several": a tuple of these}. Empty where it says nothing.
    """
    if isinstance(model, tf.__internal__.tracking.AutoTrackable) and not isinstance(model, keras.layers.Layer):
        graph = getattr(model, "signatures", {}).get("serving_default")
        specs = list(graph.structured_input_signature[1].values()) if graph else []
        tables: list[int] = []
    else:
        specs = list(getattr(model, "inputs", None) or ())
        inside: list[Any] = [*getattr(model, "_flatten_layers", list)()]
        tables = [of.input_dim for of in inside if isinstance(of, keras.layers.Embedding)]
    if _hub(model) and len(specs) > 1:
        specs = [spec for spec in specs if "token_ids" in spec.name][:1] or specs[:1]
    inputs = [_told(spec, tables) for spec in specs]
    return inputs[0] if len(inputs) == 1 else {"several": tuple(inputs)} if inputs else {}


def answers(model: Module, inputs: Inputs, training: bool) -> Outputs:
    """Run a model; one of KerasHub's is given masks of ones and segments of zeros beside ids, and pictures."""
    if not _hub(model):
        if hasattr(model, "serve") and not callable(model):
            return model.serve(*_as_signed(model, inputs if isinstance(inputs, tuple) else (inputs,)))
        return modules.run(model, inputs, training)
    laid_out = tf.transpose(inputs, (0, 2, 3, 1)) if len(inputs.shape) == 4 and _last(model) else inputs
    wanted = model.input
    fed = {name: _fed(name, laid_out) for name in wanted} if isinstance(wanted, dict) else laid_out
    outputs = model(fed, training=training)
    return outputs if isinstance(outputs, dict) else {"sequence_output": outputs}


def sampled(model: Module, inputs: Inputs) -> Outputs:
    """Run a model on arrays, in evaluation mode."""
    return answers(model, optree.tree_map(tf.constant, inputs), False)


def _as_signed(model: Module, inputs: tuple[Any, ...]) -> list[Any]:
    """Ids in the whole numbers that an exported program takes, int32 or int64; other arrays as they are."""
    graphs = getattr(model.serve, "concrete_functions", ())
    specs = tf.nest.flatten(graphs[0].structured_input_signature) if graphs else []
    if len(specs) != len(inputs):
        return [*inputs]
    whole = (spec.dtype.is_integer and of.dtype.is_integer for spec, of in zip(specs, inputs, strict=True))
    return [tf.cast(of, spec.dtype) if ids else of for ids, spec, of in zip(whole, specs, inputs, strict=True)]


def _hub(model: Module) -> bool:
    return any(of.__module__.startswith("keras_hub.") for of in type(model).__mro__)


def _last(model: Module) -> bool:
    """Whether a KerasHub model takes pictures with channels last, where pictures come with channels first."""
    return getattr(model, "data_format", None) != "channels_first"


def _fed(name: str, value: Any) -> Any:
    """The tensor for one of several inputs, by its name: ones for a mask, zeros for segments, else the value."""
    if "mask" in name:
        return tf.ones_like(value)
    return tf.zeros_like(value) if "segment" in name else value


def _told(spec: keras.KerasTensor, tables: list[int]) -> dict[str, Any]:
    """An array that a model takes."""
    shape = tuple(LENGTH if size is None else int(size) for size in spec.shape[1:])
    if not tf.as_dtype(spec.dtype).is_integer:
        return {"shape": shape}
    return {"shape": shape, "below": min(tables)} if tables else {}


def _in_precision(module: Module) -> Module:
    """The module, made anew where its file has another precision than Keras builds in now; as it is, if it cannot."""
    wanted = keras.config.floatx()
    if all(raw(of).dtype.name == wanted for _, of in modules.variables(module) if modules.floats(of)):
        return module
    with contextlib.suppress(Exception), modules.names_anew():  # a class of the user's may not be made from this
        again = type(module).from_config(_turned(module.get_config(), wanted))
        again.set_weights(module.get_weights())
        return again
    return module


def _turned(config: Any, dtype: str) -> Any:
    """A configuration with another precision wherever it names one."""
    if isinstance(config, dict):
        return {name: _turned(value, dtype) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_turned(value, dtype) for value in config)
    return dtype if isinstance(config, str) and config in PRECISIONS else config
