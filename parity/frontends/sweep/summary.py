"""A sweep's results file, read once from front to end and summed up: its size does not matter."""

import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parity.frontends.sweep.results_file import Line, lines
from parity.frontends.sweep.units import Grid

SCHEMA = 1
SHOWN = 20  # failures and nearest misses, each


def document(path: Path, grid: Grid) -> dict[str, Any]:
    """Schema 1: counts by check and environment with the ratio nearest to the limit, failures, the nearest misses.

    It depends on the figures alone, not on the order in which they came, but for `seconds` and `longest`: the time
    that all units took together, and the longest of them.
    """
    table: dict[str, dict[str, dict[str, Any]]] = {}
    versions: dict[str, list[Mapping[str, str]]] = {name: [] for name in grid.environments}
    seconds = longest = 0.0
    for line in lines(path):
        if "versions" in line:
            versions[line["environment"]].append(line["versions"])
            continue
        cell = table.setdefault(line["check"], {}).setdefault(line["environment"], _empty())
        _add(cell, line)
        seconds += line["seconds"] or 0.0
        longest = max(longest, line["seconds"] or 0.0)
    cells = [cell for of in table.values() for cell in of.values()]
    total = {key: sum(cell[key] for cell in cells) for key in ("units", "failed", "errors", "not_run")}
    done = total["units"] == len(grid)
    return {
        "schema": SCHEMA,
        "holds": done and total["units"] > total["not_run"] and not (total["failed"] or total["errors"]),
        "sweep": grid.document(),
        "planned": len(grid),
        **total,
        "versions": versions,
        "table": table,
        "failures": heapq.nsmallest(SHOWN, filter(fails, _results(path)), key=_number),
        "nearest": heapq.nsmallest(
            SHOWN, filter(_near, _results(path)), key=lambda line: (-line["ratio"], line["unit"])
        ),
        "seconds": round(seconds, 1),
        "longest": round(longest, 1),
    }


def status(document: Mapping[str, Any]) -> int:
    """The exit status: 3 where a unit ended in an error, for then something is not known; else 1 where one fails."""
    return 3 if document["errors"] else 0 if document["holds"] else 1


def _empty() -> dict[str, Any]:
    """A cell of the table that has no unit yet; `ratio` is the largest difference over its limit."""
    return {"units": 0, "failed": 0, "errors": 0, "not_run": 0, "ratio": None}


def _add(cell: dict[str, Any], line: Line) -> None:
    cell["units"] += 1
    cell["failed"] += fails(line) and line["verdict"] != "error"
    cell["errors"] += line["verdict"] == "error"
    cell["not_run"] += line["verdict"] == "not run"
    if line.get("ratio") is not None:
        cell["ratio"] = max(line["ratio"], cell["ratio"] or 0.0)


def _results(path: Path) -> Iterator[Line]:
    return (line for line in lines(path) if "versions" not in line)


def fails(line: Line) -> bool:
    """Whether a unit's result speaks against its pair, or is an error."""
    return line["verdict"] not in ("identical", "rounding", "not run")


def _near(line: Line) -> bool:
    """Whether a unit's result came near to its limit at all, and did not pass it."""
    return not fails(line) and bool(line.get("ratio"))


def _number(line: Line) -> int:
    return int(line["unit"])
