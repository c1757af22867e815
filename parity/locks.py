"""Locks on directories: nothing is left behind, and a lock ends with the process that has it, however that ends."""

import contextlib
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

PAUSE = 0.01  # seconds between two tries


class Lock:
    """The lock of a directory, open and not taken yet. An interrupt may come before anybody closes it: then that is
    done with its last user. Raises OSError for what is no directory, and for a link.
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
    """Have a directory alone, among those who ask. Raises BlockingIOError where another has it for so many seconds.

    Raises OSError as `Lock`.
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
