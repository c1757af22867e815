"""Stacks: parameters of one side that the other holds as one: the gates of a cell, the experts of a mixture, heads.

They have one shape, and are stacked before any axis moves; the order of so few of them is proved by running the pair.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, islice, permutations

from parity.canonical.ways import ways
from parity.pair.related import sizes
from parity.pair.sides import Side, around, loose

FEW = 4  # parameters in a stack, of which every order is tried
Shape = tuple[int, ...]


def stacked(ours: Side, theirs: Side, twins: Mapping[str, str]) -> Iterator[tuple[Side, Side]]:
    """The sides with parameters without twins stacked, where the other side has one for several: each order in turn.

    All stacks of as many are turned alike: the gates of a cell have one order. None where nothing can be stacked.
    """
    sides, stacks = [ours, theirs], list[tuple[int, str, int]]()
    for place in (1, 0):
        free = loose(sides[0], sides[1], twins)
        new, sides[place] = _stacks(sides[1 - place], sides[place], free[1 - place], free[place])
        stacks += [(place, *of) for of in new]
    if not stacks:
        return
    yield sides[0], sides[1]
    for count in sorted({count for _, _, count in stacks if count <= FEW}):
        for order in list(permutations(range(count)))[1:]:
            turned = list(sides)
            for place, name, of in stacks:
                if of == count:
                    turned[place] = turned[place].turned(name, order)
            yield turned[0], turned[1]


def _stacks(
    one: Side, several: Side, whole: Sequence[str], pieces: Sequence[str]
) -> tuple[list[tuple[str, int]], Side]:
    """The stacks of a side's pieces, each with how many are turned together; `whole` are the other side's."""
    wanted = {path: shape for path in whole if (shape := _shape(one, path))}
    stacks: list[tuple[str, int]] = []
    shapes = dict.fromkeys(shape for path in pieces if (shape := _shape(several, path)))
    for piece in sorted(shapes, key=_size, reverse=True):
        paths = [path for path in pieces if path in several.layers and _shape(several, path) == piece]
        counts = {path: _size(shape) // _size(piece) for path, shape in wanted.items() if _fits(piece, shape)}
        sums = list(accumulate(counts.values()))
        if len(paths) not in sums:
            continue
        ordered = _by_source(several, paths)
        for path, count in islice(counts.items(), sums.index(len(paths)) + 1):
            group, ordered = ordered[:count], ordered[count:]
            name, lead = "+".join(group), _lead(count, wanted.pop(path))
            several = several.stacked(name, group, (*lead, *piece))
            stacks.append((name, lead[-1]))
    return stacks, several


def _shape(side: Side, path: str) -> Shape:
    """That of a layer's only parameter; none of several, or of a number, which does not say what it belongs to."""
    shapes = side.layers[path][1]
    return shapes[0][1] if len(shapes) == 1 else ()


def _size(shape: Shape) -> int:
    return sizes(("", (("", shape),)))[0]


def _fits(piece: Shape, whole: Shape) -> bool:
    """Whether an array can be several of another shape."""
    count, rest = divmod(_size(whole), _size(piece))
    stack = (*_lead(count, whole), *piece) if count > 1 and not rest else ()
    return bool(stack) and bool(ways((stack, ("",) * len(stack)), (whole, ("",) * len(whole))))


def _lead(count: int, whole: Shape) -> Shape:
    """The first axes of a stack: two where the whole has rows of several each, as the two biases of a gate."""
    rows = whole[0] if len(whole) > 1 else count
    return (rows, count // rows) if rows < count and count % rows == 0 else (count,)


def _by_source(side: Side, paths: Sequence[str]) -> list[str]:
    """In order, those that are given the same together."""
    sources = {path: frozenset(side.flow.before.get(path, set()) - around(side.flow, path)) for path in paths}
    first = list(sources.values())
    return sorted(paths, key=lambda path: first.index(sources[path]))
