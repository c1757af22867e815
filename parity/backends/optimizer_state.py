"""An optimizer's state on disk: one safetensors file of plain arrays, the same for both frameworks.

"step" is how many steps there were; "MOMENT of VARIABLE" is what a moment has come to. Everything is
data: nothing in a file is run.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from parity.dtypes import Array
from parity.errors import ParityError
from parity.files import read_bytes, replacing

STEP = "step"


def save(path: Path, steps: int, names: Sequence[str], moments: Mapping[str, Sequence[Array]]) -> None:
    """Write the state, whole or not at all: `moments` is moment -> one array for each of `names`, in their order."""
    arrays = {STEP: np.array(steps, np.int64)}
    for moment, of_moment in moments.items():
        for name, array in zip(names, of_moment, strict=True):
            arrays[f"{moment} of {name}"] = np.asarray(array, order="C")
    with replacing(path) as temporary:
        safetensors.numpy.save_file(arrays, temporary)


def count(path: Path) -> int:
    """The count of steps in a file that `save` wrote."""
    return int(safetensors.numpy.load(read_bytes(path))[STEP])


def recount(path: Path, steps: int) -> None:
    """Give a file that `save` wrote another count of steps."""
    arrays = safetensors.numpy.load(read_bytes(path)) | {STEP: np.array(steps, np.int64)}
    with replacing(path) as temporary:
        safetensors.numpy.save_file(arrays, temporary)


def load(
    path: Path, moments: Sequence[str], expected: Mapping[str, tuple[tuple[int, ...], str]]
) -> tuple[int, dict[str, list[Array]]]:
    """Read the steps, and moment -> arrays, in the order of `expected`, which is variable -> (shape, dtype).

    Raises ParityError for a damaged file, and naming the first array that is missing, extra or not
    as expected: nothing is reshaped or cast.
    """
    data = read_bytes(path)
    try:
        arrays = safetensors.numpy.load(data)
    except (SafetensorError, KeyError, ValueError) as error:  # a KeyError of a dtype that NumPy has not
        raise ParityError(f"{path}: cannot be read as an optimizer's state; save it again") from error
    wanted: dict[str, tuple[tuple[int, ...], str]] = {STEP: ((), "int64")}
    wanted |= {f"{moment} of {name}": what for moment in moments for name, what in expected.items()}
    present = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    for name in {**wanted, **present}:
        if wanted.get(name) != present.get(name):
            actual, should = (f"{of[name][0]} {of[name][1]}" if name in of else "missing" for of in (present, wanted))
            raise ParityError(f"{path}: {name} is {actual}, but should be {should}")
    # Before a first step an optimizer has no state: such a file was not written by `save`.
    if arrays[STEP] < 1:
        raise ParityError(f"{path}: {STEP} is {arrays[STEP]}, but should be 1 or more")
    return int(arrays[STEP]), {moment: [arrays[f"{moment} of {name}"] for name in expected] for moment in moments}
