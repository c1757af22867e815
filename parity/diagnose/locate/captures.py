"""What a piece that differs is computed from, and what the sides made: here, and with other weights and inputs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from parity.canonical.weights import Weights
from parity.compare.judge import judge_difference
from parity.diagnose.locate import Located, kinds_of, side_by_side
from parity.diagnose.locate.hooks import Capture, SegmentResult, TeacherForced, apart
from parity.diagnose.locate.segment import Segment
from parity.dtypes import Inputs
from parity.pair.models import PairModels

Place = tuple[str, str]  # of a piece: a link's path, and what of it


Others = Callable[[], Sequence[tuple[Weights, Any]]]


def segments(
    corners: PairModels, ids: Inputs, located: Located, training: bool = False, others: Others | None = None
) -> list[Segment]:
    """Capture a `Segment` for each piece that fails forward and whose arrays are alike in shape.

    `others` gives weights and inputs at which the same places are captured again, when somebody first asks for it.
    """
    wanted = [piece for piece in located.pieces if piece.fails and not piece.unlike]
    loaded = corners.loaded
    first = _captured(corners, ids, wanted, located.bare, training)

    @lru_cache(1)
    def elsewhere() -> list[dict[Place, Segment]]:
        """Capture the same places at the other weights and inputs; inputs alone where nothing known is loaded."""
        captured = []
        try:
            for weights, inputs in others() if others else ():
                if loaded is not None:
                    corners.ensure(weights)
                captured.append(_captured(corners, inputs, wanted, located.bare, training, again=True))
        finally:
            if loaded is not None:
                corners.ensure(loaded)
        return captured

    def found(key: Place) -> list[Segment]:
        return [captured[key] for captured in elsewhere() if key in captured]

    return [replace(segment, others=partial(found, key) if others else None) for key, segment in first.items()]


def _captured(
    corners: PairModels,
    ids: Inputs,
    wanted: Sequence[SegmentResult],
    bare: frozenset[str],
    training: bool,
    again: bool = False,
) -> dict[Place, Segment]:
    """The segments of pieces at the loaded weights; their limits are the pieces', or measured anew where `again`."""
    leader, follower = map(corners.widest, corners.sides)
    places = {(piece.path, piece.place): piece for piece in wanted}
    watch, noise = Capture(wanted=places, again=again, sides=corners.sides), TeacherForced()
    if wanted:
        side_by_side(corners, follower, watch, ids, training, bare)
    if again and wanted and leader.dtype == "float64":
        side_by_side(corners, corners.models[corners.sides[0], "float32"], noise, ids, training, bare)
    kinds, parts = kinds_of(corners), {layer.path: layer for layer in leader.layers}
    loaded, values = corners.loaded, leader.read()

    def filled(key: Place, segment: Segment) -> Segment:
        segment = replace(segment, kind=kinds[segment.path], again=_anew(corners, loaded, segment.again))
        if again:
            error = noise.found[key].gap.max_abs_diff if key in noise.found else 0.0
            whole = not corners.weaker
            segment = replace(segment, limit=judge_difference(apart(*segment.found), (error, error), whole=whole)[1])
        layer = parts.get(segment.path)
        if layer is None:
            return segment
        return replace(segment, weights={p.parameter: values[f"{layer.path}.{p.parameter}"] for p in layer.parts})

    return {key: filled(key, watch.captured[key]) for key in watch.wanted if key in watch.captured}


def _anew(corners: PairModels, loaded: Weights | None, again: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """A segment's call run again, at the weights at which it was captured."""
    if again is None or loaded is None:
        return again

    def run(*args: Any, **changes: Any) -> Any:
        corners.ensure(loaded)
        return again(*args, **changes)

    return run
