"""A sweep's summary as text for a terminal, and what its page is made of. Nothing here decides anything."""

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

LEAST = 1e-6  # of the limit: where a bar begins
FLEET = 100  # workers of which the summary says how long they would take
NEAREST = 5  # lines of the nearest misses in a terminal; the page and --json have more
Document = Mapping[str, Any]


def first_line(grid: Any, done: int) -> str:
    """How much there is to do, of which `done` units are in the results already; `grid` is a `sweep.units.Grid`."""
    first, last = grid.seeds
    where = f"{len(grid.checks)} pair{'s' * (len(grid.checks) != 1)}, seeds {first}..{last}"
    text = f"{len(grid):,} units: {where}, {', '.join(grid.environments)}"
    return f"{text}; {done:,} are done" if done else text


def failure(line: Document) -> Text:
    """A unit that fails, on one line."""
    text = f"{line['pair']} {line['check']} seed {line['seed']} {line['environment']}: {line['headline']}"
    return Text(text, style="bold red")


def show(document: Document, console: Console) -> None:
    """How near to its limit each check came in each environment, and the nearest misses with their commands."""
    environments = document["sweep"]["environments"]
    table = Table("check", *environments, box=None, padding=(0, 2, 0, 0))
    for check, cells in document["table"].items():
        table.add_row(check, *(cell(cells.get(name)) for name in environments))
    console.print()
    console.print("largest difference, as a share of its limit", style="dim")
    console.print(table)
    if document["nearest"]:
        console.print()
        console.print("nearest misses", style="dim")
    for line in document["nearest"][:NEAREST]:
        console.print(f"{share(line['ratio'])}  {line['environment']}  {line['rerun']}", soft_wrap=True)
    console.print()
    console.print(fleet(document), soft_wrap=True)


def cell(of: Document | None) -> str:
    """What a check came to in one environment: its largest difference as a share of its limit, and failures.

    "-" where units ran and none had a limit.
    """
    if of is None or of["units"] == of["not_run"]:
        return "not run"
    text = share(of["ratio"]) if of["ratio"] is not None else "-"
    failed = of["failed"] + of["errors"]
    return f"{text}, {failed:,} of {of['units']:,} failed" if failed else text


def share(ratio: float) -> str:
    """A difference over its limit in words: a percentage below the limit, a factor above."""
    return f"{100 * ratio:.2g} %" if ratio < 1 else f"{ratio:.3g} x"


def width(ratio: float) -> float:
    """How much of a bar a share of the limit fills, in per cent: none at a millionth, all at the limit."""
    return 100 * min(1.0, max(0.0, 1 + math.log10(max(ratio, LEAST)) / -math.log10(LEAST)))


def fleet(document: Document) -> str:
    """How long workers would take, from what the units took: never less than the longest unit."""
    many = max(document["seconds"] / FLEET, document["longest"])
    spent = f"{duration(document['seconds'])} for {document['units']:,} units"
    return f"worker time: {spent}; {FLEET} workers: {duration(many)}"


def duration(seconds: float) -> str:
    """A time in seconds in the units in which one says it."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def last_line(document: Document) -> Text:
    """The verdict in one line."""
    count = f"{document['units']:,} of {document['planned']:,} units"
    if document["holds"]:
        return Text(f"the sweep passed: {count}", style="bold green")
    parts = [
        f"{document[key]:,} {word}"
        for key, word in (("failed", "failed"), ("errors", "ended in an error"))
        if document[key]
    ]
    return Text(f"the sweep failed: {count}; {', '.join(parts) or 'nothing was compared'}", style="bold red")
