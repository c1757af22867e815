"""Alike: layers of two sides in classes that nothing tells apart yet, which what flows in and out of them splits.

This is colour refinement (Weisfeiler and Lehman) of both graphs at once, with one difference: a class is split only as
far as both sides have as many of each part. So where the sides compute the same in other ways, that place says nothing,
and the others still do.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import count
from typing import Any

from parity.canonical.flow import Flow


class Alike:
    """A partition of both sides' layers into classes, which `refine` splits and `fix` narrows to linked pairs.

    `colours` is side by side layer -> any hashable value: layers of one colour, on either side, are of one class.
    `flows` are the two sides' graphs, by the same names.
    """

    def __init__(self, flows: Sequence[Flow], colours: Sequence[Mapping[str, Hashable]]) -> None:
        # Inputs and outputs have the same names on both sides: from them everything else is told apart.
        ends = flows[0].ends & flows[1].ends
        self._colours: list[dict[str, Any]] = [{**dict(zip(ends, ends, strict=True)), **side} for side in colours]
        self._fixed = [set(ends), set(ends)]
        self._edges = [[flow.before for flow in flows], [flow.after() for flow in flows]]
        self._fresh = count()

    def fix(self, ours: str, theirs: str) -> None:
        """Link two layers, one of each side: they get a class of their own, and are no longer among `classes`."""
        colour = next(self._fresh)
        for side, name in enumerate((ours, theirs)):
            self._colours[side][name] = colour
            self._fixed[side].add(name)

    def classes(self) -> list[tuple[list[str], list[str]]]:
        """List the classes of layers not linked yet as (first side's paths, second side's), in the first side's order.

        Only classes of as many layers on both sides are listed, none of them empty.
        """
        classes: dict[Any, tuple[list[str], list[str]]] = {}
        for side, colours in enumerate(self._colours):
            for name, colour in colours.items():
                if name not in self._fixed[side]:
                    classes.setdefault(colour, ([], []))[side].append(name)
        return [(ours, theirs) for ours, theirs in classes.values() if len(ours) == len(theirs)]

    def refine(self) -> None:
        """Split classes by what flows into and out of their layers, until neither direction splits any further."""
        while any(self._split(edges) for edges in self._edges):
            pass

    def _split(self, edges: Sequence[Mapping[str, set[str]]]) -> bool:
        """Split each class by the classes of its members' neighbours; return whether any class was split.

        `edges` is side by side layer -> its neighbours in one direction. A layer's key is its colour and how many
        neighbours of each colour it has.
        """
        known = set(self._colours[0].values()) & set(self._colours[1].values())
        keys: list[dict[str, tuple[Any, ...]]] = []
        for colours, near in zip(self._colours, edges, strict=True):
            keys.append({})
            for name, colour in colours.items():
                around = Counter(colours.get(of) for of in near.get(name, ()))
                # Neighbours of a colour that only one side has say nothing: it may compute there in another way.
                keys[-1][name] = colour, frozenset(item for item in around.items() if item[0] in known)
        sizes = [Counter(side.values()) for side in keys]
        # A split that is not even on both sides would leave layers without a counterpart: there the class stays whole.
        balanced = [key for key in sizes[0] if sizes[0][key] == sizes[1][key]]
        parts = Counter(key[0] for key in {*sizes[0], *sizes[1]})
        fresh = {key: next(self._fresh) for key in balanced if parts[key[0]] > 1}
        for colours, side in zip(self._colours, keys, strict=True):
            colours.update({name: fresh[key] for name, key in side.items() if key in fresh})
        return bool(fresh)
