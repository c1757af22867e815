"""What one side's gradient is of the other's: stopped, a multiple, cut off, or that of another function."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from parity.canonical.activations import FUNCTIONS, Function
from parity.diagnose.operators.align import FINE
from parity.dtypes import EPS, Array

STEP = 1e-5  # to either side, for the slope of a function
CLIPPED = "cut the gradient off on both sides, or on neither"
STOPPED = "let the gradient pass on both sides, or on neither: look for detach(), no_grad() or stop_gradient"


@dataclass(frozen=True)
class Form:
    """A relation of the other side's gradient to this one's: the cause's name, how it is told, and the change.

    `change(gradient, value)` makes the other's of this one's; where `past`, of the gradient behind the operation, as if
    that were not there. `claim` has a place {} for the operation.
    """

    name: str
    claim: str
    fix: str
    change: Callable[[Array, Array], Array] = lambda gradient, _: gradient
    past: bool = False


def forms(use: Array | None, other: Array | None, result: Array | None, value: Array | None) -> Iterator[Form]:
    """The forms by which TensorFlow's gradient `other` may come from torch's, the likeliest first.

    `use` is torch's gradient by a `value` through an operation, `result` that by what the operation makes; None of what
    is not known.
    """
    none, nothing = (of is None or not of.any() for of in (use, other))
    if nothing:
        claim = "torch's gradient passes {}; no gradient passes there in tensorflow"
        yield Form("gradient stopped", claim, STOPPED, lambda of, _: np.zeros_like(of))
    if none and result is not None:
        claim = "no gradient passes torch's {}; in tensorflow it does"
        yield Form("gradient stopped", claim, STOPPED, lambda of, _: of, past=True)
    if use is not None and other is not None and not none and not nothing:
        factor = float(np.sqrt((other**2).sum() / (use**2).sum()))
        for sign in (1, -1):
            plain = sign * float(f"{factor:.6g}")
            for times in dict.fromkeys((plain, sign * factor)):
                claim = f"tensorflow's gradient is {times:.9g} times torch's through {{}}"
                fix = "take the factor out, or have it on both sides: what leads from there to the loss has it"
                yield Form("gradient scaled", claim, fix, partial(_times, times))
        for change, how in _ends(other):
            yield Form("clipped", f"tensorflow's gradient is torch's through {{}}, {how}", CLIPPED, change)
    if result is not None and value is not None and not nothing:
        yield from _clipped(use, other, result)
        claim = "tensorflow's gradient goes past torch's {} as if it were the identity"
        fix = "a straight-through gradient on both sides, x + (f(x) - x).detach(), or on neither"
        yield Form("straight through", claim, fix, lambda of, _: of, past=True)
        for name, function in FUNCTIONS.items():
            claim = f"tensorflow's gradient of {{}} is that of {name}, and torch's is another"
            fix = f"the gradient of one function on both sides, {name}'s or the other"
            yield Form("activation", claim, fix, partial(_sloped, function), past=True)


def _clipped(use: Array | None, other: Array | None, result: Array) -> Iterator[Form]:
    """The forms of a gradient that torch's operation cuts off or scales down, and TensorFlow not, or elsewhere."""
    if use is None or other is None or use.shape != result.shape:
        return
    rounding = FINE * EPS["float64"] * np.abs(result).max()
    for here, how in _ends(use):
        if np.abs(here(result, use) - use).max() > rounding or np.abs(result - use).max() <= rounding:
            continue
        ends = [(lambda of, _: of, "passes as it is"), *((there, f"is {what}") for there, what in _ends(other))]
        for there, what in ends:
            claim = f"torch's gradient through {{}} is {how}; tensorflow's {what}"
            yield Form("clipped", claim, CLIPPED, there, past=True)


def _ends(gradient: Array) -> Iterator[tuple[Callable[[Array, Array], Array], str]]:
    """How a gradient may have become what it is: each change with its words."""
    bound, norm = float(np.abs(gradient).max()), float(np.sqrt((gradient**2).sum()))
    yield partial(_cut, bound), f"cut off at {bound:.6g}"
    yield partial(_to_norm, norm), f"scaled down to a norm of {norm:.6g}"


def _times(factor: float, gradient: Array, _: Array) -> Array:
    return factor * gradient


def _cut(bound: float, gradient: Array, _: Array) -> Array:
    return np.clip(gradient, -bound, bound)


def _to_norm(norm: float, gradient: Array, _: Array) -> Array:
    """A gradient scaled down to a norm, if it has a larger one."""
    own = float(np.sqrt((gradient**2).sum()))
    return gradient * min(1.0, norm / own) if own else gradient


def _sloped(function: Function, gradient: Array, value: Array) -> Array:
    """The gradient through a function of single elements, by its slope at the value (central differences)."""
    slope: Array = (function(value + STEP) - function(value - STEP)) / (2 * STEP)
    return gradient * slope
