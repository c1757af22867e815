"""The choice of the largest logit, step by step: a tie that rounding decides is no difference.

Greedy decoding turns a difference of one rounding into another token, after which all else differs. So two choices are
judged by the logits behind them, not by their ids.
"""

import numpy as np

from parity.compare import messages
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.compare.square import PrecisionSquare
from parity.compare.verdict import Verdict
from parity.dtypes import EPS


def judge_argmax(subject: str, square: PrecisionSquare) -> Verdict:
    """Judge which logit is the largest of each step in float32; the square is of logits (steps, vocab).

    Two choices whose float64 logits are no further apart than rounding can move them in float32 are a tie,
    which is counted and does not fail. The verdict's figure is the widest such gap, in units of logits, over the
    steps at which the sides choose differently.
    """
    first, second = (np.argmax(run, axis=-1) for run in square.rows["float32"] if run is not None)
    steps = np.flatnonzero(first != second)
    if not steps.size:
        return Verdict(subject, "identical", first.size, 0.0, 0.0, "equal choices")
    whole = [run for run in square.rows["float64"] if run is not None]
    # By how much a side's float64 logits prefer one of the two choices: (disagreeing steps,), the larger of both sides.
    gaps = np.max([np.abs(run[steps, first[steps]] - run[steps, second[steps]]) for run in whole], axis=0)
    # The float64 limit of `judge`, 2^29 times as large: how far float32's rounding can move a logit.
    limit = MAX_FLOAT64_ULPS * max(
        min(edge.max_abs_diff for edge in square.noise), EPS["float32"] * square.float64_difference.scale
    )
    widest = int(np.argmax(gaps))
    gap, step = float(gaps[widest]), int(steps[widest])
    basis = f"{MAX_FLOAT64_ULPS:g} * the float32 noise"
    if gap <= limit:
        return Verdict(subject, "rounding", first.size, gap, limit, basis, ties=len(steps))
    one, other = square.sides
    message = (
        f"{subject} {messages.dims(first.shape)}: {one} and {other} choose differently\n"
        f"  at step {step + 1}: {one} id {first[step]}, {other} id {second[step]}\n"
        f"  their logits are {gap:.1e} apart in float64, but rounding error accounts for at most {limit:.1e}"
    )
    return Verdict(subject, "different", first.size, gap, limit, basis, message)
