"""Does a run that is ended at any moment lose a file, or leave one behind for good?

    python -m benchmarks.kills [--stride N] [--kills N] [--interrupts N]

First at each `stride`th line of what writes a bundle, a file and a baseline, and at each line that moves one: by
Ctrl-C, by an error of the system, by a kill. Then at random moments of a process that does nothing but write, by
SIGKILL and SIGINT. After each end what stands there must be whole, the old one or the new one, and after one more run
nothing else may be there. Also where the filesystem cannot exchange two directories. Without a framework: it forks.
One run takes a minute.
"""

import argparse
import contextlib
import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import util
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.output import run
from parity import files, scratch
from parity.errors import ParityError
from parity.gate import baseline
from parity.gate.baseline import Baseline
from parity.pair import checkpoint

OLD, NEW = "old", "new"
STEPS = ("Ctrl-C", "error", "kill")
WATCHED = {module.__file__ for module in (baseline, checkpoint, files, scratch, shutil)}
MOVING = ("exchange", "replacing")  # functions that move one thing to the place of another: at each of their lines
LONGEST = 0.02  # seconds until a random end; one writing takes a few milliseconds


def write_bundle(place: Path, state: str) -> None:
    tokenizer: Any = SimpleNamespace(data=state.encode() * 100_000, fingerprint=state)
    with checkpoint.writing(place / "bundle", "pair", tokenizer, {}, {}):
        pass


def read_bundle(place: Path) -> str:
    scratch.recover(place / "bundle")  # as bundle.load does
    state = (place / "bundle" / checkpoint.TOKENIZER).read_text()
    assert state == state[:3] * 100_000, "half a bundle"
    assert f'"tokenizer": "{state[:3]}"' in (place / "bundle" / checkpoint.MANIFEST).read_text(), (
        "two bundles are mixed"
    )
    return state[:3]


def write_file(place: Path, state: str) -> None:
    with files.replacing(place / "file") as temporary, scratch.scratch() as directory:
        (directory / "left").write_text(state)
        temporary.write_text(state)


def read_file(place: Path) -> str:
    return (place / "file").read_text()


def write_baseline(place: Path, state: str) -> None:
    golden = np.full(5000, len(state.lstrip("o")), np.float64)
    document = {"schema": 1, "baseline": "b", "state": state}
    baseline.write(place / "baselines" / "a.json", Baseline(document, {"golden": golden}))


def read_baseline(place: Path) -> str:
    found = baseline.read(place / "baselines" / "a.json")
    state = str(found.document["state"])
    assert (found.arrays["golden"] == len(state.lstrip("o"))).all(), "two baselines are mixed"
    return state


WRITERS: dict[str, tuple[Callable[[Path, str], None], Callable[[Path], str]]] = {
    "bundle": (write_bundle, read_bundle),
    "file": (write_file, read_file),
    "baseline": (write_baseline, read_baseline),
}


def fork(work: Callable[[], object]) -> int:
    """Do the work in a process of its own, which ends as one does whose interpreter ends; 1 if it was interrupted."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if child := os.fork():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return child
    status = 1
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    try:
        with contextlib.suppress(KeyboardInterrupt, ParityError, OSError):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            work()
            status = 0
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        util._exit_function()  # removes the process's temporary directory
    finally:
        os._exit(status)


def cut(step: int, functions: Sequence[str], how: str, work: Callable[[], None]) -> None:
    """Do the work, and end at that many lines of it, or of these functions of it."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line" and (not functions or frame.f_code.co_name in functions):
            count += 1
            if count == step:
                end(how)
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    if count >= step:  # where it was swallowed
        raise KeyboardInterrupt


def end(how: str) -> None:
    if how == "kill":
        os._exit(1)
    raise KeyboardInterrupt if how == "Ctrl-C" else OSError(errno.EIO, "Input/output error")


def left(place: Path, kind: str, clean: list[str]) -> str:
    """What an end has left, the old one or the new one; and nothing else once there was another run."""
    write, read = WRITERS[kind]
    state = read(place)
    assert state in (OLD, NEW), f"{state!r} is neither"
    write(place, OLD)
    assert (names := listing(place)) == clean, f"left behind: {names}"
    return state


def listing(place: Path) -> list[str]:
    return sorted(os.path.relpath(path, place) for path in place.rglob("*"))


def at_each_step(place: Path, kind: str, how: str, stride: int) -> Iterator[str]:
    write, _ = WRITERS[kind]
    write(place, OLD)
    clean = listing(place)
    for functions, pace in ((), stride), (MOVING, 1):
        step = 1
        while os.waitpid(fork(partial(cut, step, functions, how, partial(write, place, NEW))), 0)[1]:
            yield left(place, kind, clean)
            step += pace


def at_random(place: Path, kind: str, number: signal.Signals, moment: float) -> str:
    write, _ = WRITERS[kind]
    write(place, OLD)
    clean = listing(place)

    def endless() -> None:
        while True:
            write(place, NEW)
            write(place, OLD)

    child = fork(endless)
    time.sleep(moment)
    os.kill(child, number)
    while not os.waitpid(child, os.WNOHANG)[0]:  # a Ctrl-C in a finalizer is swallowed: one presses it again
        time.sleep(0.01)
        os.kill(child, number)
    return left(place, kind, clean)


def no_exchange(*_: Path) -> None:
    raise OSError(errno.EINVAL, "a filesystem that cannot")


def measure(place: Path, options: argparse.Namespace) -> None:
    randoms = random.Random(options.seed)
    ways = [(kind, scratch._exchange) for kind in WRITERS] + [("bundle", no_exchange)]
    for kind, exchange in ways:
        scratch._exchange = exchange
        for how in STEPS:
            tell(kind, exchange, how, Counter(at_each_step(place, kind, how, options.stride)))
        for number, times in ((signal.SIGKILL, options.kills), (signal.SIGINT, options.interrupts)):
            moments = [randoms.uniform(0, LONGEST) for _ in range(-(-times // len(ways)))]
            tell(kind, exchange, number.name, Counter(at_random(place, kind, number, m) for m in moments))


def tell(kind: str, exchange: Callable[..., None], how: str, found: Counter[str]) -> None:
    without = ", without exchange" if exchange is no_exchange else ""
    print(f"{kind}{without}, {how}: {found.total()} ends, the old one {found[OLD]}, the new one {found[NEW]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stride", type=int, default=1, help="Of so many lines one is ended at.")
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs at random moments.")
    parser.add_argument("--interrupts", type=int, default=50, help="SIGINTs at random moments.")
    parser.add_argument("--seed", type=int, default=0, help="What the moments are drawn from.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as temporary:
        tempfile.tempdir = temporary
        sys.unraisablehook = lambda _: None  # what a finalizer swallows is no news
        measure(Path(place), options)
        os.waitpid(fork(scratch.of_process), 0)
        assert list(Path(temporary).iterdir()) == [scratch.of_process()], "temporary files are left behind"


if __name__ == "__main__":
    run(main)
