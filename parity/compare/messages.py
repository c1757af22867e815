"""A verdict in words: what a user reads when something differs. Nothing here decides anything."""

from collections.abc import Callable, Sequence

from parity.compare.divergence import Divergence, Statistics
from parity.dtypes import Array

Place = Callable[[tuple[int, ...]], tuple[int, ...]]  # an index of what was compared -> the one that the user knows
Names = tuple[str, str]  # of the two sides
Flags = tuple[bool, bool]  # of the two sides
NAMED = 3  # of several names in a line
NOTHING = "holds nothing; that proves nothing"  # behind an array's shape: it has no element


def few(names: Sequence[str], between: str = ", ") -> str:
    """The first `NAMED` names in a line, and how many more there are."""
    return between.join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def dims(shape: Sequence[int]) -> str:
    """A shape, as in messages: (3,) is "(3)"."""
    return "(" + ", ".join(map(str, shape)) + ")"


def corners(arrays: Sequence[tuple[str, Array]], of: Callable[[Array], object]) -> str:
    """What each run has: "torch32 (3, 4), tensorflow32 (3, 4), ..."."""
    return ", ".join(f"{name} {of(array)}" for name, array in arrays)


def corner(side: str, dtype: str) -> str:
    """A run's short name: torch32, tensorflow64, torch-bfloat16."""
    return f"{side}{dtype.removeprefix('float')}" if dtype in ("float32", "float64") else f"{side}-{dtype}"


def different(
    head: str,
    sides: Names,
    gap: Divergence,
    stats: Statistics,
    limit: str,
    values: tuple[float, float],
    place: Place,
) -> str:
    """Two float64 arrays that are further apart than rounding error accounts for.

    `head` names what was compared, with its shape; `limit` is the figure with where it comes from; `values` are those
    at the place where the arrays differ most in relation to their size.
    """
    one, two = sides
    return (
        f"{head}: {one} and {two} are different\n"
        f"  mismatched elements: {stats.above:,} / {stats.elements:,} ({100 * stats.above / stats.elements:.3g}%)\n"
        f"  greatest difference at {place(gap.index)}: {one} {gap.first!r}, {two} {gap.second!r}\n"
        f"  difference {gap.max_abs_diff:.1e} in float64, but rounding error accounts for at most {limit}\n"
        f"  greatest relative difference at {place(stats.relative_index)}: {one} {values[0]!r}, {two} {values[1]!r},\n"
        f"    {stats.relative:.1e} relative, {stats.ulps:.1e} ULPs"
    )


def brief(head: str, sides: Names, gap: Divergence, stats: Statistics, limit: str, place: Place) -> str:
    """The same in two lines, for whoever knows the cause."""
    return (
        f"{head}: mismatched elements: {stats.above:,} / {stats.elements:,}; "
        f"greatest difference at {place(gap.index)}: {sides[0]} {gap.first!r}, {sides[1]} {gap.second!r}\n"
        f"  rounding error accounts for at most {limit}"
    )


def one_sided(head: str, sides: Names, gap: Divergence, place: Place) -> str:
    """A NaN or an infinity that stands on one side only."""
    return (
        f"{head}: {sides[0]} and {sides[1]} are different\n"
        f"  first at {place(gap.index)}: {sides[0]} {gap.first!r}, {sides[1]} {gap.second!r}\n"
        f"  not finite on one side only"
    )


def unstable(head: str, side: str, dtype: str, times: float, ratio: float) -> str:
    """One side whose own error in a dtype is many times the other's: `times` so many, where `ratio` are allowed."""
    return (
        f"{head}: {side} is unstable\n"
        f"  its own {dtype} error is {times:.3g} times the other side's, but should be at most {ratio:g} times\n"
        f"  the two sides mean the same in float64; this formula loses precision in {dtype}"
    )


def greatest(index: tuple[int, ...], dtype: str, edge: Divergence) -> str:
    """Where a run is furthest from its float64: `edge` is of the two, in this order."""
    return f"  greatest difference at {index}: {dtype} {edge.first:.9g}, float64 {edge.second!r}"


def weaker(head: str, sides: Names, loud: str, dtype: str, times: float, ratio: float) -> str:
    """Three corners: one side's error against the only float64 is more than rounding error accounts for.

    `loud` is that side; `times` and `ratio` as in `unstable`.
    """
    return (
        f"{head}: {sides[0]} and {sides[1]} are different\n"
        f"  {loud}'s {dtype} error is {times:.3g} times the other side's, but should be at most {ratio:g} times"
    )


def drawing(sides: Names, dtype: str, user: float, noise: tuple[float, float], meaning: float, own: Flags) -> str:
    """The square, or what three corners leave of it: both sides across, a lower precision over float64.

    `user` is the difference in `dtype`, `meaning` the one in float64, and `noise` each side's own error, from top to
    bottom. `own` says which sides have a float64 corner of their own.
    """
    (one, two), (left, right) = ([corner(side, bits) for side in sides] for bits in (dtype, "float64"))
    width = max(len(one), 12)  # characters: an error below a name, as "   | 1.1e-07", has eleven
    # Of three corners the lower edge does not exist: the one float64 serves both.
    lower = f"--- {meaning:.1e} --- {right}" if all(own) else "- (for both) -" if own[0] else f"  (for both)    {right}"
    return (
        f"    {one:<{width}} --- {user:.1e} --- {two}\n"
        f"    {f'   | {noise[0]:.1e}':<{width}} {'':<18} | {noise[1]:.1e}\n"
        f"    {left if own[0] else '':<{width}} {lower}"
    )
