"""How gradients were clipped, from what they were and what they are then.

A user's clipping is a function that cannot be asked what it does. But each form leaves a mark in its results, from
which its bound is solved: the largest norm, or element, that is left.
"""

from collections.abc import Sequence

import numpy as np

from parity.canonical.faulty_recipe import Clipping
from parity.dtypes import EPS, Array

Gradients = Sequence[Array]  # of one step, an array each variable
ADDED = (0.0, 1e-6)  # to the norm: nothing, or what torch's clip_grad_norm_ adds


def clipping(before: Sequence[Gradients], after: Sequence[Gradients]) -> tuple[Clipping, float | None, float] | None:
    """Find the form of clipping that turns each step's gradients `before` into those `after`: (form, bound, added).

    Each is a sequence of steps, of an array a variable, in the same order. `added` is what the divisor has beside the
    norm. The bound is None where nothing is clipped. None where no form makes one of the other: the function does
    something else.
    """
    # The step with the largest norm was clipped if any was, and what is left of it shows the bound.
    worst = max(range(len(before)), key=lambda step: _norm(before[step]))
    if all(_alike(old, new) for old, new in zip(before, after, strict=True)):
        return Clipping.GLOBAL_NORM, None, 0.0
    norm, left = _norm(before[worst]), after[worst]
    # What is left has the bound's norm, but for what a library adds to the divisor against a division by zero.
    bounds = [(Clipping.GLOBAL_NORM, _norm(left) * (norm + added) / norm, added) for added in ADDED]
    bounds += [(Clipping.EACH_VARIABLE, max(_norm([one]) for one in left), 0.0)]
    bounds += [(Clipping.EACH_ELEMENT, max(float(np.abs(one).max(initial=0.0)) for one in left), 0.0)]
    for form, limit, added in bounds:
        # A bound that somebody wrote has few digits: 1, not 0.9999999.
        for bound in dict.fromkeys((float(f"{limit:.6g}"), limit)):
            if all(_alike(clipped(old, form, bound, added), new) for old, new in zip(before, after, strict=True)):
                return form, bound, added
    return None


def clipped(gradients: Gradients, form: Clipping, bound: float, added: float) -> list[Array]:
    """Clip the gradients of a step: each element, all by `GLOBAL_NORM`, or else each variable by its own norm.

    `added` is to the global norm alone, as torch.nn.utils.clip_grad_norm_ does it.
    """
    if form is Clipping.EACH_ELEMENT:
        return [np.clip(one, -bound, bound) for one in gradients]
    whole = _norm(gradients) + added
    norms = [whole if form is Clipping.GLOBAL_NORM else _norm([one]) for one in gradients]
    return [one * (bound / max(norm, bound)) for one, norm in zip(gradients, norms, strict=True)]


def _norm(gradients: Gradients) -> float:
    """The Euclidean norm of all arrays together."""
    return float(np.sqrt(sum(np.vdot(one, one) for one in gradients)))


def _alike(first: Gradients, second: Gradients) -> bool:
    """Whether three quarters of their digits are the same: what is added to a norm shows, and rounding does not."""
    size = max((float(np.abs(one).max(initial=0.0)) for one in first), default=0.0)
    digits = EPS[first[0].dtype.name] ** 0.75  # 1e-12 in float64: torch's 1e-6 moves a gradient of 1e4 by 1e-10 of it
    return all(np.abs(a - b).max(initial=0.0) <= digits * size for a, b in zip(first, second, strict=True))
