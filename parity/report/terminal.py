"""A Report as text for a terminal. Nothing here decides anything."""

from textwrap import indent

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.backends import SIDES
from parity.compare.judge import FLOOR
from parity.dtypes import PRECISIONS
from parity.results import Outcome, Report

LIMIT = (
    f"limit: what rounding explains, {FLOOR:g} * eps64 * the largest magnitude, or {FLOOR:g} * 2^-29 * the "
    "float32 noise; 0: equal bits"
)
MATRIX = "apart: the sides' largest difference; ratio: the noisier side's error against float64 over the other's"
KNOWN = "divergences of the frameworks themselves, all of which still occur; --json tells cause and link of each"
WEAKER = "three corners, the weaker verdict"
STYLES = {"identical": "green", "rounding": "green", "unstable": "yellow", "different": "red", "error": "bold red"}


def show(report: Report, console: Console) -> None:
    """The whole report: environment, one line a check, every finding, and the verdict last."""
    console.print(_heading(report))
    console.print()
    console.print(_table(report.checks))
    console.print(Text(LIMIT, style="dim"), soft_wrap=True)
    if any(dtype not in PRECISIONS for check in report.checks for dtype in check.rows):
        console.print()
        console.print(_matrix(report.checks))
        console.print(Text(MATRIX, style="dim"), soft_wrap=True)
    for check in report.checks:
        if check.nonfinite:
            told = f"{check.name}: {check.nonfinite:,} places hold the same NaN or infinity on both sides"
            console.print(Text(told, style="yellow"), soft_wrap=True)
        if check.known:
            console.print(Text(f"known: {len(check.known)} {KNOWN}", style="dim"), soft_wrap=True)
        if check.ties:
            told = f"{check.name}: {check.ties:,} ties, choices between logits that only rounding tells apart"
            console.print(Text(told, style="yellow"), soft_wrap=True)
    for place, line in enumerate(report.not_exercised):
        console.print(Text(f"{'not exercised:' if not place else '':14} {line}", style="yellow"), soft_wrap=True)
    for check in report.checks:
        for told in (*check.findings, *([check.error] if check.error else ())):
            console.print()
            console.print(Text(f"{check.name}: {check.claim}", style="bold red"), soft_wrap=True)
            console.print(Text(indent(told.text(), "  ")), soft_wrap=True)
    console.print()
    console.print(last_line(report), soft_wrap=True)


def last_line(report: Report) -> Text:
    """The verdict in one line."""
    if report.holds:
        elements = sum(check.elements for check in report.checks)
        text = f"parity holds: {len(report.checks)} checks, {elements:,} elements compared"
        if report.weaker:
            return Text(f"{text}, by {WEAKER}", style="bold yellow")
        return Text(text, style="bold green")
    errors = [check.name for check in report.failed if check.error]
    failed = [check.name for check in report.failed if check.findings or not check.error]
    told = [f"parity does not hold: {', '.join(failed)}" if failed or not errors else "parity is not proved"]
    told += [f"ended in an error: {', '.join(errors)}"] if errors else []
    return Text("; ".join(told), style="bold red")


def _heading(report: Report) -> Table:
    grid = Table.grid(padding=(0, 2))
    versions = "  ".join(f"{name} {version}" for name, version in report.environment.items())
    tokenizer = "none"
    if report.tokenizer:
        tokenizer = f"{report.tokenizer['pieces']:,} pieces, sha256 {report.tokenizer['sha256'][:16]}"
    for label, value in (
        ("pair", Text(report.pair, style="bold")),
        ("versions", Text(versions)),
        ("tokenizer", Text(tokenizer)),
        ("drawn from", Text(f"seed {report.seed}, {report.examples} examples a check")),
        ("weights", Text("the models' own; none are drawn" if report.weights == "given" else "")),
        ("left out", Text(", ".join(report.left_out))),
    ):
        if not value.plain:
            continue
        grid.add_row(Text(label, style="dim"), value)
    if report.weaker:
        grid.add_row(Text("corners", style="dim"), Text(f"{WEAKER} (3): {report.weaker}", style="yellow"))
    return grid


def _table(checks: list[Outcome]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("check", "verdict"):
        table.add_column(name, no_wrap=True, min_width=9)
    for name in ("examples", "elements", "worst", "limit"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("worst in")
    for check in checks:
        worst = check.worst
        figure, limit, subject = (
            ("-", "-", "nothing compared")
            if worst is None
            else (
                f"{worst.figure:.1e}" if worst.figure else "0",
                f"{worst.limit:.1e}" if worst.limit else "0",
                worst.subject,
            )
        )
        table.add_row(
            check.name,
            Text(check.verdict + (" (3)" if check.weaker else ""), style=STYLES[check.verdict]),
            f"{check.examples:,}",
            f"{check.elements:,}",
            figure,
            limit,
            Text(subject, overflow="ellipsis", no_wrap=True),
        )
    return table


def _matrix(checks: list[Outcome]) -> Table:
    """Every check in every precision: the worst word, how far apart, and the ratio of the sides' errors."""
    dtypes = list(dict.fromkeys(dtype for check in checks for dtype in check.rows))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("check", "precision", "verdict"):
        table.add_column(name, no_wrap=True, min_width=9)
    for name in ("apart", *SIDES, "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for check in checks:
        for dtype in dtypes:
            if dtype in check.rows:
                row = check.rows[dtype]
                errors = (
                    ("-", "-", "-") if dtype == "float64" else (*(f"{e:.1e}" for e in row.errors), f"{row.ratio:.3g}")
                )
                word = Text(row.word, style=STYLES[row.word])
                table.add_row(check.name if dtype == dtypes[0] else "", dtype, word, f"{row.apart:.1e}", *errors)
    return table
