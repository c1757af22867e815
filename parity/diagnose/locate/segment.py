"""Segment: a piece of computation that makes different things of the same arrays on the two sides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.compare.square import NAMES
from parity.dtypes import Array


@dataclass(frozen=True)
class Segment:
    """What a link, or a model's own code in a link, made of arrays that both sides had.

    `path` is the link that introduces the difference ("" is the model itself) and `kind` its kind in
    `layers.KINDS`, or the torch class of one that holds other links. `place` is what differs: "output",
    or "input of contract", which its own code hands to a link in it. `given` is what that was computed
    from, float64 (ids int64, masks bool), in order of appearance: of a leaf "input", of others also the
    outputs of the links called before by their names. `found` is what the first and the second side made of it,
    `limit` how far rounding takes them apart, and `unstable` the side whose float32 error is many times
    the other's, where `found` agree. `noise` is each side's own float32 error.

    `others` captures the same place with other weights, other inputs and weights of other sizes: what is said of
    this segment has to hold there too. None if there is nothing to capture it from.

    Of leaves alone: `settings`, each side's hyper-parameters by canonical name; `weights`, the canonical
    parameters; `again(side, settings, weights)`, that side's output with others during the call. `sides` are their
    names.
    """

    path: str
    kind: str
    place: str
    given: Mapping[str, Array]
    found: tuple[Array, Array]
    limit: float
    unstable: str = ""
    noise: tuple[float, float] = (0.0, 0.0)
    others: Callable[[], Sequence["Segment"]] | None = None
    settings: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})
    weights: Mapping[str, Array] = field(default_factory=dict)
    again: Callable[..., Array] | None = None
    sides: tuple[str, str] = NAMES
