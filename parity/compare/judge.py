"""The float32/float64 square: runs of both sides in several precisions -> Verdict.

        torch32 ----- tensorflow32        what the user sees
           |               |              each side's own rounding noise
        torch64 ----- tensorflow64        meaning

From float32 to float64 rounding shrinks 2^29 times; a difference of meaning stays. So the verdict rests on the lower
edge, and on the upright ones for formulas that lose precision. A model that amplifies rounding (saturated gates, long
recurrences) shows by how much in its rounding error, and may be that much further apart below: with weights of scale 30
the logits of clean LSTM pairs reach 1e4 * eps64 * scale. Where one side cannot run in float64, the other's float64
serves both: three corners, the less sensitive verdict. A bfloat16 or float16 row stands on the same float64 corners.

This module holds the only tolerances of parity; they are measured by `python -m benchmarks.constants`, which found no
clean array above 560 of `MAX_FLOAT64_ULPS` and no planted fault below 9e5, among 10,000 clean pairs.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from parity.compare import messages
from parity.compare.divergence import Divergence, statistics
from parity.compare.exact import judge_exact as judge_exact
from parity.compare.exact import same_text as same_text
from parity.compare.picture import picture
from parity.compare.square import Perturbation, PrecisionSquare
from parity.compare.verdict import FAILING
from parity.compare.verdict import ORDER as ORDER
from parity.compare.verdict import Curve as Curve
from parity.compare.verdict import PrecisionResult as PrecisionResult
from parity.compare.verdict import Verdict as Verdict
from parity.dtypes import EPS, Array, transport_dtype

# The lower edge may reach MAX_FLOAT64_ULPS * eps64 * scale, where scale is the largest magnitude in the array,
# or, where that is more, MAX_FLOAT64_ULPS * 2^-29 * the own float32 noise of the quieter side.
MAX_FLOAT64_ULPS = 32768.0
# One side's own noise may reach MAX_NOISE_RATIO times the other's, each taken as at least the quieter side's
# float32 noise times the ratio of the two eps.
MAX_NOISE_RATIO = {"float32": 512.0, "float16": 512.0, "bfloat16": 64.0}
# From this share of MAX_FLOAT64_ULPS and from this ratio on, a noise is drawn again, up to REDRAWS times; not where
# REDRAW_LIMIT times as much would not explain it.
REDRAW_SHARE, REDRAW_RATIO, REDRAWS, REDRAW_LIMIT = 1 / 256, 16.0, 8, 2048.0
# What float32 loses of the same inputs may grow by this, or shrink: `benchmarks.gate` measures it. Where each side has
# weights of its own, they may be apart by the few roundings of a converter, which move the outputs by this at most.
GROWTH = 4.0

FINITE = "finite values"


def judge(
    subject: str,
    square: PrecisionSquare,
    scale: float | None = None,
    places: Array | None = None,
    rerun: Perturbation | None = None,
) -> Verdict:
    """Judge one square, in this order: dtype, shape, anything to compare, finiteness, values.

    `scale` stands for the array's own largest magnitude where that means nothing: a gradient that is
    zero but for rounding is judged by the norm of all gradients. `places` is the mask by which the
    first axis was selected; with it, the message names the place before the selection. Integers and
    booleans are compared exactly in every precision. `rerun` is asked where a verdict comes near a limit: rounding
    that was small by chance is then drawn again. Raises ValueError where neither side has a float64 run.
    """
    if problem := _unlike(square):
        return _not_comparable(subject, square, *problem)
    if square.reference.dtype.kind in "biu":
        return _discrete(subject, square)
    edge = square.float64_difference
    size = scale if scale is not None and np.isfinite(scale) else edge.scale
    rows, quiet = _rows(square, size, rerun)
    figure, (limit, basis) = edge.max_abs_diff, _limit(square, size, quiet, rerun)
    if all(square.has_float64):
        lower = "different" if figure > limit else "rounding" if edge.unequal else "identical"
        rows = (PrecisionResult("float64", lower, figure), *rows)
    else:
        figure, limit = max(rows[0].errors), MAX_NOISE_RATIO["float32"] * quiet  # the first row is float32's
        basis = f"{MAX_NOISE_RATIO['float32']:g} * the other side's float32 error"
    word = max((row.word for row in rows), key=ORDER.index)
    message = brief = ""
    if word in FAILING:
        failing = next(row for row in rows if row.word == word)
        message, brief = _message(subject, square, failing, limit, basis, places)
    nonfinite = max(edge.nonfinite, square.float32_difference.nonfinite)
    verdict = Verdict(subject, word, edge.elements, figure, limit, basis, message, brief, rows, square.reason)
    if rows[0].dtype == "float64" and rows[0].word == "different":
        values = repr(edge.first), repr(edge.second)
        verdict = replace(verdict, place=_place(edge.index, places), values=values)
    shown = picture(*square.both) if verdict.fails else None
    return replace(verdict, nonfinite=nonfinite, sides=square.sides, picture=shown)


def _limit(square: PrecisionSquare, size: float, quiet: float, rerun: Perturbation | None) -> tuple[float, str]:
    """What the lower edge may reach, and where that comes from.

    `size` is the magnitude that rounding is relative to and `quiet` the quieter side's float32 noise, both in the
    array's unit. Weights that each side has of its own may be apart by a rounding: a bias that one side holds as two,
    say.
    """
    limit, basis = MAX_FLOAT64_ULPS * EPS["float64"] * size, f"{MAX_FLOAT64_ULPS:g} * eps64 * {size:.3g}"
    if EPS["float32"] * size < quiet < np.inf:
        limit = MAX_FLOAT64_ULPS * EPS["float64"] / EPS["float32"] * quiet
        basis = f"{MAX_FLOAT64_ULPS:g} * 2^-29 * {quiet:.1e}"
    if square.own_weights and rerun is not None and limit < square.float64_difference.max_abs_diff < np.inf:
        changes = [rerun.largest_change("float32", draw) or 0.0 for draw in range(REDRAWS)]
        moved = GROWTH * max(filter(np.isfinite, changes), default=0.0)  # what is not finite excuses nothing
        return max((limit, basis), (moved, f"{GROWTH:g} * what rounding the weights to float32 moves"))
    return limit, basis


def judge_difference(
    meaning: Divergence, noise: tuple[float, float], scale: float | None = None, whole: bool = True
) -> tuple[str, float]:
    """Judge a square of which only the edges are known: the word, and the limit that `meaning` was measured against.

    `meaning` is the float64 difference, `noise` each side's own float32 error, and `scale` as in `judge`. Nothing is
    drawn again. Unless the square is `whole`, `meaning` is of a float32 run beside the only float64 one.
    """
    size = meaning.scale if scale is None else scale
    # No noise is smaller than one rounding of the largest number; an infinite one excuses nothing.
    quiet = max(min(noise) if min(noise) < np.inf else 0.0, EPS["float32"] * size)
    limit = (
        MAX_FLOAT64_ULPS * EPS["float64"] * max(size, quiet / EPS["float32"])
        if whole
        else MAX_NOISE_RATIO["float32"] * quiet
    )
    if meaning.max_abs_diff > limit:
        return "different", limit
    if max(noise) > MAX_NOISE_RATIO["float32"] * quiet:
        return "unstable", limit
    return "rounding" if meaning.unequal else "identical", limit


def _unlike(square: PrecisionSquare) -> tuple[str, str] | None:
    """What keeps arrays from being compared value by value: (the basis of the verdict, what to tell); None if nothing.

    Raises ValueError where neither side has a float64 run.
    """
    # A side that gives integers where the other gives floats is no rounding, whatever the values.
    kinds = {array.dtype.kind for _, _, array in square.present}
    runs = [(name, array) for name, _, array in square.present]
    if not kinds <= {"f"} and not (len(kinds) == 1 and kinds <= set("biu")):
        return "equal dtypes", f"dtypes differ: {messages.corners(runs, lambda a: a.dtype)}"
    # An output that is float32 in a float64 run would make the lower edge as long as the upper: no verdict could stand.
    wrong = [(name, dtype, array) for name, dtype, array in square.present if array.dtype != transport_dtype(dtype)]
    if kinds == {"f"} and wrong:
        name, dtype, array = wrong[0]
        return "equal dtypes", f"{name} is {array.dtype}, but should be {transport_dtype(dtype)}"
    if len({array.shape for _, array in runs}) > 1:
        return "equal shapes", f"shapes differ: {messages.corners(runs, lambda a: messages.dims(a.shape))}"
    if square.reference.size == 0:
        return "something to compare", f"{messages.dims(square.reference.shape)} {messages.NOTHING}"
    if kinds == {"f"} and not square.float64_difference.scale and not _finite(square):
        shape = messages.dims(square.reference.shape)
        return FINITE, f"{shape} holds no finite value on either side; that proves nothing"
    return None


def _not_comparable(subject: str, square: PrecisionSquare, basis: str, message: str) -> Verdict:
    """The verdict on arrays that differ before their values do: infinitely far apart, or empty if nothing is finite."""
    verdict = Verdict(subject, "different", square.reference.size, np.inf, 0.0, basis, f"{subject}: {message}")
    return replace(verdict, empty=basis == FINITE and square.float64_difference.max_abs_diff == 0)


def _finite(square: PrecisionSquare) -> bool:
    """Whether any float64 run has a finite value at all."""
    return any(array is not None and bool(np.isfinite(array).any()) for array in square.rows["float64"])


def _rows(
    square: PrecisionSquare, size: float, rerun: Perturbation | None
) -> tuple[tuple[PrecisionResult, ...], float]:
    """What each precision below float64 came to, and the quieter side's float32 noise, in the array's unit.

    `size` is the magnitude that rounding is relative to; `rerun` as in `judge`.
    """
    whole, rows = all(square.has_float64), []
    # float32 comes first: its noise is what a lower precision's is held against.
    quiet: dict[str, float] = {}
    for dtype, edges in square.rounding_errors.items():
        loud = max(edge.max_abs_diff for edge in edges)
        # The noise that would settle the verdict: below it another draw may change the word.
        needed = loud / REDRAW_RATIO
        # `_limit` solved for the noise: with it the float64 difference is REDRAW_SHARE of the limit.
        if dtype == "float32" and whole:
            needed = max(
                needed,
                square.float64_difference.max_abs_diff
                / (REDRAW_SHARE * MAX_FLOAT64_ULPS)
                * EPS["float32"]
                / EPS["float64"],
            )
        # What amplifies float32's rounding amplifies that of a lower precision as much.
        least = EPS[dtype] * size if dtype == "float32" else EPS[dtype] / EPS["float32"] * quiet["float32"]
        quiet[dtype] = _noise(square, dtype, least, needed, rerun)
        # Where all of float64 is zero there is no noise to hold another against; nor where both sides overflow.
        ratio = max(1.0, loud / quiet[dtype]) if 0 < quiet[dtype] < np.inf else 1.0
        apart = square.float32_difference if dtype == "float32" else square.difference(dtype)
        word = "rounding" if apart.unequal else "identical"
        if ratio > MAX_NOISE_RATIO[dtype]:
            word = "unstable" if whole else "different"
        rows.append(
            PrecisionResult(dtype, word, apart.max_abs_diff, (edges[0].max_abs_diff, edges[1].max_abs_diff), ratio)
        )
    return tuple(rows), quiet["float32"]


def _noise(square: PrecisionSquare, dtype: str, least: float, needed: float, rerun: Perturbation | None) -> float:
    """The quieter side's noise in a dtype, and no less than `least`.

    One draw of it can be small by chance: where a model multiplies rounding, all that a run shows is
    proportional to a single number of either sign. So where a verdict comes near a limit, both sides
    are run again from weights that rounding moves, until the noise explains it or a few draws do not.
    """
    quiet = max(min(edge.max_abs_diff for edge in square.rounding_errors[dtype]), least)
    for draw in range(REDRAWS):
        # Infinite where a side is not finite: no noise explains that.
        if rerun is None or not quiet < needed < np.inf:
            break
        moved = rerun.largest_change(dtype, draw)
        # Nothing to draw from, or so far from what is needed that further draws only take time.
        if moved is None or moved == np.inf or max(quiet, moved) * REDRAW_LIMIT < needed:
            break
        quiet = max(quiet, moved)
    return quiet


def _message(
    subject: str, square: PrecisionSquare, failing: PrecisionResult, limit: float, basis: str, places: Array | None
) -> tuple[str, str]:
    """A failing verdict in words: what happened first, then the worst place, the limit and where that came from.

    And the same in short, of a float64 difference.
    """
    brief = ""
    head = f"{subject} {messages.dims(square.reference.shape)}"
    place = partial(_place, places=places)
    # Of a float64 difference the drawing shows the float32 row, which is what the user runs.
    dtype = failing.dtype if failing.dtype != "float64" else "float32"
    errors = square.rounding_errors[dtype]
    loud = int(errors[1].max_abs_diff > errors[0].max_abs_diff)
    if failing.dtype == "float64" and np.isinf(failing.apart):
        lines = [messages.one_sided(head, square.sides, square.float64_difference, place)]
    elif failing.dtype == "float64":
        *lines, brief = _apart(head, square, limit, basis, place)
    elif failing.word == "unstable":
        lines = [
            messages.unstable(head, square.sides[loud], dtype, failing.ratio, MAX_NOISE_RATIO[dtype]),
            messages.greatest(place(errors[loud].index), dtype, errors[loud]),
        ]
    else:
        lines = [
            messages.weaker(head, square.sides, square.sides[loud], dtype, failing.ratio, MAX_NOISE_RATIO[dtype]),
            messages.greatest(place(errors[loud].index), dtype, errors[loud]),
            f"  float64 on one side only, less sensitive: {square.reason}",
        ]
    apart = square.float32_difference if dtype == "float32" else square.difference(dtype)
    noise = errors[0].max_abs_diff, errors[1].max_abs_diff
    lines.append(
        messages.drawing(
            square.sides, dtype, apart.max_abs_diff, noise, square.float64_difference.max_abs_diff, square.has_float64
        )
    )
    return "\n".join(lines), brief


def _apart(head: str, square: PrecisionSquare, limit: float, basis: str, place: messages.Place) -> tuple[str, str]:
    """The first lines of a float64 difference, with its statistics: a second pass, which only a failure pays for.

    And the same in short.
    """
    first, second = (square.reference if array is None else array for array in square.rows["float64"])
    stats = statistics(first, second, limit)
    at = stats.relative_index
    known = head, square.sides, square.float64_difference, stats, f"{limit:.1e} = {basis}"
    values = float(first[at]), float(second[at])
    return messages.different(*known, values, place), messages.brief(*known, place)


def _place(index: tuple[int, ...], places: Array | None) -> tuple[int, ...]:
    """An index into selected rows as one into the array before the selection."""
    return index if places is None else (*(int(i) for i in np.argwhere(places)[index[0]]), *index[1:])


def _discrete(subject: str, square: PrecisionSquare) -> Verdict:
    """Judge integers or booleans: exactly, in every precision, since no rounding excuses them; the worst verdict."""
    verdicts = []
    for dtype, (first, second) in square.rows.items():
        if first is not None and second is not None:
            names = messages.corner(square.sides[0], dtype), messages.corner(square.sides[1], dtype)
            verdicts.append(judge_exact(subject, first, second, names))
    return max(verdicts, key=lambda verdict: ORDER.index(verdict.word))
