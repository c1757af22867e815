"""`parity sweep`: many seeds of many checks, in several environments, on all workers that there are."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parity.backends.workers import cores
from parity.errors import DIGITS, ParityError
from parity.frontends.cli.console import Output, Whole, err, interruptible, out, output
from parity.frontends.cli.progress import progress
from parity.frontends.config import Config, load
from parity.frontends.targets import resolve

if TYPE_CHECKING:
    from parity.frontends.sweep.results_file import Line, ResultsFile
    from parity.frontends.sweep.units import Grid

EPILOG = """
Exit status: 0 all units pass, 1 one fails, 2 wrong usage, 3 an error in a unit.

\b
Examples:
  parity sweep acme.models:pair --seeds 0..99
  parity sweep lstm gru --seeds 0..9 --env tf219=v219/bin/python --env tf221=v221/bin/python
  parity sweep acme.models:pair --seeds 0..9999 --scheduler tcp://10.0.0.1:8786
"""
HERE = "here"  # the environment that is there without --env: this interpreter
MINUTE = 60.0  # seconds between two lines of a log


class Seeds(click.ParamType[tuple[int, int]]):
    """A range of seeds, A..B, both among them."""

    name = "seeds"

    def convert(self, value: Any, *context: Any) -> tuple[int, int]:
        """Read A..B, or refuse it."""
        if isinstance(value, tuple):
            return value
        first, dots, last = str(value).partition("..")
        if not (dots and first.isdigit() and last.isdigit() and max(len(first), len(last)) <= DIGITS):
            self.fail(f"{value} should be A..B, such as 0..99", *context)
        if int(first) > int(last):
            self.fail(f"{value} holds no seed", *context)
        return int(first), int(last)


@click.command(epilog=EPILOG)
@click.argument("pairs", metavar="[PAIR]...", nargs=-1)
@click.option("--seeds", type=Seeds(), default=(0, 9), metavar="A..B", help="Seeds from A to B; 0..9 by default.")
@click.option("--examples", type=Whole(min=1), metavar="N", help="Examples per check; 25 by default.")
@click.option("--dtypes", metavar="LIST", help="Precisions; float64,float32 by default, also bfloat16,float16.")
@click.option("--check", "checks", multiple=True, metavar="NAME", help="Run this check only; may be given again.")
@click.option("--env", "named", multiple=True, metavar="NAME=PYTHON", help="An environment's interpreter; several.")
@click.option("--workers", type=Whole(min=1), metavar="N", help="Workers here; one a core by default.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask cluster that runs already, in place of workers here.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("sweep.jsonl"),
    metavar="FILE",
    help="The results as JSON lines, as they come; sweep.jsonl by default. The same command continues after them.",
)
@output("the summary")
def sweep(
    pairs: tuple[str, ...],
    seeds: tuple[int, int],
    named: tuple[str, ...],
    workers: int | None,
    scheduler: str | None,
    results: Path,
    output: Output,
    **options: Any,
) -> int:
    """Run the checks of each PAIR at many seeds.

    A unit is one check of one pair at one seed in one environment. Half of its examples are steered toward the limit.
    What a killed sweep has written stands: the same command does the rest.
    """
    from parity.frontends.sweep import cluster, summary
    from parity.frontends.sweep.results_file import ResultsFile
    from parity.report import html
    from parity.report import sweep as report

    cluster.imported()  # Dask is an extra: without it all else would be for nothing
    python = cluster.interpreters(named) or {HERE: sys.executable}
    if scheduler and workers:
        raise ParityError("--scheduler has workers of its own; leave out --workers")
    grid = _grid(pairs, seeds, tuple(python), options)
    with ResultsFile(results, grid) as file:
        if not output.quiet:
            out.print(report.first_line(grid, file.count), soft_wrap=True)
        if file.count < len(grid):
            _run(grid, file, python, scheduler, workers or cores(), output.quiet)
    document = summary.document(results, grid)
    output.write(document, html.swept)
    if not output.quiet:
        report.show(document, out)
    out.print(report.last_line(document), soft_wrap=True)
    return summary.status(document)


def _grid(
    pairs: tuple[str, ...], seeds: tuple[int, int], environments: tuple[str, ...], options: Mapping[str, Any]
) -> "Grid":
    """What is swept. Raises ParityError for a pair that there is not, and a check that a pair has not."""
    from parity.checks import chosen, known, name_of
    from parity.dtypes import precisions
    from parity.frontends.sweep.units import Grid

    known(options["checks"])
    dtypes = options["dtypes"] and tuple(options["dtypes"].split(","))
    config: Config = load().but(pairs=pairs, dtypes=dtypes, examples=options["examples"])
    subjects = {target: resolve(target, config.directory) for target in config.pairs}
    checks = {target: [*map(name_of, chosen(pair, options["checks"]))] for target, pair in subjects.items()}
    return Grid(checks, seeds, environments, config.examples, precisions(config.dtypes))


def _run(
    grid: "Grid", file: "ResultsFile", python: Mapping[str, str], scheduler: str | None, workers: int, quiet: bool
) -> None:
    """Do what is left, here, one environment after another, or on a cluster, all at once."""
    from parity.frontends.sweep import cluster
    from parity.frontends.sweep.drive import drive
    from parity.frontends.sweep.work import work

    # Generators, since a sweep may have more units than there is memory for: Dask is given a few at a time.
    left = {name: (unit for unit in grid.units(name) if not file.has(unit.number)) for name in grid.environments}
    with _shown(len(grid), file.count, quiet) as tick:

        def done(line: "Line") -> None:
            file.add(line)
            tick(line)

        if scheduler:
            with cluster.joined(scheduler, grid.environments) as client:
                _dashboard(client, quiet)
                drive(client, left, work, done)
            return
        for name, units in left.items():
            with cluster.local({name: python[name]}, workers) as client:
                _dashboard(client, quiet)
                drive(client, {name: units}, work, done)


def _dashboard(client: Any, quiet: bool) -> None:
    """Say where Dask draws what its workers do; it does where bokeh is installed."""
    if client.dashboard_link and not quiet:
        out.print(f"live: {client.dashboard_link}", soft_wrap=True)


@contextmanager
def _shown(total: int, count: int, quiet: bool) -> Iterator[Callable[["Line"], None]]:
    """Give what is called with each result: it moves a bar, prints a failure at once, and without a terminal a line a
    minute. `count` units are done already.
    """
    from parity.frontends.sweep.summary import fails
    from parity.report import sweep as report

    done, failures, last = count, 0, time.monotonic()
    with progress(err, total) as bar:
        bar.progress.update(bar.task, completed=count)

        def tick(line: "Line") -> None:
            nonlocal done, failures, last
            done, failures = done + 1, failures + fails(line)
            bar(line["check"])
            if fails(line) and not quiet:
                with bar.aside():
                    out.print(report.failure(line), soft_wrap=True)
            if not quiet and not err.is_terminal and time.monotonic() - last > MINUTE:
                last = time.monotonic()
                out.print(f"{done:,} of {total:,} units, {failures:,} failed", soft_wrap=True)

        yield interruptible(tick)
