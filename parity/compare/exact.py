"""What promises to be identical, bit for bit or character for character: -> Verdict."""

from dataclasses import replace

import numpy as np

from parity.compare import messages
from parity.compare.picture import picture
from parity.compare.verdict import Verdict
from parity.dtypes import Array


def equal(first: Array, second: Array) -> bool:
    """Whether two arrays have one shape and the same numbers, NaN like NaN.

    Hardly ever is there a NaN, and NumPy takes twenty times as long where it has to expect one: so it is asked without
    that first.
    """
    numbers = first.dtype.kind in "fc" and second.dtype.kind in "fc"
    return np.array_equal(first, second) or (numbers and np.array_equal(first, second, equal_nan=True))


def judge_exact(subject: str, first: Array, second: Array, sides: tuple[str, str]) -> Verdict:
    """Judge two arrays that promise to be identical: shape, dtype and every element. NaN equals NaN.

    `sides` are what messages call the two, ("saved", "reloaded") say. The verdict's figure counts unequal elements; it
    is infinite where shapes or dtypes differ, so that there is nothing to count.
    """
    if first.shape != second.shape or first.dtype != second.dtype:
        shapes = ", ".join(f"{s} {a.shape} {a.dtype}" for s, a in zip(sides, (first, second), strict=True))
        return Verdict(
            subject, "different", first.size, np.inf, 0.0, "equal bits", f"{subject}: shape or dtype differs: {shapes}"
        )
    if equal(first, second):
        return Verdict(subject, "identical", first.size, 0.0, 0.0, "equal bits")
    unequal = first != second
    if first.dtype.kind == "f":
        # NaN is unequal to itself in NumPy; two models that both give one agree.
        unequal &= ~(np.isnan(first) & np.isnan(second))
    places = np.argwhere(unequal)
    place = tuple(int(i) for i in places[0])
    message = (
        f"{subject} {messages.dims(first.shape)}: {sides[0]} and {sides[1]} are different, but should be identical\n"
        f"  unequal: {len(places):,} of {first.size:,} elements\n"
        f"  first at {place}: {sides[0]} {first[place]!s}, {sides[1]} {second[place]!s}"
    )
    figure = float(np.count_nonzero(unequal))
    verdict = Verdict(subject, "different", first.size, figure, 0.0, "equal bits", message)
    values = str(first[place]), str(second[place])
    return replace(verdict, sides=sides, place=place, values=values, picture=picture(first, second))


def same_text(subject: str, first: str, second: str, sides: tuple[str, str]) -> Verdict:
    """Judge two texts that promise to be identical: every character, and the end, which counts as one more element.

    The figure of texts that differ is infinite: one character more moves all that follow, so a count would say nothing.
    """
    if first == second:
        return Verdict(subject, "identical", len(first) + 1, 0.0, 0.0, "equal bits")
    # Where none of the common characters differs, one text is the beginning of the other: they differ at its end.
    at = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second)))
    message = (
        f"{subject}: {sides[0]} and {sides[1]} are different, but should be identical\n"
        f"  first at character {at}\n  {sides[0]} {first!a}\n  {sides[1]} {second!a}"
    )
    return Verdict(subject, "different", max(len(first), len(second)) + 1, np.inf, 0.0, "equal bits", message)
