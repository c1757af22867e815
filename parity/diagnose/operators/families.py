"""The families of edits, and what is tried of which operations, the plainest first.

To add a family, import it here and name it among those of its level; what its functions are is said in `proposal`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from parity.diagnose.operators.arguments import arguments, constants, together
from parity.diagnose.operators.attention import interchanged, paired
from parity.diagnose.operators.formulas import centred, instead, scaled, scaled_along
from parity.diagnose.operators.masks import masked, opened, regrouped
from parity.diagnose.operators.masks import others as other_masks
from parity.diagnose.operators.moves import deferred, exchanged, moved, relocated, swapped
from parity.diagnose.operators.operands import elsewhere, functions, inverted, of_results, omitted, parts
from parity.diagnose.operators.orders import arranged, broadcast, rearranged, turned
from parity.diagnose.operators.others import appended, exchanges, inserted, prefixed, replaced
from parity.diagnose.operators.positions import chosen, ends
from parity.diagnose.operators.proposal import Proposal, Spot, always, so_in
from parity.diagnose.operators.ranges import overflowing
from parity.diagnose.operators.repeats import lagging, repeated
from parity.diagnose.operators.rewrites import rewrites, shifted, siblings, unset
from parity.diagnose.operators.rows import reordered, reversed_rows
from parity.diagnose.operators.windows import averaged, filled, pooled

Kind = Callable[[Spot], Iterator[Proposal]]
SINGLE: tuple[Kind, ...] = (opened, arguments, omitted, unset, siblings, functions)  # of one operation, the plainest
PLAIN: tuple[Kind, ...] = (
    *SINGLE,
    elsewhere,
    of_results,
    arranged,
    broadcast,
    inserted,
    shifted,
    rearranged,
    masked,
)
# What has few proposals, each of a kind of operation alone.
INSIDE: tuple[Kind, ...] = (
    repeated,
    lagging,
    rewrites,
    parts,
    interchanged,
    constants,
    ends,
    chosen,
    regrouped,
    centred,
    paired,
    reordered,
    reversed_rows,
)
BESIDE: tuple[Kind, ...] = (opened, omitted, unset, arguments, siblings, inverted, elsewhere, arranged, broadcast)
LAST: tuple[Kind, ...] = (other_masks, replaced, averaged, filled, pooled, scaled, scaled_along, turned)
WHOLE: tuple[Kind, ...] = (swapped,)  # is the cause alone, or none
MOVES: tuple[Kind, ...] = (exchanged, deferred, moved, relocated, prefixed, appended)
# What could be said of much, and is not where something else shows at the end alone.
LOOSE: tuple[Kind, ...] = (shifted, scaled, scaled_along, replaced, turned, of_results, relocated)
ORDERS: tuple[Kind, ...] = (arranged, rearranged, turned)
# Edits that are also made of all operations that are alike.
EVERYWHERE: tuple[Kind, ...] = (*SINGLE, inverted, rewrites, turned, shifted, scaled)


def levels(first: Sequence[int], beside: Sequence[int], exchange: bool) -> list[list[tuple[tuple[Kind, ...], int]]]:
    """What is tried of which operations, the plainest first."""
    both = (*first, *beside)
    return [
        [(INSIDE, number) for number in both],
        [*((PLAIN, number) for number in first), *((BESIDE, number) for number in beside)],
        [((shifted, overflowing), number) for number in both],
        [((together, instead), number) for number in first],
        [(LAST, number) for number in both],
        [(WHOLE, number) for number in both],
        [*((MOVES, number) for number in first), *(((exchanged,), number) for number in beside)],
        [((exchanges,), number) for number in first] if exchange else [],
    ]


def each(kind: Kind, spot: Spot) -> Iterator[Proposal]:
    """Proposals for an operation; and each for all that are like it, at one line or of one layer's own code."""
    leaves = {number: spot.run.leaves(number) for number in spot.alike(spot.number)}
    shapes = {n: [of.place is not None and spot.values[of.place].shape for of in own] for n, own in leaves.items()}
    own = shapes[spot.number]
    every = [number for number, of in shapes.items() if len(of) == len(own)]
    shaped = [number for number in every if shapes[number] == own]
    groups = (tuple(every), tuple(shaped)) if kind in EVERYWHERE else ()
    for proposal in kind(spot):
        for alike in (of for of in dict.fromkeys(groups) if len(of) > 1):
            edits = [replace(edit, operation=number) for number in alike for edit in proposal.made(spot.there)]
            yield replace(proposal, made=always(*edits), told=f"{proposal.told}{so_in(len(alike))}")
        yield proposal


def in_turn(rest: Sequence[tuple[int, Proposal]]) -> list[tuple[int, Proposal]]:
    """Each operation's first proposal, then each one's second: all are reached before the work is done."""
    counts = Counter[int]()
    ranked = list[tuple[int, tuple[int, Proposal]]]()
    for one in rest:
        ranked.append((counts[one[0]], one))
        counts[one[0]] += 1
    return [one for _, one in sorted(ranked, key=lambda of: of[0])]
