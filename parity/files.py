"""Files written whole or not at all, and read with one clear line when they cannot be."""

import contextlib
import errno
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from parity import scratch
from parity.errors import ParityError

MOST = 2 * 2**30  # bytes of a file that is read; what it is read into takes several times as much
MOST_PARSED = 64 * 2**20  # bytes of a file that is parsed as JSON or TOML


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name of the same ending; at the end, move what was written there to `path`.

    A format of several files, each named `path` and an ending, is moved in the order of their names:
    a checkpoint's index, without which it cannot be read, after its data. A link is followed. Raises
    ParityError as `check_place`. Nothing is left behind on any error; what a killed process left is removed.
    """
    check_place(path)
    path = path.resolve()
    # A temporary file is its owner's alone; what is written gets the mode of a new file. Setting the mask is the only
    # way to read it.
    mask = os.umask(0)
    os.umask(mask)
    try:
        with scratch.beside(path) as directory:
            yield directory / path.name
            for file in sorted(directory.iterdir()):
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
    """Whether there is a directory; False for a name that no file can have."""
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


def check_file(path: Path, most: int = MOST) -> None:
    """Raise ParityError unless this is a regular file of at most so many bytes; it is not read."""
    os.close(_opened(path, most))


def read_bytes(path: Path, most: int = MOST) -> bytes:
    """The file's bytes. Raises ParityError as `check_file`, and for a file that cannot be read."""
    with _readable(path), open(_opened(path, most), "rb") as file:
        return file.read()


def _opened(path: Path, most: int) -> int:
    """A handle of a file that ends: neither a pipe, which may never, nor a device, which need not."""
    with _readable(path):
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:  # O_NONBLOCK: opening a pipe that nobody writes to did not wait
            info = os.fstat(handle)
            if stat.S_ISDIR(info.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(info.st_mode):
                raise ParityError(f"{path}: is not a regular file; give another name")
            if info.st_size > most:
                raise ParityError(f"{path}: has {info.st_size:,} bytes; parity reads {most:,} at most")
        except BaseException:
            os.close(handle)
            raise
    return handle


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise what the system raises inside, a name with a null character among it, as a ParityError on the file."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ParityError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from error


def check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise ParityError unless what a zip says that its members come to, unpacked, is little enough to be read.

    No more than a member says comes out of it. Readers differ in which of two of one name they take.
    """
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if size > MOST:
        raise ParityError(f"{path}: has {size:,} bytes when unpacked; parity reads {MOST:,} at most")
    if len({member.filename for member in members}) != len(members):
        raise ParityError(f"{path}: has two members of one name; save it again")


def read_text(path: Path, most: int = MOST) -> str:
    """The file's text. Raises ParityError as `read_bytes`, or naming the first byte that is not UTF-8."""
    try:
        return read_bytes(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParityError(f"{path}: not UTF-8 at byte {error.start}; convert it to UTF-8 first") from error


def read_texts(path: Path) -> list[str]:
    """The lines with something on them of a text file, or of every text file below a directory, in order of names.

    Raises ParityError as `read_text`, and where there is no such line.
    """
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
