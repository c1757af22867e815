"""Numbers that were estimated from arrays, recognised: 6.928 is sqrt(48) where something is 48 wide."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from parity.dtypes import Array

# In every unit of `forms` the nearest number is proposed; whether it is the one, the proof decides.
SMALL = (1, 2, 3, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 1000)


def forms(sizes: Iterable[int]) -> Iterator[tuple[str, float]]:
    """Numbers made of `SMALL` and of the sizes of arrays, each with its name: 48, 1/48, sqrt(48), 1/sqrt(48)."""
    numbers = [size for size in dict.fromkeys([*SMALL, *sizes]) if size > 0]
    for size in numbers:
        yield f"{size}", float(size)
    for size in dict.fromkeys([*sizes, *numbers]):
        if size > 1:
            yield f"1/{size}", 1 / size
            yield f"sqrt({size})", math.sqrt(size)
            yield f"1/sqrt({size})", 1 / math.sqrt(size)


def proposals(value: float, sizes: Iterable[int]) -> Iterator[tuple[str, float]]:
    """(name, number) of what an estimated number may be, simplest first: 0, a form within a thousandth, fewer digits.

    `sizes` are lengths of arrays near by. The same number may come under several names.
    """
    if not math.isfinite(value):
        return
    sign, size = ("-", -1.0) if value < 0 else ("", 1.0)
    if abs(value) < 2.0**-40:
        yield "0", 0.0
    near = min(forms(sizes), key=lambda form: abs(form[1] - abs(value)))
    if abs(near[1] - abs(value)) < abs(value) / 1000:
        yield f"{sign}{near[0]}", size * near[1]
    for digits in (2, 4, 6, 12):
        yield f"{value:.{digits}g}", float(f"{value:.{digits}g}")
    yield f"{value:.12g}", value


def factor(first: Array, second: Array) -> float:
    """The factor by which the first array is nearest to the second, in least squares; NaN where the first is zero."""
    square = float(np.vdot(first, first))
    return float(np.vdot(first, second)) / square if square else math.nan


def solved(predict: Callable[[float], Array], target: Array, start: float) -> float:
    """The number for which `predict(number)` is nearest to `target` in least squares, by Gauss-Newton from `start`.

    The slope is a finite difference. NaN where it vanishes or is not finite; at most 30 steps.
    """
    number = start
    for _ in range(30):
        step = 1e-6 * max(abs(number), 1e-3)
        here, there = predict(number), predict(number + step)
        slope = (there - here) / step
        square = float(np.vdot(slope, slope))
        if not square or not math.isfinite(square):
            return math.nan
        change = float(np.vdot(slope, target - here)) / square
        number += change
        if abs(change) <= 2.0**-50 * abs(number):
            break
    return number


SPARE = 8  # different numbers at least for every factor that is fitted: more equations than unknowns, by far


def fits(array: Array, factors: int) -> bool:
    """Whether an array has `SPARE` different numbers for each factor to be fitted; of whole numbers, elements count."""
    return factors * SPARE <= (len(np.unique(array)) if (array % 1).any() else array.size)


def times(count: int) -> str:
    """How often something is done, in words."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def told(value: Any) -> str:
    """A number as a user writes it: 1e-05, 0.1, 3."""
    return f"{value:g}" if isinstance(value, float) else repr(value)
