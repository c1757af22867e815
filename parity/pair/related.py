"""Which parameters of two layers are the same, and how one side's are read as the other's.

Two layers can be counterparts where every parameter of the one can hold those of the other: of the same name, or of a
shape that axes moved, joined or split make the other's (`canonical.ways`), or of a kind that does nothing where it is 0
or 1. Several ways may fit; they come in order of likelihood, and a run decides.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import chain, islice, permutations, product

from parity.canonical.custom import CUSTOM
from parity.canonical.form import Rows, View
from parity.canonical.ways import axes, ways

Shape = tuple[int, ...]
Signature = tuple[str, tuple[tuple[str, Shape], ...]]  # a layer's kind and parameters
# Zero or one leaves the other side's layer what it is, so that a port may leave the parameter out.
LACKING = ("bias", "gain", "beta")  # how the names of parameters end that one side may lack: 0 or 1
MOST = 48  # ways in which a layer is read: four matrices in each order, all turned or none
LONG = 4  # parameters of a layer whose names say nothing


@dataclass(frozen=True)
class Match:
    """A parameter of both sides, by each side's name, or None where one lacks it.

    Its canonical array is that of the side whose place is `lead`; the other's is read by `view`, if there is one.
    """

    names: tuple[str | None, str | None]
    lead: int
    view: View | Rows | None = None


def shared(one: str, other: str) -> str:
    """The kind of a link between layers of these: the known one beside a custom one, CUSTOM of two unlike ones."""
    return one if other in (one, CUSTOM) else other if one == CUSTOM else CUSTOM


def alike(ours: Signature, theirs: Signature) -> bool:
    """Whether two layers can be counterparts: whether there is a way to read one's parameters as the other's."""
    return bool(matches(ours, theirs))


@lru_cache(4096)
def matches(ours: Signature, theirs: Signature, lead: int | None = None) -> tuple[tuple[Match, ...], ...]:
    """The ways in which two layers hold the same parameters, the likeliest first, at most `MOST`; empty if none.

    By name, where both have it, and others by what their shapes allow. The canonical arrays are those of the side
    `lead`, 0 or 1: by default the first's, unless only the second is of a kind that parity knows.
    """
    if lead is None:
        # A known kind's axes have names, by which its weights are drawn: it leads.
        lead = int(ours[0] == CUSTOM and theirs[0] != CUSTOM)
    pairings = [
        [_matches(ours, theirs, pair, lead) for pair in pairs]
        for pairs in islice(_pairs(dict(ours[1]), dict(theirs[1])), MOST)
    ]
    # Whoever stores one matrix of a layer turned stores them all so: what is turned in part comes behind every pairing.
    shapes = dict(ours[1])
    alike = chain.from_iterable(_alike(ways, shapes) for ways in pairings)
    every = chain.from_iterable(product(*ways) for ways in pairings)
    return tuple(islice(dict.fromkeys(map(tuple, chain(alike, every))), MOST))


def _alike(ways: Sequence[Sequence[Match]], shapes: Mapping[str, Shape]) -> list[tuple[Match, ...]]:
    """The ways to read a pairing in which parameters with as many ways have theirs at one place: all turned, or none.

    First those that turn what has several ways as what has but one, since its sizes leave no other. `shapes` are the
    first side's.
    """
    counts = sorted({len(of) for of in ways})
    places = [dict(zip(counts, at, strict=True)) for at in product(*map(range, counts))]
    sole = turns([of[0] for of in ways if len(of) == 1], shapes)
    matches = [tuple(of[at[len(of)]] for of in ways) for at in places]
    return sorted(matches, key=lambda match: len(sole) == 1 and turns(match, shapes) != sole)


def turns(matches: Iterable[Match], shapes: Mapping[str, Shape]) -> set[bool]:
    """Whether matrices have their axes exchanged between the sides, some do and some do not, or there are none."""
    matrices = [of for of in matches if sum(size > 1 for size in shapes.get(of.names[0] or "", ())) == 2]
    return {isinstance(of.view, View) and not of.view.plain for of in matrices}


def _pairs(ours: dict[str, Shape], theirs: dict[str, Shape]) -> Iterator[list[tuple[str | None, str | None]]]:
    """Which names may go together, likeliest first: the same ones; the others in any order; None for what one side
    lacks.
    """
    same: list[tuple[str | None, str | None]] = [(name, name) for name in ours if name in theirs]
    left = [[name for name in of if name not in other] for of, other in ((ours, theirs), (theirs, ours))]
    count = max(map(len, left))
    if count > LONG:
        yield from ([*same, *pairs] for pairs in _by_size(ours, theirs, left))
        return
    left[1] = _beside(*left)
    padded = [[*names, *[None] * (count - len(names))] for names in left]
    for order in dict.fromkeys(permutations(padded[1])):
        yield [*same, *zip(padded[0], order, strict=True)]


def _by_size(
    ours: dict[str, Shape], theirs: dict[str, Shape], left: Sequence[Sequence[str]]
) -> Iterator[list[tuple[str | None, str | None]]]:
    """Which of these names may go together, where each side has as many of each size."""
    groups: tuple[dict[int, list[str]], dict[int, list[str]]] = ({}, {})
    for names, of, group in zip(left, (ours, theirs), groups, strict=True):
        for name in names:
            group.setdefault(math.prod(of[name]), []).append(name)
    if {size: len(of) for size, of in groups[0].items()} != {size: len(of) for size, of in groups[1].items()}:
        return
    orders = (permutations(_beside(of, groups[1][size])) for size, of in groups[0].items())
    first = [name for of in groups[0].values() for name in of]
    for turns in product(*orders):
        yield list(zip(first, chain.from_iterable(turns), strict=True))


def _beside(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """The other side's names in the order of those that they are most like, as "wq" is like "q"."""
    likeness = sorted(
        (
            (-SequenceMatcher(None, name.lower(), of.lower()).ratio(), at, n)
            for at, name in enumerate(names)
            for n, of in enumerate(others)
        )
    )
    places = dict[int, int]()
    for _, at, n in likeness:
        if at not in places and n not in places.values():
            places[at] = n
    rest = [n for n in range(len(others)) if n not in places.values()]
    return [others[n] for n in (*(places[at] for at in sorted(places)), *rest)]


def _matches(ours: Signature, theirs: Signature, names: tuple[str | None, str | None], lead: int) -> list[Match]:
    """The ways in which two parameters hold the same numbers; where one is lacking, one way if it may be, else none."""
    lacking = [place for place, name in enumerate(names) if name is None]
    if lacking:
        name = names[1 - lacking[0]]
        return [Match(names, 1 - lacking[0])] if name and name.endswith(LACKING) else []
    kinds, shapes = (ours[0], theirs[0]), (dict(ours[1])[names[0] or ""], dict(theirs[1])[names[1] or ""])
    both = [axes(kind, name or "", shape) for kind, name, shape in zip(kinds, names, shapes, strict=True)]
    orders = ways(both[1 - lead], both[lead])
    # The GRU whose reset gate acts first has one bias: the other's second one is 0.
    for place in range(2) if kinds == ("gru", "gru") else ():
        if shapes[place] == shapes[1 - place][1:]:
            return [Match(names, place, Rows(shapes[1 - place], 0, shapes[place]))]
    return [Match(names, lead, None if view.plain and shapes[0] == shapes[1] else view) for view in orders]


def sizes(signature: Signature) -> list[int]:
    """How many numbers each parameter holds, in order of size."""
    return sorted(math.prod(shape) for _, shape in signature[1])


def idles(signature: Signature, bare: Collection[str]) -> bool:
    """Whether a layer does, where its bias is 0 and its gain 1, what the other side does without parameters.

    Then it may have no counterpart: a lone bias, a table of one row, or a gain and bias of a kind in `bare`, those of
    the other side's layers without parameters.
    """
    names = {name for name, _ in signature[1]}
    if signature[0] == "embedding" and signature[1][0][1][0] == 1:  # the same is added everywhere
        return True
    return names == {"bias"} or (names <= {"bias", "gain"} and signature[0] in bare)


@dataclass(frozen=True)
class Option:
    """A way to read two linked layers: which parameters match, and how the rows of several layers are joined.

    `order` has the places of the layers that are joined, whose rows alternate in `blocks` (a cell's gates, a head's
    query, key and value). `start` is the row from which on a longer table holds the shorter one's.
    """

    matches: tuple[Match, ...]
    order: tuple[int, ...] = ()
    blocks: int = 1
    start: int = 0


def options(
    signatures: tuple[Signature, Signature], rows: Sequence[int], several: int, lead: int | None = None
) -> list[Option]:
    """The ways to read two linked layers, the likeliest first, at most `MOST`.

    `rows` are the row counts of the layers of the side `several`, 0 or 1, that together are one layer of the other;
    empty where each is one layer. `lead` is the side whose arrays are the canonical ones, where it is known.
    """
    if not rows:
        return [Option(of) for of in matches(*signatures, lead)]
    orders = list(permutations(range(len(rows))))
    # In the given order one after the other; in that order by blocks; and only then in other orders.
    joins = [(orders[0], 1)]
    joins += [(orders[0], blocks) for blocks in range(max(rows), 1, -1) if not any(row % blocks for row in rows)]
    joins += [(order, 1) for order in orders[1:]]
    both = ((join, of) for join in joins for of in matches(*signatures, 1 - several))
    return [Option(of, *join) for join, of in islice(both, MOST)]
