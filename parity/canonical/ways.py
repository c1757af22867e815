"""The ways in which an array of one shape can hold the numbers of one of another: its axes moved, joined and split.

Shapes alone leave several: a square matrix may be transposed or not. Which is right is decided elsewhere, by running
both sides (`pair.link_proof`); here they are ordered, the plainest first, because the plainest mostly is.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, permutations

import numpy as np

from parity.canonical.form import View
from parity.canonical.kind import KINDS, OUTPUTS

# The most ways that are given, and the most axes of an array that is looked at: 6 axes have 720 orders, 7 have 5,040.
MOST = 6
# A shape, and whether each axis is an "out" or an "in", or "" if unknown.
Axes = tuple[tuple[int, ...], tuple[str, ...]]


def axes(kind: str, parameter: str, shape: tuple[int, ...]) -> Axes:
    """Say what the axes of a parameter are, as far as its kind tells; a vector's may be either."""
    names = KINDS[kind].axes.get(parameter, ()) if kind in KINDS else ()
    if len(names) != len(shape) or len(shape) < 2:
        return shape, ("",) * len(shape)
    return shape, tuple("out" if name in OUTPUTS else "in" for name in names)


def ways(source: Axes, target: Axes) -> list[View]:
    """The views that take an array of `source`'s shape to one of `target`'s, at most `MOST`, the plainest first.

    A way splits axes or joins them, not both; none where the numbers do not fit in, or roles disagree. Where the axes
    are known and the same, there is one way: as it is.
    """
    if source == target and "" not in source[1]:
        return [View(source[0], source[0], tuple(range(len(source[0]))), target[0])]
    (ours, theirs), splits = (_long(source), _long(target)), len(_long(source)[0]) < len(_long(target)[0])
    fine, coarse = (theirs, ours) if splits else (ours, theirs)  # of more axes, and of fewer, which join them
    # MOST^2: enough to sort, without going through all orders of an array of equal axes.
    orders = sorted(islice(_orders(fine, coarse), MOST**2), key=_moves)
    # Where no way leaves all axes in place, a convolution's kernel is the likeliest; else the two may well be alike.
    if orders and _moves(orders[0]):
        orders.sort(key=lambda order: order not in _of_kernels(len(fine[0])))
    if splits:
        sizes = [tuple(fine[0][axis] for axis in order) for order in orders]
        turned = [tuple(map(int, np.argsort(order))) for order in orders]
        return [View(source[0], *both, target[0]) for both in zip(sizes, turned, strict=True)][:MOST]
    return [View(source[0], fine[0], order, target[0]) for order in orders][:MOST]


def _long(array: Axes) -> Axes:
    """The same without axes of size 1, which may stand anywhere."""
    axes = [(size, role) for size, role in zip(*array, strict=True) if size != 1]
    return tuple(size for size, _ in axes), tuple(role for _, role in axes)


def _orders(fine: Axes, coarse: Axes) -> Iterator[tuple[int, ...]]:
    """The orders in which the axes of one, joined, are those of the other."""
    if len(fine[0]) <= MOST:
        yield from (order for order in permutations(range(len(fine[0]))) if _joins(order, fine, coarse))


def _joins(order: Sequence[int], fine: Axes, coarse: Axes) -> bool:
    """Whether the axes of `fine`, in this order, can be joined one after another to those of `coarse`,
    role for role.
    """
    left = list(order)
    for size, role in zip(*coarse, strict=True):
        joined = 1
        while joined < size and left:
            axis = left.pop(0)
            joined *= fine[0][axis]
            if role and fine[1][axis] not in (role, ""):
                return False
        if joined != size:
            return False
    return not left


def _of_kernels(rank: int) -> tuple[tuple[int, ...], ...]:
    """How the axes of a convolution's kernel stand in the other framework, whichever has outputs first."""
    inner = tuple(range(2, rank))
    return ((*inner, 1, 0), (rank - 1, rank - 2, *range(rank - 2))) if inner else ()


def _moves(order: Sequence[int]) -> int:
    """How many pairs of axes change places: 0 of a plain order."""
    return sum(a > b for place, a in enumerate(order) for b in order[place:])
