"""Links: which layer of the second side is the twin of which of the first, by names, kinds, shapes and flow.

In this order: what the pair says; the same path; and of those that have one kind and shape: the only ones; those that
what flows in and out of them tells apart (`alike`); those whose last names differ; and at last the order of calls, all
groups together. What can be doubted is proved by running the pair: see `parity.pair.link_proof`.

Ports rename layers, join three into one, split one into three, leave a bias out. Nothing here looks for a library's
names: two layers are counterparts where one can hold the other's numbers (`related`) and stands in the same place of
the graph.
"""

import difflib
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice, permutations, product
from typing import Any

from parity.canonical.flow import Flow
from parity.compare.messages import dims
from parity.errors import ParityError
from parity.pair.alike import Alike
from parity.pair.related import Signature, alike, idles, shared, sizes
from parity.pair.sides import Side, aligned, apart, choices, cropped
from parity.pair.stacks import stacked

Turns = Mapping[Any, tuple[int, ...]]  # a group's shapes and size -> the order of the second side's layers
FEW = 4  # layers that nothing tells apart, of which every order is tried
MOST = 60  # sets of links that are tried


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


@dataclass(frozen=True)
class Guess:
    """A set of links between layers of two sides, and which of several ways each kind of link reads them.

    `left_out` is side by side the layers that do nothing and have no twin -> why; `lacking` those that the other side
    lacks and that do nothing where their bias is 0 and their gain 1. `opened` is the form's.
    """

    links: list[Link]
    sides: tuple[Side, Side]
    ways: Mapping[Hashable, int]
    left_out: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    lacking: tuple[Sequence[str], Sequence[str]] = ((), ())
    opened: tuple[str, ...] = ()

    def key(self, link: Link) -> tuple[Signature, Signature]:
        """What links have in common that are read in one way."""
        return self.sides[0].layers[link.ours], self.sides[1].layers[link.theirs]


def guesses(ours: Side, theirs: Side, by_user: Mapping[str, str]) -> Iterator[Guess]:
    """Sets of links, the likeliest first: each is another. Raises ParityError for a given path that there is not.

    Names that some layers alone share may be those of others, as Keras counts its layers; what flows may mislead
    where the sides compute the same in other ways; of what nothing tells apart every order is tried; and every way to
    read what two layers hold.
    """
    seen = []
    for guess in islice(_guesses(ours, theirs, by_user), MOST):
        inside = [side.inside for side in guess.sides]
        twins = {(link.ours, link.theirs) for link in guess.links}, dict(guess.ways), inside
        if twins not in seen:
            seen.append(twins)
            yield guess


def _guesses(ours: Side, theirs: Side, by_user: Mapping[str, str]) -> Iterator[Guess]:
    """As `guesses`, but some may be the same twice. Each way to differ from the likeliest set is tried by itself before
    two are tried together.
    """
    first, (ours, theirs), restacked = _prepared(ours, theirs, by_user)
    left = [
        [path for path in side.layers if path not in of] for side, of in zip((ours, theirs), first.linked, strict=True)
    ]
    idle = [
        {path: how for path, how in side.idle.items() if path in of}
        for side, of in zip((ours, theirs), left, strict=True)
    ]
    others = zip((ours, theirs), (theirs, ours), left, idle, strict=True)
    plain = [[p for p in of if p not in does and idles(side.layers[p], other.bare)] for side, other, of, does in others]
    explained = all(len(of) == len(does) + len(more) for of, does, more in zip(left, idle, plain, strict=True))
    extra: dict[str, Any] = {"left_out": tuple(idle), "lacking": tuple(plain)} if explained else {}
    base = Guess(first.links, (ours, theirs), {}, **extra)
    yield base
    yield from (replace(base, sides=sides) for sides in restacked)
    counts = {base.key(link): len(choices(base.sides, (link.ours, link.theirs))) for link in first.links}
    square = [key for key, count in counts.items() if count == max(counts.values()) > 2]
    yield from (replace(base, sides=sides, ways=dict.fromkeys(square, 1)) for sides in restacked)
    turns = [(key, way) for key, count in counts.items() for way in range(1, count)]
    # One departure at a time, then two: a port that differs in three of them is linked by `links=`.
    yield from (replace(base, ways=dict([turn])) for turn in turns)
    yield from _together(base, counts)
    # Keras counts its layers (dense_1, dense_2), so that some names agree by chance: once more without any.
    partly = {link.how == "name" for link in first.links} == {True, False}
    for finder in [_Finder(ours, theirs, by_user, named=False)] if partly else []:
        if len(finder.links) == len(first.links):
            yield replace(base, links=finder.links)
    for number in (1, 2):
        for chosen in combinations(first.guesses, number):
            orders = (list(permutations(range(first.guesses[group])))[1:] for group in chosen)
            for turned in product(*orders):
                finder = _Finder(ours, theirs, by_user, turns=dict(zip(chosen, turned, strict=True)))
                yield replace(base, links=finder.links)
    yield from (replace(base, ways=dict(both)) for both in combinations(turns, 2) if both[0][0] != both[1][0])
    finder = _Finder(replace(ours, flow=Flow()), replace(theirs, flow=Flow()), by_user)
    if len(finder.links) == len(first.links):
        yield replace(base, links=finder.links)


def _together(base: Guess, counts: Mapping[Any, int]) -> Iterator[Guess]:
    """Several links that can be read in as many ways, in the same one: the gates of a cell have one order."""
    for count in {count for count in counts.values() if count > 1}:
        keys = [key for key, of in counts.items() if of == count]
        if len(keys) > 1:
            yield from (replace(base, ways=dict.fromkeys(keys, way)) for way in range(1, count))


def _prepared(
    ours: Side, theirs: Side, by_user: Mapping[str, str]
) -> tuple["_Finder", tuple[Side, Side], list[tuple[Side, Side]]]:
    """The likeliest links, and the sides with layers joined and broken where more of them have a twin so.

    And the same sides with what was stacked in other orders.
    """
    sides, finder = (ours, theirs), _Finder(ours, theirs, by_user)
    for change in (aligned, aligned, cropped):
        if not finder.left or not all(finder.left):
            break
        others = change(*sides, {link.ours: link.theirs for link in finder.links})
        other = _Finder(*others, by_user)
        if sum(map(len, other.left)) < sum(map(len, finder.left)):
            sides, finder = others, other
    if any(finder.left):
        broken = apart(*sides, {link.ours: link.theirs for link in finder.links}, by_user)
        parted = _Finder(*broken, by_user)
        turned = stacked(*broken, {link.ours: link.theirs for link in parted.links})
        stacks = next(turned, broken)
        other = _Finder(*stacks, by_user)
        if not any(other.left):
            return other, stacks, list(turned)
    return finder, sides, []


def find(ours: Side, theirs: Side, by_user: Mapping[str, str]) -> list[Link]:
    """The likeliest links of two sides, in the order of the first. Unmatched layers are in none.

    Raises ParityError for a given path that there is not.
    """
    return next(guesses(ours, theirs, by_user)).links


class _Finder:
    """Finds `links`, and `guesses`: the groups that only an order tells apart, with their sizes, if they are few."""

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
        """Layers are of one colour whose largest parameters hold as many numbers.

        And that have as many numbers in each, the same shapes, and the same kind, as far as both sides have as many
        layers that do. The axes of a stack have an order that says nothing.
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
        """The layers that have a twin."""
        return {link.ours for link in self.links}, {link.theirs for link in self.links}

    @property
    def left(self) -> list[list[str]]:
        """Those that have none, side by side."""
        both = zip(self._sides, self.linked, strict=True)
        return [[path for path in side if path not in taken] for side, taken in both]

    def _link(self, path: str, twin: str, how: str, rivals: Sequence[str] = ()) -> None:
        kind = shared(self._sides[0][path][0], self._sides[1][twin][0])
        self._links[path] = Link(path, twin, kind, how, tuple(other for other in rivals if other != twin))
        self._alike.fix(path, twin)

    def _given(self, path: str, twin: str) -> None:
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
        """Link the only ones of their class; whether there are any."""
        classes = [(ours[0], theirs[0]) for ours, theirs in self._alike.classes() if len(ours) == 1]
        twins = [(path, twin) for path, twin in classes if alike(self._sides[0][path], self._sides[1][twin])]
        for path, twin in twins:
            self._link(path, twin, how)
        return bool(twins)

    def _open(self) -> bool:
        """Link the first class of several by their last names, or by their order; whether there is one."""
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
    """Both in order of calls, or of their last names or their first letters where these are the same."""
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
    """In a few words, that these links are a guess."""
    first = links[0]
    others = f" and {len(links) - 1} more" if len(links) > 1 else ""
    rivals = (
        first.rivals if len(first.rivals) < FEW else (*first.rivals[: FEW - 1], f"{len(first.rivals) - FEW + 1} more")
    )
    return f"{first.ours} is {first.theirs} (or {' or '.join(rivals)}){others}, by the order of calls alone"
