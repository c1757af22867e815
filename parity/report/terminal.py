"""A Report as text for a terminal. Nothing here decides anything."""

from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.checks.results import FOLLOWING, Outcome, Report, reasons
from parity.dtypes import PRECISIONS
from parity.report import plain

MATRIX = "apart: the sides' largest difference; ratio: the noisier side's error against float64 over the other's"
KNOWN = "divergences of the frameworks themselves, all of which still occur; --json has the cause and link of each"
KNOWN_ONE = "divergence of the frameworks themselves, which still occurs; --json has its cause and link"
WEAKER = "float64 on one side only, less sensitive"
WEIGHTS = {
    "drawn": "drawn weights, not the builders'",
    "converted": "weights that the builders loaded, and drawn ones",
    "given": "the models' own weights; none are drawn",
}
STYLES = {"identical": "green", "rounding": "green", "unstable": "yellow", "different": "red", "error": "bold red"}
ALL = "--all runs them"
# A row is printed before the next check has begun: its columns cannot be as wide as what comes later needs.
COLUMNS = ("check", "verdict", "examples", "elements", "difference", "limit", "largest difference in")
WIDTHS = (12, 14, 8, 14, 11, 9)  # of all columns but the last


class Printed:
    """A report as it comes about: each check's row when it ends, and all of a finding as soon as it is known."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begun(self, report: Report) -> None:
        """What the report is about, and the head of its rows."""
        for line in _heading(report):
            self._print(line)
        self._print(Text(_columns(COLUMNS), style="dim"))

    def ended(self, check: Outcome) -> None:
        """A check's row."""
        self._print(_row(check, self._console.width))

    def settled(self, check: Outcome) -> None:
        """All of what a check found, in a paragraph of its own."""
        if text := check.text():
            headline, _, details = text.partition("\n")
            self._print(Text(f"{check.name}: {headline}", style="bold red"))
            self._print(Text(details))

    def rows(self, report: Report) -> None:
        """All but the conclusion, of a report that is there."""
        self.begun(report)
        for check in report.checks:
            self.ended(check)
            self.settled(check)

    def concluded(self, report: Report, durations: bool = False) -> None:
        """What is known of all checks together, and the verdict last."""
        for paragraph in _notes(report):
            self._print(paragraph)
        if durations:
            for check in sorted(report.checks, key=lambda check: -check.seconds):
                self._print(Text(f"{check.seconds:8.2f} s  {check.name}", style="dim"))
        self._print(last_line(report))

    def _print(self, text: Text | Table | str) -> None:
        self._console.print(text, soft_wrap=not isinstance(text, Table))


def show(report: Report, console: Console) -> None:
    """The whole report: environment, one line a check, every finding, and the verdict last."""
    printed = Printed(console)
    printed.rows(report)
    printed.concluded(report)


def lines(report: Report) -> list[str]:
    """The same as plain text."""
    return plain.lines(partial(show, report))


def _notes(report: Report) -> Iterator[Text | Table | str]:
    """What a reader has to know of the rows above: what was not run, what is weaker or known.

    The matrix of precisions is there where more than float64 and float32 were asked for.
    """
    for why, names in reasons(report.not_run):
        yield Text(f"not run, {why}: {', '.join(names)}" + (f" ({ALL})" if why == FOLLOWING else ""), style="yellow")
    if report.left_out:
        yield Text(f"skipped: {', '.join(report.left_out)}, which this pair cannot be asked", style="dim")
    if report.weaker:
        yield Text(f"(3): {WEAKER}: {report.weaker}", style="yellow")
    if any(dtype not in PRECISIONS for check in report.checks for dtype in check.rows):
        yield ""
        yield _matrix(report.checks, list(report.sides))
        yield Text(MATRIX, style="dim")
    for check in report.checks:
        if check.nonfinite:
            text = f"{check.name}: {check.nonfinite:,} places hold the same NaN or infinity on both sides"
            yield Text(text, style="yellow")
        if check.ties:
            text = f"{check.name}: {check.ties:,} ties, choices between logits that only rounding tells apart"
            yield Text(text, style="yellow")
    if known := {(of.side, of.name) for check in report.checks for of in check.known}:
        yield Text(f"known: {len(known)} {KNOWN if len(known) > 1 else KNOWN_ONE}", style="dim")
    for place, line in enumerate(report.not_exercised):
        yield Text(f"{'not exercised:' if not place else '':14} {line}", style="yellow")


def last_line(report: Report) -> Text:
    """The verdict in one line: PASS, FAIL, or ERROR where nothing failed and not everything could be checked."""
    if report.holds:
        elements = sum(check.elements for check in report.checks)
        ran, every = len(report.checks), len(report.checks) + len(report.not_run)
        some = f"{ran} check{'s' * (ran != 1)}" if ran == every else f"{ran} of {every} checks were run"
        text = f"PASS: models match: {some}, {elements:,} elements compared"
        if report.weaker:
            return Text(f"{text} ({WEAKER})", style="bold yellow")
        return Text(text, style="bold green")
    errors = [check.name for check in report.failed if check.error]
    failed = [check.name for check in report.failed if check.findings or not check.error]
    parts = [f"{len(failed)} of {_counted(report)} failed: {', '.join(failed)}"] if failed else []
    parts += [f"{len(errors)} of {_counted(report)} ended in an error: {', '.join(errors)}"] if errors else []
    return Text(
        f"{'ERROR' if errors and not failed else 'FAIL'}: {'; '.join(parts) or 'no check was run'}", style="bold red"
    )


def _counted(report: Report) -> str:
    return f"{len(report.checks)} check{'s' * (len(report.checks) != 1)}"


def _heading(report: Report) -> Iterator[Text]:
    """The lines above the table: what was checked, with which versions, from which seed."""
    tokenizer, drawn = "", f"seed {report.seed}, {report.examples} examples per check"
    if report.tokenizer:
        tokenizer = f"{report.tokenizer['pieces']:,} pieces, sha256 {report.tokenizer['sha256'][:16]}"
    for label, value in (
        ("pair", Text.assemble((report.pair, "bold"), f": {drawn}, {WEIGHTS[report.weights]}")),
        ("sides", Text(", ".join(f"{side} ({backend})" for side, backend in report.named.items()))),
        ("versions", Text("  ".join(f"{name} {version}" for name, version in report.environment.items()))),
        ("tokenizer", Text(tokenizer)),
    ):
        if value.plain:
            yield Text.assemble((f"{label:<12}", "dim"), value)


def _columns(fields: Sequence[str]) -> str:
    """The fields of a row in their columns: words to the left, numbers to the right."""
    name, verdict, *numbers, last = fields
    cells = [f"{number:>{width}}" for number, width in zip(numbers, WIDTHS[2:], strict=True)]
    return f"{name:<{WIDTHS[0]}}{verdict:<{WIDTHS[1]}}{''.join(cells)}  {last}".rstrip()


def _row(check: Outcome, width: int) -> Text:
    """A check's line in the table, its verdict in colour, cut at the console's width."""
    worst = check.worst
    figures = "-", "-", "nothing compared"
    if worst is not None:
        difference, limit = (f"{number:.1e}" if number else "0" for number in (worst.figure, worst.limit))
        if worst.figure and not worst.limit:  # a count, which the headline tells
            difference = "unequal"
        # Where all is equal, no part of it has the largest difference.
        where = worst.subject if worst.figure else "none" if worst.limit else f"none: {worst.basis}"
        figures = difference, limit, where
    verdict = check.verdict + (" (3)" if check.weaker else "")
    row = Text(_columns((check.name, verdict, f"{check.examples:,}", f"{check.elements:,}", *figures)))
    row.stylize(STYLES[check.verdict], WIDTHS[0], WIDTHS[0] + len(verdict))
    row.truncate(width, overflow="ellipsis")
    return row


def _matrix(checks: list[Outcome], sides: Sequence[str]) -> Table:
    """Every check in every precision: the worst word, how far apart, and the ratio of the sides' errors."""
    dtypes = list(dict.fromkeys(dtype for check in checks for dtype in check.rows))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("check", "precision", "verdict"):
        table.add_column(name, no_wrap=True, min_width=9)
    for name in ("apart", *sides, "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for check in checks:
        for dtype in dtypes:
            if dtype in check.rows:
                row = check.rows[dtype]
                errors = (  # float64 is what the others' errors are measured against
                    ("-", "-", "-") if dtype == "float64" else (*(f"{e:.1e}" for e in row.errors), f"{row.ratio:.3g}")
                )
                word = Text(row.word, style=STYLES[row.word])
                table.add_row(check.name if dtype == dtypes[0] else "", dtype, word, f"{row.apart:.1e}", *errors)
    return table
