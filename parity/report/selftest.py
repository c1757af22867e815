"""A self-test's document as text for a terminal: a line a family, what others find of it, and every miss by name."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

COLUMNS = {
    "faults": "faults",
    "detected": "detected",
    "check": "right check",
    "place": "right place",
    "cause": "right cause",
}
# The rules of `selftest.other_tools`: so that a figure of parity's has something beside it.
PEOPLE = "what people do today: the same on one random batch without padding, float32 logits and loss"


def show(document: dict[str, Any], console: Console) -> None:
    """Both tables, what went wrong, and the verdict last.

    A fault that is missed is red; one that is detected with another place, cause or check than it should is yellow.
    """
    if document["families"]:
        console.print(_families(document["families"]))
        console.print()
    console.print(_benign(document["benign"]), soft_wrap=True)
    console.print()
    console.print(Text(PEOPLE, style="dim"), soft_wrap=True)
    console.print(_people(document))
    missed = [entry for entry in document["faults"] if entry["told"]]
    wrong = [entry for entry in document["benigns"] if entry["check"]]
    if missed or wrong:
        console.print()
    for entry in missed:
        style = "yellow" if entry["found"]["check"] else "bold red"
        console.print(Text(f"{entry['family']}: {entry['name']}: {entry['told']}", style=style), soft_wrap=True)
    for entry in wrong:
        text = f"benign: {entry['name']} ({entry['pair']}): {entry['check']} fails; {entry['told']}".rstrip("; ")
        console.print(Text(text, style="bold red"), soft_wrap=True)
    console.print()
    console.print(last_line(document), soft_wrap=True)


def last_line(document: dict[str, Any]) -> Text:
    """The verdict in one line."""
    faults, benign = document["faults"], document["benign"]
    detected = sum(bool(entry["found"]["check"]) for entry in faults)
    text = f"{detected} of {len(faults)} faults detected, " if faults else ""
    quiet = f"{benign['flagged']} of {benign['twins'] + benign['clean']} equivalent mutants and clean pairs flagged"
    holds = "the self-test passed" if document["holds"] else "the self-test failed"
    return Text(f"{holds}: {text}{quiet}", style="bold green" if document["holds"] else "bold red")


def _families(families: dict[str, dict[str, int]]) -> Table:
    """A row for each family of faults, how many of them were found and explained, and the total with percentages."""
    table = _table("family", *COLUMNS.values())
    for family, row in families.items():
        table.add_row(family, *(str(row[column]) for column in COLUMNS))
    if len(families) > 1:
        total = {column: sum(row[column] for row in families.values()) for column in COLUMNS}
        table.add_row("total", *(str(count) for count in total.values()), style="bold")
        shares = [f"{100 * count / total['faults']:.1f}%" for column, count in total.items() if column != "faults"]
        table.add_row("", "", *shares, style="bold")
    return table


def _benign(benign: dict[str, int]) -> Text:
    """How many harmless differences were flagged, `twins` being those planted and `clean` the pairs as they are."""
    text = (
        f"false alarms: {benign['flagged']} of {benign['twins']} equivalent mutants and {benign['clean']} clean pairs"
    )
    return Text(text, style="bold red" if benign["flagged"] else "green")


def _people(document: dict[str, Any]) -> Table:
    """A row for each rule of other tools: the faults that it finds, and the equal pairs that it calls different."""
    table = _table("rule", "detected", "of", "false alarms", "of")
    benign = document["benign"]["twins"] + document["benign"]["clean"]
    for rule, row in document["people"].items():
        counts = row["detected"], len(document["faults"]), row["flagged"], benign
        table.add_row(rule, *map(str, counts))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
