"""Files written whole or not at all, and read with one clear line when they cannot be."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from parity.errors import ParityError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name of the same ending; at the end, move what was written there to `path`.

    A format of several files, each named `path` and an ending, is moved in the order of their names:
    a checkpoint's index, without which it cannot be read, after its data. A link is followed. Raises
    ParityError as `check_place`. Nothing is left behind on any error.
    """
    check_place(path)
    path = path.resolve()
    mask = os.umask(0)
    os.umask(mask)
    try:
        with tempfile.TemporaryDirectory(prefix=".parity.", dir=path.parent) as scratch:
            yield Path(scratch) / path.name
            for file in sorted(Path(scratch).iterdir()):
                file.chmod(0o666 & ~mask)
                file.replace(path.with_name(file.name))
    except OSError as error:
        raise ParityError(f"{path}: cannot be written ({error.strerror})") from error


def suffix(path: Path, known: Iterable[str]) -> str:
    """Which of the known endings a file's name has. Raises ParityError if it has none."""
    for ending in known:
        if path.name.endswith(ending):
            return ending
    raise ParityError(f"{path}: is no {' or '.join(known)} file")


def is_directory(path: Path) -> bool:
    """Whether there is a directory; no name is an error."""
    return os.path.isdir(path)  # noqa: PTH112 Path's own raises for a name that is too long


def check_place(path: Path) -> None:
    """Raise ParityError unless a file can be written to this path; long work is then not lost.

    Only a regular file is ever replaced: not a directory, and not a device or a pipe.
    """
    if is_directory(path):
        raise ParityError(f"{path}: is a directory; give a file name")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ParityError(f"{path}: is not a regular file; give another name")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise ParityError(f"{path}: cannot be written ({error})") from error
    try:
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        raise ParityError(f"{path}: cannot be written ({error.strerror})") from error


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises ParityError for a missing or unreadable file, or a directory."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ParityError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from error


def read_text(path: Path) -> str:
    """The file's text. Raises ParityError as `read_bytes`, or naming the first byte that is not UTF-8."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParityError(f"{path}: not UTF-8 at byte {error.start}; convert it to UTF-8 first") from error


def read_texts(path: Path) -> list[str]:
    """The lines with something on them of a text file, or of every text file below a directory."""
    suffixes = (".txt", ".md", ".rst", ".py")
    files = [path]
    below = is_directory(path)
    if below:
        files = sorted(p for p in path.rglob("*") if p.suffix in suffixes and p.is_file())
    lines = [line for file in files for line in read_text(file).splitlines() if line.strip()]
    if not lines:
        what = f"no text in any {', '.join(suffixes)} file below it" if below else "no text in it"
        raise ParityError(f"{path}: {what}; give a UTF-8 text file or a directory of them")
    return lines
