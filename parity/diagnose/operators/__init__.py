"""Where two models part, down to the operation and the line, and why, by editing what torch ran.

Both models run once on one example, every value that each operation makes is kept, and values are matched by the
numbers that they hold. What stands where the first ones have no counterpart is the place. torch's run is then run
again with one change to an operation there; the change after which the outputs are TensorFlow's, with other weights and
inputs too, is the cause.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from parity.backends import SIDES
from parity.backends.operations import Editable, Sketch, Value
from parity.canonical.weights import Weights
from parity.diagnose.operators.align import Alignment, aligned
from parity.diagnose.operators.edits import Proposal, called, exchanges, proposals
from parity.pair.models import Corners
from parity.results import Cause, DifferingOperation

FAULTS = 8  # that are looked for one behind another
TRIED = 4000  # edits in all
FEW = 3  # operations of a side that are told
BASES = 2  # examples on which edits are looked for


@dataclass
class Runs:
    """Both models' runs on one example, in the widest precision that both have."""

    run: Editable
    other: Any
    dtype: str

    @property
    def alignment(self) -> Alignment:
        return aligned(self.run.trace, self.other.trace, self.dtype)


def recorded(corners: Corners, weights: Weights, inputs: Any, loss: bool = False) -> Runs:
    """Run both sides on inputs, their losses behind them if asked for."""
    corners.ensure(weights)
    dtype = "float32" if corners.reason or (loss and corners.weaker_loss) else "float64"
    first, second = (corners.models[side, dtype].record(inputs, loss) for side in SIDES)
    return Runs(first, second, dtype)


def causes(corners: Corners, given: Sequence[tuple[Weights, Any]], loss: bool = False) -> list[Cause]:
    """The edits of torch's run on the first weights and inputs given that leave nothing of the difference on any.

    Where the first do not show it, the next ones. An exchange of results comes last: it says that two operations
    differ and nothing else does, but not what differs in them.
    """
    tries = [(base, False) for base in range(min(BASES, len(given)))] + [(0, True)]
    for base, exchange in tries:
        runs = recorded(corners, *given[base], loss)
        others = [other for at, other in enumerate(given) if at != base]
        for chosen in _closing(runs, exchange):
            told = [_cause(proposal, runs, runs.alignment.gap, _left(runs, chosen)) for proposal in chosen]
            if all(_closed(recorded(corners, *other, loss), chosen) for other in others):
                return told
            corners.ensure(given[base][0])
    return []


def operations(corners: Corners, weights: Weights, inputs: Any, loss: bool = False) -> list[DifferingOperation]:
    """Of each side, the first operations that make something else of what both have: a few, each at its own place."""
    alignment = recorded(corners, weights, inputs, loss).alignment
    told: dict[Any, DifferingOperation] = {}
    for side, first in zip(SIDES, alignment.parted, strict=True):
        for one in first:
            line = (one.line.file, one.line.number, one.line.code) if one.line else ("", 0, "")
            told.setdefault((side, one.layer, line), DifferingOperation(side, called(one), one.layer, *line))
    return [one for side in SIDES for one in [of for of in told.values() if of.side == side][:FEW]]


def _closing(runs: Runs, exchange: bool) -> Iterator[list[Proposal]]:
    """Edits that together leave nothing of the difference on this example: one for each operation that parts."""
    base, chosen, budget = runs, list[Proposal](), TRIED
    for _ in range(FAULTS):
        alignment = base.alignment
        here, there = alignment.parted
        best, most = None, 0
        for operation in here:
            number = base.run.trace.operations.index(operation)
            last = not {*operation.makes}.isdisjoint(base.run.trace.outputs.values())  # nothing takes its result
            tried = proposals(base.run, number, alignment, there)
            for proposal in (*tried, *exchanges(number, alignment, there)) if exchange else tried:
                budget -= 1
                if budget < 0:
                    return
                gained = _gained(base, alignment, number, proposal)
                if (gained or last) and _closed(runs, [*chosen, proposal]):
                    yield [*chosen, proposal]
                elif gained > most:
                    best, most = proposal, gained
        if best is None:
            return
        chosen = [*chosen, best]
        base = Runs(base.run.edited([best.made(base.other.trace)]), base.other, base.dtype)


def _gained(runs: Runs, alignment: Alignment, number: int, proposal: Proposal) -> int:
    """How many values of the other side's are made then that were not: by the operation, or by what takes its result.

    What an edit puts there itself counts for nothing.
    """
    edit, values = proposal.made(runs.other.trace), alignment.traces[1].values
    try:
        if edit.at is None:
            own = runs.run.trace.operations[number].makes
            trace = runs.run.again([edit])
            made = [v for place, v in enumerate(trace.values) if place not in alignment.twins[0] and place not in own]
        else:
            made = [Value(Sketch.of(a), a.shape, a) for a in runs.run.results(number, [edit])]
    except Exception:  # noqa: BLE001 an operation that cannot be called so: the edit is none
        return 0
    return sum(any(alignment.same(value, values[place]) for value in made) for place in alignment.wanted)


def _aligned(runs: Runs, chosen: Sequence[Proposal]) -> Alignment:
    edits = [proposal.made(runs.other.trace) for proposal in chosen]
    return aligned(runs.run.again(edits), runs.other.trace, runs.dtype)


def _left(runs: Runs, chosen: Sequence[Proposal]) -> float:
    return _aligned(runs, chosen).gap


def _closed(runs: Runs, chosen: Sequence[Proposal]) -> bool:
    try:
        found = _aligned(runs, chosen)
    except Exception:  # noqa: BLE001 what comes behind cannot be run on it
        return False
    return found.gap <= found.limit


def _cause(proposal: Proposal, runs: Runs, before: float, after: float) -> Cause:
    operation = runs.run.trace.operations[proposal.made(runs.other.trace).operation]
    return Cause(proposal.name, operation.layer, proposal.told, proposal.fix, before, after)
