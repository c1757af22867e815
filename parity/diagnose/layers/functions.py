"""What a converter computes of each number: its root, its reciprocal, a factor for each channel; proved on all of them.

No function is told of numbers that are the same, or so few that some function fits by chance: zeros, ones, a bias of
three.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from parity.diagnose.constants import SPARE, factor, proposals, told
from parity.diagnose.search import LEAST
from parity.dtypes import EPS, Array

SAMPLE = 1024  # numbers that are tried before all of a larger array, of which so many stand along an axis
ALONG = 16
DIGITS = 4  # in which numbers count as different
UNITS = 8  # roundings by which a float32 formula in another order may be off
POWERS = tuple(10.0**-place for place in range(2, 13))  # what an epsilon usually is
Function = Callable[[Array], Array]
Vectors = Mapping[str, Array]


@dataclass(frozen=True)
class Form:
    """A function of single numbers, with its inverse where it is defined, and how its values are told."""

    told: str
    of: Function
    inverse: Function


def _power(exponent: float) -> Function:
    return lambda x: np.power(x, exponent)


IDENTITY = Form("", lambda x: x, lambda y: y)
FORMS = (
    Form("its square root", np.sqrt, np.square),
    Form("its square", np.square, np.sqrt),
    Form("one over its square root", _power(-0.5), _power(-2.0)),
    Form("its reciprocal", _power(-1.0), _power(-1.0)),
    Form("one over its square", _power(-2.0), _power(-0.5)),
    Form("its exponential", np.exp, np.log),
    Form("its logarithm", np.log, np.exp),
    Form("the exponential of its half", lambda x: np.exp(x / 2), lambda y: 2 * np.log(y)),
    Form("its softplus", lambda x: np.logaddexp(x, 0), lambda y: np.log(np.expm1(y))),
    Form("what its softplus is of", lambda x: np.log(np.expm1(x)), lambda y: np.logaddexp(y, 0)),
    Form("its magnitude", np.abs, lambda y: y),
)


def of_each(first: Array, second: Array) -> Iterator[tuple[str, str, Array]]:
    """(cause, how it is told, what is made) where the second array is a function of each number of the first.

    One of `FORMS`, with a number added before or behind it, or multiplied, if there are more equations than that takes.
    """
    x, y = first.astype(np.float64), second.astype(np.float64)
    different = min(_different(x), _different(y))
    if different < LEAST or np.array_equal(x, y):
        return
    if x.size > SAMPLE:  # what does not hold of some numbers does not hold of all
        some = np.random.default_rng(0).integers(0, x.size, SAMPLE // 2)
        if not any(of_each(x.reshape(-1)[some], y.reshape(-1)[some])):
            return
    with np.errstate(all="ignore"):
        if _close(IDENTITY, x, y) is not None:  # nothing but rounding
            return
        for form in FORMS:
            if _close(form, x, y) is not None:
                yield "weights transformed", f"as {form.told}", form.of(x)
        for form in (IDENTITY, *FORMS) if different >= SPARE else ():
            yield from _with_a_number(form, x, y)


def _different(array: Array) -> int:
    """How many numbers are different by far more than rounding: to `DIGITS` of the largest."""
    return len(np.unique(np.round(array / (np.abs(array).max() or 1.0), DIGITS)))


def _with_a_number(form: Form, x: Array, y: Array) -> Iterator[tuple[str, str, Array]]:
    """A form of the sum of each number and a constant, its sum with a constant, or its product with one."""
    plain, cause = form.of(x), "weights transformed" if form.told else "offset"
    if _close(form, x, y) is not None:  # whatever is added is less than rounding
        return
    before = _best(form, x, y, float(np.median(form.inverse(y) - x)))
    if before is not None:
        added = f"with {before[0]} added"
        yield cause, f"as {form.told}, {added} to it before" if form.told else added, form.of(x + before[1])
    if not form.told:
        return
    behind = _best(IDENTITY, plain, y, float(np.median(y - plain)))
    if behind is not None:
        yield cause, f"as {form.told} with {behind[0]} added", plain + behind[1]
    for name, number in proposals(factor(plain, y), ()) if np.isfinite(plain).all() else ():
        if _close(IDENTITY, number * plain, y) is not None:
            yield cause, f"as {form.told} times {name}", number * plain
            return


def _best(form: Form, x: Array, y: Array, estimate: float) -> tuple[str, float] | None:
    """The constant by name with which `form.of(x + constant)` is nearest to y, among those near an estimate; or None.

    What rounding hides is no constant: one that changes nothing is left out.
    """
    near = [(told(sign * of), sign * of) for of in POWERS for sign in (1, -1)]
    known = [*(one for one in near if abs(one[1] - estimate) < abs(one[1]) / 2), *proposals(estimate, ())]
    left = [(off, one) for one in known if one[1] and (off := _close(form, x + one[1], y)) is not None]
    # Of several that fit, the simplest that leaves about as little; or no more than rounding, a quarter of a unit.
    least = max(min((off for off, _ in left), default=0.0), 0.25 / UNITS)
    return next((one for off, one in left if off <= 1.5 * least), None)


def _close(form: Form, x: Array, y: Array) -> float | None:
    """The mean distance of a form's values from others, None where one is off by more than rounding."""
    values = form.of(x)
    if not np.isfinite(values).all():
        return None
    moved = np.abs(form.of(x * (1 + EPS["float32"])) - values)  # where its argument was rounded
    off = np.abs(values - y)
    allowed = UNITS * (EPS["float32"] * np.abs(y) + moved)
    return float((off / np.maximum(allowed, np.finfo(np.float64).tiny)).mean()) if (off <= allowed).all() else None


@dataclass(frozen=True)
class Scaled:
    """An array whose slices have factors of their own: how that is told, what is made, and what else may be right.

    `others` are the array with the same factors along other axes, or with those of one axis alone; `names` the
    parameters that the factors were made of.
    """

    told: str
    made: Array
    names: tuple[str, ...]
    others: tuple[Array, ...]


def by_channel(first: Array, second: Array, vectors: Vectors | None = None) -> Iterator[Scaled]:
    """The second array as the first with a factor for each place along an axis, or along each of two axes.

    As where a norm is folded into a kernel, or a weight norm takes lengths along another axis. `vectors` are parameters
    that the factors may have been made of.
    """
    x, y = first.astype(np.float64), second.astype(np.float64)
    if x.shape != y.shape or x.ndim < 2 or not np.array_equal(x == 0, y == 0) or not x.any():
        return
    corner = (slice(ALONG),) * x.ndim
    if x.size > SAMPLE and x[corner].size < x.size and not any(by_channel(first[corner], second[corner])):
        return
    with _without_warnings():
        ratio = _ratio(x, y)
        for axis in range(x.ndim):
            factors = factors_along(x, y, axis)
            if factors is not None:
                also = [of for of in range(x.ndim) if of != axis and x.shape[of] == len(factors)]
                others = tuple(_times(x, {of: factors}) for of in also)
                words, names = _named(factors, vectors)
                yield Scaled(f"with {words} at each place along axis {axis}", y, names, others)
        for one, other in combinations(range(x.ndim), 2):
            both = _of_both(ratio, one, other)
            factors_of = {} if both is None else {one: both[0], other: both[1]}
            if both is not None and _fits(x, y, factors_of):
                others = tuple(_times(x, {axis: of}) for axis, of in factors_of.items())
                yield Scaled(_told_of_both(both, one, other), y, (), others)


def factors_along(x: Array, y: Array, axis: int) -> Array | None:
    """By what each slice of x (float64) along an axis is multiplied in y: the median of its numbers' ratios, (length,).

    None where one has no ratio, or that does not give y.
    """
    with _without_warnings():
        factors = np.nanmedian(np.moveaxis(_ratio(x, y), axis, 0).reshape(x.shape[axis], -1), 1)
    known = np.isfinite(factors).all() and factors.all()
    return factors if known and _fits(x, y, {axis: factors}) else None


def _ratio(x: Array, y: Array) -> Array:
    return np.where(x == 0, np.nan, y / x)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Inside, a slice of zeros, which has no ratio and is seen by its NaN, is no matter of a warning."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _of_both(ratio: Array, one: int, other: int) -> tuple[Array, Array] | None:
    """Factors along two axes whose products are the ratios, the first of one axis being as the other's has it."""
    table = np.moveaxis(ratio, (one, other), (0, 1))
    table = np.nanmedian(table.reshape(*table.shape[:2], -1), 2)
    rows = table[:, 0]
    columns = np.nanmedian(table / rows[:, None], 0)
    rows = np.nanmedian(table / columns, 1)
    known = np.isfinite(rows).all() and np.isfinite(columns).all() and rows.all() and columns.all()
    return (rows, columns) if known else None


def _fits(x: Array, y: Array, factors: Mapping[int, Array]) -> bool:
    """Whether every number is the other's times its factors, but for rounding, and the factors are far fewer."""
    unknown = sum(len(of) for of in factors.values())
    # One for all is a plain factor, and so is one that rounding moves.
    several = all(np.ptp(of) > SPARE * UNITS * EPS["float32"] * np.abs(of).max() for of in factors.values())
    # A row of one number has any factor.
    rows = all(np.count_nonzero(x) >= 2 * len(of) for of in factors.values())
    if not (several and rows) or np.count_nonzero(x) < unknown + SPARE:
        return False
    return bool((np.abs(_times(x, factors) - y) <= UNITS * EPS["float32"] * np.abs(y)).all())


def _times(x: Array, factors: Mapping[int, Array]) -> Array:
    """An array times factors along its axes."""
    for axis, of in factors.items():
        x = x * np.expand_dims(of, tuple(place for place in range(x.ndim) if place != axis))
    return x


def _told_of_both(both: tuple[Array, Array], one: int, other: int) -> str:
    """How factors along two axes are told: one's are in the other's place where the products of both are one number."""
    rows, columns = both
    if len(rows) == len(columns) and _equal(rows * columns, np.full_like(rows, rows[0] * columns[0])):
        return f"with factors along axis {one} that belong along axis {other}, or the other way round"
    return f"with other factors along axis {one} and along axis {other}, as of a norm along another axis"


def _named(factors: Array, vectors: Vectors | None) -> tuple[str, tuple[str, ...]]:
    """What factors were made of, and of which parameters: a function of one, or a gain over the deviation; "another
    factor" where neither.
    """
    same = {name: np.asarray(of, np.float64) for name, of in (vectors or {}).items() if of.shape == factors.shape}
    for name, of in same.items():
        if _equal(of, factors):
            return f"a factor, {name},", (name,)
        form = next((form for form in FORMS if _equal(form.of(of), factors)), None)
        if form is not None and len(np.unique(of)) >= LEAST:
            return f"a factor, of {name} {form.told},", (name,)
    pairs = ((gain, of) for of in same for gain in (*same, None) if gain is None or owner(gain) == owner(of))
    for gain, variance in pairs if _different(factors) >= LEAST else ():
        over = (1.0 if gain is None else same[gain]) / factors
        estimate = float(np.median(np.square(over) - same[variance]))
        for number in (*POWERS, *([estimate] if _different(factors) >= SPARE else [])):
            if gain != variance and _equal(np.sqrt(same[variance] + number), np.abs(over)):
                names = tuple(filter(None, (gain, variance)))
                return f"a factor, {gain or 1} / sqrt({variance} + {number:g}),", names
    return "another factor", ()


def _equal(one: Array, other: Array) -> bool:
    return bool((np.abs(one - other) <= UNITS * EPS["float32"] * np.abs(other)).all())


def owner(name: str) -> str:
    """The layer that a parameter is of."""
    return name.rpartition(".")[0]
