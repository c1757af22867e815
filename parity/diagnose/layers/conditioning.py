"""Formulas that mean the same and lose float32 precision: which, where one of the known gives what was made."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from parity.canonical.activations import log_softmax, softmax
from parity.diagnose import Cause
from parity.diagnose.locate.segment import Segment
from parity.diagnose.search import apart, gap, holds
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
                single = (formula(array.astype(np.float32)).astype(np.float64) for formula in (lossy, stable))
                before, after = (gap(one, same) for one in single)
            if before > after and SHARE * before >= loud:
                fix = f"{words[1]} in {side}"
                description = f"{description}; on {name} {words[0]} loses {before:.1e}, {words[1]} {after:.1e}"
                return [Cause("unstable formula", segment.path, description, fix, before, after)], []
    if loud <= quiet:
        return [], [description]
    fix = f"a formula in {side} that keeps float32 precision, as the other side's does"
    description = f"{description}, in float32 the other side's formula is off less"
    return [Cause("unstable formula", segment.path, description, fix, loud, quiet)], []


def _agreeing(segment: Segment) -> float | None:
    """How far the sides are apart in float64; None where one overflows there, too, as it may before the other."""
    return apart(segment) if all(np.isfinite(array).all() for array in segment.found) else None


def _known(dimensions: int) -> Iterator[tuple[Formula, tuple[str, str], Formula]]:
    """A stable formula, the words for the lossy one and for it, and the lossy one."""
    for axis in range(1 - dimensions, 0) if dimensions > 1 else (-1,):
        stable, weights = partial(log_softmax, axis=axis), partial(softmax, axis=axis)
        yield stable, ("log(softmax(x))", "log_softmax(x)"), partial(_by_parts, axis)
        words = "softmax without the maximum subtracted", "softmax with it"
        yield weights, words, partial(_without_maximum, axis)
    yield _variance, ("E[x^2] - E[x]^2", "the mean of (x - mean)^2"), _moments
    yield _normalised(_variance), ("a variance as E[x^2] - E[x]^2", "the mean of (x - mean)^2"), _normalised(_moments)


def _by_parts(axis: int, x: Array) -> Array:
    return np.log(softmax(x, axis))


def _without_maximum(axis: int, x: Array) -> Array:
    return np.asarray(np.exp(x) / np.exp(x).sum(axis, keepdims=True))


def _variance(x: Array) -> Array:
    """Mean of (x - mean)^2 over the last axis, which is kept."""
    return np.asarray(np.square(x - x.mean(-1, keepdims=True)).mean(-1, keepdims=True))


def _moments(x: Array) -> Array:
    """E[x^2] - E[x]^2 over the last axis: the same variance, by a difference of large numbers."""
    return np.asarray(np.square(x).mean(-1, keepdims=True) - np.square(x.mean(-1, keepdims=True)))


def _normalised(variance: Formula) -> Formula:
    """(x - mean) / sqrt(variance + 1e-5) over the last axis, by this formula of the variance."""
    return lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(variance(x) + x.dtype.type(1e-5))
