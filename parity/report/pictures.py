"""What is drawn of two arrays that differ, of layers, trainings and baselines: what `plots` gets of a document.

Each function takes a part of a document and gives drawings, or nothing where there is nothing to see, or no matplotlib.
A drawing is made when a template asks for it, by arguments that are tuples: `plots.drawing` caches by them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from parity.report import plots
from parity.report.plots import INK, MUTED, short


@dataclass(frozen=True)
class Drawing:
    """A drawing, made when a page asks for it, and what stands below it."""

    draw: Callable[[], Markup]
    caption: str

    @property
    def svg(self) -> Markup:
        """The drawing; empty where it cannot be made."""
        return self.draw()


@dataclass(frozen=True)
class Cell:
    """Both sides' values at one place; `apart` says whether rounding error does not account for the difference."""

    values: tuple[str, str]
    apart: bool
    largest: bool


@dataclass(frozen=True)
class Window:
    """Both sides' values around the largest difference: a heading for each column, and rows with one of their own."""

    caption: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]


def pictures(figures: Mapping[str, Any], sides: tuple[str, str]) -> list[Drawing]:
    """What is drawn of a check's largest difference; nothing where it holds, or has no numbers."""
    picture = figures.get("picture") if figures else None
    if not picture or not plots.available():
        return []
    limit, decades = float(figures["limit"]), tuple((int(decade), int(n)) for decade, n in picture["decades"])
    drawings = [_map(picture, limit)]
    if decades:
        marks = _marks(figures, limit)
        label = "How many elements differ by how much"
        caption = f"{label}; those right of the limit are more than rounding error."
        drawings.append(Drawing(partial(plots.histogram, label, decades, marks), caption))
    values = tuple((float(one), float(two)) for one, two in picture["values"])
    if len(values) > 1:
        label = f"{sides[1]}'s values over {sides[0]}'s"
        caption = "A dot is a pair of values, the furthest apart and others from all over; equal ones are on the line."
        drawings.append(Drawing(partial(plots.scatter, label, values, limit, sides), caption))
    return drawings


def _map(picture: Mapping[str, Any], limit: float) -> Drawing:
    """The map of a picture's cells. Its figures are tuples: `plots.drawing` caches by them."""
    cells = tuple(tuple(float(cell) for cell in row) for row in picture["cells"])
    names = tuple(f"axis {axis}" for axis in picture["axes"])
    sizes = tuple(picture["shape"][axis] for axis in picture["axes"])
    equal, elements = picture["equal"], math.prod(picture["shape"])
    caption = f"|difference| along {' and '.join(names)} of {tuple(picture['shape'])}: grey is rounding error."
    caption += f" {equal:,} of {elements:,} elements are equal." if equal else ""
    return Drawing(partial(plots.heat_map, "Map of the differences", cells, limit, names, sizes), caption)


def _marks(figures: Mapping[str, Any], limit: float) -> tuple[tuple[str, float], ...]:
    """The limit, and what float32 loses by rounding on the side where that is less; neither where it is zero."""
    square = figures["square"]
    rows = square["rows"] if square else ()
    noise = min((float(e) for row in rows if row["dtype"] == "float32" for e in row["errors"]), default=0.0)
    return tuple((name, value) for name, value in (("limit", limit), ("float32 rounding", noise)) if value > 0)


def beside(figures: Mapping[str, Any], sides: tuple[str, str]) -> Window | None:
    """Both sides' values around the largest difference, if a document has them."""
    picture = figures.get("picture") or {}
    around = picture.get("around")
    if around is None:
        return None
    limit, axes, place, start = float(figures["limit"]), picture["axes"], around["place"], around["start"]
    rows = []
    for down, row in enumerate(around["values"]):
        at = start[0] + down
        cells = [_cell(pair, limit) for pair in row]
        here = len(axes) == 1 or at == place[axes[0]]  # an array of one axis has one row
        column = place[axes[-1]] - start[-1]
        if here and column < len(cells):
            cells[column] = Cell(cells[column].values, cells[column].apart, largest=True)
        rows.append((str(at) if len(axes) > 1 else "", cells))
    columns = [str(start[-1] + n) for n in range(len(around["values"][0]))]
    along = f"axis {axes[0]} down, axis {axes[1]} across" if len(axes) > 1 else f"axis {axes[0]} across"
    caption = f"Values around ({', '.join(map(str, place))}), {along}: {sides[0]} above {sides[1]}"
    return Window(caption, columns, rows)


def _cell(pair: Sequence[float | str], limit: float) -> Cell:
    """Both values in six digits; two that are the same infinity, or NaN, are not apart."""
    one, two = map(float, pair)
    same = one == two or (math.isnan(one) and math.isnan(two))
    return Cell((f"{one:.6g}", f"{two:.6g}"), not (same or abs(one - two) <= limit), largest=False)


def layers(entries: Sequence[Mapping[str, Any]]) -> Drawing | None:
    """The differences of layers that hold no others, in order of execution; None of fewer than two."""
    # The entry behind one that holds others is its first child, which stands deeper.
    deeper = [behind["depth"] > layer["depth"] for layer, behind in pairwise(entries)] + [False]
    inner = [layer for layer, holds in zip(entries, deeper, strict=False) if not holds]
    if len(inner) < 2 or not plots.available():
        return None
    looks = (("end-to-end", "freely", INK, "-"), ("isolated", "alone", MUTED, "--"), ("limit", "limit", MUTED, ":"))
    figures = {key: tuple(float(layer.get(key, "nan")) for layer in inner) for _, key, *_ in looks}
    series = tuple((name, figures[key], colour, style) for name, key, colour, style in looks)
    names = tuple(layer["path"] or layer["kind"] for layer in inner)
    sources = tuple(at for at, layer in enumerate(inner) if layer["mark"] == "introduces")
    svg = partial(plots.lines, "Difference by layer", series, "", log=True, names=names, marked=sources)
    return Drawing(svg, "Difference by layer, in order of execution; the source is marked, and zero is not drawn.")


def training(curve: Mapping[str, Any]) -> list[Drawing]:
    """Both sides' losses over the steps of a training, and how far they are apart in each precision."""
    if not plots.available():
        return []
    # Corners are called by side and precision, "torch32"; the losses shown are of float64 where both sides have it.
    runs = {corner: tuple(map(float, run)) for corner, run in curve["losses"].items()}
    sides = [corner.removesuffix("32") for corner in runs if corner.endswith("32")]
    dtype = "64" if all(f"{side}64" in runs for side in sides) else "32"
    shown = {side: runs[f"{side}{dtype}"] for side in sides}
    both = {bits: [runs[f"{side}{bits}"] for side in sides if f"{side}{bits}" in runs] for bits in ("64", "32")}
    looks = {"64": (INK, "-"), "32": (MUTED, "--")}
    gaps = tuple(
        (f"float{bits}", tuple(abs(a - b) for a, b in zip(*of, strict=True)), *looks[bits])
        for bits, of in both.items()
        if len(of) == 2
    )
    losses = partial(plots.lines, f"losses in float{dtype}", plots.sides(sides, shown), "step")
    drawings = [Drawing(losses, f"losses in float{dtype}")]
    if any(gap > 0 for _, run, *_ in gaps for gap in run):
        svg = partial(plots.lines, "difference of the losses", gaps, "step", log=True)
        drawings.append(Drawing(svg, "difference of the losses; where they are equal, nothing is drawn"))
    return drawings


def history(entries: Sequence[Mapping[str, Any]], now: Mapping[str, float]) -> Drawing | None:
    """How much of its limit each check's largest difference was, whenever a baseline was accepted, and in this run."""
    runs = [(entry["date"], entry["shares"]) for entry in entries if entry.get("shares")] + [("this run", now)]
    names = [name for name in now if any(float(shares.get(name, 0)) > 0 for _, shares in runs)]
    if len(runs) < 2 or not names or not plots.available():
        return None
    # As many as there are looks: more curves than four are not told apart.
    worst = sorted(names, key=lambda name: -max(float(shares.get(name, 0)) for _, shares in runs))[:4]
    looks = ((plots.BAD, "-"), (plots.SECOND, "--"), (INK, "-."), (MUTED, "-"))
    series = tuple(
        (short(name), tuple(float(shares.get(name, "nan")) for _, shares in runs), *look)
        for name, look in zip(worst, looks, strict=False)
    )
    series = (*series, ("limit", (1.0,) * len(runs), MUTED, ":"))
    svg = partial(
        plots.lines, "Difference / limit over runs", series, "", log=True, names=tuple(date for date, _ in runs)
    )
    return Drawing(svg, "Difference / limit of the checks that are nearest to it, over accepted runs.")
