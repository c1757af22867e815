"""What is seen of a follower's run: running freely, each link alone, and each link's gradients.

Each is a `Watch` that compares the follower's arrays with its leader's as they arrive.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity.backends import SIDES
from parity.backends.tracing import Call
from parity.compare import Divergence, divergence
from parity.layers import Array
from parity.lockstep import Event, Leader, unlike
from parity.segment import Segment
from parity.square import EPS, weigh
from parity.verdict import FAILING


@dataclass(frozen=True)
class Piece:
    """One thing that a link makes of what it is given: "output", or "input of contract" of a link in it.

    `gap` is how far the sides are apart in float64, given the same, and `limit` what rounding explains;
    `noise` is each side's own float32 error. `unlike` says how numbers or shapes of arrays differ.
    """

    path: str
    place: str
    gap: Divergence
    word: str = ""
    limit: float = 0.0
    noise: tuple[float, float] = (0.0, 0.0)
    unlike: str = ""

    @property
    def fails(self) -> bool:
        return self.word in FAILING


def relative(gap: Divergence) -> float:
    """The largest difference over the largest magnitude."""
    return gap.worst / gap.scale if gap.scale else 0.0


NONE = Divergence(0, 0, 0.0, (), np.nan, np.nan, 0.0, 0)


def apart(ours: Array, theirs: Array) -> Divergence:
    """As `divergence`; of integers and booleans, `worst` is how many differ, in a scale of nothing."""
    if ours.dtype.kind == "f" and theirs.dtype.kind == "f":
        return divergence(ours, theirs)
    places = np.argwhere(ours != theirs)
    index = tuple(int(i) for i in places[0]) if len(places) else (0,) * ours.ndim
    values = (float(ours[index]), float(theirs[index])) if ours.size else (np.nan, np.nan)
    return Divergence(ours.size, len(places), float(len(places)), index, *values, 0.0, 0)


@dataclass
class Stack:
    """The calls that a follower is in, and what every watch of it needs: the leader, the order of calls."""

    leader: Leader | None = None
    within: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    depths: dict[str, int] = field(default_factory=dict)

    def entered(self, path: str) -> None:
        if path not in self.calls:
            self.order.append(path)
            self.depths[path] = len(self.within)
        self.calls[path] = self.calls.get(path, 0) + 1
        self.within.append(path)

    def led(self, what: str, path: str) -> Event | None:
        assert self.leader is not None  # set by `together`
        return self.leader.at(what, path)


@dataclass
class Free(Stack):
    """Both run freely: how far inputs and outputs of each link are apart."""

    found: dict[tuple[str, str], list[Divergence]] = field(default_factory=dict)

    def enter(self, path: str, inputs: list[Array]) -> None:
        self.entered(path)
        self._see("enter", path, inputs)

    def leave(self, call: Call) -> None:
        self.within.pop()
        self._see("leave", call.path, call.outputs)

    def _see(self, what: str, path: str, arrays: list[Array]) -> None:
        event = self.led(what, path)
        if event is not None and not unlike(event.arrays, arrays):
            self.found.setdefault((path, what), []).extend(map(apart, event.arrays, arrays))


@dataclass
class Forced(Stack):
    """Each link is given what the leader's received, and its outputs are exchanged for the leader's."""

    found: dict[tuple[str, str], Piece] = field(default_factory=dict)

    def enter(self, path: str, inputs: list[Array]) -> list[Array] | None:
        event = self.led("enter", path)
        parent = self.within[-1] if self.within else None
        self.entered(path)
        if parent is not None:
            self._see(parent, "input", event, inputs, f" of {within(path, parent)}")
        return exchanged(event, inputs)

    def leave(self, call: Call) -> list[Array] | None:
        self.within.pop()
        event = self.led("leave", call.path)
        self._see(call.path, "output", event, call.outputs)
        return exchanged(event, call.outputs)

    def _see(self, path: str, what: str, event: Event | None, arrays: list[Array], of: str = "") -> None:
        if event is None:  # how often each is called is told apart from this
            return
        problem = unlike(event.arrays, arrays)
        if problem:
            self.keep(Piece(path, f"{what}{of}", NONE, unlike=problem))
            return
        for place, pair in enumerate(zip(event.arrays, arrays, strict=True)):
            self.keep(Piece(path, f"{numbered(what, place)}{of}", apart(*pair)))

    def keep(self, piece: Piece) -> None:
        """The worst of all calls."""
        kept = self.found.get((piece.path, piece.place))
        if kept is None or piece.unlike or relative(piece.gap) > relative(kept.gap):
            self.found[piece.path, piece.place] = piece


def within(path: str, parent: str) -> str:
    """A link's name inside another."""
    return path.removeprefix(f"{parent}.")


def numbered(what: str, place: int) -> str:
    """The first has no number: "output", "output 2"."""
    return f"{what} {place + 1}" if place else what


def exchanged(event: Event | None, arrays: list[Array]) -> list[Array] | None:
    return event.arrays if event is not None and not unlike(event.arrays, arrays) else None


@dataclass
class Backward(Forced):
    """The same, and the gradient of a random sum of each link's outputs, where the values agree.

    `wrong` are the links that part forward already, and `amplified` how many times float32's rounding a
    link's output shows.
    """

    wrong: set[str] = field(default_factory=set)
    amplified: Mapping[str, float] = field(default_factory=dict)
    parts: dict[str, Piece] = field(default_factory=dict)

    def leave(self, call: Call) -> list[Array] | None:
        self.within.pop()
        event = self.led("leave", call.path)
        arrays = exchanged(event, call.outputs)
        if event is not None and event.call is not None and arrays is not None and not self._holds_wrong(call.path):
            self._compare(call, event.call)
        return arrays

    def deepest(self) -> Iterable[Piece]:
        """What fails in links that hold no other that fails."""
        failing = [piece for piece in self.parts.values() if piece.fails]
        for piece in failing:
            if not any(other is not piece and inside(other.path, piece.path) for other in failing):
                yield piece

    def _holds_wrong(self, path: str) -> bool:
        return any(inside(other, path) for other in self.wrong)

    def _compare(self, ours: Call, theirs: Call) -> None:
        random = np.random.default_rng(len(self.parts))
        sums = [random.standard_normal(array.shape).astype(array.dtype) for array in ours.outputs]
        found, led = ours.pull(sums), theirs.pull(sums)
        norm = float(np.sqrt(sum(np.vdot(array, array) for array in led.values())))
        worst = self.parts.get(ours.path)  # of the calls before
        for name in {**led, **found}:
            what = f"gradient of its {name}" if name.startswith("input") else f"gradient of {name}"
            if name not in led or name not in found:
                side = "torch" if name in led else "tensorflow"
                piece = Piece(ours.path, what, NONE, "different", unlike=f"{side} alone trains it")
            else:
                gap = divergence(led[name], found[name])
                noise = EPS["float32"] * norm * self.amplified.get(ours.path, 1.0)
                word, limit = weigh(gap, (noise, noise), norm)
                piece = Piece(ours.path, what, gap, word, limit)
            if worst is None or (piece.fails, piece.gap.worst) > (worst.fails, worst.gap.worst):
                worst = piece
        if worst is not None:
            self.parts[ours.path] = worst


@dataclass
class Capture(Forced):
    """The same, and what `Segment` needs of the pieces that are wanted, of the call that differs most."""

    wanted: Mapping[tuple[str, str], Piece] = field(default_factory=dict)
    captured: dict[tuple[str, str], Segment] = field(default_factory=dict)
    made: list[dict[str, Array]] = field(default_factory=list)  # in each call that lasts
    _call: Call | None = None

    def enter(self, path: str, inputs: list[Array]) -> list[Array] | None:
        found = super().enter(path, inputs)
        wanted = any(of == path for of, _ in self.wanted)
        arrays = inputs if found is None else found
        self.made.append({numbered("input", i): array.copy() for i, array in enumerate(arrays)} if wanted else {})
        return found

    def leave(self, call: Call) -> list[Array] | None:
        self._call = call
        found = super().leave(call)
        self._call = None
        self.made.pop()
        parent = self.within[-1] if self.within else None
        if parent is not None and any(of == parent for of, _ in self.wanted):
            arrays = call.outputs if found is None else found
            name = within(call.path, parent)
            self.made[-1] |= {numbered(name, i): array.copy() for i, array in enumerate(arrays)}
        return found

    def _see(self, path: str, what: str, event: Event | None, arrays: list[Array], of: str = "") -> None:
        super()._see(path, what, event, arrays, of)
        for place, array in enumerate(arrays):
            key = path, f"{numbered(what, place)}{of}"
            piece = self.wanted.get(key)
            if piece is not None and event is not None and not unlike(event.arrays, arrays):
                if key in self.captured and relative(apart(event.arrays[place], array)) < relative(piece.gap):
                    continue
                pair = event.arrays[place].copy(), array.copy()
                self.captured[key] = self._segment(piece, pair, place, event.call)

    def _segment(self, piece: Piece, found: tuple[Array, Array], place: int, theirs: Call | None) -> Segment:
        side = SIDES[int(piece.noise[1] > piece.noise[0])] if piece.word == "unstable" else ""
        given = dict(self.made[-1])
        segment = Segment(piece.path, "", piece.place, given, found, piece.limit, side)
        ours = self._call
        if ours is None or theirs is None:
            return segment
        calls = dict(zip(SIDES, (theirs, ours), strict=True))

        def again(side: str, settings: Mapping[str, Any] = {}, weights: Mapping[str, Array] = {}) -> Array:
            return calls[side].again(settings, weights)[place]

        return replace(segment, settings=(theirs.settings(), ours.settings()), again=again)


def inside(path: str, other: str) -> bool:
    """Whether a link is another, or in it."""
    return other == "" or path == other or path.startswith(f"{other}.")


def amplified(pieces: Iterable[Piece]) -> dict[str, float]:
    """Path -> how many times its rounding float32's output is off on the quieter side; 1 at the least."""
    found: dict[str, float] = {}
    for piece in pieces:
        plain = EPS["float32"] * piece.gap.scale
        found[piece.path] = max(found.get(piece.path, 1.0), min(piece.noise) / plain if plain else 1.0)
    return found
