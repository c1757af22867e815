"""The units of a sweep, given out to workers a few at a time, and their results, as they come."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from parity.errors import reason
from parity.frontends.sweep import cluster
from parity.frontends.sweep.results_file import Line
from parity.frontends.sweep.units import Unit

AHEAD = 16  # tasks a worker has before it needs them: many go to the scheduler in one message
SHORT = 0.1  # seconds that a task of several units may take: a task costs Dask milliseconds, whatever is in it
MOST = 32  # units of a task
FORGOTTEN = 0.9  # of how long a unit took, what counts at the next task if that was faster: units differ by check
COUNTED = 10.0  # seconds after which the workers are counted again: some may have come, or gone
RETRIES = 2  # how often a unit is tried again whose worker has raised something

Work = Callable[[Unit], Line]


def drive(client: Any, units: Mapping[str, Iterator[Unit]], work: Work, done: Callable[[Line], None]) -> None:
    """Have the workers of each environment do its units; `done` gets each result once.

    Only a few units of each environment are with the scheduler, so that memory does not grow with their number; those
    that take less than `SHORT` go several in one task. A task whose worker died is given to another by the scheduler.
    The units of one that several died of, perhaps of another that they had beside it, are given out once more behind
    all others, each alone; one that fails then is an error, and said so.
    """
    drives = {name: _Environment(client, name, of, work) for name, of in units.items()}
    results = cluster.imported().as_completed(with_results=True, raise_errors=False)
    for of in drives.values():
        results.update(of.given())
    while any(of.asked for of in drives.values()):
        for future, result in results.next_batch():
            of = next(of for of in drives.values() if future.key in of.asked)
            task = of.asked.pop(future.key)
            if future.status == "finished":
                seconds, lines = result
                of.took(seconds / len(lines))
            # Dask gives up a task that several workers died of, be it its own fault or that of one beside it.
            elif of.suspect(task, future.exception()):
                lines = []
            else:
                lines = [_failed(unit, future.exception()) for unit in task]
            for line in lines:
                done(line)
        for of in drives.values():
            results.update(of.given())


class _Environment:
    """The units of one environment; `asked` are those that the scheduler has, a task each, by Dask's key."""

    def __init__(self, client: Any, name: str, units: Iterator[Unit], work: Work) -> None:
        self._client, self._name, self._units, self._work = client, name, units, partial(_timed, work)
        self.asked: dict[str, tuple[Unit, ...]] = {}
        self._suspects: list[Unit] = []
        self._alone = False
        self._count, self._counted = 1, -COUNTED  # workers, and when they were counted: at once, the first time
        self._seconds = SHORT  # of one unit: the first tasks have one each

    def took(self, seconds: float) -> None:
        """A task has ended, whose units took so long each."""
        self._seconds = max(seconds, FORGOTTEN * self._seconds)

    def suspect(self, units: Sequence[Unit], error: BaseException) -> bool:
        """Whether the units of a task that failed are to be tried alone, for another may have been the reason."""
        if self._alone or (len(units) == 1 and not isinstance(error, cluster.imported().KilledWorker)):
            return False
        self._suspects += units
        return True

    def given(self) -> list[Any]:
        """Give the scheduler more tasks where it has less than half of what it may have; their futures."""
        if time.monotonic() - self._counted > COUNTED:
            self._count, self._counted = max(1, cluster.workers(self._client, self._name)), time.monotonic()
        most = AHEAD * self._count
        if 2 * len(self.asked) > most:
            return []
        size = min(MOST, max(1, int(SHORT / self._seconds)))
        new = (tuple(islice(self._units, size)) for _ in range(most - len(self.asked)))
        tasks = {f"unit-{units[0].number}": units for units in new if units}
        # Suspects come last and one at a time: what a worker dies of then is the unit itself.
        if not tasks and not self.asked and self._suspects:
            unit, self._alone = self._suspects.pop(), True
            tasks = {f"unit-{unit.number}-alone": (unit,)}
        self.asked |= tasks
        named = {"key": list(tasks), "resources": {self._name: 1}, "retries": RETRIES, "pure": False}
        return list(self._client.map(self._work, [*tasks.values()], **named)) if tasks else []


def _timed(work: Work, units: Sequence[Unit]) -> tuple[float, list[Line]]:
    """On a worker: the results of the units of a task, and the seconds that they took together."""
    begun = time.perf_counter()
    lines = [work(unit) for unit in units]
    return time.perf_counter() - begun, lines


def _failed(unit: Unit, error: BaseException) -> Line:
    """The result of a unit that has none: its worker died, or could not even import what does it."""
    head = {"unit": unit.number, "pair": unit.pair, "seed": unit.seed, "check": unit.check}
    return {**head, "environment": unit.environment, "verdict": "error", "headline": reason(error), "seconds": None}
