"""How much an edited run is like the other side's, of edits that all leave nothing of the difference."""

from collections.abc import Collection

import numpy as np

from parity.backends.operations import Operation, Trace
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.names import PRODUCTS, SUMS


def strain(before: Alignment, after: Alignment, edited: Collection[int]) -> tuple[int, int]:
    """How little a run in which these operations are edited is like TensorFlow's: the less, the likelier a cause.

    Operations that the edits leave idle count first, as n / (1 + n) without its 1: TensorFlow has not got
    that operation either. Then how few of the values on TensorFlow's way to its outputs are made.
    """
    was, now = before.traces[0], after.traces[0]
    others = (one for number, one in enumerate(was.operations) if number not in edited)
    idle = sum(_idle(now, one) and not _idle(was, one) for one in others)
    return idle, -sum(place in after.twins[1] for place in before.wanted)


def _idle(trace: Trace, operation: Operation) -> bool:
    """Whether a sum or a product adds nothing to one of its operands, or makes one number alone."""
    if operation.name not in SUMS | PRODUCTS or len(operation.makes) != 1:
        return False
    result = trace.values[operation.makes[0]].array
    taken = [trace.values[place].array for _, place in operation.takes]
    if result is None or result.size < 2 or not taken:
        return False
    return not np.ptp(result) > 0 or any(of is not None and np.array_equal(of, result) for of in taken)
