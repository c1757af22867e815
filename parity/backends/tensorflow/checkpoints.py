"""TensorFlow's own checkpoints of named variables: files that are data."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # TensorFlow's own entry in a checkpoint


def write(variables: Mapping[str, Any], path: Path) -> None:
    """Write variables by name.

    Given the model itself, a Checkpoint leaves out the layers that only a list holds, and assert_consumed is content:
    https://github.com/keras-team/keras/issues/18398
    """
    tf.train.Checkpoint(variables=variables).write(str(path))


def stored(path: Path) -> list[tuple[str, Any, str]]:
    """Name, shape and dtype of each variable in a checkpoint."""
    keys = [key for key, _ in tf.train.list_variables(str(path)) if key != GRAPH]
    reader = tf.train.load_checkpoint(str(path))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    return [(_name(key), shapes[key], dtypes[key].name) for key in keys]


def read(variables: Mapping[str, Any], path: Path) -> None:
    """Set the variables to what `write` has written of them."""
    tf.train.Checkpoint(variables=variables).read(str(path)).assert_consumed()


def _name(key: str) -> str:
    """A checkpoint's key without what TensorFlow adds: "variables/head.Sbias/.ATTRIBUTES/..." -> "head/bias"."""
    name = key.removeprefix("variables/").removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
    return re.sub(r"\.([.S])", lambda match: "/" if match[1] == "S" else ".", name)
