"""The units of a sweep, given out to workers a few at a time, and their results, as they come."""

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from parity.errors import reason
from parity.frontends.sweep import cluster
from parity.frontends.sweep.results_file import Line
from parity.frontends.sweep.units import Unit

AHEAD = 64  # units a worker has before it needs them: many go to the scheduler in one message
COUNTED = 10.0  # seconds after which the workers are counted again: some may have come, or gone
RETRIES = 2  # how often a unit is tried again whose worker has raised something

Work = Callable[[Unit], Line]


def drive(client: Any, units: Mapping[str, Iterator[Unit]], work: Work, done: Callable[[Line], None]) -> None:
    """Have the workers of each environment do its units; `done` gets each result once.

    Only a few units of each environment are with the scheduler, so that memory does not grow with their number. A
    unit whose worker died is given to another by the scheduler. One that several died of, perhaps of another that
    they had beside it, is given out once more behind all others, alone; then it is an error, and said so.
    """
    drives = {name: _Environment(client, name, of, work) for name, of in units.items()}
    results = cluster.imported().as_completed(with_results=True, raise_errors=False)
    for of in drives.values():
        results.update(of.given())
    while any(of.asked for of in drives.values()):
        for future, result in results.next_batch():
            of = next(of for of in drives.values() if future.key in of.asked)
            unit = of.asked.pop(future.key)
            if future.status == "finished":
                done(result)
            # Dask gives up a unit that several workers died of, be it its own fault or that of one beside it.
            elif not of.suspect(unit, future.exception()):
                done(_failed(unit, future.exception()))
        for of in drives.values():
            results.update(of.given())


class _Environment:
    """The units of one environment; `asked` are those that the scheduler has, by Dask's key."""

    def __init__(self, client: Any, name: str, units: Iterator[Unit], work: Work) -> None:
        self._client, self._name, self._units, self._work = client, name, units, work
        self.asked: dict[str, Unit] = {}
        self._suspects: list[Unit] = []
        self._alone = False
        self._count, self._counted = 1, -COUNTED  # workers, and when they were counted: at once, the first time

    def suspect(self, unit: Unit, error: BaseException) -> bool:
        """Whether a unit, whose workers died, is to be tried alone, for another may have ended them."""
        if self._alone or not isinstance(error, cluster.imported().KilledWorker):
            return False
        self._suspects.append(unit)
        return True

    def given(self) -> list[Any]:
        """Give the scheduler more units where it has less than half of what it may have; their futures."""
        if time.monotonic() - self._counted > COUNTED:
            self._count, self._counted = max(1, cluster.workers(self._client, self._name)), time.monotonic()
        most = AHEAD * self._count
        if 2 * len(self.asked) > most:
            return []
        units = {f"unit-{unit.number}": unit for unit in islice(self._units, most - len(self.asked))}
        # Suspects come last and one at a time: what a worker dies of then is the unit itself.
        if not units and not self.asked and self._suspects:
            unit, self._alone = self._suspects.pop(), True
            units = {f"unit-{unit.number}-alone": unit}
        self.asked |= units
        named = {"key": list(units), "resources": {self._name: 1}, "retries": RETRIES, "pure": False}
        return list(self._client.map(self._work, [*units.values()], **named)) if units else []


def _failed(unit: Unit, error: BaseException) -> Line:
    """The result of a unit that has none: its worker died, or could not even import what does it."""
    head = {"unit": unit.number, "pair": unit.pair, "seed": unit.seed, "check": unit.check}
    return {**head, "environment": unit.environment, "verdict": "error", "headline": reason(error), "seconds": None}
