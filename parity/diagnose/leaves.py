"""Why a layer of a known kind differs: its weights read otherwise, or another formula.

Each side is recomputed by the layer's formula in NumPy. A side that the formula reproduces is right;
the other is proved by the one variant that reproduces it.
"""

from parity.diagnose import Cause
from parity.diagnose.estimates import estimates
from parity.diagnose.formulas import layer
from parity.diagnose.gaps import apart, gap
from parity.diagnose.settings import SIDES, repeats, run
from parity.diagnose.variants import Variant, options, readings
from parity.segment import Segment

RIGHT = Variant("", "computes what its settings say", "")


def formulas(segment: Segment) -> tuple[list[Cause], list[str]]:
    """The variants that reproduce each side, where the layer's own formula does not."""
    found = [_first(segment, place) for place in (0, 1)]
    if [] in found or (found[0] == found[1] == [RIGHT]):
        told = [
            f"{SIDES[place]}: " + ("the layer's formula as set" if RIGHT in found[place] else TRIED) for place in (0, 1)
        ]
        return [], told
    causes = [
        _cause(segment, SIDES[place], variant, max(_after(segment, i, found[i][0]) for i in (0, 1)))
        for place in (0, 1)
        for variant in found[place]
        if variant is not RIGHT
    ]
    return _once(causes), []


TRIED = (
    "none of the layer's formula, its weights transposed, in other orders of gates, zero, doubled, rounded or "
    "exchanged, few elements changed, other activations, epsilons and their places, padding, shifts, dilations, "
    "bounds and first states"
)


def _first(segment: Segment, place: int) -> list[Variant]:
    """The formula as set, or else every variant of the first sort that reproduces the side."""
    if _after(segment, place, RIGHT) <= segment.limit:
        return [RIGHT]
    sorts = readings(segment.kind, segment.weights), options(segment), estimates(segment, place)
    for sort in sorts:
        found = [variant for variant in sort if _after(segment, place, variant) <= segment.limit]
        if found:
            return found
    return []


def _after(segment: Segment, place: int, variant: Variant) -> float:
    """How far a side is from what a variant computes, with the side's own settings."""
    weights, made = {**segment.weights, **variant.weights}, variant.made
    if made is None:
        made = layer(segment.kind, segment.given["input"], weights, {**segment.settings[place], **variant.options})
    return float("inf") if made is None else gap(made, segment.found[place])


def _cause(segment: Segment, side: str, variant: Variant, after: float) -> Cause:
    return Cause(
        variant.cause, segment.path, f"{side} {variant.told}", f"{variant.fix} ({side})", apart(segment), after
    )


def by_the_layer(segment: Segment) -> tuple[list[Cause], list[str]]:
    """One side run with its weights read otherwise, where no formula reproduces the layer: what the other made."""
    known = any(_after(segment, place, RIGHT) <= segment.limit for place in (0, 1))
    sides = [place for place in (0, 1) if segment.weights and not known and repeats(segment, place)]
    causes = []
    for variant in readings(segment.kind, segment.weights) if sides else ():
        for place in sides:
            made = run(segment, place, weights=variant.weights)
            after = float("inf") if made is None else gap(made, segment.found[1 - place])
            if after <= segment.limit:
                causes.append(_cause(segment, SIDES[1 - place], variant, after))
    if not sides:
        return [], []
    return _once(causes), [] if causes else ["either side with its weights read otherwise: not what the other made"]


def _once(causes: list[Cause]) -> list[Cause]:
    """The first of each name and side: an order of gates on one side is its inverse on the other."""
    return list({cause.name: cause for cause in reversed(causes)}.values())[::-1]
