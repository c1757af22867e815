"""Float32 arrays that both sides may have computed, as the kernel of a weight norm: apart by few roundings at most."""

from parity.compare.divergence import divergence
from parity.compare.exact import judge_exact
from parity.compare.judge import GROWTH
from parity.compare.verdict import Verdict
from parity.dtypes import EPS, Array


def judge_computed(subject: str, first: Array, second: Array, sides: tuple[str, str]) -> Verdict:
    """Judge as `judge_exact`, but allow for the roundings of one formula that was computed twice, in any order.

    At most `GROWTH` roundings of the largest number: what a converter that folds a norm in float64 leaves.
    """
    bits = judge_exact(subject, first, second, sides)
    if not bits.fails or first.shape != second.shape or first.dtype != second.dtype:
        return bits
    gap = divergence(first.astype("float64"), second.astype("float64"))
    limit = GROWTH * EPS["float32"] * gap.scale
    if not gap.max_abs_diff <= limit:
        return bits
    basis = f"{GROWTH:g} * eps32 * {gap.scale:.3g}"
    return Verdict(subject, "rounding", first.size, gap.max_abs_diff, limit, basis)
