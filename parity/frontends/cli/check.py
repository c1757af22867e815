"""`parity check`: every check on each pair."""

import os
from typing import Any

import click

from parity.frontends.cli.console import Output, Whole, err, interruptible, out, output
from parity.frontends.cli.several import Several
from parity.frontends.cli.several import run as several
from parity.frontends.config import load
from parity.frontends.targets import resolve


@click.command()
@click.argument("pairs", metavar="[PAIR]...", nargs=-1)
@click.option("--seed", type=Whole(min=0), show_default="0", help="What all examples are drawn from.")
@click.option("--examples", type=Whole(min=1), show_default="25", help="Examples of each check.")
@click.option("--dtypes", show_default="float64,float32", help="Also bfloat16 and float16, if named.")
@output("the report")
def check(pairs: tuple[str, ...], output: Output, dtypes: str | None, **given: int | None) -> int:
    """Run every check on each PAIR: a reference name (lstm, gru, transformer, conv), or module:attribute for your own.

    Without a PAIR, on lstm. [tool.parity] in pyproject.toml sets other pairs, seed, examples and dtypes.
    """
    from parity.api import check as run
    from parity.checks import checks_of
    from parity.checks.runner import count
    from parity.frontends.cli.progress import progress
    from parity.report import github, html, terminal
    from parity.report.document import documents
    from parity.results import Report, status

    github.check(os.environ)
    config = load().but(pairs=pairs, dtypes=dtypes and tuple(dtypes.split(",")), **given)
    subjects = {target: resolve(target, config.directory) for target in config.pairs}
    drawn: dict[str, Any] = {"seed": config.seed, "examples": config.examples, "dtypes": config.dtypes}

    def checked(target: str) -> tuple[str, Report]:
        with progress(err, sum(count(module, config.examples) for module in checks_of(subjects[target]))) as tick:
            return target, run(subjects[target], **drawn, target=target, tick=interruptible(tick))

    def document(runs: Several[tuple[str, Report]]) -> dict[str, Any]:
        return documents([report for _, report in runs.results], runs.unchecked)

    def show(result: tuple[str, Report]) -> None:
        if output.quiet:
            name = f"{result[0]}: " if len(subjects) > 1 else ""
            out.print(name, terminal.last_line(result[1]), sep="", soft_wrap=True)
        else:
            terminal.show(result[1], out)

    runs = several(list(subjects), checked, lambda runs: output.write(document(runs), html.checked), show)
    github.tell(document(runs), os.environ, lambda line: out.print(line, soft_wrap=True))
    runs.settle()
    return status([report for _, report in runs.results])
