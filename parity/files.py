"""Files written whole or not at all, and read with one clear line when they cannot be."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from parity.errors import ParityError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`, of the same suffix; rename it to `path` at the end.

    Raises ParityError when the directory cannot be written. Nothing is left behind on any error.
    """
    suffix = "".join(path.suffixes[-2:]) if path.name.endswith(".weights.h5") else path.suffix
    try:
        handle, name = tempfile.mkstemp(suffix=suffix, prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ParityError(f"{path}: cannot be written ({error.strerror})") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise ParityError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Raise ParityError unless a file can be written to this path; long work is then not lost."""
    if path.is_dir():
        raise ParityError(f"{path}: is a directory; give a file name")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ParityError(f"{path}: cannot be written ({error.strerror})") from error


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises ParityError for a missing or unreadable file, or a directory."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ParityError(f"{path}: cannot be read ({error.strerror})") from error


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
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix in suffixes and p.is_file())
    lines = [line for file in files for line in read_text(file).splitlines() if line.strip()]
    if not lines:
        what = f"no text in any {', '.join(suffixes)} file below it" if path.is_dir() else "no text in it"
        raise ParityError(f"{path}: {what}; give a UTF-8 text file or a directory of them")
    return lines
