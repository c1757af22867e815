"""What a sweep's queue takes, and what a second worker brings: `python -m benchmarks.sweep [--units N] [--json FILE]`.

The queue: units that do nothing, on two workers: how many a second, and at each tenth of them the peak memory of the
process that gives them out, which must not grow with their number; and how many a second where each is a task of
Dask's, as units that take long are. A second worker: forward checks of the reference pair conv on one worker and on
two, in turns, how many a second behind each worker's first, which builds the models; two workers' rate over twice that
of one. In an environment with parity[sweep].
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

from benchmarks.output import run as finish
from benchmarks.output import write
from parity.frontends.sweep import cluster
from parity.frontends.sweep import drive as driving
from parity.frontends.sweep.drive import Work, drive
from parity.frontends.sweep.results_file import Line, ResultsFile
from parity.frontends.sweep.units import Grid, Unit
from parity.frontends.sweep.work import work

HERE = "here"
DTYPES = ("float64", "float32")
ROUNDS = 3
FLEET, MILLION = 100, 1_000_000
ALONE = 5_000  # units that do nothing and are a task each
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
    """Units that do nothing: at each tenth how many, how many a second, and of this process the CPU time and the peak.

    The CPU time in milliseconds a unit, which other work on the machine does not change; the peak of memory in MB.
    """
    figures: list[dict[str, float]] = []
    done, begun, cpu = 0, 0.0, 0.0

    def came(_: Line) -> None:
        nonlocal done, begun, cpu
        done += 1
        if done == 1:
            begun, cpu = time.perf_counter(), time.process_time()
        if done % (units // 10) == 0:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rate = (done - 1) / (time.perf_counter() - begun)
            each = 1000 * (time.process_time() - cpu) / (done - 1)
            figures.append({"units": done, "per_second": rate, "cpu_ms": each, "peak_mb": memory})
            of = f"{rate:,.0f} a second, {each:.2f} ms of CPU time each, peak {memory:,.0f} MB"
            print(f"{done:>9,} units that do nothing: {of}", flush=True)

    swept(units, "nothing", 2, nothing, came)
    return figures


def tasks() -> dict[str, float]:
    """As `queue`, its last entry, of units that are a task each."""
    several, driving.MOST = driving.MOST, 1
    try:
        return queue(ALONE)[-1]
    finally:
        driving.MOST = several


def timed(unit: Unit) -> Line:
    """As `work`, with the worker, the CPU time that it took, that of the worker up to its end, and when it ran."""
    began, begun = time.time(), time.process_time()
    result = work(unit)
    ended = time.process_time()
    return result | {"worker": os.getpid(), "cpu": ended - begun, "spent": ended, "from": began, "to": time.time()}


def rates(units: int, workers: int) -> dict[str, float]:
    """Forward checks a second, once each worker has done its first; their share of all CPU time, and of the workers'.

    Both shares are the same beside other work on the machine: what is left of the ideal where all processors are full,
    and where workers that wait for units are all that costs. Times are the workers' own; one machine has one clock.
    """
    came: list[Line] = []
    swept(units, "conv", workers, timed, lambda line: came.append(line | {"given": time.process_time()}))
    of = [[line for line in came if line["worker"] == worker] for worker in {line["worker"] for line in came}]
    begun, ended = max(lines[0]["to"] for lines in of), max(line["to"] for line in came)
    # Of each unit the seconds behind `begun`, and their share of its own.
    later = [(line["to"] - max(begun, line["from"]), line["to"] - line["from"]) for line in came if line["to"] > begun]
    useful = sum(line["cpu"] for lines in of for line in lines[1:])
    taken = sum(lines[-1]["spent"] - lines[0]["spent"] for lines in of) + came[-1]["given"] - came[0]["given"]
    return {
        "per_second": sum(part / whole for part, whole in later) / (ended - begun),
        "of_cpu": useful / taken,
        "of_time": sum(part for part, _ in later) / (workers * (ended - begun)),
        "cpu": useful / (units - workers),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown: the queue at a tenth, a half and the end, and the shares of the workers."""
    lines = ["| units that do nothing | a second | CPU time of the process that gives them out | its peak |"]
    lines.append("| --- | --- | --- | --- |")
    queue, alone = figures["queue"], figures["tasks"]
    for of, what in ((queue[0], ""), (queue[len(queue) // 2 - 1], ""), (queue[-1], ""), (alone, ", a task each")):
        each = f"{of['per_second']:,.0f} | {of['cpu_ms']:.2f} ms each | {of['peak_mb']:,.0f} MB"
        lines.append(f"| {of['units']:,}{what} | {each} |")
    lines += ["", "| forward checks of conv on | a second | share of the CPU time | of the workers' time |"]
    lines.append("| --- | --- | --- | --- |")
    for workers, runs in figures["rates"].items():
        rate, cpu, busy = (statistics.median(run[name] for run in runs) for name in ("per_second", "of_cpu", "of_time"))
        shares = f"{100 * cpu:.0f} % | {100 * busy:.0f} %"
        lines.append(f"| {workers} worker{'s' * (int(workers) > 1)} | {rate:.3f} | {shares} |")
    share = f"{100 * figures['of_ideal']:.0f} %"
    lines += ["", f"Two workers do {share} of twice what one does (medians of {ROUNDS} runs)."]
    seconds = statistics.median(run["cpu"] for runs in figures["rates"].values() for run in runs)
    fleet = (
        f"One of these checks takes {seconds:.1f} s of CPU time: {MILLION:,} of them would take {FLEET} workers, a "
        f"processor each, {MILLION * seconds / FLEET / 3600:,.1f} hours. A task takes {alone['cpu_ms']:.2f} ms of CPU "
        f"time to give out: a process with a processor of its own keeps {FLEET} workers busy where units that are a "
        f"task each take {FLEET * alone['cpu_ms'] / 1000:.2f} s or longer."
    )
    return "\n".join([*lines, "", fleet])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=20_000, help="units that do nothing; 20,000 by default")
    parser.add_argument("--work", type=int, default=40, help="forward checks of each run; 40 by default")
    parser.add_argument("--json", type=Path, help="also write the figures as JSON")
    parser.add_argument("--page", type=Path, help="a Markdown page whose figures are written anew")
    args = parser.parse_args()
    figures: dict[str, Any] = {"queue": queue(args.units) if args.units else [], "rates": {1: [], 2: []}}
    figures["tasks"] = tasks() if args.units else None
    if args.work:
        for _, workers in itertools.product(range(ROUNDS), (1, 2)):
            run = rates(args.work, workers)
            figures["rates"][workers].append(run)
            shares = f"{100 * run['of_cpu']:.0f} % of the CPU time, {100 * run['of_time']:.0f} % of the workers' time"
            of = f"{run['per_second']:.3f} a second, {shares} is theirs"
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

    finish(sweep.main)
