"""A layer as a framework holds it: its kind and its canonical parameters, each with the way there and back.

A weight crosses from one framework to the other only in canonical form: a NumPy array with the axes of its
kind. A backend says how its own variables become that form, as a `Transform`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from parity.canonical.transforms import Transform

UNBUILT = "unbuilt"  # the kind of a layer that the model never calls: Keras gives it no variables
# "layer.parameter" -> (kind, canonical shape)
Layout = Mapping[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class CanonicalParameter:
    """One canonical parameter of a layer as a framework holds it: its variables and the transform.

    `parameter` is its canonical name; `names` are what the framework calls the variables, in the same order. `held`
    says that one side lacks it, and has no variables of it: both keep it at 0 or 1. `gates` is how many gates of a cell
    it stacks, 0 where it is none of a cell's.
    """

    parameter: str
    variables: tuple[Any, ...]
    names: tuple[str, ...]
    transform: Transform
    held: bool = False
    gates: int = 0


@dataclass(frozen=True)
class Layer:
    """One layer of a model: its path, its kind, and where each canonical parameter of its own lives."""

    path: str
    kind: str
    parts: tuple[CanonicalParameter, ...]


def untied(parts: Iterable[CanonicalParameter], seen: set[int]) -> tuple[CanonicalParameter, ...]:
    """The parts but for those whose variables have all been seen: a tied parameter is its first layer's.

    `seen` has ids of variables, to which these are added.
    """
    own = tuple(part for part in parts if not seen.issuperset(map(id, part.variables)))
    seen.update(id(variable) for part in own for variable in part.variables)
    return own


def held(layers: Iterable[Layer]) -> list[Any]:
    """Every variable that the layers hold, in one order for all models of one builder."""
    return [variable for layer in layers for part in layer.parts for variable in part.variables]


def by_name(layers: Iterable[Layer]) -> dict[str, CanonicalParameter]:
    """The canonical parameters: "layer.parameter" -> where it lives."""
    return {f"{layer.path}.{part.parameter}": part for layer in layers for part in layer.parts}


def called(layers: Iterable[Layer]) -> dict[int, str]:
    """id of a variable -> "layer.parameter", with ".0", ".1" behind it where it is one of several.

    The text is the same in every process, which a variable's id is not.
    """
    paths = {}
    for layer in layers:
        for part in layer.parts:
            for place, variable in enumerate(part.variables):
                several = f".{place}" if len(part.variables) > 1 else ""
                paths[id(variable)] = f"{layer.path}.{part.parameter}{several}"
    return paths


def trainable(layers: Iterable[Layer], trained: Iterable[Any]) -> dict[str, CanonicalParameter]:
    """The canonical parameters, "layer.parameter" -> where it lives, that have at least one of these variables.

    Variables are told apart by identity: equality of two tensors would compare their numbers.
    """
    known = set(map(id, trained))
    return {
        f"{layer.path}.{part.parameter}": part
        for layer in layers
        for part in layer.parts
        if any(id(variable) in known for variable in part.variables)
    }
