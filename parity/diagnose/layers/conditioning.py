"""Formulas that mean the same and lose float32 precision: which, where one of the known gives what was made."""

from collections.abc import Callable, Iterator

import numpy as np

from parity.canonical.activations import log_softmax, softmax
from parity.diagnose import Cause
from parity.diagnose.gaps import apart, gap, holds
from parity.diagnose.locate.segment import Segment
from parity.dtypes import Array

SHARE = 16.0  # a formula that loses this much less than the side does is not the one that it has
Formula = Callable[[Array], Array]


def unstable(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Explain a segment whose sides agree in float64 while one of them is many times noisier in float32.

    Known formulas that give the same in float64 show what each loses in float32. A cause is given in any case where the
    agreement in float64 is proved; `before` and `after` are float32 errors then.
    """
    left = apart(segment)
    if left > segment.limit:
        return [], [f"the two sides do not agree in float64: {left:.1e}"]
    if not holds(segment, _agreeing):
        return [], ["the two sides do not agree in float64 with other weights and inputs"]
    side, loud, quiet = segment.unstable, max(segment.noise), min(segment.noise)
    description = f"{side} loses float32 precision; in float64 the sides agree to {left:.1e}"
    for name, array in segment.given.items():
        if array.dtype.kind != "f":
            continue
        for stable, words, lossy in _known(array.ndim):
            with np.errstate(all="ignore"):
                same = stable(array)
                if gap(same, segment.found[0]) > segment.limit:
                    continue
                before, after = (_loss(formula, array, same) for formula in (lossy, stable))
            if before > after and SHARE * before >= loud:
                fix = f"{words[1]} in {side}"
                description = f"{description}; on {name} {words[0]} loses {before:.1e}, {words[1]} {after:.1e}"
                return [Cause("unstable formula", segment.path, description, fix, before, after)], []
    if loud <= quiet:
        return [], [description]
    fix = f"a formula in {side} that keeps float32 precision, as the other side's does"
    return [
        Cause(
            "unstable formula",
            segment.path,
            f"{description}, in float32 the other side's formula is off less",
            fix,
            loud,
            quiet,
        )
    ], []


def _agreeing(segment: Segment) -> float | None:
    """How far the sides are apart in float64; None where one overflows there, too, as it may before the other."""
    return apart(segment) if all(np.isfinite(array).all() for array in segment.found) else None


def _loss(formula: Formula, array: Array, right: Array) -> float:
    """A formula's largest error in float32, against its result in float64."""
    return gap(formula(array.astype(np.float32)).astype(np.float64), right)


def _known(dimensions: int) -> Iterator[tuple[Formula, tuple[str, str], Formula]]:
    """A stable formula, the words for the lossy one and for it, and the lossy one."""
    for axis in range(1 - dimensions, 0) if dimensions > 1 else (-1,):

        def stable(x: Array, axis: int = axis) -> Array:
            return log_softmax(x, axis)

        def by_parts(x: Array, axis: int = axis) -> Array:
            return np.log(softmax(x, axis))

        def weights(x: Array, axis: int = axis) -> Array:
            return softmax(x, axis)

        def without(x: Array, axis: int = axis) -> Array:
            result: Array = np.divide(np.exp(x), np.exp(x).sum(axis, keepdims=True))
            return result

        yield stable, ("log(softmax(x))", "log_softmax(x)"), by_parts
        yield weights, ("softmax without the maximum subtracted", "softmax with it"), without
    yield _variance, ("E[x^2] - E[x]^2", "the mean of (x - mean)^2"), _moments
    yield _normalised(_variance), ("a variance as E[x^2] - E[x]^2", "the mean of (x - mean)^2"), _normalised(_moments)


def _variance(x: Array) -> Array:
    """Mean of (x - mean)^2 over the last axis, which is kept."""
    result: Array = np.square(x - x.mean(-1, keepdims=True)).mean(-1, keepdims=True)
    return result


def _moments(x: Array) -> Array:
    """E[x^2] - E[x]^2 over the last axis: the same variance, by a difference of large numbers."""
    result: Array = np.subtract(np.square(x).mean(-1, keepdims=True), np.square(x.mean(-1, keepdims=True)))
    return result


def _normalised(variance: Formula) -> Formula:
    """(x - mean) / sqrt(variance + 1e-5) over the last axis, by this formula of the variance."""
    return lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(variance(x) + x.dtype.type(1e-5))
