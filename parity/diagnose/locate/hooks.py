"""What is seen of a follower's run: running end-to-end, each link alone, and each link's gradients.

Each is a `Watch` that compares the follower's arrays with its leader's as they arrive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity.backends.hooks import Call
from parity.compare.divergence import Divergence, divergence
from parity.compare.square import NAMES
from parity.compare.verdict import FAILING
from parity.diagnose.locate.lockstep import NEAR, Event, Leader, Match, matched, padded, unlike
from parity.diagnose.locate.segment import Segment
from parity.dtypes import Array


@dataclass(frozen=True)
class SegmentResult:
    """One thing that a link makes of what it is given: "output", or "input of contract" of a link in it.

    `gap` is how far the sides are apart in float64, given the same, and `limit` what rounding error accounts for;
    `noise` is each side's own float32 error. `unlike` says how numbers or shapes of arrays differ. `lent` is whether
    the link was given what the leader's received: else what it makes says nothing of it. Unless it is `whole`, one
    side ran in float32. `what` is "output", or "input" of a call of the link `of`; empty for anything else.
    """

    path: str
    place: str
    gap: Divergence
    word: str = ""
    limit: float = 0.0
    noise: tuple[float, float] = (0.0, 0.0)
    unlike: str = ""
    whole: bool = True
    lent: bool = True
    what: str = ""
    of: str = ""

    @property
    def fails(self) -> bool:
        """Whether this is apart by more than rounding error accounts for."""
        return self.word in FAILING


def relative(gap: Divergence) -> float:
    """The largest difference over the largest magnitude."""
    return gap.max_abs_diff / gap.scale if gap.scale else 0.0


CALL = "call="  # the place of what it gives the models
NONE = Divergence(0, 0, 0.0, (), np.nan, np.nan, 0.0, 0)


def apart(ours: Array, theirs: Array) -> Divergence:
    """As `divergence`; of integers and booleans `max_abs_diff` is how many elements differ, and `scale` 0."""
    if ours.dtype.kind == "f" and theirs.dtype.kind == "f":
        return divergence(ours, theirs)
    places = np.argwhere(ours != theirs)
    index = tuple(int(i) for i in places[0]) if len(places) else (0,) * ours.ndim
    values = (float(ours[index]), float(theirs[index])) if ours.size else (np.nan, np.nan)
    return Divergence(ours.size, len(places), float(len(places)), index, *values, 0.0, 0)


@dataclass
class Stack:
    """The calls that a follower is in, and what every watch of it needs: the leader, the order of calls, names."""

    leader: Leader | None = None
    sides: tuple[str, str] = NAMES
    within: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    depths: dict[str, int] = field(default_factory=dict)

    def entered(self, path: str) -> None:
        """Count a call, and remember the order of first calls and their depth."""
        if path not in self.calls:
            self.order.append(path)
            self.depths[path] = len(self.within)
        self.calls[path] = self.calls.get(path, 0) + 1
        self.within.append(path)

    def led(self, what: str, path: str) -> Event | None:
        """What the leader had at this call, or None without a leader or such a call."""
        return self.leader.at(what, path) if self.leader is not None else None  # set by `together`


@dataclass
class FreeRunning(Stack):
    """Both run end-to-end: how far inputs and outputs of each link are apart."""

    found: dict[tuple[str, str], list[Divergence]] = field(default_factory=dict)

    def before_call(self, path: str, inputs: list[Array]) -> None:
        """Take note of a call's inputs; in a follower, give back the leader's in their place."""
        self.entered(path)
        self._see("before_call", path, inputs)

    def after_call(self, call: Call) -> None:
        """Take note of a call's outputs; in a follower, give back the leader's in their place."""
        self.within.pop()
        self._see("after_call", call.path, call.outputs)

    def _see(self, what: str, path: str, arrays: list[Array]) -> None:
        event = self.led(what, path)
        for _, pair in (_beside(event, arrays) if event is not None else None) or ():
            self.found.setdefault((path, what), []).append(apart(*pair))


@dataclass
class TeacherForced(Stack):
    """Each link is given what the leader's received, and its outputs are exchanged for the leader's.

    What links are given that no other holds is `call=`'s work. `lent` has of each call that lasts whether all that it
    has got so far, from its caller and from its links, was exchanged.
    `fused` are the links that have an activation in the follower alone, which may stand behind them in the leader.
    """

    found: dict[tuple[str, str], SegmentResult] = field(default_factory=dict)
    fused: set[str] = field(default_factory=set)
    lent: list[bool] = field(default_factory=list)

    def before_call(self, path: str, inputs: list[Array]) -> list[Array] | None:
        """Take note of a call's inputs; in a follower, give back the leader's in their place."""
        event = self.led("before_call", path)
        parent = self.within[-1] if self.within else None
        self.entered(path)
        if parent is not None:
            self._see(parent, "input", event, inputs, within(path, parent))
        else:
            self._see(CALL, "input", event, inputs, path or "the model")
        arrays = exchanged(event, inputs)
        whole = not path or event is None or arrays is not None
        self.lent.append(whole or (event is not None and padded(event.arrays, inputs)))
        return arrays

    def after_call(self, call: Call) -> list[Array] | None:
        """Take note of a call's outputs; in a follower, give back the leader's in their place."""
        self.within.pop()
        event = self.led("after_call", call.path)
        self._see(call.path, "output", event, call.outputs)
        self.lent.pop()
        if event is not None and event.call is not None:
            ours, theirs = event.call.settings(), call.settings()
            if ours.get("activation") == "linear" != theirs.get("activation", "linear"):
                self.fused.add(call.path)
        arrays = exchanged(event, call.outputs)
        if event is not None and arrays is None and self.lent:
            self.lent[-1] = False  # the code behind it goes on from something else
        return arrays

    def _see(self, path: str, what: str, event: Event | None, arrays: list[Array], of: str = "") -> None:
        if event is None:  # how often each is called is told apart from this
            return
        beside = _beside(event, arrays)
        lent = all(self.lent[-1:])
        if beside is None:
            unequal = unlike(event.arrays, arrays, self.sides)
            self.keep(SegmentResult(path, placed(what, 0, of), NONE, unlike=unequal, lent=lent, what=what, of=of))
        pieces = [
            SegmentResult(path, placed(what, match.ours, of), apart(*pair), lent=lent, what=what, of=of)
            for match, pair in beside or ()
        ]
        for piece in pieces:
            self.keep(piece)
        if of and self.lent and pieces and all(relative(piece.gap) < NEAR for piece in pieces):
            self.lent[-1] = True  # whatever was not exchanged, the same was made of it

    def keep(self, piece: SegmentResult) -> None:
        """Keep a piece, unless an earlier call differed by more: of each place the worst of all calls."""
        segment = self.found.get((piece.path, piece.place))
        if segment is None or piece.unlike or relative(piece.gap) > relative(segment.gap):
            self.found[piece.path, piece.place] = piece


def within(path: str, parent: str) -> str:
    """A link's name inside another."""
    return path.removeprefix(f"{parent}.")


def numbered(what: str, place: int) -> str:
    """The first has no number: "output", "output 2"."""
    return f"{what} {place + 1}" if place else what


def placed(what: str, number: int, of: str) -> str:
    """One of what a link makes: "output 2", "input of contract"."""
    return f"{numbered(what, number)} of {of}" if of else numbered(what, number)


def exchanged(event: Event | None, arrays: list[Array]) -> list[Array] | None:
    """The arrays with the leader's in the place of each that it has too; None where there is nothing to exchange."""
    matches = None if event is None else matched(event.arrays, arrays, event.whole)
    if event is None or matches is None:
        return None
    led = {match.theirs: np.ma.getdata(match.forth(event.arrays[match.ours])) for match in matches}
    return [led.get(place, array) for place, array in enumerate(arrays)]


def _beside(event: Event, arrays: Sequence[Array]) -> list[tuple[Match, tuple[Array, Array]]] | None:
    """The leader's arrays, in the follower's axes, with the follower's; None where they are unlike."""
    matches = matched(event.arrays, arrays, event.whole)
    if matches is None:
        return None
    return [(of, both(of.forth(event.arrays[of.ours]), arrays[of.theirs])) for of in matches]


def both(ours: Array, theirs: Array) -> tuple[Array, Array]:
    """The two arrays, alike where the leader's has nothing: behind the shorter rows, what is computed is no matter."""
    plain = np.ma.getdata(theirs)
    return (np.where(ours.mask, plain, ours.data) if isinstance(ours, np.ma.MaskedArray) else ours), plain


@dataclass
class Capture(TeacherForced):
    """Teacher-forced, with what a `Segment` needs of the wanted pieces captured, of the call that differs most.

    `again` is of other weights and inputs than those on which the pieces were found.
    """

    wanted: Mapping[tuple[str, str], SegmentResult] = field(default_factory=dict)
    again: bool = False
    captured: dict[tuple[str, str], Segment] = field(default_factory=dict)
    made: list[dict[str, Array]] = field(default_factory=list)  # in each call that lasts
    _call: Call | None = None

    def before_call(self, path: str, inputs: list[Array]) -> list[Array] | None:
        """Take note of a call's inputs; in a follower, give back the leader's in their place."""
        result = super().before_call(path, inputs)
        wanted = any(of == path for of, _ in self.wanted)
        arrays = inputs if result is None else result
        self.made.append({numbered("input", i): array.copy() for i, array in enumerate(arrays)} if wanted else {})
        return result

    def after_call(self, call: Call) -> list[Array] | None:
        """Take note of a call's outputs; in a follower, give back the leader's in their place."""
        self._call = call
        result = super().after_call(call)
        self._call = None
        self.made.pop()
        parent = self.within[-1] if self.within else None
        if parent is not None and any(of == parent for of, _ in self.wanted):
            arrays = call.outputs if result is None else result
            name = within(call.path, parent)
            self.made[-1] |= {numbered(name, i): array.copy() for i, array in enumerate(arrays)}
        return result

    def _see(self, path: str, what: str, event: Event | None, arrays: list[Array], of: str = "") -> None:
        super()._see(path, what, event, arrays, of)
        for match, pair in (_beside(event, arrays) if event is not None else None) or ():
            key = path, placed(what, match.ours, of)
            piece = self.wanted.get(key)
            if piece is not None and event is not None:
                worst = self.found[key].gap if self.again else piece.gap
                if key in self.captured and relative(apart(*pair)) < relative(worst):
                    continue
                ours, theirs = (array.copy() for array in pair)
                self.captured[key] = self._segment(piece, (ours, theirs), match, event.call)

    def _segment(
        self, piece: SegmentResult, outputs: tuple[Array, Array], match: Match, theirs: Call | None
    ) -> Segment:
        side = self.sides[int(piece.noise[1] > piece.noise[0])] if piece.word == "unstable" else ""
        inputs = dict(self.made[-1])
        segment = Segment(piece.path, "", piece.place, inputs, outputs, piece.limit, side, piece.noise)
        ours = self._call
        if ours is None or theirs is None:
            return segment
        calls = dict(zip(self.sides, (theirs, ours), strict=True))

        def again(side: str, settings: Mapping[str, Any] = {}, weights: Mapping[str, Array] = {}) -> Array:
            outputs = calls[side].again(settings, weights)
            return match.forth(outputs[match.ours]) if side == self.sides[0] else outputs[match.theirs]

        settings = theirs.settings(), ours.settings()
        return replace(segment, settings=settings, again=again, sides=self.sides)


@dataclass
class Outside(TeacherForced):
    """Teacher-forced, with what call= gives both models in their first call captured: place -> (first's, second's)."""

    arrays: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def _see(self, path: str, what: str, event: Event | None, arrays: list[Array], of: str = "") -> None:
        super()._see(path, what, event, arrays, of)
        for match, (ours, theirs) in (_beside(event, arrays) if path == CALL and event is not None else None) or ():
            self.arrays.setdefault(placed(what, match.ours, of), (ours.copy(), theirs.copy()))


def inside(path: str, other: str) -> bool:
    """Whether a link is another, or in it."""
    return other == "" or path == other or path.startswith(f"{other}.")
