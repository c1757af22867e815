"""Where things stand in a page's drawings: logarithmic bars, the float32/float64 square, the curves of a training.

Coordinates only; what is drawn there is in `templates`. Nothing here decides anything.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity.checks.results import Layer
from parity.compare.verdict import ORDER

BELOW = 8  # decades of headroom that a bar shows at the most
TICKS = 4  # of a linear axis, about
LEFT, TOP, WIDTH, HEIGHT = 60, 12, 400, 190  # of a plot
SIDES, STYLES = ("first", "second"), {"float64": "ink", "float32": "plain"}


@dataclass(frozen=True)
class Decades:
    """A logarithmic axis: powers of ten from `low` to `high`, on `width` units."""

    low: int
    high: int
    width: float = 100.0

    @classmethod
    def around(cls, figures: Iterable[float], width: float = 100.0) -> "Decades":
        """The axis that shows them all; what is zero or infinite has no place of its own."""
        logs = [math.log10(figure) for figure in figures if 0 < figure < math.inf]
        low, high = math.floor(min(logs, default=0)), math.ceil(max(logs, default=0))
        return cls(low, max(high, low + 1), width)

    def at(self, figure: float) -> float:
        """Where a figure stands; one that is off the axis, at its end."""
        if not figure > 0:
            return self.width if math.isnan(figure) else 0.0
        share = (math.log10(figure) - self.low) / (self.high - self.low) if figure < math.inf else 1.0
        return round(self.width * min(max(share, 0.0), 1.0), 2)

    @property
    def powers(self) -> list[int]:
        """The powers of ten to be labelled."""
        return list(range(self.low, self.high + 1, max(1, -(-(self.high - self.low) // TICKS))))


@dataclass(frozen=True)
class Room:
    """What is left below a limit, or lies above it: a bar up to `filled`, the limit's mark, and words."""

    filled: float
    limit: float
    told: str


def rooms(figures: Sequence[Mapping[str, Any]]) -> list[Room]:
    """A bar for the figures of each check, on one axis, so that their limits stand below each other."""
    shares = [_share(float(found["worst"]), float(found["limit"])) for found in figures]
    beyond = [math.log10(share) for share in shares if 1 < share < math.inf]
    axis = Decades(-BELOW, max(2, math.ceil(max(beyond, default=0)) + 1))
    return [
        Room(axis.at(share), axis.at(1), _room(share, found["basis"], float(found["limit"])))
        for share, found in zip(shares, figures, strict=True)
    ]


def _share(worst: float, limit: float) -> float:
    return worst / limit if limit else (math.inf if worst else 0.0)


BITS = "equal bits"  # the basis of a check that promises them


def _room(share: float, basis: str, limit: float) -> str:
    if share == 0:
        return "bitwise equal" if limit or basis == BITS else basis
    if not share < math.inf:
        return "not finite" if limit else f"expected {'bitwise equal' if basis == BITS else basis}"
    return f"{times(1 / share)} x under limit" if share <= 1 else f"{times(share)} x over limit"


def times(number: float) -> str:
    """A factor in two digits, as a person says it: 1.5, 3,700 or 2.1e+09."""
    short = f"{number:.2g}"
    return short if number < 10 else f"{number:.1e}" if number >= 1e7 else f"{float(short):,.0f}"


@dataclass(frozen=True)
class Edge:
    """One edge of the float32/float64 square: what it is, its figure, and how long its bar is."""

    name: str
    figure: float
    bar: float
    style: str


@dataclass(frozen=True)
class Drawn:
    """The float32/float64 square of one comparison; three corners have no lower edge of their own."""

    sides: tuple[str, str]
    user: float
    noise: tuple[float, float]
    meaning: float | None
    limit: float
    word: str
    edges: list[Edge]
    mark: float


def square(figures: Mapping[str, Any]) -> Drawn | None:
    """The square of a check's worst comparison, as `figures` of its document; None where it had none."""
    if not figures or not figures["square"]:
        return None
    one, two = figures["square"]["sides"]
    rows = {row["dtype"]: row for row in figures["square"]["rows"]}
    meaning = float(rows["float64"]["apart"]) if "float64" in rows else None
    user, left, right = map(float, (rows["float32"]["apart"], *rows["float32"]["errors"]))
    limit = float(figures["limit"])
    named = {"seen in float32": user, f"{one}'s rounding": left, f"{two}'s rounding": right}
    if meaning is not None:
        named["meaning, float64"] = meaning
    axis = Decades.around([*named.values(), limit])
    axis = Decades(axis.low - 1, axis.high)  # the smallest has a bar, too
    styles = ("plain", "plain", "plain", "meaning")
    edges = [Edge(name, value, axis.at(value), s) for (name, value), s in zip(named.items(), styles, strict=False)]
    word = max((row["verdict"] for row in rows.values()), key=ORDER.index)
    return Drawn((one, two), user, (left, right), meaning, limit, word, edges, axis.at(limit))


@dataclass(frozen=True)
class Line:
    """A line of a plot: its pieces as SVG points, and its dots."""

    name: str
    style: str
    dashed: bool
    pieces: list[str]
    dots: list[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """A plot over the steps of a training: lines, and the labelled places of both axes."""

    title: str
    lines: list[Line]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]


def losses(curve: Mapping[str, Any]) -> Plot:
    """Both sides' losses in float64, or in float32 where a side has no other, over the steps."""
    runs = _runs(curve)
    sides = _sides(runs)
    dtype = "64" if all(f"{side}64" in runs for side in sides) else "32"
    shown = {side: runs[f"{side}{dtype}"] for side in sides}
    finite = [loss for run in shown.values() for loss in run if math.isfinite(loss)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def up(loss: float) -> float:
        return round(TOP + HEIGHT * (high - loss) / (high - low), 2)

    styled = zip(SIDES, shown.items(), strict=True)
    lines = [_line(side, style, style != SIDES[0], run, up) for style, (side, run) in styled]
    title = f"losses in float{dtype}"
    return Plot(title, lines, _across(shown), [(up(tick), f"{tick:.6g}") for tick in ticks])


def apart(curve: Mapping[str, Any]) -> Plot:
    """How far the sides' losses are apart in each precision, on a logarithmic axis; where they are equal, nothing."""
    runs = _runs(curve)
    names = {dtype: [f"{side}{dtype}" for side in _sides(runs)] for dtype in ("32", "64")}
    both = {dtype: [runs[name] for name in of] for dtype, of in names.items() if {*of} <= set(runs)}
    gaps = {f"float{dtype}": [abs(a - b) for a, b in zip(*of, strict=True)] for dtype, of in both.items()}
    axis = Decades.around([gap for run in gaps.values() for gap in run], HEIGHT)

    def up(gap: float) -> float:
        return round(TOP + HEIGHT - axis.at(gap), 2)

    drawn = {dtype: [gap or math.nan for gap in run] for dtype, run in gaps.items()}
    lines = [_line(dtype, STYLES[dtype], dtype == "float32", run, up) for dtype, run in drawn.items()]
    return Plot("difference of the losses", lines, _across(gaps), [(up(10.0**n), f"1e{n:+03d}") for n in axis.powers])


def _runs(curve: Mapping[str, Any]) -> dict[str, list[float]]:
    return {corner: [float(loss) for loss in run] for corner, run in curve["losses"].items()}


def _sides(runs: Mapping[str, Any]) -> list[str]:
    """The names of both sides, the first one first, from those of corners: float32 is there of both, "torch32"."""
    return [corner.removesuffix("32") for corner in runs if corner.endswith("32")]


def _line(name: str, style: str, dashed: bool, run: Sequence[float], up: Any) -> Line:
    """A line through what is finite; it has gaps where something is not."""
    places = _places(len(run))
    points = [(x, up(value)) if math.isfinite(value) else None for x, value in zip(places, run, strict=True)]
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            pieces.append([])
        else:
            pieces[-1].append(point)
    drawn = [" ".join(f"{x:g},{y:g}" for x, y in piece) for piece in pieces if len(piece) > 1]
    dots = [point for point in points if point is not None] if len(run) <= 25 else []
    return Line(name, style, dashed, drawn, dots)


def _places(steps: int) -> list[float]:
    if steps == 1:
        return [LEFT + WIDTH / 2]
    return [round(LEFT + WIDTH * step / (steps - 1), 2) for step in range(steps)]


def _across(runs: Mapping[str, Sequence[float]]) -> list[tuple[float, str]]:
    places = _places(max(map(len, runs.values()), default=1))
    every = max(1, -(-len(places) // 10))
    return [(x, str(step)) for step, x in enumerate(places, 1) if (step - 1) % every == 0]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [n * step for n in range(first, last + 1)]


def branch(layers: Sequence[Layer], place: int) -> str:
    """The lines of a tree in front of a layer."""
    depth, drawn = layers[place].depth, ""
    for level in range(1, depth + 1):
        later = (layer.depth for layer in layers[place + 1 :])
        more = next((d == level for d in later if d <= level), False)
        drawn += ("├ " if more else "└ ") if level == depth else ("│ " if more else "  ")
    return drawn


def label(layers: Sequence[Layer], place: int) -> str:
    """A layer's name inside the one that holds it; the model itself has its kind."""
    layer = layers[place]
    if not layer.depth:
        return layer.kind
    parent = next(other for other in reversed(layers[:place]) if other.depth < layer.depth)
    return layer.path.removeprefix(f"{parent.path}.")
