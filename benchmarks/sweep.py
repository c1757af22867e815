"""What a sweep's queue takes, and what a second worker brings: `python -m benchmarks.sweep [--units N] [--json FILE]`.

The queue: units that do nothing, on two workers: how many a second, and at each tenth of them the peak memory of the
process that gives them out, which must not grow with their number. A second worker: forward checks of the reference
pair conv on one worker and on two, in turns, how many a second behind each worker's first, which builds the models;
two workers' rate over twice that of one. In an environment with parity[sweep].
"""

import argparse
import itertools
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
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
FLEET = 100
MARK = "<!-- figures: python -m benchmarks.sweep --page writes from here -->"


def nothing(unit: Unit) -> Line:
    """A unit's result, without any work for it."""
    return {"unit": unit.number, "environment": unit.environment}


def grid(units: int, pair: str) -> Grid:
    """So many units of one check of a pair."""
    return Grid({pair: ("forward",)}, (0, units - 1), (HERE,), 25, DTYPES)


def swept(units: int, pair: str, workers: int, of: Work, came: Callable[[Line], None]) -> None:
    """Do so many units on so many workers; `came` is given each result, once it is written."""
    with tempfile.TemporaryDirectory() as place, ResultsFile(Path(place) / "sweep.jsonl", grid(units, pair)) as file:

        def done(line: Line) -> None:
            file.add(line)
            came(line)

        with cluster.local({HERE: sys.executable}, workers) as client:
            drive(client, {HERE: grid(units, pair).units(HERE)}, of, done)


def queue(units: int) -> list[dict[str, float]]:
    """Units that do nothing: at each tenth how many, how many a second, and the peak memory of this process in MB."""
    figures: list[dict[str, float]] = []
    done, begun = 0, 0.0

    def came(_: Line) -> None:
        nonlocal done, begun
        done += 1
        if done == 1:
            begun = time.perf_counter()
        if done % (units // 10) == 0:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rate = (done - 1) / (time.perf_counter() - begun)
            figures.append({"units": done, "per_second": rate, "peak_mb": memory})
            print(f"{done:>9,} units that do nothing: {rate:,.0f} a second, peak {memory:,.0f} MB", flush=True)

    swept(units, "nothing", 2, nothing, came)
    return figures


def timed(unit: Unit) -> Line:
    """As `work`, with the CPU time that it took, and that of the worker up to its end."""
    begun = time.process_time()
    result = work(unit)
    ended = time.process_time()
    return result | {"worker": os.getpid(), "cpu": ended - begun, "ended": ended}


def rates(units: int, workers: int) -> tuple[float, float]:
    """Forward checks a second, behind each worker's first; and their share of all CPU time.

    The latter is the same beside other work on the machine: what is left of the ideal where all processors are full.
    """
    came: list[tuple[float, float, Line]] = []
    swept(units, "conv", workers, timed, lambda line: came.append((time.perf_counter(), time.process_time(), line)))
    (begun, before, _), (ended, after, _) = came[workers - 1], came[-1]
    useful = taken = 0.0
    for worker in {line["worker"] for *_, line in came}:
        [first, *others] = [line for *_, line in came if line["worker"] == worker]
        useful += sum(line["cpu"] for line in others)
        taken += max(line["ended"] for line in (first, *others)) - first["ended"]
    return (units - workers) / (ended - begun), useful / (taken + after - before)


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown: the queue at a tenth, a half and the end, and the shares of the workers."""
    lines = ["| units that do nothing | a second | peak of the process that gives them out |", "| --- | --- | --- |"]
    queue = figures["queue"]
    shown = (queue[0], queue[len(queue) // 2 - 1], queue[-1])
    lines += [f"| {of['units']:,} | {of['per_second']:,.0f} | {of['peak_mb']:,.0f} MB |" for of in shown]
    lines += ["", "| forward checks of conv on | a second | share of the CPU time |", "| --- | --- | --- |"]
    for workers, runs in figures["rates"].items():
        rate, share = (statistics.median(run[name] for run in runs) for name in ("per_second", "of_cpu"))
        lines.append(f"| {workers} worker{'s' * (int(workers) > 1)} | {rate:.2f} | {100 * share:.0f} % |")
    unit = FLEET / queue[-1]["per_second"]
    busy = f"At that rate the queue keeps {FLEET} workers busy with units that take {unit:.1f} s or longer."
    return "\n".join([*lines, "", busy])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=20_000, help="units that do nothing; 20,000 by default")
    parser.add_argument("--work", type=int, default=40, help="forward checks of each run; 40 by default")
    parser.add_argument("--json", type=Path, help="also write the figures as JSON")
    parser.add_argument("--page", type=Path, help="a Markdown page whose figures are written anew")
    args = parser.parse_args()
    figures: dict[str, Any] = {"queue": queue(args.units) if args.units else [], "rates": {1: [], 2: []}}
    if args.work:
        for _, workers in itertools.product(range(ROUNDS), (1, 2)):
            rate, share = rates(args.work, workers)
            figures["rates"][workers].append({"per_second": rate, "of_cpu": share})
            of = f"{rate:.2f} a second, {100 * share:.0f} % of the CPU time is theirs"
            print(f"conv, forward, {workers} worker{'s' * (workers > 1)}: {of}", flush=True)
        one, two = (statistics.median(of["per_second"] for of in figures["rates"][workers]) for workers in (1, 2))
        figures["of_ideal"] = two / (2 * one)
        print(f"two workers: {100 * figures['of_ideal']:.0f} % of twice one (medians of {ROUNDS})")
    write(figures, args.json)
    if args.page:
        head = args.page.read_text(encoding="utf-8").partition(MARK)[0]
        args.page.write_text(f"{head}{MARK}\n\n{table(figures)}\n", encoding="utf-8")


if __name__ == "__main__":
    from benchmarks import sweep  # under a name by which the workers find it

    run(sweep.main)
