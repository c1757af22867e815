"""Temporary directories that a killed run leaves to the next one to remove, the one that the user keeps, and locks.

Each temporary directory is locked by the process that uses it. The lock dies with the process, however that ends, so
an unlocked one is nobody's: whoever makes another in the same place removes it. What stands under `OLD` in one is
somebody's only copy: it is put back.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from multiprocessing import util
from pathlib import Path

BESIDE = ".parity."  # how the names begin of those that stand beside what is written
OLD = ".parity.old"  # in a temporary directory: what stood in the place of what is being written
DAY = 24 * 3600  # seconds; longer than anything is being written
SOCKET = 70  # characters of a directory whose sockets have names that a socket can have: 107, less two random names
PAUSE = 0.01  # seconds between two tries to take a lock
LAST = -200  # behind what multiprocessing removes of its own, which must still be there: that is at -100
_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of renameat2(2)


class Lock:
    """The lock of a directory, open and not taken yet. Raises OSError for what is no directory, and for a link.

    An interrupt may come before anybody closes it: then `__del__` does, when the last name of it is gone.
    """

    _handle = -1

    def __init__(self, directory: Path) -> None:
        self._owner = os.getpid()
        self._handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    def take(self) -> bool:
        """Take it, unless another has it; it is had until this is closed."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the lock back and close the directory; a second time does nothing."""
        if self._handle < 0:
            return
        if self._owner == os.getpid():  # a fork has the same lock
            fcntl.flock(self._handle, fcntl.LOCK_UN)
        handle, self._handle = self._handle, -1
        os.close(handle)

    __del__ = close


@contextlib.contextmanager
def locked(directory: Path, patience: float = 0.0) -> Iterator[None]:
    """Have a directory alone, among those who ask, waiting up to `patience` seconds for it.

    Raises BlockingIOError where another has it for so long, and OSError as `Lock`.
    """
    lock, end = Lock(directory), time.monotonic() + patience
    try:
        while not lock.take():
            if time.monotonic() >= end:
                raise BlockingIOError
            time.sleep(PAUSE)
        yield
    finally:
        lock.close()


def holder(directory: Path) -> str:
    """Who has a directory: the number of the process, where the system tells it, and the machine."""
    info = directory.stat()
    place = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    number = ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            _, kind, *_, process, where, _, _ = line.split()
            if (kind, where) == ("FLOCK", place) and "->" not in line:  # behind an arrow is one that waits
                number = f" {process}"
    return f"process{number} on {platform.node()}"


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give an empty directory on the same filesystem as `path`, which must be resolved; remove it at the end.

    Others' of this machine that no process uses are removed first, those of another machine, whose locks are not
    seen here, after a day. Raises OSError where none can be made.
    """
    place, lock = _made(path.parent, BESIDE, _of_this_machine())
    try:
        yield place
    finally:
        _discard(place)
        lock.close()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty directory in the system's place for temporary files, of mode 700; remove it at the end."""
    place = Path(tempfile.mkdtemp(dir=of_process()))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def of_process() -> Path:
    """This process's own temporary directory, of mode 700; removed when it ends, or by the next run."""
    return _of_process(os.getpid())[0]


@cache
def _of_process(_: int) -> tuple[Path, Lock]:
    """A process's directory and its lock, which is held as long as the cache; one for each process number.

    A fork inherits the cache, but asks with a number of its own.
    """
    place, lock = _made(Path(tempfile.gettempdir()), "parity-", "")
    util.Finalize(None, _discard, (place,), exitpriority=LAST)  # which a fork of this process leaves alone
    return place, lock


def contain(place: Path) -> None:
    """Have all temporary files of this process, and of those that it starts, in this directory.

    TensorFlow leaves the code that it generates behind where a process ends without its interpreter's leave, and a
    killed one leaves all that it had.
    """
    if len(str(place)) > SOCKET:
        util.get_temp_dir()  # makes the directory of the sockets where it would have been
    tempfile.tempdir = os.environ["TMPDIR"] = str(place)


def kept() -> Path:
    """The directory that only the user can write to, for what one run may leave to the next.

    It is "parity" in $XDG_CACHE_HOME or ~/.cache, of mode 700. Where that cannot be made, or is another's, or a link,
    or open to others, a temporary one of this process alone stands in for it.
    """
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME", ""))
        place = (home if home.is_absolute() else Path.home() / ".cache") / "parity"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _ours(place.lstat()) and stat.S_IMODE(place.lstat().st_mode) == 0o700:
            return place
    except (OSError, RuntimeError):  # a RuntimeError of a user without a home
        pass
    return of_process()


def exchange(new: Path, path: Path) -> None:
    """Put the directory `new`, which lies in one that `beside(path)` gave, in the place of `path`.

    Where the system can, what stood there and the new one change places at once. Elsewhere the old one is moved
    to `OLD` first, from where it is put back if nothing takes its place.
    """
    if not path.exists():
        new.rename(path)
        return
    try:
        _exchange(new, path)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
        (new.parent / OLD).mkdir()
        path.rename(new.parent / OLD / path.name)
        new.rename(path)


def recover(path: Path) -> None:
    """Put back what a killed run has moved out of the place `path`, and remove what it left beside it."""
    _sweep(path.parent, BESIDE, _of_this_machine())


def _of_this_machine() -> str:
    """What names of this machine's directories have behind the prefix: locks of another machine are not seen here."""
    return re.sub(r"[^\w-]", "_", platform.node())[:40] + "."


def _sweep(directory: Path, prefix: str, own: str) -> None:
    """Remove what killed runs left here, as far as that can be; `own` follows the prefix in this machine's names."""
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                with contextlib.suppress(OSError):
                    _remove_unused(Path(entry.path), entry.name.startswith(prefix + own))


def _remove_unused(place: Path, of_this_machine: bool) -> None:
    """Remove a directory unless a process holds it. Raises OSError where that cannot be told, or it is in use."""
    info = place.lstat()
    if not _ours(info) or not (of_this_machine or time.time() - info.st_mtime > DAY):
        return
    with locked(place):
        _discard(place)


def _made(directory: Path, prefix: str, own: str) -> tuple[Path, Lock]:
    """A new directory, and its lock, taken; those that no process uses are removed first."""
    _sweep(directory, prefix, own)
    while True:
        place = Path(tempfile.mkdtemp(prefix=prefix + own, dir=directory))
        with contextlib.suppress(FileNotFoundError):  # another has swept it: it was not locked yet
            lock = Lock(place)
            if lock.take() and place.exists():
                return place, lock


def _discard(place: Path) -> None:
    """Remove a directory, but for what is somebody's only copy, which goes back to its place."""
    if place.name.startswith(BESIDE) and (place / OLD).exists():
        for path in (place / OLD).iterdir():
            if not (place.parent / path.name).exists():
                path.rename(place.parent / path.name)
    shutil.rmtree(place, ignore_errors=True)


def _ours(info: os.stat_result) -> bool:
    """Whether it is a directory, and this user's: in a shared place anybody can make one of any name."""
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid()


def _exchange(one: Path, other: Path) -> None:
    """Both change places at once, or OSError: of ENOSYS where the system, of EINVAL where the filesystem cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
