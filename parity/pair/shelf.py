"""Arrays of a model's size that are kept until they are compared: in memory, or, where that is scarce, in a file."""

import math
import tempfile
import weakref
from collections.abc import Hashable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from parity.canonical.weights import Each
from parity.dtypes import Array

MOST = 1 << 24  # bytes of a shelf that stay in memory where that is scarce
Place = tuple[int, np.dtype[Any], tuple[int, ...]]  # of an array in a file: where it begins, its dtype and shape


class Shelf:
    """Arrays by key, in memory; of a `lean` one beyond `MOST` bytes in a temporary file, which goes with the shelf."""

    def __init__(self, lean: bool = False) -> None:
        self._most = MOST if lean else math.inf
        self._held: dict[Hashable, Array] = {}
        self._stored: dict[Hashable, Place] = {}
        self._size = 0
        self._file: Any = None

    def put(self, key: Hashable, array: Array) -> None:
        """Keep an array, which nobody may write to from now on."""
        self._size += array.nbytes
        if self._size <= self._most:
            self._held[key] = array
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 it is closed with the shelf
            weakref.finalize(self, self._file.close)
        self._stored[key] = _append(self._file, array)

    def keep(self, arrays: Iterable[tuple[Hashable, Array]]) -> Each[Any, Array]:
        """Keep all of these, taken one by one, and return them by name: each is read when it is asked for.

        Names of several such calls do not collide.
        """
        owner, names = object(), []
        for name, array in arrays:
            self.put((owner, name), array)
            names.append(name)
        return Each(names, lambda name: self.get((owner, name)))

    @property
    def in_memory(self) -> bool:
        """Whether no array is in the file."""
        return not self._stored

    def get(self, key: Hashable) -> Array:
        """The array, bit for bit. Raises KeyError where none was put there."""
        if key not in self._stored:
            return self._held[key]
        return _read(self._file, self._stored[key])


class Filed(Each[str, Array]):
    """Arrays by name in a file of this path, read one by one as they are asked for.

    To another process crosses where they are, and not what they are: the file has to stay until they were read.
    """

    def __init__(self, path: Path, arrays: Iterable[tuple[str, Array]]) -> None:
        with path.open("xb") as file:
            places = {name: _append(file, array) for name, array in arrays}
        super().__init__(places, partial(_read_from, path, places))


def _read_from(path: Path, places: Mapping[str, Place], name: str) -> Array:
    with path.open("rb") as file:
        return _read(file, places[name])


def _append(file: Any, array: Array) -> Place:
    """Write an array to the end of a file."""
    start = file.seek(0, 2)
    np.ascontiguousarray(array).tofile(file)
    return start, array.dtype, array.shape


def _read(file: Any, place: Place) -> Array:
    """The array that was written there, bit for bit."""
    start, dtype, shape = place
    file.seek(start)
    stored: Array = np.fromfile(file, dtype, math.prod(shape)).reshape(shape)
    return stored
