"""The files of a Keras model.

What FORMATS names is data. A program is code: a SavedModel's graph may read and write files, so
`program` is for what `export` has written in the same run, never for a user's file.

Line for line beside `parity/backends/torch/formats.py`.
"""

import contextlib
import glob
import io
import math
import zipfile
from collections.abc import Callable, Iterator
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from parity.backends.hooks import set_class_attribute
from parity.backends.keras import modules
from parity.backends.keras.engine import engine
from parity.backends.keras.lengths import holds_lengths
from parity.dtypes import Inputs, Module
from parity.errors import ParityError
from parity.files import MOST, MOST_PARSED, check_file, check_members, replacing, suffix
from parity.scratch import scratch

NAMES = "parity"  # our own entry in a .weights.h5, because Keras goes by place alone when it reads one
OPTIMIZER = "optimizer/"  # where Keras stores one beside the layers


def of(module: Module) -> tuple[str, ...]:
    """The suffixes of the formats that can hold the module."""
    refused = refusals(module)
    return tuple(suffix for suffix in FORMATS if suffix not in refused)


def refusals(module: Module) -> dict[str, str]:
    """Format -> why it cannot hold the model. Keras has to make a whole one anew from its own configuration."""
    if not isinstance(module, keras.Model):
        return dict.fromkeys((".keras", ".weights.h5"), "only a model of Keras 3 has it")
    if any(map(holds_lengths, module._flatten_layers())):
        return {".keras": "a kernel is held as g and v here, which the configuration of its layer has no place for"}
    try:
        with scratch() as directory:
            again, _ = _saved_again(module, directory)
    except Exception as error:  # noqa: BLE001 whatever a user's get_config or constructor raises: Keras itself fails so
        return {".keras": f"Keras cannot make the model anew: {type(error).__name__}: {_first_sentence(error)}"}
    actual, wanted = (_unnamed(of) for of in (again, module))
    return {} if actual == wanted else {".keras": "Keras makes a model with variables of other shapes"}


def save(module: Module, path: Path) -> None:
    """Write the module in the format of the path's suffix, whole or not at all."""
    write, _ = FORMATS[suffix(path, FORMATS)]
    with replacing(path) as temporary:
        write(module, temporary)


def load(module: Module, path: Path) -> Module:
    """A module with the values of a file that `save` wrote; or ParityError. Runs nothing stored in it."""
    _, read = FORMATS[suffix(path, FORMATS)]
    for file in sorted(path.parent.glob(f"{glob.escape(path.name)}.*")) if path.name.endswith(".ckpt") else (path,):
        check_file(file)
    try:
        return read(module, path)
    except ParityError:
        raise
    except Exception as error:  # damage: the readers of zip and HDF5 raise anything from KeyError to OSError
        raise ParityError(f"{path}: cannot be read as a Keras model ({_first_sentence(error)})") from error


def whole(path: Path) -> keras.Model:
    """The model in a .keras; or ParityError. Runs nothing stored in it, and makes none larger than what it holds."""
    if path.suffix != ".keras":
        raise ParityError(f"{path}: holds weights and no model; give its builder: module:builder@{path.name}")
    check_file(path)
    try:
        stored = _archived(path)
        with _no_larger_than(sum(stored.values()), path), modules.names_anew():
            module = keras.saving.load_model(path, compile=False, safe_mode=True)
        _accept([*_archived_of(module)], [*stored], path)
        return module
    except ParityError:
        raise
    except Exception as error:  # damage, or a class that nobody has told Keras of: it raises anything
        raise ParityError(f"{path}: cannot be read as a Keras model ({_first_sentence(error)})") from error


def export(module: Module, run: Any, inputs: Inputs, ids: bool, path: Path) -> None:
    """Write a program for inputs of this shape, or for ids of any."""
    engine.export(module, run, inputs, ids, path)


def program(path: Path) -> Callable[[Any], Any]:
    """Input -> output of an exported program."""
    return engine.program(path)


def _write_model(module: Module, path: Path) -> None:
    module.save(path)


def _write_weights(module: Module, path: Path) -> None:
    module.save_weights(path)
    with h5py.File(path, "r+") as stored:
        stored[NAMES] = np.frombuffer("\n".join(_held(module)).encode(), np.uint8)


def _write_checkpoint(module: Module, path: Path) -> None:
    engine.checkpoints.write(_variables(module), path)


def _read_model(module: Module, path: Path) -> Module:
    """The model in a .keras, which Keras makes anew; its variables must be those of the module, in order."""
    # Keras names anew what stands in wrapped and nested layers: like is compared with like, names of a model that was
    # made from a file with names of the module made from its own file.
    with scratch() as directory:
        again, own = _saved_again(module, directory)
        wanted = _archived(own)
    _accept([*wanted], [*_archived(path)], path)
    with _no_larger_than(sum(math.prod(of.shape) for of in _variables(module).values()), path):
        model = _made(module, path)
    _accept(_held(again), _held(model), path)
    return model


def _saved_again(module: Module, directory: Path) -> tuple[Any, Path]:
    """The model that Keras makes of the module's own file, and that file."""
    path = directory / "own.keras"
    module.save(path)
    return _made(module, path), path


def _made(module: Module, path: Path) -> keras.Model:
    """The model that Keras makes of a .keras, of the module's own class; `safe_mode` refuses stored code."""
    kind = type(module)
    with modules.names_anew():
        return keras.saving.load_model(path, custom_objects={kind.__name__: kind}, compile=False, safe_mode=True)


def _archived_of(module: Module) -> dict[str, int]:
    """As `_archived`, of a .keras that the module itself is saved to."""
    with scratch() as directory:
        module.save(directory / "own.keras")
        return _archived(directory / "own.keras")


def _archived(path: Path) -> dict[str, int]:
    """The arrays in a .keras, and how many numbers each has.

    Raises ParityError for one that asks for more than is read of any file.
    """
    with zipfile.ZipFile(path) as archive:
        check_members(archive, path)
        if archive.getinfo("config.json").file_size > MOST_PARSED:
            raise ParityError(f"{path}: has a configuration of more than {MOST_PARSED:,} bytes")
        return _stored(io.BytesIO(archive.read("model.weights.h5")))


@contextlib.contextmanager
def _no_larger_than(most: int, path: Path) -> Iterator[None]:
    """Refuse a configuration that asks for a larger variable than the model has in all, before there is one."""
    add = keras.Layer.add_weight

    def checked(layer: keras.Layer, *args: Any, **named: Any) -> Any:
        shape = tuple(named.get("shape", args[0] if args else ()) or ())
        if math.prod(shape) > most:
            raise ParityError(f"{path}: asks for a variable of shape {shape}; the model has {most:,} numbers in all")
        return add(layer, *args, **named)

    # Keras makes every variable of a file's configuration before it reads the first number: no setting bounds them.
    undo = set_class_attribute(keras.Layer, "add_weight", checked)
    try:
        yield
    finally:
        undo()


def _read_weights(module: Module, path: Path) -> Module:
    """Load a .weights.h5 into the module, checked by its arrays, and by its names where `_write_weights` wrote it.

    One that Keras wrote has none, and goes by place alone; what it has of an optimizer is left out.
    """
    with h5py.File(path, "r") as stored:
        link = stored.get(NAMES, getlink=True)
        names: list[str] | None = None
        if link is not None:
            if not isinstance(link, h5py.HardLink):
                raise ParityError(f"{path}: does not hold the names of its variables itself; save it again")
            _check_plain(stored[NAMES], MOST_PARSED)
            names = bytes(stored[NAMES][()]).decode().split("\n")
    places = [*_stored(path)]
    if names is None:
        places = [place for place in places if not place.startswith(OPTIMIZER)]
    else:
        _accept(_held(module), names, path)
    _accept([*_would_store(module)], places, path)
    module.load_weights(path)
    return module


def _read_checkpoint(module: Module, path: Path) -> Module:
    _accept(sorted(_held(module)), sorted(_told(*entry) for entry in engine.checkpoints.stored(path)), path)
    engine.checkpoints.read(_variables(module), path)
    return module


# suffix -> (write a module to a path, read it into one)
FORMATS: dict[str, tuple[Callable[[Any, Path], None], Callable[[Any, Path], Any]]] = {
    ".keras": (_write_model, _read_model),
    ".weights.h5": (_write_weights, _read_weights),
    **({".ckpt": (_write_checkpoint, _read_checkpoint)} if engine.checkpoints else {}),
}


def _variables(module: Module) -> dict[str, Any]:
    """Name without the model's own -> variable; of several with one name the second ends in ":2"."""
    variables: dict[str, Any] = {}
    for name, variable in modules.variables(module):
        name = name.removeprefix(f"{getattr(module, 'name', '')}/")
        names = (name if place == 1 else f"{name}:{place}" for place in count(1))
        free = next(n for n in names if n not in variables or variables[n] is engine.raw(variable))
        variables[free] = engine.raw(variable)
    return variables


def _held(module: Module) -> list[str]:
    """Name, shape and dtype of each variable, a text each, by which files are compared with modules."""
    return [_told(name, variable.shape, _dtype(variable)) for name, variable in _variables(module).items()]


def _unnamed(module: Module) -> list[str]:
    return [_told("", variable.shape, _dtype(variable)) for variable in _variables(module).values()]


def _dtype(variable: Any) -> str:
    return str(keras.backend.standardize_dtype(variable.dtype))


def _would_store(module: Module) -> dict[str, int]:
    """As `_stored`, of a .weights.h5 that the module itself is saved to."""
    with scratch() as directory:
        path = directory / "own.weights.h5"
        module.save_weights(path)
        return _stored(path)


def _stored(file: Any) -> dict[str, int]:
    """Place, shape and dtype of each array in a .weights.h5, as `_told` -> how many numbers it has.

    Links are not followed; what stands behind one is missing here.
    No attribute is read, not even a layer's name: in a damaged file that can go on for ever.
    https://github.com/HDFGroup/hdf5/issues/1707
    """
    names_of = dict[str, int]()

    def visit(place: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and place != NAMES:
            _check_plain(item, MOST)
            names_of[_told(place, item.shape, item.dtype)] = math.prod(item.shape)

    with h5py.File(file, "r") as stored:
        stored.visititems(visit)
    return names_of


def _check_plain(item: Any, most: int) -> None:
    """Raise ValueError for an array that is not stored as it is: in another file, or in a few bytes for many."""
    if item.is_virtual or item.external or item.chunks or item.nbytes > most:
        raise ValueError("an array is not stored as Keras stores it")


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).partition(". ")[0].split())


def _told(name: str, shape: Any, dtype: Any) -> str:
    return f"{name} {tuple(shape)} {dtype}"


def _accept(expected: list[str], present: list[str], path: Path) -> None:
    """Refuse a file that would load only in part, in other places, or be cast on the way in."""
    if expected != present:
        actual, wanted = next(
            pair for pair in zip_longest(present, expected, fillvalue="nothing") if pair[0] != pair[1]
        )
        raise ParityError(f"{path}: holds {actual}, but should hold {wanted}")
