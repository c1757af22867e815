"""Heads that a model's own code splits: which given array they are of, and how it is laid out."""

from itertools import product

from parity.diagnose import Cause
from parity.diagnose.gaps import Left, apart, gap, holds
from parity.diagnose.layers.attention import LAYOUTS, Form, split
from parity.diagnose.locate.segment import Segment


def heads(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Explain heads (batch, heads, time, d) that are handed on: each side as a given array split in a known way."""
    shape = segment.found[0].shape
    if len(shape) != 4:
        return [], []
    ways = [
        [
            way
            for way in product(segment.given, LAYOUTS, ("", " in reverse order"))
            if holds(segment, _split_so(place, way))
        ]
        for place in (0, 1)
    ]
    if not ways[0] or not ways[1]:
        return [], []
    ours, theirs = ways[0][0], ways[1][0]
    name = "head split" if ours[0] == theirs[0] else "query key value"
    mine, other = (f"{layer}, {layout}{turned}" for layer, layout, turned in (ours, theirs))
    fix = f"split {ours[0]} {ours[1]}{ours[2]} in tensorflow too"
    after = max(_split_so(place, way)(segment) or 0.0 for place, way in enumerate((ours, theirs)))
    description = f"torch's {segment.place} is {mine}, tensorflow's is {other}"
    return [Cause(name, segment.path, description, fix, apart(segment), after)], []


def _split_so(place: int, way: tuple[str, str, str]) -> Left:
    """How far a side is from a given array whose heads are split in a way."""
    name, layout, turned = way

    def left(segment: Segment) -> float | None:
        array, (batch, heads, time, width) = segment.given.get(name), segment.found[place].shape
        if array is None or array.shape != (batch, time, heads * width):
            return None
        whole = split(array, Form(heads, 1.0, "", split=layout))
        return gap(whole[:, ::-1] if turned else whole, segment.found[place])

    return left
