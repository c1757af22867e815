"""The precision square: four runs -> Verdict.

        torch32 ----- tensorflow32        what the user sees
           |               |              each side's own rounding noise
        torch64 ----- tensorflow64        meaning

From float32 to float64 rounding shrinks 2^29 times; a difference of meaning stays. So the verdict
rests on the lower edge, and on the two upright ones for formulas that lose precision. A model that
amplifies rounding (saturated gates, long recurrences) shows by how much in its upright edges, and
may be that much further apart below: with weights of scale 30 the logits of clean LSTM pairs reach
1e4 * eps64 * scale. This module holds the only two tolerances of parity; both are measured by
`python -m benchmarks.constants`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from parity.compare import Divergence, divergence, square_sum, statistics
from parity.layers import Array

# The lower edge may reach FLOOR * eps64 * scale, where scale is the largest magnitude in the array,
# or, where that is more, FLOOR * 2^-29 * the own float32 noise of the quieter side.
FLOOR = 2048.0
# One side's own noise may reach RATIO times the other's, each taken as at least eps32 * scale.
RATIO = 512.0

EPS32 = float(np.finfo(np.float32).eps)
EPS64 = float(np.finfo(np.float64).eps)
FAILING = ("unstable", "different")
ORDER = ("identical", "rounding", *FAILING)


@dataclass(frozen=True)
class Square:
    """Four arrays of one shape: two sides in float32 and in float64."""

    first32: Array
    second32: Array
    first64: Array
    second64: Array
    sides: tuple[str, str] = ("torch", "tensorflow")

    @classmethod
    def of(cls, arrays: Iterable[Array], sides: tuple[str, str] = ("torch", "tensorflow")) -> "Square":
        """Four arrays in the order of the fields."""
        first32, second32, first64, second64 = arrays
        return cls(first32, second32, first64, second64, sides)

    @classmethod
    def within(
        cls, side: str, sides: tuple[str, ...], before: "Square", after: "Square", names: tuple[str, str]
    ) -> "Square":
        """One side of two squares: does the second run of that side mean the same as its first?"""
        runs = [
            (square.first32, square.first64) if side == sides[0] else (square.second32, square.second64)
            for square in (before, after)
        ]
        return cls(runs[0][0], runs[1][0], runs[0][1], runs[1][1], names)

    def map(self, function: Callable[[Array], Array]) -> "Square":
        """The square of a function of each array."""
        return Square.of(map(function, (self.first32, self.second32, self.first64, self.second64)), self.sides)

    @cached_property
    def user(self) -> Divergence:
        return divergence(self.first32, self.second32)

    @cached_property
    def meaning(self) -> Divergence:
        return divergence(self.first64, self.second64)

    @cached_property
    def noise(self) -> tuple[Divergence, Divergence]:
        return divergence(self.first32, self.first64), divergence(self.second32, self.second64)


@dataclass(frozen=True)
class Verdict:
    """What one comparison came to: a word of `ORDER`, how much was compared, and the worst figure.

    `figure` is the largest difference of meaning and `limit` what it was measured against, in the
    array's own unit; `basis` says where the limit comes from. `message` is empty unless it fails.
    """

    subject: str
    word: str
    elements: int
    figure: float
    limit: float
    basis: str
    message: str = ""

    @property
    def fails(self) -> bool:
        return self.word in FAILING

    @property
    def headroom(self) -> float:
        """The figure over the limit: above 1 is different; an exact comparison has 0 or infinity."""
        if self.limit == 0:
            return 0.0 if self.figure == 0 else np.inf
        return self.figure / self.limit


def judge(subject: str, square: Square, scale: float | None = None, places: Array | None = None) -> Verdict:
    """Judge one square.

    `scale` stands for the array's own largest magnitude where that means nothing: a gradient that is
    zero but for rounding is judged by the norm of all gradients. `places` is the mask by which the
    first axis was selected; with it, the message names the place before the selection.
    """
    shapes = {array.shape for array in (square.first32, square.second32, square.first64, square.second64)}
    if len(shapes) > 1:
        return _misshapen(subject, square)
    meaning = square.meaning
    if meaning.elements and not meaning.scale and not np.isfinite(square.first64).any():
        message = f"{subject} {_dims(square.first64)}: holds no finite value on either side; that proves nothing"
        return Verdict(subject, "different", meaning.elements, np.inf, 0.0, "finite values", message)
    size = scale if scale is not None and np.isfinite(scale) else meaning.scale
    quiet, loud = sorted(max(edge.worst, EPS32 * size) for edge in square.noise)
    limit = FLOOR * EPS64 * size
    basis = f"{FLOOR:g} * eps64 * {size:.3g}"
    if EPS32 * size < quiet < np.inf:
        limit = FLOOR * EPS64 / EPS32 * quiet
        basis = f"{FLOOR:g} * 2^-29 * {quiet:.1e}"
    if meaning.worst > limit:
        word = "different"
    elif loud > RATIO * quiet:
        word = "unstable"
    elif meaning.unequal == 0 and square.user.unequal == 0:
        word = "identical"
    else:
        word = "rounding"
    message = ""
    if word == "different":
        message = _different(subject, square, limit, basis, places)
    elif word == "unstable":
        message = _unstable(subject, square, size, places)
    return Verdict(subject, word, meaning.elements, meaning.worst, limit, basis, message)


def exact(subject: str, first: Array, second: Array, sides: tuple[str, str]) -> Verdict:
    """Judge two arrays that promise to be identical: shape, dtype and every element."""
    if first.shape != second.shape or first.dtype != second.dtype:
        told = ", ".join(f"{s} {a.shape} {a.dtype}" for s, a in zip(sides, (first, second), strict=True))
        return Verdict(
            subject, "different", first.size, np.inf, 0.0, "equal bits", f"{subject}: shape or dtype differs: {told}"
        )
    unequal = first != second
    if first.dtype.kind == "f":
        unequal &= ~(np.isnan(first) & np.isnan(second))
    if not unequal.any():
        return Verdict(subject, "identical", first.size, 0.0, 0.0, "equal bits")
    places = np.argwhere(unequal)
    place = tuple(int(i) for i in places[0])
    message = (
        f"{subject} {_dims(first)}: {sides[0]} and {sides[1]} are different, but should be identical\n"
        f"  unequal: {len(places):,} of {first.size:,} elements\n"
        f"  first at {place}: {sides[0]} {first[place]!s}, {sides[1]} {second[place]!s}"
    )
    figure = float(np.count_nonzero(unequal))
    return Verdict(subject, "different", first.size, figure, 0.0, "equal bits", message)


def same_text(subject: str, first: str, second: str, sides: tuple[str, str]) -> Verdict:
    """Judge two texts that promise to be identical: every character, and the end."""
    if first == second:
        return Verdict(subject, "identical", len(first) + 1, 0.0, 0.0, "equal bits")
    at = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second)))
    message = (
        f"{subject}: {sides[0]} and {sides[1]} are different, but should be identical\n"
        f"  first at character {at}\n  {sides[0]} {first!a}\n  {sides[1]} {second!a}"
    )
    return Verdict(subject, "different", max(len(first), len(second)) + 1, np.inf, 0.0, "equal bits", message)


def norm(squares: Mapping[str, Square]) -> float:
    """The Euclidean norm of all first-side float64 arrays together."""
    return float(np.sqrt(sum(square_sum(square.first64) for square in squares.values())))


def _place(index: tuple[int, ...], places: Array | None) -> tuple[int, ...]:
    return index if places is None else (*(int(i) for i in np.argwhere(places)[index[0]]), *index[1:])


def _dims(array: Array) -> str:
    return "(" + ", ".join(map(str, array.shape)) + ")"


def _different(subject: str, square: Square, limit: float, basis: str, places: Array | None) -> str:
    one, two = square.sides
    gap = square.meaning
    told = statistics(square.first64, square.second64, limit)
    ours, theirs = (float(array[told.relative_index]) for array in (square.first64, square.second64))
    return (
        f"{subject} {_dims(square.first64)}: {one} and {two} are different\n"
        f"  above the limit: {told.above:,} of {told.elements:,} elements ({100 * told.above / told.elements:.2g}%)\n"
        f"  worst at {_place(gap.index, places)}: {one} {gap.first!r}, {two} {gap.second!r}\n"
        f"  difference {gap.worst:.1e} in float64, but rounding explains at most {limit:.1e} = {basis}\n"
        f"  worst relative at {_place(told.relative_index, places)}: {one} {ours!r}, {two} {theirs!r},\n"
        f"    {told.relative:.1e} of the value, {told.ulps:.1e} representable numbers apart\n"
        f"{_drawing(square)}"
    )


def _unstable(subject: str, square: Square, size: float, places: Array | None) -> str:
    noises = [edge.worst for edge in square.noise]
    loud = int(noises[1] > noises[0])
    edge, side = square.noise[loud], square.sides[loud]
    quiet = max(noises[1 - loud], EPS32 * size, np.finfo(np.float64).tiny)
    return (
        f"{subject} {_dims(square.first64)}: {side} is unstable\n"
        f"  worst at {_place(edge.index, places)}: float32 {edge.first:.9g}, float64 {edge.second!r}\n"
        f"  its own float32 error is {edge.worst / quiet:.0f} times the other side's, but should be at most "
        f"{RATIO:g} times\n"
        f"  the two sides mean the same in float64; this formula loses precision in float32\n"
        f"{_drawing(square)}"
    )


def _drawing(square: Square) -> str:
    left, right = square.sides
    width = max(len(left) + 2, 12)
    noises = [f"{edge.worst:.1e}" for edge in square.noise]
    return (
        f"    {left + '32':<{width}} --- {square.user.worst:.1e} --- {right}32\n"
        f"    {'   | ' + noises[0]:<{width}}                    | {noises[1]}\n"
        f"    {left + '64':<{width}} --- {square.meaning.worst:.1e} --- {right}64"
    )


def _misshapen(subject: str, square: Square) -> Verdict:
    told = ", ".join(
        f"{side}{bits} {_dims(array)}"
        for bits, pair in ((32, (square.first32, square.second32)), (64, (square.first64, square.second64)))
        for side, array in zip(square.sides, pair, strict=True)
    )
    message = f"{subject}: shapes differ: {told}"
    return Verdict(subject, "different", square.first64.size, np.inf, 0.0, "equal shapes", message)
