"""`parity check`: every check on each pair."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from parity.frontends.cli import files
from parity.frontends.cli.console import Output, Whole, err, out, output
from parity.frontends.cli.several import Several
from parity.frontends.cli.several import run as several
from parity.frontends.config import Config, load
from parity.frontends.targets import resolve

if TYPE_CHECKING:
    from parity.api import Asked, Watch
    from parity.checks.results import Report
    from parity.pair.pair import Pair
    from parity.report.terminal import Printed

EPILOG = """
Exit status: 0 all checks pass, 1 one fails, 2 wrong usage, 3 an error in a check.

\b
Examples:
  parity check acme.models:pair
  parity check acme.models:pair --check forward -x
  parity check acme.models:pair --html report.html
  parity check acme.models:pair --onnx acme.onnx
"""


def jobs_option(what: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a verb an option `--jobs`, a number from 1 on: how many processes work side by side, and at `what`."""
    message = f"How many {what} at once, each in a process of its own; 1 by default."
    return click.option("--jobs", type=Whole(min=1), default=1, metavar="N", help=message)


def _saving(_: click.Context, __: click.Parameter, wanted: bool) -> bool:
    """Save memory from before any framework is imported: TensorFlow reads its part of it then.

    A callback of the option, which runs while the command line is read. Returns what it was given.
    """
    from parity.pair import memory

    if wanted:
        memory.save()
    return wanted


@click.command(epilog=EPILOG)
@click.argument("pairs", metavar="[PAIR]...", nargs=-1)
@click.option("--seed", type=Whole(min=0), metavar="N", help="Random seed; 0 by default.")
@click.option("--examples", type=Whole(min=1), metavar="N", help="Examples per check; 25 by default.")
@click.option("--dtypes", metavar="LIST", help="Precisions; float64,float32 by default, also bfloat16,float16.")
@click.option("--check", "checks", multiple=True, metavar="NAME", help="Run this check only; may be given again.")
@click.option("-x", "--fail-fast", is_flag=True, help="End with the first check that fails.")
@click.option("--all", "run_all", is_flag=True, help="Run every check, also where forward has failed.")
@click.option(
    "--low-memory",
    is_flag=True,
    callback=_saving,
    help="Keep what is as large as the models in temporary files.",
)
@click.option("--steered", is_flag=True, help="Seek examples near the limit, from half of them on.")
@jobs_option("pairs, or checks of one pair,")
@click.option("--durations", is_flag=True, help="Also print how long each check took.")
@files.options
@output("the report")
def check(pairs: tuple[str, ...], output: Output, dtypes: str | None, durations: bool, jobs: int, **named: Any) -> int:
    """Check that both models of each PAIR compute the same.

    PAIR is module:attribute, or a reference name (lstm, gru, transformer, conv). Without one, those of [tool.parity] in
    pyproject.toml, which also sets seed, examples and dtypes, or else lstm.
    """
    from parity.api import Asked
    from parity.checks import known
    from parity.checks.results import status
    from parity.report import github, html, terminal
    from parity.report.document import documents

    # Whatever is wrong with the options is said first: building models takes a while.
    known(named["checks"])
    github.check(os.environ)
    filed = files.taken(named)
    wanted = {name: named.pop(name) for name in ("checks", "fail_fast", "run_all", "steered", "low_memory")}
    config = load().but(pairs=pairs, dtypes=dtypes and tuple(dtypes.split(",")), **named)
    subjects = resolved(config, filed)
    printed = None if output.quiet else terminal.Printed(out)
    asked = Asked(config.seed, config.examples, **wanted)
    apart = jobs > 1 and len(subjects) > 1

    def document(runs: "Several[tuple[str, Report]]") -> dict[str, Any]:
        return documents([report for _, report in runs.results], runs.unchecked)

    def conclude(result: "tuple[str, Report]") -> None:
        if printed is None:
            name = f"{result[0]}: " if len(subjects) > 1 else ""
            out.print(name, terminal.last_line(result[1]), sep="", soft_wrap=True)
        else:
            if apart:  # its own process prints nothing, so that the rows of several pairs do not mix
                printed.rows(result[1])
            printed.concluded(result[1], durations)

    alone = partial(checked, asked, config, subjects, printed, run=_spread(config, filed, jobs) if jobs > 1 else None)
    work = partial(_apart, asked, config) if apart else alone
    runs = several(list(subjects), work, lambda runs: output.write(document(runs), html.checked), conclude, jobs)
    github.tell(document(runs), os.environ, lambda line: out.print(line, soft_wrap=True))
    runs.settle()
    return status([report for _, report in runs.results])


def resolved(config: Config, filed: "Mapping[str, str]") -> "Mapping[str, Pair]":
    """The pairs by what they are called on the command line, `filed` in the place of sides.

    Raises ParityError for one that cannot be imported, or is none.
    """
    return files.put({target: resolve(target, config.directory) for target in config.pairs}, filed)


def checked(
    asked: "Asked",
    config: Config,
    subjects: "Mapping[str, Pair]",
    printed: "Printed | None",
    target: str,
    run: "Callable[[Pair, Sequence[str], Asked, Watch], Report] | None" = None,
) -> "tuple[str, Report]":
    """One pair and its report, printed row by row, in this process unless `run` does it otherwise.

    Raises ParityError as `api.check`.
    """
    from parity import api
    from parity.checks import chosen
    from parity.checks.runner import count
    from parity.frontends.cli.progress import progress
    from parity.frontends.cli.rows import Rows

    pair = subjects[target]
    with progress(err, sum(count(module, config.examples) for module in chosen(pair, asked.checks))) as bar:
        return target, (run or api.run)(pair, config.dtypes, replace(asked, target=target), Rows(bar, printed))


def _spread(config: Config, filed: "Mapping[str, str]", jobs: int) -> "Callable[..., Report]":
    """What runs a pair's checks in so many processes, each of which resolves it again: models do not cross over."""
    from parity.frontends.cli import spread

    return partial(spread.run, subjects=partial(resolved, config, filed), jobs=jobs)


def _apart(asked: "Asked", config: Config, target: str) -> "tuple[str, Report]":
    """One pair in a process of its own, which prints nothing."""
    from parity.api import Watch, run

    return target, run(resolve(target, config.directory), config.dtypes, replace(asked, target=target), Watch())
