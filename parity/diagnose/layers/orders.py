"""In which order one array's rows stand in another: found bit for bit, and told by how such an order comes about."""

from collections.abc import Iterator

import numpy as np

from parity.diagnose.layers.weight_relations import Relation
from parity.dtypes import Array
from parity.pair.orders import places as rows_of

MOST = 3  # distances that a table may be moved by: rows may be alike
FEWEST = 6  # rows whose order is told: of fewer, some order comes about in several ways


Order = tuple[str, str]  # the name of the cause that an order of rows stands for, and how it comes about


def ordered(kind: str, parameter: str, first: Array, second: Array) -> Iterator[Relation]:
    """The second array as the first with its rows along an axis in another order; heads and their width may be one."""
    if first.shape != second.shape:
        return
    yield from _moved(first, second)
    for axis in range(first.ndim):
        for width in (1, 2)[: first.ndim - axis] if kind == "attention" else (1,):
            merged = (*first.shape[:axis], -1, *first.shape[axis + width :])
            ours, theirs = (np.moveaxis(array.reshape(merged), axis, 0) for array in (first, second))
            places = rows_of(ours, theirs) if len(ours) >= FEWEST else None
            order = None if places is None else _order(kind, parameter, axis, places)
            if order is not None:
                reordered = np.moveaxis(ours[places], 0, axis).reshape(first.shape)
                yield Relation(*order, reordered)


def _moved(first: Array, second: Array) -> Iterator[Relation]:
    """A table whose rows stand further down or up: what is new at its end is taken as it is."""
    if first.ndim < 2 or len(first) <= FEWEST:
        return
    for of, there, down in ((first, second, True), (second, first, False)):
        # Not by the first row, which may be the padding's: all zeros, as those that a longer table has more.
        same = (there[FEWEST:] == of[FEWEST - 1]).reshape(-1, of[0].size).all(1)
        for steps in (np.flatnonzero(same)[:MOST] + 1).tolist():
            if down:
                moved, description = [second[:steps], first[:-steps]], f"torch's row 0 is row {steps} there"
            else:
                moved, description = [first[steps:], second[-steps:]], f"torch's row {steps} is row 0 there"
            words = f"with its rows moved by {steps}: {description}"
            yield Relation("weights changed", words, np.concatenate(moved))


def _order(kind: str, parameter: str, axis: int, places: Array) -> Order | None:
    """Tell how an order of rows comes about: reversed, in blocks, or as a transposed matrix; None if by none of these.

    `places` (rows,) is which row of the first array stands at each place of the second.
    """
    count = len(places)
    where = "" if axis == 0 else f" along axis {axis}"
    inputs = "kernel" in parameter and axis > 0 and kind in ("dense", "custom")
    if np.array_equal(places, np.arange(count)[::-1]):
        return ("flatten order" if inputs else "weights changed", f"with its rows{where} in reverse")
    for outer in (n for n in range(1, count) if count % n == 0):
        inner = count // outer
        for size in (n for n in range(2, inner) if inner % n == 0):
            turned = np.arange(count).reshape(outer, size, inner // size).swapaxes(1, 2).reshape(-1)
            if np.array_equal(places, turned):
                return _turned(outer, size, inner // size, where, inputs)
    return _blocks(places, where, inputs)


def _turned(outer: int, size: int, rest: int, where: str, inputs: bool) -> Order:
    """What reading rows as a transposed matrix is called, by where it stands: a flattening, rotary halves, a split of
    heads.
    """
    description = f"with its {outer * size * rest} rows{where} read as ({size}, {rest}) the other way round"
    if inputs:
        return ("flatten order", description)
    if outer > 1 and 2 in (size, rest):
        way = "its halves interleaved" if size == 2 else "what was interleaved in halves"
        return ("rotary halves", f"with each of {outer} heads having {way}{where}")
    return ("head split", description)


def _blocks(places: Array, where: str, inputs: bool) -> Order | None:
    """Blocks of equal size in another order: query, key and value, heads, or those of all three in each head."""
    for count in range(2, min(len(places), 16) // 2 * 2 + 1):
        if len(places) % count or len(places) // count < 2:
            continue
        size = len(places) // count
        order = places[::size] // size
        if np.array_equal(places, (order[:, None] * size + np.arange(size)).reshape(-1)):
            # A fused kernel of (heads, query key value, width) that is read as (query key value, heads, width).
            for rows in (n for n in (3, count // 3) if 1 < n < count and count % 3 == 0):
                if np.array_equal(order, np.arange(count).reshape(rows, -1).T.reshape(-1)):
                    description = (
                        f"with its {count} blocks{where} read as ({rows}, {count // rows}) the other way round"
                    )
                    return ("flatten order" if inputs else "head split", description)
            description = f"with its {count} blocks{where} in the order {', '.join(map(str, order + 1))}"
            return ("query key value" if count == 3 else "order", description)
    return None
