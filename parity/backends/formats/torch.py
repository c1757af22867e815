"""The files of a torch model. Imports torch and no other framework; line for line beside tensorflow.py.

What FORMATS names is data. A program is code: torch.export.load unpickles whatever the file holds, so
`program` is for what `export` has written in the same run, never for a user's file.
"""

import contextlib
import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from parity.errors import ParityError
from parity.files import replacing, suffix
from parity.layers import Array

PROGRAM = ".pt2"


def save(module: Any, path: Path) -> None:
    write, _ = FORMATS[suffix(path, FORMATS)]
    # safetensors refuses a tensor that is stored transposed.
    state = {name: value.contiguous() for name, value in module.state_dict().items()}
    with replacing(path) as temporary:
        write(state, temporary)


def load(module: Any, path: Path) -> Any:
    """The module, with the values of a file that `save` wrote; or ParityError. Runs nothing stored in it."""
    _, read = FORMATS[suffix(path, FORMATS)]
    try:
        state = read(path)
    except Exception as error:  # whatever a damaged file makes the reader raise
        raise ParityError(f"{path}: cannot be read as a torch model; save it again") from error
    _accept(module.state_dict(), state, path)
    module.load_state_dict(state)
    return module


def export(module: Any, ids: Array, path: Path) -> None:
    """Write a program for ids of this very shape: an LSTM cannot be exported with a dynamic length."""
    try:
        # It warns that an LSTM holds its weights in a list, too, and prints a graph that it refuses.
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stderr(io.StringIO()):
            torch.export.save(torch.export.export(module, (torch.from_numpy(ids),)), path)
    except Exception as error:  # whatever in the model is no program
        raise ParityError(f"{path}: torch.export refuses the model ({type(error).__name__})") from error


def program(path: Path) -> Callable[[Any], Any]:
    """ids -> logits of an exported program."""
    module = torch.export.load(path).module()
    return lambda ids: module(torch.from_numpy(ids))


def _unpickled(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums
        if archive.testzip() is not None:
            raise ValueError
    return torch.load(path, weights_only=True)


# suffix -> (write a state to a path, read it)
FORMATS: dict[str, tuple[Callable[[Any, Path], None], Callable[[Path], Any]]] = {
    ".pth": (torch.save, _unpickled),
    ".safetensors": (safetensors.torch.save_file, safetensors.torch.load_file),
}


def _accept(expected: dict[str, Any], found: Any, path: Path) -> None:
    """Refuse a state that would load only in part, or be cast on the way in."""
    if not isinstance(found, dict):
        raise ParityError(f"{path}: holds {type(found).__name__}, but a state_dict is expected")
    for name in {**expected, **found}:
        wanted, given = (
            f"{tuple(state[name].shape)} {state[name].dtype}" if name in state else "missing"
            for state in (expected, found)
        )
        if wanted != given:
            raise ParityError(f"{path}: {name} is {given}, but should be {wanted}")
