"""Arrays of a model's size that are kept until they are compared: in memory, or, where that is scarce, in a file."""

import math
import tempfile
import weakref
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from parity.canonical.weights import Each
from parity.dtypes import Array

MOST = 1 << 24  # bytes of a shelf that stay in memory where that is scarce


class Shelf:
    """Arrays by key, in memory; of a `lean` one beyond `MOST` bytes in a temporary file, which goes with the shelf."""

    def __init__(self, lean: bool = False) -> None:
        self._most = MOST if lean else math.inf
        self._held: dict[Hashable, Array] = {}
        self._stored: dict[Hashable, tuple[int, np.dtype[Any], tuple[int, ...]]] = {}
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
        self._stored[key] = self._file.seek(0, 2), array.dtype, array.shape
        np.ascontiguousarray(array).tofile(self._file)

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
        place, dtype, shape = self._stored[key]
        self._file.seek(place)
        stored: Array = np.fromfile(self._file, dtype, math.prod(shape)).reshape(shape)
        return stored
