"""Where two models part, down to the operation and the line, and why, by editing what torch ran.

Both models run once on one example, every value that each operation makes is kept, and values are matched by the
numbers that they hold. What stands where the first ones have no counterpart is the place. torch's run is then run
again with one change to an operation there, or before it; the change after which the outputs are TensorFlow's, with
other weights and inputs too, is the cause.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from parity.canonical.weights import Weights
from parity.diagnose.operators import search
from parity.diagnose.operators.proposal import called
from parity.diagnose.operators.search import Runs
from parity.diagnose.operators.table import table
from parity.pair.models import Corners
from parity.results import Cause, DifferingOperation, OperationPair

FEW = 3  # operations of a side that are told
BASES = 2  # examples on which edits are looked for


def recorded(corners: Corners, weights: Weights, inputs: Any, loss: bool = False, unmasked: bool = False) -> Runs:
    """Run both sides on inputs, their losses behind them if asked for; TensorFlow's layers without masks if so."""
    corners.ensure(weights)
    dtype = "float32" if corners.reason or (loss and corners.weaker_loss) else "float64"
    first, second = (corners.models[side, dtype].record(inputs, loss, unmasked) for side in corners.sides)
    return Runs(first, second, dtype)


def causes(corners: Corners, given: Sequence[tuple[Weights, Any]], loss: bool = False) -> list[Cause]:
    """The edits of torch's run on the first weights and inputs given that leave nothing of the difference on any.

    Where the first do not show it, the next ones. An exchange of results comes last: it says that two operations
    differ and nothing else does, but not what differs in them.
    """
    masked = _masks(corners, given, loss)
    if masked:
        return masked
    for base in range(min(BASES, len(given))):
        blind = _proved(corners, given, base, loss)
        strict = [] if base else _proved(corners, given, base, loss, strict=True)
        if blind or strict:
            return _plainer(blind, strict)
    return _proved(corners, given, 0, loss, exchange=True)


def _plainer(blind: list[Cause], strict: list[Cause]) -> list[Cause]:
    """Of what is found blind to order and what is not: the fewest edits, and rather what makes an order than that."""
    if not (blind and strict) or len(blind) != len(strict) or len(blind) > 1 or blind[0].name != "order":
        return min((of for of in (blind, strict) if of), key=len)
    [order], [maker] = blind, strict
    if maker.name == "order":
        return [order]
    name = "order" if maker.name == "extra operation" else maker.name
    return [replace(maker, name=name, told=f"{maker.told}; {order.told}", fix=f"{maker.fix}; or {order.fix}")]


def _proved(
    corners: Corners,
    given: Sequence[tuple[Weights, Any]],
    base: int,
    loss: bool,
    strict: bool = False,
    exchange: bool = False,
) -> list[Cause]:
    """Edits that leave nothing on one example, and on the others neither."""
    runs = replace(recorded(corners, *given[base], loss), strict=strict)
    if runs.alignment.gap <= runs.alignment.limit:
        return []
    others = [other for at, other in enumerate(given) if at != base]
    for chosen in search.closing(runs, exchange):
        told = search.once([search.cause(proposal, runs, chosen) for proposal in chosen])
        if all(search.closed(recorded(corners, *other, loss), chosen) for other in others):
            return told
        corners.ensure(given[base][0])  # the run holds the model's own parameters
    return []


def _masks(corners: Corners, given: Sequence[tuple[Weights, Any]], loss: bool) -> list[Cause]:
    """Keras hands on a mask that torch does not have: without it nothing is left."""
    masks, before, after = dict[str, bool](), 0.0, 0.0
    for one in given:
        run = recorded(corners, *one, loss)
        masks = run.other.trace.masks
        if not masks:
            return []
        before = max(before, run.alignment.gap)
        without = recorded(corners, *one, loss, unmasked=True).alignment
        if without.gap > without.limit:
            return []
        after = max(after, without.gap)
    sources = [layer for layer, first in masks.items() if first]
    masked = [layer for layer, first in masks.items() if not first]
    if sources:
        told = f"tensorflow skips what {', '.join(sources)} masks in {', '.join(masked)}; torch reads it"
        fix = f"mask_zero=False in {', '.join(sources)}, or pack_padded_sequence in torch"
        return [Cause("mask of the inputs", sources[0], told, fix, before, after)]
    told = f"tensorflow's {', '.join(masked)} is given a mask and skips what it hides; torch reads it"
    fix = f"hide the same in torch (pack_padded_sequence for a recurrence), or give {', '.join(masked)} no mask"
    return [Cause("mask missing", masked[0], told, fix, before, after)]


def operations(corners: Corners, weights: Weights, inputs: Any, loss: bool = False) -> list[DifferingOperation]:
    """Of each side, the first operations that make something else of what both have: a few, each at its own place."""
    runs = recorded(corners, weights, inputs, loss)
    alignment = runs.alignment
    if not any(alignment.parted) and alignment.gap > alignment.limit:  # all numbers are there, in another order
        alignment = replace(runs, strict=True).alignment
    told: dict[Any, DifferingOperation] = {}
    for side, first in zip(corners.sides, alignment.parted, strict=True):
        for one in first:
            line = (one.line.file, one.line.number, one.line.code) if one.line else ("", 0, "")
            told.setdefault((side, one.layer, line), DifferingOperation(side, called(one), one.layer, *line))
    return [one for side in corners.sides for one in [of for of in told.values() if of.side == side][:FEW]]


def side_by_side(corners: Corners, weights: Weights, inputs: Any) -> list[OperationPair]:
    """Both runs on these inputs, operation by operation."""
    return table(recorded(corners, weights, inputs).alignment)
