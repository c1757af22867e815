"""What two files of arrays come to, as text for a terminal and as JSON. Nothing here decides anything."""

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from parity.compare.judge import Verdict
from parity.dtypes import number
from parity.pair.comparison import Comparison
from parity.report.document import SCHEMA

SHOWN = 2  # arrays that differ, in full
STYLES = {"identical": "green", "rounding": "green", "undecided": "yellow", "unstable": "yellow", "different": "red"}


def show(comparison: Comparison, sides: Sequence[str], console: Console, quiet: bool) -> None:
    """A line for each array, what differs, and the verdict last; `sides` are the names of both files.

    The first `SHOWN` arrays that differ are told in full: of a whole checkpoint all differ by one mistake, as a rule.
    """
    style = STYLES[comparison.word]
    if not quiet:
        width = max((len(name) for name in comparison), default=0)
        for name, verdict in comparison.items():
            line = f"{name:<{width}}  {verdict.word:<10} {verdict.elements:>14,} elements{_figure(verdict)}"
            console.print(Text(line, style=STYLES[verdict.word]), soft_wrap=True)
        messages = [verdict.message for verdict in comparison.values() if verdict.message]
        for message in messages[:SHOWN]:
            console.print()
            console.print(Text(message), soft_wrap=True)
        if len(messages) > SHOWN:
            console.print(Text(f"\nand {len(messages) - SHOWN} more, which --json has"), soft_wrap=True)
        console.print()
    count = f"{len(comparison)} array{'s' * (len(comparison) != 1)}"
    console.print(
        Text(f"{comparison.summary()}: {sides[0]} and {sides[1]}, {count}", style=f"bold {style}"), soft_wrap=True
    )


def _figure(verdict: Verdict) -> str:
    """The difference, where there is a number for it; of arrays that have to be equal bits, how many are not."""
    if verdict.limit:
        return f"  max |diff| {verdict.figure:.1e}  limit {verdict.limit:.1e}"
    return f"  {verdict.figure:,.0f} mismatched" if 0 < verdict.figure < inf else ""


def document(comparison: Comparison, files: Sequence[Path]) -> dict[str, Any]:
    """What `parity compare` writes as JSON: a verdict an array; `files` are the two that were compared."""
    arrays = [
        {
            "name": name,
            "verdict": verdict.word,
            "elements": verdict.elements,
            "difference": number(verdict.figure),
            "limit": number(verdict.limit),
            "basis": verdict.basis,
            "message": verdict.message,
        }
        for name, verdict in comparison.items()
    ]
    return {"schema": SCHEMA, "holds": comparison.holds, "files": list(map(str, files)), "arrays": arrays}
