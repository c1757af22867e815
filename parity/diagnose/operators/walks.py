"""Walks over a run: what takes a value, and what can be reached by one step after another."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from parity.backends.operations import Operation, Trace

Item = TypeVar("Item", bound=Hashable)


def reached(starts: Iterable[Item], following: Callable[[Item], Iterable[Item]]) -> Iterator[Item]:
    """Yield each of these, and all that follows from them, once, the nearest first."""
    waiting, seen = deque(starts), set[Item]()
    while waiting:
        one = waiting.popleft()
        if one not in seen:
            seen.add(one)
            yield one
            waiting.extend(following(one))


def takers(trace: Trace) -> dict[int, list[int]]:
    """Value -> the numbers of the operations that take it."""
    of_values: dict[int, list[int]] = {}
    for number, operation in enumerate(trace.operations):
        for place in dict.fromkeys(operation.operands):
            of_values.setdefault(place, []).append(number)
    return of_values


def behind(trace: Trace, operation: Operation) -> list[Operation]:
    """The operations that take what this one makes."""
    return [one for one in trace.operations if not {*operation.makes}.isdisjoint(one.operands)]
