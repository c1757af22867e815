"""Two arrays of which nothing more precise is known -> Verdict: what can honestly be said of them.

In float64 rounding error is at most MAX_FLOAT64_ULPS * eps64 * scale, as with both precisions, and a verdict stands. In
a lower precision a difference that is small enough for rounding can be a bug as well: that is `undecided`, and float64
runs decide it. What is larger than rounding can be in that precision is `different` in any case.
"""

from dataclasses import replace

import numpy as np

from parity.compare import messages
from parity.compare.divergence import Divergence, divergence, statistics
from parity.compare.judge import MAX_FLOAT64_ULPS, Verdict, judge_exact
from parity.dtypes import EPS, Array

UNDECIDED = "undecided"
WORDS = ("identical", "rounding", UNDECIDED, "unstable", "different")


def alone(subject: str, arrays: tuple[Array, Array], dtypes: tuple[str, str], sides: tuple[str, str]) -> Verdict:
    """Judge two arrays of which each was computed once, in one precision.

    `dtypes` are their precisions, bfloat16 among them, which NumPy holds as float32; the coarser one counts. Arrays
    that are not floating-point, or of unequal shapes, or empty, are compared exactly (`judge_exact`): two empty ones of
    one shape and dtype are identical, and the message says that this proves nothing. The word is one of `WORDS`;
    `message` is empty otherwise, unless it fails or is undecided.
    """
    first, second = arrays
    kinds = {array.dtype.kind for array in arrays}
    if first.shape != second.shape or kinds != {"f"} or not first.size:
        return _exactly(subject, first, second, sides)
    # The coarser side's rounding is in the difference, however fine the other's is.
    dtype = max(dtypes, key=lambda name: EPS.get(name, 0.0))
    # A dtype that `EPS` does not have, as NumPy's longdouble, is judged as float64.
    eps, gap = EPS.get(dtype, EPS["float64"]), divergence(first, second)
    limit = MAX_FLOAT64_ULPS * eps * gap.scale
    # What is within float64's rounding is settled; within a lower precision's, it may as well be a small bug.
    word = "different" if gap.max_abs_diff > limit else "rounding" if eps == EPS["float64"] else UNDECIDED
    if not gap.unequal and not gap.max_abs_diff:
        word = "identical"
    basis = f"{MAX_FLOAT64_ULPS:g} * the spacing of {dtype} * {gap.scale:.3g}"
    message = "" if word in ("identical", "rounding") else _message(subject, arrays, gap, limit, sides)
    if word == UNDECIDED:
        message += (
            f"\n  in {dtype} as much as {limit:.1e} may be rounding error, and a bug may be as small; "
            "the same arrays computed in float64 decide it"
        )
    values = repr(gap.first), repr(gap.second)
    return Verdict(
        subject,
        word,
        gap.elements,
        gap.max_abs_diff,
        limit,
        basis,
        message,
        sides=sides,
        place=gap.index,
        values=values,
    )


def _exactly(subject: str, first: Array, second: Array, sides: tuple[str, str]) -> Verdict:
    """As `judge_exact`; of empty arrays that are alike the message says that this proves nothing."""
    verdict = judge_exact(subject, first, second, sides)
    if verdict.fails or first.size:
        return verdict
    return replace(verdict, empty=True, message=f"{subject}: {messages.dims(first.shape)} {messages.NOTHING}")


def _message(subject: str, arrays: tuple[Array, Array], gap: Divergence, limit: float, sides: tuple[str, str]) -> str:
    """Say how two arrays differ: how many elements do, and the greatest differences with both values."""
    one, other = sides
    above = gap.max_abs_diff > limit
    stats = statistics(*arrays, limit if above else 0.0)
    values = f"{one} {gap.first!r}, {other} {gap.second!r}"
    lines = [
        f"{subject} {messages.dims(arrays[0].shape)}: {one} and {other} differ",
        f"  mismatched elements: {stats.above:,} / {stats.elements:,} ({100 * stats.above / stats.elements:.3g}%)",
        f"  greatest absolute difference: {gap.max_abs_diff:.1e} at index {gap.index}: {values}",
        f"  greatest relative difference: {stats.relative:.1e} at index {stats.relative_index}; {stats.ulps:.3g} ULPs",
        f"  rounding error accounts for at most {limit:.1e}",
    ]
    # A relative difference from infinity has no meaning; and below the limit the last line would excuse the difference,
    # which the caller says is undecided.
    return "\n".join(lines[:3] if np.isinf(gap.max_abs_diff) else lines if above else lines[:4])
