"""How much an edited run is like the other side's, of edits that all leave nothing of the difference."""

from collections.abc import Collection, Sequence

import numpy as np

from parity.backends.operations import Edit, Editable, Operation, Trace
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.names import PRODUCTS, SUMS
from parity.diagnose.operators.walks import reached


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
    taken = [trace.values[place].array for place in operation.operands]
    if result is None or result.size < 2 or not taken:
        return False
    return not np.ptp(result) > 0 or any(of is not None and np.array_equal(of, result) for of in taken)


def orphaned(run: Editable, edits: Sequence[Edit]) -> bool:
    """Whether edits, as they let operations take other values, leave some unused that led to an output.

    Beside an edit that puts in what TensorFlow does, they rebuild its run in torch's: what is unused then is there.
    """
    lost, gained = set[tuple[int, int]](), dict[int, list[int]]()
    for edit in edits:
        if isinstance(edit.at, int) and edit.take is not None:
            lost.add((edit.operation, run.leaves(edit.operation)[edit.at].place or 0))
            gained.setdefault(edit.operation, []).append(edit.take)
    return bool(lost) and not _used(run.trace, set(), {}) <= _used(run.trace, lost, gained)


def _used(trace: Trace, lost: Collection[tuple[int, int]], gained: dict[int, list[int]]) -> set[int]:
    """The operations that lead to an output, where some do not take values that they did, and take others."""
    makers = {place: number for number, one in enumerate(trace.operations) for place in one.makes}

    def before(number: int) -> list[int]:
        takes = [place for place in trace.operations[number].operands if (number, place) not in lost]
        return [makers[place] for place in (*takes, *gained.get(number, ())) if place in makers]

    return {*reached((makers[place] for place in trace.outputs.values() if place in makers), before)}
