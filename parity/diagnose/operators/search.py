"""Edits of torch's run that leave nothing of the difference: one for each operation that parts, or one before it.

The search is greedy: of all edits of one operation, the one that makes most of TensorFlow's values is kept, and the
next operation that parts is edited beside it, until the outputs agree. What is tried comes in levels, the plainest
first (an argument before an operation that is moved), because many edits can make one number right by chance, and of
two that explain a difference the plainer is mostly what somebody did. The limits below bound the work, not the result:
a model of any length is searched, and what is not reached has no cause.
"""

from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain, islice
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Editable, Operation, Trace, Value
from parity.checks.results import Cause
from parity.diagnose.operators.align import Alignment, aligned, opposite
from parity.diagnose.operators.attention import named
from parity.diagnose.operators.families import LOOSE, MOVES, ORDERS, WHOLE, Kind, each, in_turn, levels
from parity.diagnose.operators.likeness import orphaned, strain
from parity.diagnose.operators.others import prefixed, replaced
from parity.diagnose.operators.proposal import Proposal, Spot, contrary, opposed
from parity.diagnose.operators.walks import reached, takers
from parity.dtypes import Array

# The limits are counts of work, not seconds: the same model gives the same causes on any machine.
MANY = 200  # edits of which it is asked what they make further on
FAULTS = 8  # that are looked for one behind another
WAYS = 3  # first edits on which others are built, where that is quick
WORK = 4_000  # operations that are run for edits that show nothing at once
SEARCH = 4  # times as many for a search in all its forms
SHARE = 2**13  # elements that take as long as an operation
NEAR = 12  # operations before those that part that are edited, nearest first; as many behind them
# Names that say a kind, and not the thing.
KINDS = {"argument", "operand", "operation", "extra operation", "residual", "norm placement"}
Tried = Iterator[tuple[Proposal, int, int]]  # what each gains, and its level


@dataclass
class Runs:
    """Both models' runs on one example, in the widest precision that both have, and how they are compared.

    Where `makers`, what makes an order is looked for, and not that order; where `rounded`, one side's weights are the
    other's, rounded once more. `fine` is as `aligned` has it.
    """

    run: Editable
    other: Any
    dtype: str
    strict: bool = False
    makers: bool = False
    rounded: bool = False
    fine: bool = False
    work: list[float] = field(default_factory=lambda: [SEARCH * WORK])

    def cost(self, number: int) -> float:
        """How much is run when an operation is edited: what follows it, of which large arrays count for more."""
        return float(self.costs[number])

    @cached_property
    def costs(self) -> Array:
        """The cost of each operation: what it takes to run it and all that follow, (operations,)."""
        values = self.run.trace.values
        each = [1 + sum(values[at].sketch.size for at in one.makes) / SHARE for one in self.run.trace.operations]
        return np.cumsum(each[::-1])[::-1]

    def edits(self, chosen: Sequence[Proposal]) -> list[Edit]:
        """The edits of these proposals, with what they take of the other side's run."""
        return [edit for proposal in chosen for edit in proposal.made(self.other.trace)]

    @cached_property
    def alignment(self) -> Alignment:
        """The two runs matched, operation by operation."""
        return aligned(self.run.trace, self.other.trace, self.dtype, self.strict, self.rounded, self.fine)


def closing(runs: Runs, exchange: bool, quick: bool = False, alone: bool = False) -> Iterator[list[Proposal]]:
    """Yield lists of edits that together leave nothing of the difference on this example, the plainest first.

    If `quick`, of those alone that gain something at once; if `alone`, too, single edits that show at the end, of loose
    kinds, too: one is told instead of several. Of those that gain as much, the one that leaves less is built on.
    """
    work = [0.0 if exchange or (quick and not alone) else float(WORK)]
    # What is not tried: what could be said of much, or what says the least of all.
    unsaid = () if not quick else (replaced,) if alone else LOOSE
    waiting = [list[Proposal]()]
    while waiting:
        chosen = waiting.pop(0)
        ways = yield from _step(runs, chosen, exchange, work, quick, unsaid)
        if runs.work[0] <= 0:
            return
        if not alone and len(chosen) < FAULTS:
            waiting[:0] = [[*chosen, way] for way in ways[: 1 if chosen or not quick else WAYS]]


def _step(
    runs: Runs, chosen: list[Proposal], exchange: bool, work: list[float], quick: bool, unsaid: Sequence[Kind]
) -> Generator[list[Proposal], None, list[Proposal]]:
    """Yield edits that close the difference together with those `chosen`; return what to build on, the best first.

    What is tried is run to its end. It closes the difference, or gains some of TensorFlow's values at once, or neither.
    """
    base = replace(runs, run=runs.run.edited(runs.edits(chosen))) if chosen else runs
    gaining, others = list[tuple[int, float, Proposal]](), list[Proposal]()
    closings, at = list[list[Proposal]](), 0
    for proposal, gained, level in _tried(base, exchange, work, later=bool(chosen), unsaid=unsaid):
        if level > at:  # of those as plain, the one after which the run is most like TensorFlow's
            yield from sorted(closings, key=partial(_strain, runs))
            closings, at = [], level
        if runs.work[0] <= 0:
            break
        if chosen and (proposal.only == "alone" or contrary([*chosen, proposal])):
            continue
        gap, limit = left(runs, [*chosen, proposal])
        if np.isinf(gap) and not gained:  # an edit that cannot be made, or makes nothing that is compared
            continue
        runs.work[0] -= runs.cost(proposal.made(base.other.trace)[0].operation)
        if gap <= limit and _shown(runs, [*chosen, proposal]):
            closings.append([*chosen, proposal])
        elif gained and not proposal.only:
            gaining.append((gained, -gap, proposal))
        elif not proposal.only:
            others.append(proposal)
    yield from sorted(closings, key=partial(_strain, runs))
    # An epsilon under a root shows three operations further on, where it is divided by: nothing is gained at once.
    if not gaining and not quick:  # what an edit makes further on counts less than what it makes at once
        changes = ((proposal, _changed(base, base.run.again(base.edits([proposal])))) for proposal in others[:MANY])
        gaining = [(of, 0.0, one) for one, values in changes if (of := base.alignment.counterparts(values))]
    most = max((gained for gained, _, _ in gaining), default=0)
    return [one[2] for one in sorted(gaining, key=lambda one: one[1], reverse=True) if one[0] == most]


def _tried(base: Runs, exchange: bool, work: list[float], later: bool, unsaid: Sequence[Kind]) -> Tried:
    """Proposals, what each gains, and its level: those at the place, those before it, then what TensorFlow has instead.

    What gains nothing at once is run to the end, too, as long as there is `work` left; behind another edit, `later`,
    only where nothing gains.
    """
    alignment, operations = base.alignment, base.run.trace.operations
    here, there = alignment.parted
    first = [operations.index(operation) for operation in here]
    if not first and there:  # tensorflow goes on where torch has come to its end
        outputs = base.run.trace.outputs.values()
        first = [n for n, one in enumerate(operations) if not {*one.makes}.isdisjoint(outputs)]
    beside = _beside(base.run, first)
    spots = {number: Spot(base.run, number, alignment, there) for number in (*first, *beside)}
    plain = 0  # what something plainer than a move has gained: a move that gains no more is nothing to build on
    for at, level in enumerate(levels(first, beside, exchange)):
        rest, helped = list[tuple[int, Proposal]](), 0
        for kinds, number in level:
            last = not {*operations[number].makes}.isdisjoint(base.run.trace.outputs.values())  # nothing takes it
            left_out = (*unsaid, *(ORDERS if base.makers else ()), *([prefixed] if plain else ()))
            for proposal in (of for kind in kinds if kind not in left_out for of in each(kind, spots[number])):
                gained = _gained(base, alignment, number, proposal)
                helped = max(helped, 0 if kinds == WHOLE else gained)
                alone = kinds == WHOLE or (kinds == MOVES and gained <= plain)  # and nothing to build on
                if gained or last:
                    yield proposal, 0 if alone else gained, at
                else:
                    rest.append((number, proposal))
        for number, proposal in in_turn(rest):
            if work[0] <= 0 or (helped and later):
                break
            work[0] -= base.cost(number)
            yield proposal, 0, at
        plain = max(plain, helped)


def _beside(run: Editable, first: Sequence[int]) -> list[int]:
    """The operations that make what these take, and so on, nearest first; then those that take what these make."""
    operations, users = run.trace.operations, takers(run.trace)
    makers = {place: number for number, one in enumerate(operations) for place in one.makes}
    before = reached(first, lambda number: [makers[at] for at in operations[number].operands if at in makers])
    behind = reached(first, lambda number: [of for at in operations[number].makes for of in users.get(at, ())])
    near = (islice((number for number in way if number not in first), NEAR) for way in (before, behind))
    return [*dict.fromkeys(chain(*near))]


def _gained(runs: Runs, alignment: Alignment, number: int, proposal: Proposal) -> int:
    """How many values of the other side's are made then that were not: by the operation, or by what takes its result.

    What an edit puts there itself counts for nothing.
    """
    try:
        edits = proposal.made(runs.other.trace)
        # A condition, or a softmax of zeros in a loop's first turn, says nothing: what that is worth shows further on.
        says = any(runs.run.trace.values[at].sketch.rich for at in runs.run.trace.operations[number].makes)
        at_once = says and any(edit.operation == number for edit in edits)
        if not at_once or any((edit.at is None and edit.change) or edit.after or edit.turns for edit in edits):
            put = [edit.operation for edit in edits if edit.at is None and edit.change]
            own = {result for at in (number, *put) for result in runs.run.trace.operations[at].makes}
            trace = runs.run.again(edits)
            result = _changed(runs, trace, {*own, *alignment.twins[0]})
        else:
            result = [Value(a, a.shape) for a in runs.run.results(number, edits)]
    except Exception:  # noqa: BLE001 an operation that cannot be called so: the edit is none
        return 0
    return alignment.counterparts(result)


def _changed(runs: Runs, trace: Trace, own: Collection[int] = ()) -> list[Value]:
    """The values that an edit changed, but for those at these places."""
    pairs = enumerate(zip(trace.values, runs.run.trace.values, strict=True))
    return [value for place, (value, was) in pairs if value is not was and place not in own]


def _aligned(runs: Runs, chosen: Sequence[Proposal]) -> Alignment:
    return aligned(
        runs.run.again(runs.edits(chosen)), runs.other.trace, runs.dtype, rounded=runs.rounded, fine=runs.fine
    )


def founded(runs: Runs, chosen: Sequence[Proposal]) -> bool:
    """Whether each value of TensorFlow's that edits put into torch's run is made there of what both sides have.

    It holds all that TensorFlow does before it, so that an edit of torch's before it would seem to add nothing.
    """
    twins = _aligned(runs, chosen).twins[0]
    return all(one.behind is None or one.behind in twins for one in chosen)


def left(runs: Runs, chosen: Sequence[Proposal]) -> tuple[float, float]:
    """What these edits leave of the difference, and what it is where nothing is left."""
    try:
        alignment = _aligned(runs, chosen)
    except Exception:  # noqa: BLE001 another run has no such value to take
        return np.inf, 0.0
    return alignment.gap, alignment.limit


def _shown(runs: Runs, chosen: Sequence[Proposal]) -> bool:
    """Whether edits that close a difference show it: any that spoil torch's outputs make what nothing is finite of.

    Then they have to make all that TensorFlow makes before, some of it not themselves. What TensorFlow does shows
    nothing beside an edit that leaves torch's own unused.
    """
    edits = runs.edits(chosen)
    if len(chosen) > 1 and any(of.behind is not None for of in chosen) and orphaned(runs.run, edits):
        return False
    if runs.alignment.telling:
        return True
    alignment, operations = _aligned(runs, chosen), runs.run.trace.operations
    own = {place for edit in edits for place in operations[edit.operation].makes}
    more = (alignment.twins[1].get(place, set()) - own for place in runs.alignment.wanted)
    return not any(alignment.parted) and any(more)


def _strain(runs: Runs, chosen: Sequence[Proposal]) -> tuple[int, int]:
    if not runs.alignment.telling:  # of what is not finite, nothing is like anything
        return 0, 0
    edited = {edit.operation for edit in runs.edits(chosen)}
    return strain(runs.alignment, _aligned(runs, chosen), edited)


def cause(proposal: Proposal, runs: Runs, chosen: Sequence[Proposal]) -> Cause:
    """Make a cause of one of the edits that close a difference together."""
    edits, after = proposal.made(runs.other.trace), _aligned(runs, chosen)
    operation: Operation = runs.run.trace.operations[edits[0].operation]
    name = named(runs.run.trace, after.traces[0], proposal.name, edits)
    where = operation.layer if proposal.where is None else proposal.where
    subject = proposal.subject if name in KINDS else ""
    claim, fix = opposed((proposal.told, proposal.fix), opposite(runs.alignment, after, operation.makes))
    return Cause(name, where, claim, fix, runs.alignment.gap, after.gap, subject)
