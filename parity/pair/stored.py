"""Files of arrays, .npz, .npy and .safetensors, which are data and not trusted: name -> array, read and written."""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from parity.dtypes import Array
from parity.errors import ParityError, reason
from parity.files import check_members, read_bytes, replacing, suffix

FORMATS = (".npz", ".npy", ".safetensors")
SEVERAL = (".npz", ".safetensors")  # those of more arrays than one


def read(path: Path) -> Any:
    """Read an array of a .npy, or name -> array. Raises ParityError for a damaged file, or none of `FORMATS`."""
    ending = suffix(path, FORMATS)
    data = read_bytes(path)
    try:
        if ending == ".npy":
            return _array(data)
        if ending == ".npz":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                check_members(archive, path)
                return {member.removesuffix(".npy"): _array(archive.read(member)) for member in archive.namelist()}
        return load(data)
    except ParityError:
        raise
    except Exception as error:  # whatever a reader raises on bytes that are not its own
        raise ParityError(f"{path}: is no {ending} file of arrays of numbers ({reason(error)})") from error


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays by name, in the format of the path's ending. Raises ParityError where that is none of `SEVERAL`."""
    ending = suffix(path, SEVERAL)
    with replacing(path) as temporary:
        if ending == ".npz":
            members: Any = arrays
            np.savez(temporary, **members)
        else:
            temporary.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def _array(data: bytes) -> Array:
    """Parse the bytes of an .npy. Unpickles nothing, and allocates no more than there are bytes.

    Raises ValueError where the header does not agree with the data.
    """
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    # An array of objects is a pickle, and a shape of 2^40 in a header of 80 bytes would be allocated before it is read.
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError("its header does not say what it holds")
    array: Array = np.load(io.BytesIO(data), allow_pickle=False)
    return array
