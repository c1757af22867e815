"""Work spread over the machine's cores: one process a core, forked from the server of `parity.backends.process`.

Each has one thread of each framework. Ctrl-C is for the caller, who leaves `Workers`, which ends them.
"""

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any

from parity import scratch
from parity.backends import process
from parity.backends.interrupt import interrupt
from parity.errors import ParityError

Work = Callable[[Any], Any]  # job -> result
Choose = Callable[[int, Mapping[int, Any]], int | None]  # (worker's number, jobs left by place) -> a place, or None
PATIENCE = 10.0  # seconds that a process has to end by itself


def cores() -> int:
    """How many CPU cores this process may use: at most so many workers run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """`count` processes that do one job at a time each; of one alone, this process does all. Used as a context.

    `make()`, called once in each, gives what does the jobs. It must be importable, and jobs and their
    results must be such as can cross over.
    """

    def __init__(self, count: int, make: Callable[[], Work]) -> None:
        process.warm()
        self._all: list[Any] = [_Other(make) for _ in range(count)] if count > 1 else [_Here(make)]

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for worker in self._all:
            worker.leave(at_once=kind is not None)
        for worker in self._all:
            worker.wait()

    def do(self, jobs: Sequence[Any], choose: Choose, done: Callable[[int, Any], None]) -> list[Any]:
        """Do all jobs: their results, in the jobs' order; `done(place, result)` is called as each is ready.

        `choose(worker, left)` returns the place of an idle worker's next job among those left, or None. Raises what a
        job raises, and ParityError where a process dies, naming the job (its `str`) that it had.
        """
        left, results, busy = dict(enumerate(jobs)), dict[int, Any](), dict[Any, int]()
        while left or busy:
            for number, worker in enumerate(self._all):
                # The caller orders the jobs: long ones first, or those that share what a worker has in its cache.
                place = choose(number, left) if left and worker not in busy else None
                if place is not None:
                    worker.give(left.pop(place))
                    busy[worker] = place
            for worker in self._ready(busy):
                place = busy.pop(worker)
                results[place] = worker.take()
                done(place, results[place])
        return [results[place] for place in range(len(jobs))]

    def _ready(self, busy: Mapping[Any, int]) -> Sequence[Any]:
        if isinstance(self._all[0], _Here):
            return self._all
        ready = connection.wait([worker.pipe for worker in busy])
        return [worker for worker in busy if worker.pipe in ready]


@contextlib.contextmanager
def one(make: Callable[[], Work]) -> Iterator[Any]:
    """A process whose jobs are given (`give`), waited for (`pipe.poll`) and taken (`take`) by the caller.

    It is ended behind the context, whatever it does.
    """
    process.warm()
    worker = _Other(make)
    try:
        yield worker
    finally:
        worker.leave(at_once=True)
        worker.wait()


class _Here:
    """This process as the only worker: a job is done when its result is taken."""

    def __init__(self, make: Callable[[], Work]) -> None:
        self._work = make()

    def give(self, job: Any) -> None:
        self._job = job

    def take(self) -> Any:
        return self._work(self._job)

    def leave(self, at_once: bool) -> None:
        pass

    def wait(self) -> None:
        pass


class _Other:
    """A worker in a process of its own, with a pipe and a directory for its temporary files."""

    def __init__(self, make: Callable[[], Work]) -> None:
        context = multiprocessing.get_context("forkserver")
        self.pipe, theirs = context.Pipe()
        self._job: Any = None
        self._scratch = contextlib.ExitStack()
        place = self._scratch.enter_context(scratch.scratch())
        self._process = context.Process(target=_serve, args=(make, place, theirs))
        with process.main_module_hidden():
            self._process.start()
        theirs.close()

    def give(self, job: Any) -> None:
        self._job = job
        with contextlib.suppress(BrokenPipeError):  # it is dead, which `take` finds
            self.pipe.send(job)

    def take(self) -> Any:
        """The result of the job that it was given. Raises ParityError where the process died in it."""
        try:
            succeeded, result = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            raise ParityError(f"{self._job}: the process died in it, exit status {self._process.exitcode}") from None
        if not succeeded:
            raise result
        return result

    def leave(self, at_once: bool) -> None:
        """Close its pipe, upon which it ends behind its job; or at once."""
        self.pipe.close()
        if at_once:
            self._process.terminate()

    def wait(self) -> None:
        self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()
        self._scratch.close()


def _serve(make: Callable[[], Work], place: Path, pipe: Any) -> None:
    """In the process: one job after another, until nobody gives any; its temporary files are in `place`."""
    scratch.contain(place)
    interrupt.listen(signal.SIGTERM, _end_children)
    process.warm()  # for fresh processes of its own
    with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
        work = make()
        while not interrupt:  # the next job is not begun, whatever has swallowed the exception
            pipe.send(_done(work, pipe.recv()))


def _end_children() -> None:
    """End processes of this worker's own, which would be waited for when it leaves."""
    for child in multiprocessing.active_children():
        child.kill()


def _done(work: Work, job: Any) -> tuple[bool, Any]:
    """Do a job: (True, its result), or (False, an exception that can be pickled)."""
    try:
        return True, work(job)
    except ParityError as error:
        return False, error
    except Exception:  # noqa: BLE001 it may not cross over; its words do
        return False, RuntimeError(f"{job}:\n{traceback.format_exc()}")
