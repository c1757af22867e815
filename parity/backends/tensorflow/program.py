"""A Keras model as a SavedModel, which is code: only what was written in the same run is ever loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from parity.backends.tensorflow.running import IDS
from parity.dtypes import Inputs, Module
from parity.errors import ParityError

PROGRAM = ".saved_model"


def export(module: Module, run: Any, inputs: Inputs, ids: bool, path: Path) -> None:  # noqa: ARG001 Keras traces the model itself
    """Write a program for tensors of one signature, of ids of any shape: a directory."""
    if not isinstance(module, keras.Model):
        raise ParityError(f"{path}: only a model of Keras 3 is exported")
    signature = IDS if ids else tf.TensorSpec(inputs.shape, inputs.dtype)
    try:
        module.export(path, format="tf_saved_model", input_signature=[signature], verbose=False)
    except Exception as error:  # the user's own code is run to trace it: no such format, and the check goes on
        raise ParityError(f"{path}: Keras does not export the model ({type(error).__name__})") from error


def program(path: Path) -> Callable[[Any], Any]:
    """Input -> output of an exported program."""
    module = tf.saved_model.load(str(path))
    return lambda inputs: module.serve(tf.constant(inputs))
