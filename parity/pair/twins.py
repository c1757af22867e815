"""Twins: which layer of the second side is the counterpart of which of the first, one set of links of two sides.

What the pair says comes first, then the same path, and of layers of one kind and shape the only ones, those that what
flows tells apart, those whose last names differ, and at last the order of calls.
"""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from parity.compare.messages import dims
from parity.errors import ParityError
from parity.pair.alike import Alike
from parity.pair.related import Signature, alike, shared, sizes
from parity.pair.sides import Side

Turns = Mapping[Any, tuple[int, ...]]  # a group's (signature, size) -> the order in which the second side's are taken
FEW = 4  # layers that nothing tells apart, of which every order is tried


@dataclass(frozen=True)
class Link:
    """A layer of the first side and its twin of the second, by the paths that each has in its own model.

    `how` is "given", "name", "shape" (the only ones of theirs), "flow" or "order" (of calls), and then `rivals` are
    the second side's paths of the same kind and shape.
    """

    ours: str
    theirs: str
    kind: str
    how: str
    rivals: tuple[str, ...] = ()


class Finder:
    """Links two sides once: `links`, and `guesses`, a group that only an order tells apart -> its size, up to `FEW`.

    `by_user` is given links, first side's path -> second's; `turns` takes such groups in other orders. Unless `named`,
    equal paths mean nothing. Raises ParityError for a given path that there is not, or that cannot match.
    """

    def __init__(
        self, ours: Side, theirs: Side, by_user: Mapping[str, str], turns: Turns | None = None, named: bool = True
    ) -> None:
        self._sides, self._turns = (ours.layers, theirs.layers), turns or {}
        self._names, self._stacks = (ours.name, theirs.name), (ours.stacks, theirs.stacks)
        self.guesses: dict[Any, int] = {}
        self._links: dict[str, Link] = {}
        self._alike = Alike((ours.flow, theirs.flow), self._colours())
        for pair in by_user.items():
            self._given(*pair)
        for path in ours.layers if named else ():
            if path in theirs.layers and path not in self._links and alike(ours.layers[path], theirs.layers[path]):
                self._link(path, path, "name")
        self._all("shape")
        self._alike.refine()
        while self._all("flow") or self._open():
            self._alike.refine()
        self._same_paths()
        self.links = [self._links[path] for path in ours.layers if path in self._links]

    def _colours(self) -> list[dict[str, Any]]:
        """Side by side path -> the colour to begin with: how many numbers the layer's largest parameter holds.

        Then ever finer, as far as both sides have as many layers of each: the counts of all parameters, their shapes,
        their kind. A stack's shape says nothing, since its axes have no order yet.
        """
        colours: list[dict[str, Any]] = [{path: sizes(of)[-1] for path, of in side.items()} for side in self._sides]
        for finer in (sizes, lambda of: sorted(of[1]), lambda of: (of[0], sorted(of[1]))):
            keys = [
                {path: (colour, path in stacks or str(finer(side[path]))) for path, colour in of.items()}
                for side, of, stacks in zip(self._sides, colours, self._stacks, strict=True)
            ]
            counts = [Counter(side.values()) for side in keys]
            for side, of in zip(keys, colours, strict=True):
                of.update({path: key for path, key in side.items() if counts[0][key] == counts[1][key]})
        return colours

    @property
    def linked(self) -> tuple[set[str], set[str]]:
        """The layers that have a counterpart: the first side's paths, and the second's."""
        return {link.ours for link in self.links}, {link.theirs for link in self.links}

    @property
    def left(self) -> list[list[str]]:
        """The layers that have no counterpart, side by side."""
        both = zip(self._sides, self.linked, strict=True)
        return [[path for path in side if path not in taken] for side, taken in both]

    def _link(self, path: str, twin: str, how: str, rivals: Sequence[str] = ()) -> None:
        kind = shared(self._sides[0][path][0], self._sides[1][twin][0])
        self._links[path] = Link(path, twin, kind, how, tuple(other for other in rivals if other != twin))
        self._alike.fix(path, twin)

    def _given(self, path: str, twin: str) -> None:
        """Link what the user links. Raises ParityError where a path does not exist, or the layers cannot match."""
        for side, name, having in zip(self._names, (path, twin), self._sides, strict=True):
            if name not in having:
                close = difflib.get_close_matches(name, having, 1)
                hint = f"did you mean {close[0]}? " if close else ""
                raise ParityError(f"links: {side} has no layer {name!r}; {hint}there is {', '.join(having) or 'none'}")
        ours, theirs = self._sides[0][path], self._sides[1][twin]
        if not alike(ours, theirs):
            text = f"{path} is {describe(ours)} and {twin} is {describe(theirs)}"
            raise ParityError(f"links: {text}; they cannot match")
        self._link(path, twin, "given")

    def _all(self, how: str) -> bool:
        """Link layers that are alone in their class on both sides; return whether there were any."""
        classes = [(ours[0], theirs[0]) for ours, theirs in self._alike.classes() if len(ours) == 1]
        twins = [(path, twin) for path, twin in classes if alike(self._sides[0][path], self._sides[1][twin])]
        for path, twin in twins:
            self._link(path, twin, how)
        return bool(twins)

    def _open(self) -> bool:
        """Link one class of several layers by their last names, or else by order; return whether there was one."""
        for ours, theirs in self._alike.classes():
            if not all(alike(self._sides[0][path], self._sides[1][twin]) for path, twin in product(ours, theirs)):
                continue
            names = [sorted(map(_tail, paths)) for paths in (ours, theirs)]
            if names[0] == names[1] and len(set(names[0])) == len(ours):
                for path, twin in zip(sorted(ours, key=_tail), sorted(theirs, key=_tail), strict=True):
                    self._link(path, twin, "name")
                return True
            group = self._sides[0][ours[0]], len(ours)
            if len(ours) <= FEW:
                self.guesses[group] = len(ours)
            first, second = _ordered(ours, theirs)
            turned = [second[place] for place in self._turns.get(group, range(len(second)))]
            for path, twin in zip(first, turned, strict=True):
                self._link(path, twin, "order", second)
            return True
        return False

    def _same_paths(self) -> None:
        """Link what is left and has the same path, though its shapes are others: so they are told side by side."""
        taken = {link.theirs for link in self._links.values()}
        for path, (kind, _) in self._sides[0].items():
            twin = self._sides[1].get(path)
            if path not in self._links and path not in taken and twin is not None and kind == twin[0]:
                self._link(path, path, "name")


def _ordered(first: Sequence[str], second: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Both sorted by last names, or by their first letters, where both sides have the same; else by order of calls."""
    for name in (_tail, lambda path: _tail(path)[:1]):
        if sorted(map(name, first)) == sorted(map(name, second)):
            return sorted(first, key=name), sorted(second, key=name)
    return first, second


def _tail(path: str) -> str:
    """The last name of a path, whose case says nothing."""
    return path.rpartition(".")[2].lower()


def describe(signature: Signature) -> str:
    """A layer in a few words: "dense kernel (5, 3), bias (5)"."""
    kind, shapes = signature
    return f"{kind} {', '.join(f'{name} {dims(shape)}' for name, shape in shapes)}"


def by_order(links: Sequence[Link]) -> str:
    """Say in a line that these links are known by the order of calls alone, with the first's alternatives."""
    first = links[0]
    others = f" and {len(links) - 1} more" if len(links) > 1 else ""
    rivals = (
        first.rivals if len(first.rivals) < FEW else (*first.rivals[: FEW - 1], f"{len(first.rivals) - FEW + 1} more")
    )
    return f"{first.ours} is {first.theirs} (or {' or '.join(rivals)}){others}, by the order of calls alone"
