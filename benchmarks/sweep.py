"""What a sweep's queue takes, and what a second worker brings: `python -m benchmarks.sweep [--units N] [--json FILE]`.

The queue: units that do nothing, a tenth of them and all of them, on two workers: how many a second, and the peak
memory of the process that gives them out, which must not grow with their number. A second worker: forward checks of
the reference pair conv on one worker and on two, in turns, how many a second behind each worker's first, which builds
the models; two workers' rate over twice that of one. In an environment with parity[sweep].
"""

import argparse
import itertools
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.output import run, write
from parity.frontends.sweep import cluster
from parity.frontends.sweep.drive import Work, drive
from parity.frontends.sweep.results_file import Line, ResultsFile
from parity.frontends.sweep.units import Grid, Unit
from parity.frontends.sweep.work import work

HERE = "here"
DTYPES = ("float64", "float32")
ROUNDS = 3


def nothing(unit: Unit) -> Line:
    """A unit's result, without any work for it."""
    return {"unit": unit.number, "environment": unit.environment}


def grid(units: int, pair: str) -> Grid:
    """So many units of one check of a pair."""
    return Grid({pair: ("forward",)}, (0, units - 1), (HERE,), 25, DTYPES)


def times(units: int, pair: str, workers: int, of: Work, show: Callable[[int], None]) -> Iterator[float]:
    """When each result was written, of a sweep on so many workers."""
    came: list[float] = []
    with tempfile.TemporaryDirectory() as place, ResultsFile(Path(place) / "sweep.jsonl", grid(units, pair)) as file:

        def done(line: Line) -> None:
            file.add(line)
            came.append(time.perf_counter())
            show(len(came))

        with cluster.local({HERE: sys.executable}, workers) as client:
            drive(client, {HERE: grid(units, pair).units(HERE)}, of, done)
    yield from came


def queue(units: int) -> dict[str, float]:
    """Units a second that do nothing, and the peak memory of this process in MB."""

    def show(done: int) -> None:
        if done % max(1, units // 10) == 0:
            print(f"  {done:,} of {units:,}", file=sys.stderr, flush=True)

    came = list(times(units, "nothing", 2, nothing, show))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"units": units, "per_second": (units - 1) / (came[-1] - came[0]), "peak_mb": memory}


def _queue(units: int, pipe: Any) -> None:
    pipe.send(queue(units))


def apart(units: int) -> dict[str, float]:
    """`queue` in a process of its own, whose peak is no other's."""
    context = get_context("spawn")
    pipe, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_queue, args=(units, theirs))
    process.start()
    found: dict[str, float] = pipe.recv()
    process.join()
    return found


def rate(units: int, workers: int) -> float:
    """Forward checks a second, behind each worker's first."""
    came = list(times(units, "conv", workers, work, lambda done: None))
    return (units - workers) / (came[-1] - came[workers - 1])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=20_000, help="units that do nothing; 20,000 by default")
    parser.add_argument("--work", type=int, default=40, help="forward checks of each run; 40 by default")
    parser.add_argument("--json", type=Path, help="also write the figures as JSON")
    args = parser.parse_args()
    figures: dict[str, Any] = {"queue": [], "rates": {1: [], 2: []}}
    for units in (args.units // 10, args.units):
        found = apart(units)
        figures["queue"].append(found)
        print(
            f"{units:>9,} units that do nothing: {found['per_second']:,.0f} a second, peak {found['peak_mb']:,.0f} MB"
        )
    if args.work:
        for _, workers in itertools.product(range(ROUNDS), (1, 2)):
            figures["rates"][workers].append(rate(args.work, workers))
            print(f"conv, forward, {workers} worker{'s' * (workers > 1)}: {figures['rates'][workers][-1]:.2f} a second")
        one, two = (statistics.median(figures["rates"][workers]) for workers in (1, 2))
        figures["of_ideal"] = two / (2 * one)
        print(f"two workers: {100 * figures['of_ideal']:.0f} % of twice one (medians of {ROUNDS})")
    write(figures, args.json)


if __name__ == "__main__":
    from benchmarks import sweep  # under a name by which the workers find it

    run(sweep.main)
