"""Links: which layer of the second side is the twin of which of the first, by names, kinds, shapes and flow.

`twins` finds one set of links; here are the others that fit as well, the likeliest first. What can be doubted is proved
by running the pair: see `parity.pair.link_proof`.

Ports rename layers, join three into one, split one into three, leave a bias out. Nothing here looks for a library's
names: two layers are counterparts where one can hold the other's numbers (`related`) and stands in the same place of
the graph.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, islice, permutations, product
from typing import Any

from parity.canonical.flow import Flow
from parity.pair.orders import Orders, of_gates
from parity.pair.related import Signature, alike, idles, turns
from parity.pair.sides import Side, aligned, apart, choices, cropped
from parity.pair.stacks import stacked
from parity.pair.twins import Finder, Link

MOST = 60  # sets of links that are tried
NEAR = 24  # ways to read one layer that are tried before layers are linked in another order


@dataclass(frozen=True)
class Guess:
    """A set of links between layers of two sides, and which of several ways each kind of link reads them.

    `left_out` is side by side the layers that do nothing and have no twin -> why; `lacking` those that the other side
    lacks and that do nothing where their bias is 0 and their gain 1. `opened` is the form's. `orders` has, of a side (0
    or 1), a layer and a parameter, the axis along which it stands in another order, and what stands at each place.
    """

    links: list[Link]
    sides: tuple[Side, Side]
    ways: Mapping[Hashable, int]
    left_out: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    lacking: tuple[Sequence[str], Sequence[str]] = ((), ())
    opened: tuple[str, ...] = ()
    orders: Orders = field(default_factory=dict)

    @property
    def twins(self) -> dict[str, str]:
        """The links as first side's path -> second side's."""
        return {link.ours: link.theirs for link in self.links}

    def way(self, link: Link) -> Any:
        """How a link is read: its option, and the orders of what it holds."""
        both = (0, link.ours), (1, link.theirs)
        return self.ways.get(self.key(link), 0), {of: order for of, order in self.orders.items() if of[:2] in both}

    def key(self, link: Link) -> tuple[Signature, Signature]:
        """The two layers' kinds and shapes: links of one key are all read in the same way, `ways[key]`."""
        return self.sides[0].layers[link.ours], self.sides[1].layers[link.theirs]


def guesses(ours: Side, theirs: Side, by_user: Mapping[str, str]) -> Iterator[Guess]:
    """Sets of links, the likeliest first, no two the same. Raises ParityError for a given path that there is not.

    Names that some layers alone share may be those of others, as Keras counts its layers; what flows may mislead
    where the sides compute the same in other ways; of what nothing tells apart every order is tried; and every way to
    read what two layers hold.
    """
    seen = []
    for guess in islice(_guesses(ours, theirs, by_user), MOST):
        inside = [side.inside for side in guess.sides]
        twins = {(link.ours, link.theirs) for link in guess.links}, dict(guess.ways), inside, guess.orders
        if twins not in seen:
            seen.append(twins)
            yield guess


def _guesses(ours: Side, theirs: Side, by_user: Mapping[str, str]) -> Iterator[Guess]:
    """As `guesses`, but some may be the same twice. Each way to differ from the likeliest set is tried by itself before
    two are tried together.
    """
    first, (ours, theirs), restacked = _prepared(ours, theirs, by_user)
    base = Guess(first.links, (ours, theirs), {}, **_excuses(first.left, (ours, theirs)))
    base = replace(base, ways=_as_others(base))
    yield base
    yield from (replace(base, sides=sides) for sides in restacked)
    yield from (replace(base, orders=orders) for orders in of_gates(base.sides, base.twins))
    counts = {base.key(link): len(choices(base.sides, (link.ours, link.theirs))) for link in first.links}
    square = [key for key, count in counts.items() if count == max(counts.values()) > 2]
    yield from (replace(base, sides=sides, ways=dict.fromkeys(square, 1)) for sides in restacked)
    departures = [(key, way) for key, count in counts.items() for way in range(count) if way != base.ways.get(key, 0)]
    near = [turn for turn in departures if turn[1] < NEAR]
    # One departure at a time, then two: a port that differs in three of them is linked by `links=`.
    yield from (replace(base, ways={**base.ways, **dict([turn])}) for turn in near)
    yield from _together(base, counts)
    # Keras counts its layers (dense_1, dense_2), so that some names agree by chance: once more without any.
    partly = {link.how == "name" for link in first.links} == {True, False}
    for finder in [Finder(ours, theirs, by_user, named=False)] if partly else []:
        if len(finder.links) == len(first.links):
            yield replace(base, links=finder.links)
    for number in (1, 2):
        for chosen in combinations(first.guesses, number):
            orders = (list(permutations(range(first.guesses[group])))[1:] for group in chosen)
            for turned in product(*orders):
                finder = Finder(ours, theirs, by_user, turns=dict(zip(chosen, turned, strict=True)))
                yield replace(base, links=finder.links)
    yield from (replace(base, ways={**base.ways, **dict([turn])}) for turn in departures if turn not in near)
    pairs = (both for both in combinations(near, 2) if both[0][0] != both[1][0])
    yield from (replace(base, ways={**base.ways, **dict(both)}) for both in pairs)
    finder = Finder(replace(ours, flow=Flow()), replace(theirs, flow=Flow()), by_user)
    if len(finder.links) == len(first.links):
        yield replace(base, links=finder.links)


def _excuses(left: Sequence[Sequence[str]], sides: tuple[Side, Side]) -> dict[str, Any]:
    """The fields `left_out` and `lacking` of a guess, for the layers without a counterpart, `left`, side by side.

    Empty where some of them have no excuse: neither do they nothing, nor nothing at a bias of 0 and a gain of 1.
    """
    idle = [{path: how for path, how in side.idle.items() if path in of} for side, of in zip(sides, left, strict=True)]
    others = zip(sides, sides[::-1], left, idle, strict=True)
    plain = [[p for p in of if p not in does and idles(side.layers[p], other.bare)] for side, other, of, does in others]
    explained = all(len(of) == len(does) + len(more) for of, does, more in zip(left, idle, plain, strict=True))
    return {"left_out": tuple(idle), "lacking": tuple(plain)} if explained else {}


def _as_others(guess: Guess) -> dict[Hashable, int]:
    """The ways in which square matrices are turned as those are, of layers of the same two kinds, that are not square.

    Only ways other than the first are given, and none where the sizes of the others do not leave one answer.
    """
    sole, open_ways = dict[Any, set[bool]](), dict[Any, list[set[bool]]]()
    for link in guess.links:
        key = guess.key(link)
        shapes = dict(key[0][1])
        of = [turns(option.matches, shapes) for option in choices(guess.sides, (link.ours, link.theirs))]
        if len(of) == 1:
            sole.setdefault((key[0][0], key[1][0]), set()).update(of[0])
        open_ways[key] = of
    as_sole = {key: sole.get((key[0][0], key[1][0]), set()) for key in open_ways}
    places = {key: of.index(as_sole[key]) for key, of in open_ways.items() if len(of) > 1 and as_sole[key] in of}
    return {key: place for key, place in places.items() if place and len(as_sole[key]) == 1}


def _together(base: Guess, counts: Mapping[Any, int]) -> Iterator[Guess]:
    """Read all kinds of links that have as many ways in the same one at once: the gates of all cells have one order."""
    for count in {count for count in counts.values() if count > 1}:
        keys = [key for key, of in counts.items() if of == count]
        if len(keys) > 1:
            yield from (replace(base, ways={**base.ways, **dict.fromkeys(keys, way)}) for way in range(count))


def _prepared(
    ours: Side, theirs: Side, by_user: Mapping[str, str]
) -> tuple["Finder", tuple[Side, Side], list[tuple[Side, Side]]]:
    """The likeliest links, and the sides with layers joined and broken where more of them have a twin so.

    And the same sides with what was stacked in other orders.
    """
    sides, finder = (ours, theirs), Finder(ours, theirs, by_user)
    # What has one name on both sides and another number of rows is linked by that name, unless it is cropped.
    whole = {of.ours: of.theirs for of in finder.links if alike(ours.layers[of.ours], theirs.layers[of.theirs])}
    if len(whole) < len(finder.links):
        shorter = cropped(ours, theirs, whole)
        if any(side.longer for side in shorter):
            sides, finder = shorter, Finder(*shorter, by_user)
    for change in (aligned, aligned, cropped):
        if not finder.left or not all(finder.left):
            break
        others = change(*sides, {link.ours: link.theirs for link in finder.links})
        other = Finder(*others, by_user)
        if sum(map(len, other.left)) < sum(map(len, finder.left)):
            sides, finder = others, other
    if any(finder.left):
        broken = apart(*sides, {link.ours: link.theirs for link in finder.links}, by_user)
        parted = Finder(*broken, by_user)
        turned = stacked(*broken, {link.ours: link.theirs for link in parted.links})
        stacks = next(turned, broken)
        other = Finder(*stacks, by_user)
        if not any(other.left):
            return other, stacks, list(turned)
    return finder, sides, []


def find(ours: Side, theirs: Side, by_user: Mapping[str, str]) -> list[Link]:
    """The likeliest links of two sides, in the order of the first. Unmatched layers are in none.

    Raises ParityError for a given path that there is not.
    """
    return next(guesses(ours, theirs, by_user)).links
