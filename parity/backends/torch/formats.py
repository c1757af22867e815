"""The files of a torch model. Imports torch and no other framework.

What FORMATS names is data. A program is code: torch.export.load unpickles whatever the file holds, so
`program` is for what `export` has written in the same run, never for a user's file.

Line for line beside `parity/backends/keras/formats.py`.
"""

import contextlib
import io
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from parity.backends.torch import pickled
from parity.dtypes import Inputs, State
from parity.errors import ParityError
from parity.files import MOST_PARSED, check_file, check_members, replacing, suffix

PROGRAM = ".pt2"
# What a storage is called by in a .pth, and what it holds; one of a newer dtype is untyped, and its tensors say theirs.
STORED = {
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}


def of(module: nn.Module) -> tuple[str, ...]:
    """The suffixes of the formats that can hold the module."""
    refused = refusals(module)
    return tuple(suffix for suffix in FORMATS if suffix not in refused)


def refusals(module: nn.Module) -> dict[str, str]:  # noqa: ARG001 its twin looks at the module
    """Format -> why it cannot hold the model: any can."""
    return {}


def save(module: nn.Module, path: Path) -> None:
    """Write the module in the format of the path's suffix, whole or not at all."""
    write, _ = FORMATS[suffix(path, FORMATS)]
    with replacing(path) as temporary:
        write(module, temporary)


def load(module: nn.Module, path: Path) -> nn.Module:
    """The module, with the values of a file that `save` wrote; or ParityError. Runs nothing stored in it."""
    _, read = FORMATS[suffix(path, FORMATS)]
    check_file(path)
    try:
        return _into(module, read(path), path)
    except ParityError:
        raise
    except Exception as error:  # damage: the readers of zip and tensors raise anything from KeyError to RuntimeError
        raise ParityError(f"{path}: cannot be read as a torch model; save it again") from error


def _into(module: nn.Module, state: State, path: Path) -> nn.Module:
    """Load a state_dict into the module. Raises ParityError unless it has every tensor, of the same shape and dtype."""
    if not isinstance(state, dict):
        raise ParityError(f"{path}: holds {type(state).__name__}, but a state_dict is expected")
    wanted, owners = module.state_dict(), {str(name).partition(".")[0] for name in state}
    if len(owners) == 1 and wanted.keys().isdisjoint(state):  # of a model that another module held, to run in parallel
        state = {name.partition(".")[2]: tensor for name, tensor in state.items()}
    # A file of safetensors has a tied weight once, by its first name (`_write_safetensors`).
    for name, first in (firsts := _firsts(module)).items():
        if first in state:
            state.setdefault(name, state[first])
    _accept(wanted, state, path)
    for name, first in firsts.items():
        if not (state[name].is_set_to(state[first]) or torch.equal(state[name], state[first])):
            raise ParityError(f"{path}: {name} differs from {first}, but the model holds one tensor for both")
    module.load_state_dict(state)
    return module


def whole(path: Path) -> nn.Module:
    """Raises ParityError: no file of torch's that is data holds a whole model."""
    raise ParityError(f"{path}: holds weights and no model; give its builder: module:builder@{path.name}")


def export(module: nn.Module, inputs: Inputs, path: Path) -> None:
    """Write a program for a tensor of this very shape: an LSTM cannot be exported with a dynamic length."""
    try:
        # It warns that an LSTM holds its weights in a list, too, and prints a graph that it refuses.
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stderr(io.StringIO()):
            torch.export.save(torch.export.export(module, (inputs,)), path)
    except Exception as error:  # the user's own code is run to trace it: no such format, and the check goes on
        raise ParityError(f"{path}: torch.export refuses the model ({type(error).__name__})") from error


def program(path: Path) -> Callable[[Any], Any]:
    """Input -> output of an exported program."""
    module = torch.export.load(path).module()
    return lambda inputs: module(torch.from_numpy(inputs))


def _write_pickle(module: nn.Module, path: Path) -> None:
    torch.save(module.state_dict(), path)


def _write_safetensors(module: nn.Module, path: Path) -> None:
    # It takes a tensor under one name only, and none that is stored transposed.
    firsts = set(_firsts(module).values())
    state = {name: tensor.contiguous() for name, tensor in module.state_dict().items() if name in firsts}
    safetensors.torch.save_file(state, path)


def _read_pickle(path: Path) -> Any:
    """Read a state_dict without torch.load, which runs some of what a pickle says and looks at no checksum or size.

    A tensor whose bytes are missing, too few or in another byte order raises KeyError or ValueError.
    """
    with zipfile.ZipFile(path) as archive:
        check_members(archive, path)
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        if archive.getinfo(name).file_size > MOST_PARSED:
            raise ValueError
        state, root = _weights(pickled.read(archive.read(name))), name.removesuffix("data.pkl")
        order = f"{root}byteorder"
        if order in archive.namelist() and archive.read(order).decode() != sys.byteorder:
            raise ValueError
        storages: dict[pickled.Storage, Any] = {}
        for key, value in state.items() if isinstance(state, dict) else ():
            if isinstance(value, pickled.Tensor):
                if value.storage not in storages:
                    storages[value.storage] = bytearray(archive.read(f"{root}data/{value.storage.key}"))
                state[key] = _tensor(value, storages[value.storage])
    return state


def _weights(content: Any) -> Any:
    """The state_dict in what a file holds: the only dict of tensors in one that has an epoch and an optimizer too."""
    if not isinstance(content, dict) or any(isinstance(value, pickled.Tensor) for value in content.values()):
        return content
    inside = [of for of in content.values() if isinstance(of, dict)]
    states = [of for of in inside if any(isinstance(value, pickled.Tensor) for value in of.values())]
    return states[0] if len(states) == 1 else content


def _tensor(entry: pickled.Tensor, data: bytearray) -> torch.Tensor:
    """The tensor in these bytes. Raises what torch raises where they do not hold it."""
    dtype = getattr(torch, entry.dtype) if entry.dtype else STORED[entry.storage.kind]
    size = 1 if entry.storage.kind == "UntypedStorage" else dtype.itemsize
    if len(data) != entry.storage.length * size:
        raise ValueError
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return flat.as_strided(entry.shape, entry.stride, entry.offset)


# suffix -> (write a module's state to a path, read it)
FORMATS: dict[str, tuple[Callable[[Any, Path], None], Callable[[Path], Any]]] = {
    ".pth": (_write_pickle, _read_pickle),
    ".safetensors": (_write_safetensors, safetensors.torch.load_file),
}


def _firsts(module: nn.Module) -> dict[str, str]:
    """Name in the state_dict -> the first name of the same tensor: a tied weight has several."""
    firsts: dict[int, str] = {}
    return {name: firsts.setdefault(id(t), name) for name, t in module.state_dict(keep_vars=True).items()}


def _accept(expected: dict[str, Any], present: dict[str, Any], path: Path) -> None:
    """Refuse a state that would load only in part, or be cast on the way in."""
    for name in {**expected, **present}:
        wanted, actual = (_told(state[name]) if name in state else "missing" for state in (expected, present))
        if wanted != actual:
            raise ParityError(f"{path}: {name} is {actual}, but should be {wanted}")


def _told(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return f"no tensor ({type(value).__name__})"
    return f"{tuple(value.shape)} {value.dtype}"
