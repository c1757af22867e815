"""What stands in a page's tables: bars on one logarithmic scale, the float32/float64 square, the lines of a tree.

Nothing here decides anything.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity.checks.results import Layer
from parity.compare.verdict import ORDER

BELOW = 8  # decades below the limit at which a bar begins


@dataclass(frozen=True)
class Decades:
    """A logarithmic axis: powers of ten from `low` to `high`, on `width` units."""

    low: int
    high: int
    width: float = 100.0

    @classmethod
    def around(cls, figures: Iterable[float], width: float = 100.0) -> "Decades":
        """Make the axis that shows them all; what is zero or infinite has no place of its own."""
        logs = [math.log10(figure) for figure in figures if 0 < figure < math.inf]
        # A decade at least: `at` divides by the length.
        low, high = math.floor(min(logs, default=0)), math.ceil(max(logs, default=0))
        return cls(low, max(high, low + 1), width)

    def at(self, figure: float) -> float:
        """Where a figure stands, from 0 to `width`; one that is off the axis, at its end, and NaN at the upper one."""
        if not figure > 0:
            return self.width if math.isnan(figure) else 0.0
        share = (math.log10(figure) - self.low) / (self.high - self.low) if figure < math.inf else 1.0
        return round(self.width * min(max(share, 0.0), 1.0), 2)


@dataclass(frozen=True)
class Room:
    """What is left below a limit, or lies above it: a bar up to `filled`, the limit's mark, and words.

    `filled` and `limit` are places on an axis of width 100.
    """

    filled: float
    limit: float
    told: str


def rooms(figures: Sequence[Mapping[str, Any]]) -> list[Room]:
    """A bar for the figures of each check, on one axis, so that their limits stand below each other.

    `figures` are those of checks in a document, each with its worst difference and its limit. What is drawn is their
    ratio: the axis begins `BELOW` decades under the limit and ends a decade behind the worst, two behind it at least.
    """
    shares = [_share(float(figure["worst"]), float(figure["limit"])) for figure in figures]
    beyond = [math.log10(share) for share in shares if 1 < share < math.inf]
    axis = Decades(-BELOW, max(2, math.ceil(max(beyond, default=0)) + 1))
    return [
        Room(axis.at(share), axis.at(1), _room(share, figure["basis"], float(figure["limit"])))
        for share, figure in zip(shares, figures, strict=True)
    ]


def _share(worst: float, limit: float) -> float:
    """A difference as a share of its limit; infinite where equal bits were promised."""
    return worst / limit if limit else (math.inf if worst else 0.0)


def shares(checks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The largest difference of each check with a limit, by name, as a share of that; an infinite one is left out.

    A baseline keeps these of every run that was accepted, which `pictures.history` draws.
    """
    pairs = ((check["name"], check["figures"]) for check in checks if check["figures"])
    known = {name: _share(float(of["worst"]), float(of["limit"])) for name, of in pairs if float(of["limit"])}
    return {name: share for name, share in known.items() if math.isfinite(share)}


BITS = "equal bits"  # the basis of a check that promises them


def _room(share: float, basis: str, limit: float) -> str:
    """A share in words: how far under or over its limit.

    Without a limit (0) the basis says what was promised: equal bits, or what else could only hold or not.
    """
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
class Drawn:
    """The float32/float64 square of one comparison, as a page draws it.

    `user` is the float32 difference, `noise` each side's float32 error, and `meaning` the float64 difference, None of
    three corners, which have no lower edge; `word` is the worst of all precisions.
    """

    sides: tuple[str, str]
    user: float
    noise: tuple[float, float]
    meaning: float | None
    limit: float
    word: str


def square(figures: Mapping[str, Any]) -> Drawn | None:
    """The square of a check's worst comparison, as `figures` of its document; None where it had none."""
    if not figures or not figures["square"]:
        return None
    one, two = figures["square"]["sides"]
    rows = {row["dtype"]: row for row in figures["square"]["rows"]}
    meaning = float(rows["float64"]["apart"]) if "float64" in rows else None
    user, left, right = map(float, (rows["float32"]["apart"], *rows["float32"]["errors"]))
    limit = float(figures["limit"])
    word = max((row["verdict"] for row in rows.values()), key=ORDER.index)
    return Drawn((one, two), user, (left, right), meaning, limit, word)


def branch(layers: Sequence[Layer], place: int) -> str:
    """The lines of a tree in front of the layer at `place` of those in order of calls: "│ ├ " of one at depth 2.

    A layer stands behind the one that holds it, one level deeper.
    """
    depth, drawn = layers[place].depth, ""
    for level in range(1, depth + 1):
        # A line goes on where the next layer that is no deeper than this level stands on it.
        later = (layer.depth for layer in layers[place + 1 :])
        more = next((d == level for d in later if d <= level), False)
        drawn += ("├ " if more else "└ ") if level == depth else ("│ " if more else "  ")
    return drawn


def label(layers: Sequence[Layer], place: int) -> str:
    """A layer's path inside the one that holds it; the model itself, which has no path, has its kind."""
    layer = layers[place]
    if not layer.depth:
        return layer.kind
    parent = next(other for other in reversed(layers[:place]) if other.depth < layer.depth)
    return layer.path.removeprefix(f"{parent.path}.")
