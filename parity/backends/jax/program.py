"""A Keras model as StableHLO and its weights, which is code: only what was written in the same run is ever run."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import export as exporting

from parity.dtypes import Inputs, Module
from parity.errors import ParityError

PROGRAM = ".stablehlo"


def export(module: Module, run: Any, inputs: Inputs, ids: bool, path: Path) -> None:  # noqa: ARG001 of any shape a program would be another one
    """Write a program for arrays of this very shape."""
    values = [variable.value for variable in module.variables]
    try:
        serialized = bytes(exporting.export(run.compiled)(values, inputs).serialize())
    except Exception as error:  # the user's own code is run to trace it: no such format, and the check goes on
        raise ParityError(f"{path}: jax.export refuses the model ({type(error).__name__})") from error
    arrays = io.BytesIO()
    np.savez(arrays, *(np.asarray(value) for value in values))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("program", serialized)
        archive.writestr("values.npz", arrays.getvalue())


def program(path: Path) -> Callable[[Any], Any]:
    """Input -> output of an exported program."""
    with zipfile.ZipFile(path) as archive:
        exported = exporting.deserialize(bytearray(archive.read("program")))
        arrays = np.load(io.BytesIO(archive.read("values.npz")), allow_pickle=False)
        values = [jnp.asarray(arrays[name]) for name in arrays.files]
    return lambda inputs: exported.call(values, jnp.asarray(inputs))
