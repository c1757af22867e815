"""Another number of turns of a loop: operations that one side repeats, or a layer that it applies, more often.

A trace has every turn, unrolled. Operations of one name, line and layer that come again at equal distances are turns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.backends.operations import Edit, Operation, Turns
from parity.diagnose.constants import times
from parity.diagnose.operators.proposal import Proposal, Spot, always, at, called, changed

LONG = 24  # operations at most of a turn
MANY = 32  # numbers of turns that are tried, at most
MORE = 8  # turns that are tried beyond torch's
FEW = 3  # operations of a turn that are told


@dataclass(frozen=True)
class Loop:
    """Operations `start` to `end` of a run, whose turns have `period` operations each; the first may have fewer."""

    start: int
    end: int
    period: int

    @property
    def last(self) -> range:
        """The operations of the last turn."""
        return range(self.end - self.period, self.end)

    @property
    def turns(self) -> int:
        """How many turns there are: how often the last operation is done."""
        return len(range(self.end - 1, self.start - 1, -self.period))


def repeated(spot: Spot) -> Iterator[Proposal]:
    """Propose that a loop has another number of turns in TensorFlow: fewer, of which torch has run all, or more.

    A loop is looked for that ends with this operation, or in which the runs part.
    """
    parted = any(spot.operation is one for one in spot.alignment.parted[0])
    loops = [*_loops(spot)]
    for loop in loops:
        if spot.number == loop.end - 1 or parted:
            yield from _fewer(spot, loop)
            yield from _more(spot, loop)
    if not (loops or parted):
        yield from _once(spot)


def lagging(spot: Spot) -> Iterator[Proposal]:
    """Propose that an operation of a loop takes what the turn before made: in the first turn zeros, as a state has."""
    operations, values = spot.operations, spot.values
    turns = [number for number, one in enumerate(operations) if _key(one) == _key(spot.operation) != ()]
    if len(turns) < 2 or turns[0] != spot.number:
        return
    makers, leaves = spot.run.trace.makers(), [spot.run.leaves(number) for number in turns]
    for at_leaf, leaf in enumerate(spot.leaves if len({*map(len, leaves)}) == 1 else ()):
        taken = [of[at_leaf].place for of in leaves]
        sources = [makers.get(place) if place is not None else None for place in taken]
        keys = {_key(one) if one else () for one in sources}
        shapes = {values[place].shape for place in taken if place is not None}
        if len(keys) > 1 or () in keys or len(shapes) > 1 or len({*taken}) < len(taken):
            continue
        first = changed(turns[0], at_leaf, np.zeros_like)
        later = [Edit(number, at_leaf, take=place) for number, place in zip(turns[1:], taken, strict=False)]
        source = spot.origin(taken[0] or 0)
        yield Proposal(
            always(first, *later),
            "operand",
            f"the {leaf.argument} of {spot.operation.name}{spot.place} is {source} of the same turn of the loop in "
            f"torch, and of the turn before in tensorflow{spot.by}; so in {len(turns)} turns",
            f"give {spot.operation.name}{spot.place} what the same turn has made on both sides: before the state is "
            "written, or behind it",
            subject=f"the {leaf.argument} of {spot.operation.name} of the turn before",
        )


def _loops(spot: Spot) -> Iterator[Loop]:
    """The loops that this operation is in: of each distance at which it comes again, all that repeats there.

    Not of several turns taken as one: a loop of twice the distance repeats nothing more.
    """
    operations, here = spot.operations, spot.number
    keys = [_key(one) for one in operations[: here + MANY * LONG]]
    again = [n for n in range(max(0, here - LONG), min(len(keys), here + LONG + 1)) if keys[n] == keys[here] != ()]
    periods = list[int]()
    for period in sorted({abs(n - here) for n in again if n != here}):
        if any(period % shorter == 0 for shorter in periods):
            continue
        same = [one == other != () for one, other in zip(keys, keys[period:], strict=False)]
        start = end = here if here < len(same) and same[here] else max(0, here - period)  # the last turn has no next
        while start > 0 and same[start - 1]:
            start -= 1
        while end < len(same) and same[end]:
            end += 1
        if end - start >= period and start <= here < end + period:
            periods.append(period)
            loop = Loop(start, end + period, period)
            if _chained(operations, loop):
                yield loop


def _chained(operations: Sequence[Operation], loop: Loop) -> bool:
    """Whether the last turn goes on with what the one before made: what is done of two things is no loop."""
    before = range(loop.last[0] - loop.period, loop.last[0])
    results = {place for number in before for place in operations[number].makes}
    return any(not results.isdisjoint(operations[number].operands) for number in loop.last)


def _key(one: Operation) -> tuple[Any, ...]:
    """By what operations of several turns are alike; nothing of what stands at no line of the user's."""
    return (one.name, one.line, one.layer) if one.line else ()


def _fewer(spot: Spot, loop: Loop) -> Iterator[Proposal]:
    """The loop ends earlier, down to one turn; what its last turn made is what that turn did."""
    operations, counts = spot.operations, _counts(spot)
    unlike = any(operations[n].settings != operations[n - loop.period].settings for n in loop.last)
    if loop.turns == 2 and unlike:  # a line that does two things, as a product by rows and by columns
        return
    for turns in sorted(range(1, loop.turns), key=lambda count: (count not in counts, -count))[:MANY]:
        back = (loop.turns - turns) * loop.period
        if loop.last[0] - back < 0:
            continue
        pairs = [(operations[n].makes, operations[n - back].makes) for n in loop.last]
        if all(len(last) == len(earlier) for last, earlier in pairs):
            instead = {a: b for last, earlier in pairs for a, b in zip(last, earlier, strict=True)}
            yield _proposal(spot, loop.last, loop.turns, turns, Turns(instead=instead))


def _more(spot: Spot, loop: Loop) -> Iterator[Proposal]:
    """The loop goes on: each turn is given what the one before made, where the last was given the one before."""
    operations, carried = spot.operations, dict[int, int]()
    for number in loop.last:
        before = operations[number - loop.period]
        if len(before.makes) != len(operations[number].makes) or before.settings != operations[number].settings:
            return  # a turn that goes by its number, as one step of a text: there is no other
        carried |= dict(zip(before.makes, operations[number].makes, strict=True))
    yield from _going_on(spot, loop.last, loop.turns, carried)


def _once(spot: Spot) -> Iterator[Proposal]:
    """torch has a single turn, which no repetition shows: operations up to this one that take what they make again."""
    if not max(_counts(spot), default=0) > 1:
        return
    operations, values = spot.operations, spot.values
    if len(spot.operation.makes) != 1:
        return
    [result] = spot.operation.makes
    for start in range(spot.number, max(-1, spot.number - LONG), -1):
        if operations[start].line is None or not operations[start].takes:
            return
        taken = operations[start].operands[0]
        if values[taken].shape == values[result].shape and not values[taken].leaf:
            # Many operations could be a turn: with another edit beside it this fits by chance.
            yield from (
                replace(of, only="alone") for of in _going_on(spot, range(start, spot.number + 1), 1, {taken: result})
            )


def _going_on(spot: Spot, last: range, turns: int, carried: dict[int, int]) -> Iterator[Proposal]:
    """More turns behind the last one, as many as TensorFlow has or a few; `carried` as `Turns` has it."""
    values = spot.values
    taken = {place for number in last for place in spot.operations[number].operands}
    carried = {place: result for place, result in carried.items() if place in taken}
    if not carried or any(values[a].shape != values[b].shape for a, b in carried.items()):
        return
    more = [count - turns for count in sorted(_counts(spot)) if count > turns]
    beyond = range(1, MORE + 1) if turns > 1 else ()  # of what could be a turn only as many as TensorFlow shows
    for count in dict.fromkeys((*more, *beyond)):
        if count <= MANY:
            yield _proposal(spot, last, turns, turns + count, Turns(tuple(last), carried, count))


def _counts(spot: Spot) -> set[int]:
    """How often TensorFlow does what it does where the runs part, and near by."""
    keys = [_key(one) for one in spot.there.operations]
    return {keys.count(_key(one)) for one in spot.parted if _key(one)}


def _proposal(spot: Spot, last: range, turns: int, theirs: int, change: Turns) -> Proposal:
    """The proposal that the loop with this last turn has `theirs` turns in TensorFlow."""
    operations = [spot.operations[number] for number in last]
    lines = dict.fromkeys(at(one) for one in operations if one.line)
    names = [f"{called(one)}" for one in operations]
    what = ", ".join(names) if len(names) <= FEW else f"{names[0]} ... {names[-1]}"
    places = ", ".join(line.strip(" ()") for line in lines)
    count = f"these {len(names)} operations" if len(names) > 1 else "this operation"
    return Proposal(
        always(Edit(last[-1], turns=change)),
        "repeats",
        f"torch does {count} {times(turns)}, tensorflow {times(theirs)}: {what} ({places}){spot.by}",
        f"repeat {what} ({places}) as often on both sides: {turns} or {theirs} times",
        subject=f"{turns} turns in torch, {theirs} in tensorflow",
    )
