"""Where things stand in the drawings of two arrays that differ: a map of the differences, the values, how many.

Coordinates only, of the `picture` in a check's figures; what is drawn there is in `templates`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity.report.charts import Decades

LEFT, TOP, SIZE, DEEP = 44.0, 8.0, 300.0, 190.0  # of a drawing's inner part: its corner, width and most height
SHADES = 5  # of a map, a decade each, the darkest the largest difference


@dataclass(frozen=True)
class Map:
    """Parts of an array as squares: an SVG path of those of each shade, the darkest first, and of what is rounding."""

    paths: list[tuple[float, str]]
    alike: str
    height: float
    largest: float
    down: str
    across: str


@dataclass(frozen=True)
class Scatter:
    """A dot for each pair of values; `apart` are those that rounding does not explain."""

    alike: list[tuple[float, float]]
    apart: list[tuple[float, float]]
    low: float
    high: float


@dataclass(frozen=True)
class Bars:
    """A bar for each power of ten of the differences: its place, width and height, and what is counted."""

    bars: list[tuple[float, float, float, int]]
    labels: list[tuple[float, str]]
    limit: float | None
    most: int


@dataclass(frozen=True)
class Pictures:
    """All that is drawn of two arrays; an array of one axis has a map of one row."""

    map: Map
    scatter: Scatter | None
    bars: Bars | None
    equal: int
    elements: int


def pictures(figures: Mapping[str, Any]) -> Pictures | None:
    """What is drawn of a check's worst comparison; None where it holds, or has no numbers."""
    found = figures.get("picture") if figures else None
    if not found:
        return None
    limit = float(figures["limit"])
    counted = [(int(decade), int(count)) for decade, count in found["decades"]]
    return Pictures(
        _map(found, limit),
        _scatter(found["values"], limit) if len(found["values"]) > 1 else None,
        _bars(counted, limit) if counted else None,
        found["equal"],
        math.prod(found["shape"]),
    )


def _map(found: Mapping[str, Any], limit: float) -> Map:
    cells = [[float(cell) for cell in row] for row in found["cells"]]
    wide = SIZE / len(cells[0])
    deep = min(max(wide, 10.0), DEEP / len(cells))
    largest = max((cell for row in cells for cell in row if cell < math.inf), default=0.0)
    paths: dict[int | None, list[str]] = {shade: [] for shade in (*range(SHADES), None)}
    for down, row in enumerate(cells):
        for across, cell in enumerate(row):
            corner = f"M{LEFT + across * wide:.1f} {TOP + down * deep:.1f}"
            if cell > 0:
                paths[_shade(cell, largest, limit)].append(f"{corner}h{wide:.1f}v{deep:.1f}h-{wide:.1f}z")
    named = [f"axis {axis}: 0 to {found['shape'][axis] - 1}" for axis in found["axes"]]
    shades = [(round(1 - shade / SHADES, 2), "".join(paths[shade])) for shade in range(SHADES) if paths[shade]]
    alike, height = "".join(paths[None]), round(len(cells) * deep, 1)
    return Map(shades, alike, height, largest, "" if len(named) == 1 else named[0], named[-1])


def _shade(cell: float, largest: float, limit: float) -> int | None:
    """How many decades below the largest, at most; None where rounding error accounts for it."""
    if cell <= limit:
        return None
    return 0 if cell >= largest else min(int(math.log10(largest / cell)), SHADES - 1)


def _scatter(values: Sequence[Sequence[float]], limit: float) -> Scatter:
    low, high = min(map(min, values)), max(map(max, values))
    spread = (high - low) or 1.0

    def place(pair: Sequence[float]) -> tuple[float, float]:
        across, up = ((value - low) / spread for value in pair)
        return round(LEFT + DEEP * across, 1), round(TOP + DEEP * (1 - up), 1)

    apart = [pair for pair in values if abs(pair[0] - pair[1]) > limit]
    return Scatter([place(pair) for pair in values if pair not in apart], [place(pair) for pair in apart], low, high)


def _bars(counted: Sequence[tuple[int, int]], limit: float) -> Bars:
    axis = Decades.around([10.0**decade for decade, _ in counted] + ([limit] if limit else []), SIZE)
    axis = Decades(min(axis.low, counted[0][0]), max(axis.high, counted[-1][0] + 1), SIZE)
    most, wide = max(count for _, count in counted), SIZE / (axis.high - axis.low)
    bars = [
        (
            round(LEFT + (decade - axis.low) * wide, 1),
            round(wide - 1, 1),
            round(max(DEEP * count / most, 1.0), 1),
            count,
        )
        for decade, count in counted
    ]
    labels = [(round(LEFT + axis.at(10.0**power), 1), f"1e{power:+03d}") for power in axis.powers]
    return Bars(bars, labels, round(LEFT + axis.at(limit), 1) if limit else None, most)
