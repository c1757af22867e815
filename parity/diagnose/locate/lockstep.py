"""Two corners run side by side, a call at a time: one leads in a thread of its own, the other follows.

The leader stops at each call of a linked layer until it is asked for the next, so that arrays are
compared as they arrive and none are kept, however deep the model is.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from parity.backends.hooks import Call
from parity.dtypes import Array

Key = tuple[str, str, int]
Run = Callable[[Any], object]  # a corner's replay, under the watch that it is given


class _Stopped(BaseException):
    """Ends a leader's run that nobody follows any more."""


@dataclass(frozen=True)
class Event:
    """A call of a link in the leader's run: its inputs before it, or its outputs after it with the call.

    `whole` is of what the model itself is given, which each side may name and order as it likes.
    """

    arrays: list[Array]
    call: Call | None = None
    whole: bool = False


class Leader:
    """A corner's run, a call at a time. Used as a context; it goes on only while it is asked.

    It may end behind its follower's end: whoever uses it puts back what a framework was set to before.
    """

    def __init__(self, run: Run) -> None:
        self._replay = run
        self._parked: dict[Key, Event] = {}
        self._seen: Counter[tuple[str, str]] = Counter()
        self._wanted: Counter[tuple[str, str]] = Counter()
        self._ask, self._told = threading.Semaphore(0), threading.Semaphore(0)
        self._event: tuple[Key, Event] | None = None
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Leader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._ask.release()
        self._thread.join()

    def at(self, what: str, path: str) -> Event | None:
        """The leader's next event of this kind ("before_call", "after_call") at a link; None if there is none any more.

        Others that come before it are kept until they are asked for.
        """
        key = what, path, self._wanted[what, path]
        self._wanted[what, path] += 1
        while key not in self._parked:
            event = self._next()
            if event is None:
                return None
            if event[0] == key:
                return event[1]
            # The run goes on, and may write to what it has handed out.
            self._parked[event[0]] = replace(event[1], arrays=[array.copy() for array in event[1].arrays])
        return self._parked.pop(key)

    def before_call(self, path: str, inputs: list[Array]) -> None:
        """Hand a call's inputs to whoever follows."""
        self._tell("before_call", path, Event(inputs, whole=not path))

    def after_call(self, call: Call) -> None:
        """Hand a call's outputs to whoever follows."""
        self._tell("after_call", call.path, Event(call.outputs, call))

    def _next(self) -> tuple[Key, Event] | None:
        if not self._thread.is_alive():
            return None
        self._ask.release()
        self._told.acquire()
        if self._error is not None:
            raise self._error
        return self._event

    def _tell(self, what: str, path: str, event: Event) -> None:
        self._event = (what, path, self._seen[what, path]), event
        self._seen[what, path] += 1
        self._wait()

    def _wait(self) -> None:
        """Let the follower have the event, and sleep until it asks for the next. Raises _Stopped if nobody follows."""
        self._told.release()
        self._ask.acquire()
        if self._stopped:
            raise _Stopped

    def _run(self) -> None:
        try:
            self._ask.acquire()
            if not self._stopped:
                self._replay(self)
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 raised again in the thread that follows
            self._error = error
        self._event = None
        self._told.release()


@dataclass(frozen=True)
class Match:
    """A leader's array and the follower's that goes with it: their places, and the axes that take one to the other.

    `axes` moves one to where it stands in the follower's: a torch image has its channels before its height.
    """

    ours: int
    theirs: int
    axes: tuple[int, int]

    def forth(self, array: Array) -> Array:
        """The leader's array in the follower's axes."""
        return array if self.axes == ALIKE else np.moveaxis(array, *self.axes)

    def back(self, array: Array) -> Array:
        """The follower's array in the leader's axes."""
        return array if self.axes == ALIKE else np.moveaxis(array, *self.axes[::-1])


ALIKE = (0, 0)
AXES = ((1, -1), (-1, 1), (0, 1))  # channels first and last, last and first; time before the batch
NEAR = 1e-3  # of the largest: a float32 run and a float64 run of one thing
# Times by which a transposition must bring arrays closer where shapes allow both, as of a square image: by chance it
# brings them a little closer.
NEARER = 16.0


def matched(ours: Sequence[Array], theirs: Sequence[Array], anyhow: bool = False) -> list[Match] | None:
    """Which arrays of two calls go together, each once; None where they are unlike in shape, or only one call has any.

    Those in one place, if all are alike in shape and sort and do not stand `anyhow`; else equal ones first, then those
    of one sort, by the places that they stand in. A side may give more than the other, as an LSTM gives its states or
    attention its weights: what both have is compared. Then arrays of two sorts, as ids and a mask, go together only if
    they are equal.
    """
    pairs = product(range(len(ours)), range(len(theirs)))
    alike = {(i, j): axes for i, j in pairs if (axes := _turned(ours[i], theirs[j])) is not None}
    kinds = [[array.dtype.kind for array in arrays] for arrays in (ours, theirs)]
    if not anyhow and kinds[0] == kinds[1] and all((place, place) in alike for place in range(len(ours))):
        return [Match(place, place, alike[place, place]) for place in range(len(ours))]
    near = {at: _near(Match(*at, axes).forth(ours[at[0]]), theirs[at[1]]) for at, axes in alike.items()}
    # What is given twice counts once, where it stands for the first time.
    first = [next(i for i, of in enumerate(theirs) if of is array or np.array_equal(of, array)) for array in theirs]
    odd = {(i, j) for i, j in alike if kinds[0][i] != kinds[1][j] and not near[i, j] and len(ours) != len(theirs)}

    def unlikely(at: tuple[int, int]) -> tuple[bool, bool, int, int]:
        return not near[at], kinds[0][at[0]] != kinds[1][at[1]], abs(at[0] - at[1]), at[0]

    matches: dict[int, Match] = {}
    for i, j in sorted(alike.keys() - odd, key=unlikely):
        if j == first[j] and j not in matches and all(match.ours != i for match in matches.values()):
            matches[j] = Match(i, j, alike[i, j])
    wanted = min(len(ours), len(set(first))) or max(len(ours), len(theirs))
    if len(matches) < (min(wanted, 1) if odd and matches else wanted):
        return None
    twice = {place: matches[of] for place, of in enumerate(first) if of in matches}
    return [replace(match, theirs=place) for place, match in sorted(twice.items())]


def _near(ours: Array, theirs: Array) -> bool:
    """Whether two arrays hold the same numbers, in any precision that a side may have computed them in."""
    return not ours.size or _gap(ours, theirs) <= NEAR * float(np.nan_to_num(np.abs(ours * 1.0)).max())


def _turned(ours: Array, theirs: Array) -> tuple[int, int] | None:
    """Which axis moves where; None where the shapes are unlike."""
    turns = [axes for axes in AXES if ours.ndim > 2 and np.moveaxis(ours, *axes).shape == theirs.shape]
    if ours.shape != theirs.shape:
        return next(iter(turns), None)
    if not turns or not ours.size:
        return ALIKE
    gaps = {axes: _gap(np.moveaxis(ours, *axes), theirs) for axes in turns}
    nearest = min(turns, key=gaps.__getitem__)
    return nearest if NEARER * gaps[nearest] < _gap(ours, theirs) else ALIKE


def _gap(ours: Array, theirs: Array) -> float:
    """The largest absolute difference of two arrays of one shape, booleans too; infinite where it is NaN."""
    return float(np.nan_to_num(np.abs(ours * 1.0 - theirs), nan=np.inf).max())


def padded(ours: Sequence[Array], theirs: Sequence[Array]) -> bool:
    """Whether each array is the other call's, or that with zeros around it, as a layer may pad itself or be given."""
    return len(ours) == len(theirs) and all(_around(*pair) for pair in zip(ours, theirs, strict=True))


def _around(ours: Array, theirs: Array) -> bool:
    """Whether the smaller array stands somewhere in the larger one, among zeros: padding inside a
    layer, or before it.
    """
    small, large = sorted((ours, theirs), key=lambda array: array.size)
    if small.ndim != large.ndim or any(s > n for s, n in zip(small.shape, large.shape, strict=True)):
        return False
    for starts in product(*(range(n - s + 1) for s, n in zip(small.shape, large.shape, strict=True))):
        block = tuple(slice(start, start + size) for start, size in zip(starts, small.shape, strict=True))
        rest = large.copy()
        rest[block] = 0
        if not rest.any() and _near(small, large[block]):
            return True
    return False


def unlike(ours: Sequence[Array], theirs: Sequence[Array], sides: tuple[str, str]) -> str:
    """How two calls' arrays differ in number or shape, in words."""
    shapes = [" ".join(str(array.shape) for array in arrays) or "nothing" for arrays in (ours, theirs)]
    return f"{sides[0]} {shapes[0]}, {sides[1]} {shapes[1]}"


def together(leader: Run, follower: Run, watch: Any) -> None:
    """Run `follower` under `watch`, whose `leader` is set to the leader's run meanwhile."""
    with Leader(leader) as run:
        watch.leader = run
        follower(watch)
