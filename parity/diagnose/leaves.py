"""Why a layer of a known kind differs: its weights read otherwise, or another formula.

Each side is recomputed by the layer's formula in NumPy. A side that the formula reproduces is right;
the other is proved by the one variant that reproduces it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from parity.diagnose import Cause
from parity.diagnose.formulas import layer
from parity.diagnose.functions import FUNCTIONS, written
from parity.diagnose.gaps import apart, gap
from parity.diagnose.relations import of_parameter, orders, reordered, spelt
from parity.diagnose.settings import KERAS, SIDES, repeats, run
from parity.diagnose.weights import FIXES
from parity.layers import Array
from parity.segment import Segment

EPSILONS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12)


@dataclass(frozen=True)
class Variant:
    """Another way to compute a layer: the cause, how it is told of a side, the fix, and what is changed."""

    cause: str
    told: str
    fix: str
    weights: Mapping[str, Array] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


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
    "exchanged, other activations, epsilons and their places, padding, shifts and dilations"
)


def _first(segment: Segment, place: int) -> list[Variant]:
    """The formula as set, or else every variant of the first sort that reproduces the side."""
    if _after(segment, place, RIGHT) <= segment.limit:
        return [RIGHT]
    for sort in (readings(segment.kind, segment.weights), _options(segment)):
        found = [variant for variant in sort if _after(segment, place, variant) <= segment.limit]
        if found:
            return found
    return []


def _after(segment: Segment, place: int, variant: Variant) -> float:
    """How far a side is from what a variant computes, with the side's own settings."""
    weights = {**segment.weights, **variant.weights}
    made = layer(segment.kind, segment.given["input"], weights, {**segment.settings[place], **variant.options})
    return float("inf") if made is None else gap(made, segment.found[place])


def readings(kind: str, weights: Mapping[str, Array]) -> Iterator[Variant]:
    """The layer with its weights read otherwise: all its gates in another order, one parameter, or two exchanged."""
    for order in orders(kind):
        made = {name: reordered(array, order, -1 if name == "bias" else 0) for name, array in weights.items()}
        yield Variant("gate order", f"reads all its weights {spelt(kind, order)}", FIXES["gate order"], made)
    for name, array in weights.items():
        for relation in of_parameter(kind, name, array):
            changed = {name: relation.made}
            yield Variant(relation.cause, f"reads {name} {relation.told}", FIXES[relation.cause], changed)
    for first, second in combinations(weights, 2):
        if weights[first].shape == weights[second].shape:
            changed = {first: weights[second], second: weights[first]}
            told = f"reads {first} and {second} in each other's place"
            yield Variant("weights swapped", told, FIXES["weights swapped"], changed)


def _options(segment: Segment) -> Iterator[Variant]:
    kind, path = segment.kind, segment.path
    name = f"{KERAS.get(kind, kind)} {path}"
    if kind == "layer_norm":
        yield from _norms(name)
    if kind in ("lstm", "gru", "dense", "conv1d"):
        for setting in ("activation", "recurrent_activation")[: 2 if kind in ("lstm", "gru") else 1]:
            for function in FUNCTIONS:
                fix = f"the activation that the other side has, not {written(function)}"
                yield Variant("activation", f"has {setting} {function}", fix, options={setting: function})
    if kind == "gru":
        told = "lets the reset gate act on the state before the product"
        yield Variant("reset_after", told, f"reset_after=True in {name}", options={"reset_after": False})
    if kind in ("lstm", "gru"):
        told = "reads time from its end"
        yield Variant("time shift", told, f"go_backwards=False in {name}", options={"go_backwards": True})
    if kind == "conv1d":
        yield from _convolutions(name)


def _norms(name: str) -> Iterator[Variant]:
    for epsilon in EPSILONS:
        told, fix = f"has epsilon {epsilon:g}", f"the other side's epsilon in {name}"
        yield Variant("epsilon", told, fix, options={"epsilon": epsilon})
    forms = {
        "deviation": (
            "epsilon placement",
            "adds epsilon to the deviation",
            "add epsilon to the variance, inside the root",
        ),
        "outside": ("epsilon placement", "adds epsilon's root to the deviation", "add epsilon to the variance"),
        "no mean": ("offset", "does not subtract the mean", "subtract the mean"),
        "unbiased": ("variance", "divides the variance by n - 1", "divide the variance by n"),
    }
    for form, (cause, told, fix) in forms.items():
        yield Variant(cause, told, f"{fix} in {name}", options={"form": form})
    for epsilon in EPSILONS:
        for form, (cause, told, fix) in forms.items():
            options = {"form": form, "epsilon": epsilon}
            yield Variant(cause, f"{told}, with epsilon {epsilon:g}", f"{fix} in {name}", options=options)


def _convolutions(name: str) -> Iterator[Variant]:
    for padding in ("valid", "same", "causal", 1, 2):
        told = f"pads {padding}"
        yield Variant("time shift", told, f"the other side's padding in {name}", options={"padding": padding})
    for shift in (1, -1, 2, -2):
        told = f"sees positions {abs(shift)} {'earlier' if shift > 0 else 'later'}"
        yield Variant(
            "time shift", told, f"pad the input as the other side does before {name}", options={"shift": shift}
        )
    for dilation in (2, 3, 4):
        told = f"has dilation {dilation}"
        yield Variant("time shift", told, f"the other side's dilation_rate in {name}", options={"dilation": dilation})


def _cause(segment: Segment, side: str, variant: Variant, after: float) -> Cause:
    return Cause(
        variant.cause, segment.path, f"{side} {variant.told}", f"{variant.fix} ({side})", apart(segment), after
    )


def by_the_layer(segment: Segment) -> tuple[list[Cause], list[str]]:
    """One side run with its weights read otherwise, where no formula reproduces the layer: what the other made."""
    sides = [place for place in (0, 1) if segment.weights and repeats(segment, place)]
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
