"""The results of a sweep as JSON lines: the grid first, then a line a unit, written as it is known.

A killed sweep leaves whole lines and at most one half of one at the end, which is cut off by the next.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parity.errors import ParityError
from parity.files import check_place
from parity.frontends.sweep.units import Grid

SCHEMA = 1
Line = dict[str, Any]


class ResultsFile:
    """A sweep's results file, held by one process at a time. Used as a context.

    Raises ParityError for a file that another process writes to, or that another sweep has begun.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        check_place(path)
        self._path, self._grid = path, grid
        self._done = bytearray(len(grid))  # a byte a unit: a set of a million numbers takes 60 times as much
        self.count = 0
        self._versions: dict[str, Mapping[str, str]] = {}

    def __enter__(self) -> "ResultsFile":
        """Open the file, lock it, and read what an earlier run has left."""
        with contextlib.ExitStack() as stack:
            self._file = stack.enter_context(self._path.open("ab"))
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ParityError(f"{self._path}: another sweep is writing to it; give another name") from None
            self._read()
            stack.pop_all()  # nothing raised: the file stays open, and with it the lock
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def has(self, number: int) -> bool:
        """Whether the result of this unit is there."""
        return bool(self._done[number])

    def add(self, result: Line) -> None:
        """Write a unit's result, behind the versions of its environment where they are others than before.

        Takes `versions` out of the result: they stand in a line of their own, once for many results.
        """
        versions, environment = result.pop("versions", None), result["environment"]
        if versions and self._versions.get(environment) != versions:
            self._versions[environment] = versions
            self._write({"environment": environment, "versions": versions})
        self._write(result)
        self._see(result)

    def _see(self, line: Line) -> None:
        """Count a line that is in the file; a unit that is there twice counts once."""
        if "versions" in line:
            self._versions[line["environment"]] = line["versions"]
        elif not self._done[line["unit"]]:
            self._done[line["unit"]] = 1
            self.count += 1

    def _write(self, line: Line) -> None:
        """In one call, so that what a killed process leaves is a line or its beginning."""
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()

    def _read(self) -> None:
        """What an earlier run has left; where there is none, the file's first line is written."""
        header = {"schema": SCHEMA, "sweep": self._grid.document()}
        whole = 0
        with self._path.open("rb") as file:
            for place, text in enumerate(file):
                if not text.endswith(b"\n"):
                    break
                line = _parsed(self._path, place, text)
                if place == 0 and line != header:
                    raise ParityError(f"{self._path}: holds another sweep; give another name, or delete it")
                if place:
                    self._known(place, line)
                whole += len(text)
        os.truncate(self._path, whole)
        if whole == 0:
            self._write(header)

    def _known(self, place: int, line: Line) -> None:
        """Count a line of an earlier run. Raises ParityError for one that is no result of this grid."""
        try:
            self._see(line)
        except (KeyError, IndexError, TypeError):
            raise ParityError(f"{self._path}: line {place + 1} is no result of a sweep") from None


def lines(path: Path) -> Iterator[Line]:
    """Every line behind the first, of a file that is whole."""
    with path.open("rb") as file:
        for place, text in enumerate(file):
            if place:
                yield _parsed(path, place, text)


def _parsed(path: Path, place: int, text: bytes) -> Line:
    """A line of the file, which counts from 0. Raises ParityError for what is no JSON object."""
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        raise ParityError(f"{path}: line {place + 1} is no result of a sweep; give another name")
    return line
