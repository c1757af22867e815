"""Where gradients part: each link's, of one random sum of its outputs, where the values agree."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from parity.backends.hooks import Call
from parity.compare.divergence import divergence
from parity.compare.judge import judge_difference
from parity.diagnose.locate.hooks import NONE, SegmentResult, TeacherForced, exchanged, inside
from parity.diagnose.locate.lockstep import matched
from parity.dtypes import EPS, Array
from parity.errors import ERRORS, reason


@dataclass
class Backward(TeacherForced):
    """Teacher-forced, with the gradient of a random sum of each link's outputs compared where the values agree.

    `wrong` are the links that part forward already, and `amplified` how many times float32's rounding a
    link's output shows; one side ran in float32 unless they are `whole`. `errors` are what kept the gradients of
    single links from being compared, by path: an operation may have none.
    """

    wrong: set[str] = field(default_factory=set)
    amplified: Mapping[str, float] = field(default_factory=dict)
    whole: bool = True
    parts: dict[str, SegmentResult] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def after_call(self, call: Call) -> list[Array] | None:
        """Take note of a call's outputs; in a follower, give back the leader's in their place."""
        self.within.pop()
        event = self.led("after_call", call.path)
        arrays, lent = exchanged(event, call.outputs), self.lent.pop()
        comparable = lent and arrays is not None and not self._holds_wrong(call.path)
        if comparable and event is not None and event.call is not None:
            try:
                self._compare(call, event.call)
            except ERRORS as error:
                self.errors[call.path] = reason(error)
        return arrays

    def deepest(self) -> Iterable[SegmentResult]:
        """The failing pieces of links that hold no other failing one."""
        failing = [piece for piece in self.parts.values() if piece.fails]
        for piece in failing:
            if not any(other is not piece and inside(other.path, piece.path) for other in failing):
                yield piece

    def _holds_wrong(self, path: str) -> bool:
        return any(inside(other, path) for other in self.wrong)

    def _compare(self, ours: Call, theirs: Call) -> None:
        """Compare the gradients of one call by its inputs and parameters, against the norm of all of them."""
        gradients, led = _pulled(ours, theirs, len(self.parts))
        norm = float(np.sqrt(sum(np.vdot(array, array) for array in led.values())))
        worst = self.parts.get(ours.path)  # of the calls before
        for name in {**led, **gradients}:
            what = f"gradient of its {name}" if name.startswith("input") else f"gradient of {name}"
            if name not in led or name not in gradients:
                side = self.sides[name not in led]
                piece = SegmentResult(ours.path, what, NONE, "different", unlike=f"{side} alone trains it")
            else:
                gap = divergence(led[name], gradients[name])
                # Float32 gradients are not run: their noise is taken to be amplified as the values' was.
                noise = EPS["float32"] * norm * self.amplified.get(ours.path, 1.0)
                word, limit = judge_difference(gap, (noise, noise), norm, self.whole)
                piece = SegmentResult(ours.path, what, gap, word, limit, whole=self.whole)
            if worst is None or (piece.fails, piece.gap.max_abs_diff) > (worst.fails, worst.gap.max_abs_diff):
                worst = piece
        if worst is not None:
            self.parts[ours.path] = worst


def _pulled(ours: Call, theirs: Call, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Gradients of one random sum of what both calls give: (the follower's, the leader's), each by name.

    Names are "input N", with the follower's numbers and axes, and parameters. The same cotangents, from `seed`, are
    taken to the leader's axes.
    """
    random = np.random.default_rng(seed)
    sums, led_sums = ([np.zeros_like(array) for array in call.outputs] for call in (ours, theirs))
    outputs = {match.ours: match for match in reversed(matched(theirs.outputs, ours.outputs) or ())}
    for match in outputs.values():  # of an output that is given twice, the first
        like = sums[match.theirs]
        sums[match.theirs] = random.standard_normal(like.shape).astype(like.dtype)
        sums[match.theirs][np.ma.getmaskarray(match.forth(theirs.outputs[match.ours]))] = 0  # behind the shorter rows
        led_sums[match.ours] = match.back(sums[match.theirs]).astype(led_sums[match.ours].dtype)
    gradients, led = ours.vjp(sums), theirs.vjp(led_sums)
    inputs = {match.theirs: match for match in matched(theirs.inputs, ours.inputs) or ()}
    moved = {f"input {place}": (f"input {match.ours}", match) for place, match in inputs.items()}
    same = {
        name: match.forth(led[there]) for name, (there, match) in moved.items() if there in led and name in gradients
    }
    others = ({n: a for n, a in of.items() if not n.startswith("input ")} for of in (gradients, led))
    return {**{name: gradients[name] for name in same}, **next(others)}, {**same, **next(others)}


def amplified(pieces: Iterable[SegmentResult]) -> dict[str, float]:
    """Path -> how many times its rounding float32's output is off on the quieter side; 1 at the least."""
    factors: dict[str, float] = {}
    for piece in pieces:
        plain = EPS["float32"] * piece.gap.scale
        error = min(piece.noise) if piece.whole else piece.gap.max_abs_diff
        factors[piece.path] = max(factors.get(piece.path, 1.0), error / plain if plain else 1.0)
    return factors
