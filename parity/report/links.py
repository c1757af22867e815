"""A survey of a pair's links as text for a terminal, and as JSON. Nothing here decides anything."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.compare.messages import dims, few
from parity.pair.link_table import LinkTable, Twin
from parity.pair.twins import by_order

SCHEMA = 1
HOW = {"given": "links=", "name": "name", "shape": "shape", "flow": "flow", "order": "order"}


def show(survey: LinkTable, console: Console) -> None:
    """A line a parameter, what is unmatched, what is not proved, which settings differ, and the verdict last.

    Settings that differ speak against nothing here: they may be meant, and a check says whether they matter.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in (*survey.sides, "kind", "parameter", "shape", "variables", "found by"):
        table.add_column(name, overflow="fold")
    for twin in survey.twins:
        for row in _rows(twin, survey.sides):
            table.add_row(*row)
    console.print(table)
    for side, paths in survey.left_over.items():
        for path, parameters in paths.items():
            console.print(Text(f"unmatched: {side} {path} ({parameters})", style="bold red"), soft_wrap=True)
    if survey.unproved:
        console.print(Text(f"not verified: {by_order(survey.unproved)}", style="bold red"), soft_wrap=True)
    for text in _settings(survey):
        console.print(Text(text, style="yellow"), soft_wrap=True)
    for text in filter(None, (survey.constants.unequal, survey.constants.unshared)):
        console.print(Text(text, style="yellow"), soft_wrap=True)
    console.print()
    console.print(last_line(survey), soft_wrap=True)


def _settings(survey: LinkTable) -> Iterator[str]:
    """A line for each setting that differs, with all layers in which it does so by the same values."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for twin in survey.twins:
        for name, (one, other) in twin.settings.items():
            alike.setdefault((name, str(one), str(other)), []).append(twin.link.ours)
    first, second = survey.sides
    for (name, one, other), layers in alike.items():
        yield f"settings differ: {few(layers)} {name}: {first} {one}, {second} {other}"


def last_line(survey: LinkTable) -> Text:
    """The verdict in one line."""
    count = sum(len(twin.parameters) for twin in survey.twins)
    if survey.holds:
        return Text(
            f"matched: {_count(len(survey.twins), 'layer')}, {_count(count, 'parameter')}, none unmatched",
            style="bold green",
        )
    left = sum(map(len, survey.left_over.values()))
    parts = [f"{left} unmatched"] if left else []
    parts += [f"{len(survey.unproved)} not verified"] if survey.unproved else []
    advice = "links= settles it" if survey.settled_by_links else "build both with the same layers, of the same sizes"
    return Text(f"not matched beyond doubt: {', '.join(parts)}; {advice}", style="bold red")


def document(survey: LinkTable) -> dict[str, Any]:
    """What is written as JSON, schema 1: links in the first side's order, what is unmatched and what is not proved.

    Keys of a link that are names of sides hold their paths; `rivals` are the layers that would have fitted as well.
    """
    return {
        "schema": SCHEMA,
        "holds": survey.holds,
        "pair": survey.pair,
        "links": [_entry(twin, survey.sides) for twin in survey.twins],
        "left_over": {side: [f"{path} ({of})" for path, of in left.items()] for side, left in survey.left_over.items()},
        "unproved": [link.ours for link in survey.unproved],
        "constants": {
            "twins": [[*names, how] for names, how in survey.constants.twins.items()],
            "alone": {side: list(names) for side, names in survey.constants.alone.items()},
        },
    }


def _entry(twin: Twin, sides: tuple[str, str]) -> dict[str, Any]:
    """A linked layer as JSON: what each side calls it, how it was found, its parameters and differing settings."""
    return {
        sides[0]: twin.link.ours,
        sides[1]: twin.link.theirs,
        "kind": twin.link.kind,
        "how": twin.link.how,
        "rivals": list(twin.link.rivals),
        "parameters": {
            name: {"shape": list(shape), sides[0]: transforms[0], sides[1]: transforms[1]}
            for name, (shape, transforms) in twin.parameters.items()
        },
        "settings": {name: [str(ours), str(theirs)] for name, (ours, theirs) in twin.settings.items()},
    }


def _rows(twin: Twin, names: tuple[str, str]) -> list[tuple[str, ...]]:
    """One a parameter, with what a side does to its variables where they are not the same; the first has the link."""
    rows: list[tuple[str, ...]] = []
    head = (twin.link.ours, twin.link.theirs, twin.link.kind), HOW[twin.link.how]
    for name, (shape, transforms) in twin.parameters.items():
        sides = zip(names, transforms, strict=True)
        text = ", ".join(f"{transform} ({side})" for side, transform in sides if transform != "same") or "same"
        rows.append((*head[0], name, dims(shape), text, head[1]))
        head = ("", "", ""), ""
    return rows


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
