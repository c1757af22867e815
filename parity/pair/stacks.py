"""Stacks: parameters of one side that the other holds as one: the gates of a cell, the experts of a mixture, heads.

They have one shape, and are stacked before any axis moves; the order of so few of them is proved by running the pair.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, islice, permutations

from parity.canonical.ways import ways
from parity.pair.sides import Side, around, loose

FEW = 4  # parameters in a stack, of which every order is tried
Shape = tuple[int, ...]


def stacked(ours: Side, theirs: Side, twins: Mapping[str, str]) -> Iterator[tuple[Side, Side]]:
    """Stack unlinked parameters where the other side has one for several; yield the sides in each order in turn.

    All stacks of as many parts are reordered alike: the gates of all cells have one order. Yields nothing where nothing
    can be stacked.
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
    """Stack the side `several`'s `pieces` for the other side's `whole`; all paths are of layers without counterparts.

    Returns the stacks, (path, how many parts are reordered together), and the changed side.
    """
    wanted = {path: shape for path in whole if (shape := _shape(one, path))}
    stacks: list[tuple[str, int]] = []
    shapes = dict.fromkeys(shape for path in pieces if (shape := _shape(several, path)))
    # Large pieces first: a small one fits into many wholes by chance, a large one into few.
    for piece in sorted(shapes, key=math.prod, reverse=True):
        paths = [path for path in pieces if path in several.layers and _shape(several, path) == piece]
        counts = {path: math.prod(shape) // math.prod(piece) for path, shape in wanted.items() if _fits(piece, shape)}
        # All pieces of a shape have to be used up by the first of the wholes, in order; else it is left alone.
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
    """The shape of a layer's only parameter; () of several, or of a number, which does not say what it belongs to."""
    shapes = side.layers[path][1]
    return shapes[0][1] if len(shapes) == 1 else ()


def _fits(piece: Shape, whole: Shape) -> bool:
    """Whether several arrays of shape `piece`, stacked, can be rearranged to the shape `whole` (`canonical.ways`)."""
    count, rest = divmod(math.prod(whole), math.prod(piece))
    stack = (*_lead(count, whole), *piece) if count > 1 and not rest else ()
    return bool(stack) and bool(ways((stack, ("",) * len(stack)), (whole, ("",) * len(whole))))


def _lead(count: int, whole: Shape) -> Shape:
    """The first axes of a stack of `count`: two where each row of the whole holds several, as each of two biases."""
    rows = whole[0] if len(whole) > 1 else count
    return (rows, count // rows) if rows < count and count % rows == 0 else (count,)


def _by_source(side: Side, paths: Sequence[str]) -> list[str]:
    """Sort paths so that layers with the same sources stand together, otherwise in the order given."""
    sources = {path: frozenset(side.flow.before.get(path, set()) - around(side.flow, path)) for path in paths}
    first = list(sources.values())
    return sorted(paths, key=lambda path: first.index(sources[path]))
