"""Why a layer of a known kind differs: its weights read otherwise, or another formula.

Each side is recomputed by the layer's formula in NumPy. A side that the formula reproduces is right;
the other is proved by the one variant that reproduces it. Replaying operations compares the sides with each other; only
this says which of them departs from its own settings.
"""

from functools import partial

from parity.canonical.formulas import FORMULAS
from parity.diagnose import Cause
from parity.diagnose.layers.estimates import estimates
from parity.diagnose.layers.settings import computed, repeats, run
from parity.diagnose.layers.variants import Variant, options, readings
from parity.diagnose.locate.segment import Segment
from parity.diagnose.search import apart, gap, holds

RIGHT = Variant("", "computes what its settings say", "")


def formulas(segment: Segment) -> tuple[list[Cause], list[str]]:
    """The variants that reproduce each side, where the layer's own formula does not."""
    if segment.kind not in FORMULAS:
        return [], [f"no formula of a {segment.kind} is known: nothing was recomputed"]
    tried: tuple[dict[str, None], dict[str, None]] = ({}, {})
    variants = [_first(segment, place, tried[place]) for place in (0, 1)]
    if [] in variants or (variants[0] == variants[1] == [RIGHT]):
        return [], [
            f"{segment.sides[place]} computes the layer's formula as set"
            if RIGHT in variants[place]
            else f"{segment.sides[place]}: neither the layer's formula as set nor with {', '.join(tried[place])}"
            for place in (0, 1)
        ]
    causes = [
        _cause(segment, segment.sides[place], variant, max(_off(i, variants[i][0], segment) or 0.0 for i in (0, 1)))
        for place in (0, 1)
        for variant in variants[place]
        if variant is not RIGHT
    ]
    return _once(causes), []


def _first(segment: Segment, place: int, tried: dict[str, None]) -> list[Variant]:
    """The formula as set, or else the variants of the first sort that reproduce the side; `tried` gets their causes."""
    if holds(segment, partial(_off, place, RIGHT)):
        return [RIGHT]
    # Weights before formulas, and numbers that have to be solved for last: they can fit by chance.
    sorts = readings(segment.kind, segment.weights), options(segment), estimates(segment, place)
    for sort in sorts:
        variants = []
        for variant in sort:
            tried[variant.cause] = None
            if holds(segment, partial(_off, place, variant)):
                variants.append(variant)
        if variants:
            return variants
    return []


def _off(place: int, variant: Variant, segment: Segment) -> float | None:
    """How far a side is from what a variant computes, with the side's own settings; None where it computes nothing."""
    if variant.made is not None:
        outputs = variant.made(segment)
    else:
        read = variant.read(segment)
        outputs = None if read is None else computed(segment, place, read, **variant.options)
    return None if outputs is None else gap(outputs, segment.found[place])


def _cause(segment: Segment, side: str, variant: Variant, after: float) -> Cause:
    """A variant that reproduces what a side makes, as the cause."""
    return Cause(
        variant.cause, segment.path, f"{side} {variant.told}", f"{variant.fix} ({side})", apart(segment), after
    )


def by_the_layer(segment: Segment) -> tuple[list[Cause], list[str]]:
    """One side run with its weights read otherwise, where no formula reproduces the layer: what the other made."""
    known = any(holds(segment, partial(_off, place, RIGHT)) for place in (0, 1))
    sides = [place for place in (0, 1) if segment.weights and not known and repeats(segment, place)]
    causes = []
    for variant in readings(segment.kind, segment.weights) if sides else ():
        for place in sides:
            if holds(segment, partial(_run_so, place, variant)):
                after = _run_so(place, variant, segment) or 0.0
                causes.append(_cause(segment, segment.sides[1 - place], variant, after))
    if not sides:
        return [], []
    return _once(causes), [] if causes else ["either side with its weights read otherwise: not what the other made"]


def _run_so(place: int, variant: Variant, segment: Segment) -> float | None:
    """How far a side, run with a variant's weights, is from what the other made."""
    outputs = run(segment, place, weights=variant.read(segment) or {})
    return None if outputs is None else gap(outputs, segment.found[1 - place])


def _once(causes: list[Cause]) -> list[Cause]:
    """The first of each name and side: an order of gates on one side is its inverse on the other."""
    return list({cause.name: cause for cause in reversed(causes)}.values())[::-1]
