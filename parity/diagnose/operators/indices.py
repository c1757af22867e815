"""Other places along an axis: of a slice, of several slices together, of a single element."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from parity.diagnose.operators.proposal import Spot

MANY = 130  # lists of numbers that are tried for one


def moved(value: Sequence[Any], known: Sequence[float]) -> Iterator[list[Any]]:
    """Slices of the same lengths that begin elsewhere, along several axes: by a place or two, or at a known number."""
    places = [at for at, one in enumerate(value) if isinstance(one, slice) and type(one.start) is type(one.stop) is int]
    if len(places) < 2:
        return
    numbers = {int(one) for one in known if one >= 0 and one == int(one)}
    starts = [[*{value[at].start, *numbers, *(value[at].start + by for by in (-2, -1, 1, 2))}] for at in places]
    if np.prod([len(of) for of in starts]) > MANY:
        starts = [[value[at].start + by for by in (-1, 0, 1)] for at in places]
    for chosen in product(*starts):
        moved = [*value]
        for at, start in zip(places, chosen, strict=True):
            one = value[at]
            moved[at] = slice(start, one.stop - one.start + start, one.step)
        if min(chosen) >= 0 and moved != [*value]:
            yield moved


def slices(spot: Spot, value: Any) -> Iterator[slice]:
    """The slice begins or ends elsewhere, by one place or two, or takes each of several."""
    if not isinstance(value, slice):
        return
    start, stop, step = value.start, value.stop, value.step
    if not all(one is None or type(one) is int for one in (start, stop, step)):
        return
    for by in (1, -1, 2, -2):
        begins = max((start or 0) + by, 0) if (start or 0) >= 0 else start + by
        ends = None if stop is None or (stop + by == 0 and stop < 0) else stop + by
        yield from (slice(begins, ends, step), slice(begins, stop, step), slice(start, ends, step))
    yield from (slice(None, None, step), slice(start, stop, 2), slice(start, stop, None))
    if start and stop is None:  # the other end
        yield from (slice(None, -start, step), slice(None, start, step))
    if stop is not None and not start:
        yield from (slice(-stop, None, step), slice(stop, None, step))
    for length in spot.run.trace.values[spot.operation.takes[0][1]].shape if spot.operation.takes else ():
        yield from (slice(None, length // 2), slice(length // 2, None), slice(None, None, 2), slice(1, None, 2))


def indices(spot: Spot, value: Any) -> Iterator[int]:
    """Any place along an axis, of a whole number that may be one."""
    if type(value) is int:
        lengths = {length for _, place in spot.operation.takes for length in spot.run.trace.values[place].shape}
        yield from (length - 1 for length in lengths if length - 1 != value)
        if spot.operation.name == "__getitem__":
            yield from (place for place in range(min(max(lengths, default=0), 16)) if place != value)
