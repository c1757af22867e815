"""The ways in which a layer of a known kind is computed otherwise: its weights read otherwise, or another formula.

A recurrence is replayed as one operation; only this reaches into it: its gates in another order, its inner formulas.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, islice
from typing import Any

import numpy as np

from parity.canonical.activations import FUNCTIONS, written
from parity.diagnose.layers.settings import KERAS
from parity.diagnose.layers.weight_relations import of_parameter, orders, reordered, spelt
from parity.diagnose.layers.weights import FIXES
from parity.diagnose.locate.segment import Segment
from parity.dtypes import Array


@dataclass(frozen=True)
class Variant:
    """Another way to compute a layer: the cause, how it is told of a side, the fix, and what is changed.

    `read` gives the weights that are others, and `made` the whole output, of whatever capture of the layer; None
    where that cannot be told there.
    """

    cause: str
    told: str
    fix: str
    read: Callable[[Segment], Mapping[str, Array] | None] = lambda _: {}
    options: Mapping[str, Any] = field(default_factory=dict)
    made: Callable[[Segment], Array | None] | None = None


def readings(kind: str, weights: Mapping[str, Array]) -> Iterator[Variant]:
    """The layer with its weights read otherwise: all its gates in another order, one parameter, or two exchanged."""
    for place, (cause, description, fix, changed) in enumerate(_readings(kind, weights)):
        yield Variant(cause, description, fix, partial(_reading, kind, place, weights, changed))


def _reading(
    kind: str, place: int, weights: Mapping[str, Array], changed: Mapping[str, Array], segment: Segment
) -> Mapping[str, Array]:
    """The weights of any capture by one of the readings, which come in one order for weights of the same shapes."""
    if segment.weights is weights:
        return changed
    return next(islice(_readings(kind, segment.weights), place, None))[3]


def _readings(kind: str, weights: Mapping[str, Array]) -> Iterator[tuple[str, str, str, Mapping[str, Array]]]:
    """The weights as a wrong reading has them: gates in another order, an axis reversed, a bias left out."""
    for order in orders(kind):
        values = {name: reordered(array, order, -1 if name == "bias" else 0) for name, array in weights.items()}
        yield "gate order", f"reads all its weights {spelt(kind, order)}", FIXES["gate order"], values
    if kind == "gru":
        values = {name: _inverted(array, -1 if name == "bias" else 0) for name, array in weights.items()}
        description = "reads its update gate from the other end, 1 - z for z"
        yield "recurrence", description, "the same formula on both sides", values
    for name, array in weights.items():
        for relation in of_parameter(kind, name, array):
            changed = {name: relation.made}
            yield relation.cause, f"reads {name} {relation.told}", FIXES[relation.cause], changed
    for first, second in combinations(weights, 2):
        if weights[first].shape == weights[second].shape:
            changed = {first: weights[second], second: weights[first]}
            description = f"reads {first} and {second} in each other's place"
            yield "weights swapped", description, FIXES["weights swapped"], changed


def _inverted(array: Array, axis: int) -> Array:
    """A GRU's parameter with its update gate negated: sigmoid(-x) is 1 - sigmoid(x)."""
    reset, update, new = np.split(array, 3, axis)
    return np.concatenate([reset, -update, new], axis)


def options(segment: Segment) -> Iterator[Variant]:
    """Other ways to compute a layer of the segment's kind, by other options than its own."""
    kind, path = segment.kind, segment.path
    name = f"{KERAS.get(kind, kind)} {path}"
    if kind == "batch_norm":
        description, fix = (
            "normalises by the mean and the variance of what it is given",
            f"{path} in one mode on both sides: training= where Keras calls it, train() or eval() of torch",
        )
        yield Variant("training mode", description, fix, options={"form": "training"})
    if kind == "conv1d":
        yield from _convolutions(name, segment.weights["kernel"].shape[-1])
    if kind not in ("lstm", "gru"):
        return
    for setting in ("activation", "recurrent_activation"):
        for function in FUNCTIONS:
            fix = f"the activation that the other side has, not {written(function)}"
            yield Variant("activation", f"has {setting} {function}", fix, options={setting: function})
    if kind == "gru":
        description = "lets the reset gate act on the state before the product"
        yield Variant("reset_after", description, f"reset_after=True in {name}", options={"reset_after": False})
    fix = f"go_backwards=False in {name}"
    yield Variant("time shift", "reads time from its end", fix, options={"go_backwards": True})


def _convolutions(name: str, taps: int) -> Iterator[Variant]:
    """A convolution with other padding, moved in time, or with another dilation."""
    for padding in ("valid", "same", "causal", 1, 2):
        description = f"pads {padding}"
        yield Variant("padding", description, f"the other side's padding in {name}", options={"padding": padding})
    for shift in (1, -1, 2, -2):
        description = f"sees positions {abs(shift)} {'earlier' if shift > 0 else 'later'}"
        yield Variant(
            "time shift", description, f"pad the input as the other side does before {name}", options={"shift": shift}
        )
    for dilation in (2, 3, 4):
        description = f"has dilation {dilation}"
        for before in (0, (taps - 1) * (dilation - 1)):
            options = {"dilation": dilation, "before": before}
            yield Variant("dilation", description, f"the other side's dilation_rate in {name}", options=options)
