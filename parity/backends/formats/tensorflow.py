"""The files of a Keras model. Imports TensorFlow, Keras and no other framework; line for line beside torch.py.

What FORMATS names is data. A program is code: a SavedModel's graph may read and write files, so
`program` is for what `export` has written in the same run, never for a user's file.
"""

import io
import re
import tempfile
import zipfile
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from parity.backends.forms import tensorflow as forms
from parity.errors import ParityError
from parity.files import replacing, suffix

PROGRAM = ".saved_model"
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # TensorFlow's own entry in a checkpoint
NAMES = "parity"  # our own entry in a .weights.h5, because Keras goes by place alone when it reads one
IDS = tf.TensorSpec((None, None), tf.int64)


def of(module: Any) -> tuple[str, ...]:
    """All formats; but a model that Keras cannot make anew from its own configuration is not kept whole.

    What is no model of Keras 3 has a checkpoint.
    """
    if not isinstance(module, keras.Model):
        return (".ckpt",)
    try:
        type(module).from_config(module.get_config())
    except Exception:  # noqa: BLE001 whatever a user's get_config or constructor raises: Keras itself would fail so
        return tuple(suffix for suffix in FORMATS if suffix != ".keras")
    return tuple(FORMATS)


def save(module: Any, path: Path) -> None:
    write, _ = FORMATS[suffix(path, FORMATS)]
    with replacing(path) as temporary:
        write(module, temporary)


def load(module: Any, path: Path) -> Any:
    """A module with the values of a file that `save` wrote; or ParityError. Runs nothing stored in it."""
    _, read = FORMATS[suffix(path, FORMATS)]
    try:
        return read(module, path)
    except ParityError:
        raise
    except Exception as error:  # damage: the readers of zip and HDF5 raise anything from KeyError to OSError
        reason = " ".join(str(error).partition(". ")[0].split())
        raise ParityError(f"{path}: cannot be read as a Keras model ({reason})") from error


def export(module: Any, inputs: Any, path: Path) -> None:
    """Write a program for a tensor like this one, of ids for any shape: a directory."""
    shape = (None, None) if inputs.dtype == tf.int64 and len(inputs.shape) == 2 else (None, *inputs.shape[1:])
    if not isinstance(module, keras.Model):
        raise ParityError(f"{path}: only a model of Keras 3 is exported")
    try:
        signature = [tf.TensorSpec(shape, inputs.dtype)]
        module.export(path, format="tf_saved_model", input_signature=signature, verbose=False)
    except Exception as error:  # the user's own code is run to trace it: no such format, and the check goes on
        raise ParityError(f"{path}: Keras does not export the model ({type(error).__name__})") from error


def program(path: Path) -> Callable[[Any], Any]:
    """Input -> output of an exported program."""
    module = tf.saved_model.load(str(path))
    return lambda inputs: module.serve(tf.constant(inputs))


def _write_model(module: Any, path: Path) -> None:
    module.save(path)


def _write_weights(module: Any, path: Path) -> None:
    module.save_weights(path)
    with h5py.File(path, "r+") as stored:
        stored[NAMES] = np.frombuffer("\n".join(_held(module)).encode(), np.uint8)


def _write_checkpoint(module: Any, path: Path) -> None:
    # By name. Given the model itself, a Checkpoint leaves out the layers that only a list holds, and
    # assert_consumed is content: https://github.com/keras-team/keras/issues/18398
    tf.train.Checkpoint(variables=_variables(module)).write(str(path))


def _read_model(module: Any, path: Path) -> Any:
    kind = type(module)
    custom = {kind.__name__: kind}
    found = keras.saving.load_model(path, custom_objects=custom, compile=False, safe_mode=True)
    _accept(_held(module), _held(found), path)
    with zipfile.ZipFile(path) as archive:
        _accept(_would_store(module), _stored(io.BytesIO(archive.read("model.weights.h5"))), path)
    return found


def _read_weights(module: Any, path: Path) -> Any:
    with h5py.File(path, "r") as stored:
        if NAMES not in stored:
            raise ParityError(f"{path}: does not name its variables; save it with parity")
        names = bytes(stored[NAMES][()]).decode().split("\n")
    _accept(_held(module), names, path)
    _accept(_would_store(module), _stored(path), path)
    module.load_weights(path)
    return module


def _read_checkpoint(module: Any, path: Path) -> Any:
    stored = [(_name(key), key) for key, _ in tf.train.list_variables(str(path)) if key != GRAPH]
    reader = tf.train.load_checkpoint(str(path))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    given = [_told(name, shapes[key], dtypes[key].name) for name, key in stored]
    _accept(sorted(_held(module)), sorted(given), path)
    tf.train.Checkpoint(variables=_variables(module)).read(str(path)).assert_consumed()
    return module


# suffix -> (write a module to a path, read it into one)
FORMATS: dict[str, tuple[Callable[[Any, Path], None], Callable[[Any, Path], Any]]] = {
    ".keras": (_write_model, _read_model),
    ".weights.h5": (_write_weights, _read_weights),
    ".ckpt": (_write_checkpoint, _read_checkpoint),
}


def _variables(module: Any) -> dict[str, Any]:
    """Name without the model's own -> variable. Raises ParityError where two have one name."""
    found: dict[str, Any] = {}
    for name, variable in forms.variables(module):
        name = name.removeprefix(f"{getattr(module, 'name', '')}/")
        if found.setdefault(name, forms.raw(variable)) is not forms.raw(variable):
            raise ParityError(f"two variables are called {name}; give their layers names of their own")
    return found


def _held(module: Any) -> list[str]:
    return [_told(name, variable.shape, variable.dtype.name) for name, variable in _variables(module).items()]


def _would_store(module: Any) -> list[str]:
    """What the module would leave in a .weights.h5 of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "own.weights.h5"
        module.save_weights(path)
        return _stored(path)


def _stored(file: Any) -> list[str]:
    """The arrays in a .weights.h5. Links are not followed; what stands behind one is missing here.

    No attribute is read, not even a layer's name: in a damaged file that can go on for ever.
    https://github.com/HDFGroup/hdf5/issues/1707
    """
    found = []

    def visit(place: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and place != NAMES:
            found.append(_told(place, item.shape, item.dtype))

    with h5py.File(file, "r") as stored:
        stored.visititems(visit)
    return found


def _name(key: str) -> str:
    """A checkpoint's key without what TensorFlow adds: "variables/head.Sbias/.ATTRIBUTES/..." -> "head/bias"."""
    name = key.removeprefix("variables/").removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
    return re.sub(r"\.([.S])", lambda found: "/" if found[1] == "S" else ".", name)


def _told(name: str, shape: Any, dtype: Any) -> str:
    return f"{name} {tuple(shape)} {dtype}"


def _accept(expected: list[str], found: list[str], path: Path) -> None:
    """Refuse a file that would load only in part, in other places, or be cast on the way in."""
    if expected != found:
        given, wanted = next(pair for pair in zip_longest(found, expected, fillvalue="nothing") if pair[0] != pair[1])
        raise ParityError(f"{path}: holds {given}, but should hold {wanted}")
