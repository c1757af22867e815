"""Segments with a fault that was made by NumPy, and what is proved of one: shared by the tests of causes."""

from dataclasses import replace

import numpy as np

from parity.canonical.formulas import layer
from parity.canonical.kind import KINDS
from parity.diagnose import CAUSES
from parity.diagnose.layers import explain
from parity.diagnose.locate.segment import Segment

BATCH, TIME, WIDTH, UNITS = 4, 13, 6, 5
LIMIT = 1e-11
SIZES = {
    "vocab": 30,
    "width": WIDTH,
    "in": WIDTH,
    "out": 7,
    "units": UNITS,
    "part": 2,
    "time": 3,
}
IDS = np.random.default_rng(0).integers(1, 30, (BATCH, TIME))
IDS[1, 9:] = IDS[2, 4:] = 0


def drawn(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def weights_of(kind, **sizes):
    sizes = {**SIZES, "gates": (4 if kind == "lstm" else 3) * UNITS, **sizes}
    return {
        name: drawn(*(sizes[axis] for axis in axes), seed=place) / 2
        for place, (name, axes) in enumerate(KINDS[kind].axes.items())
    }


def input_of(kind):
    if kind == "embedding":
        return np.random.default_rng(3).integers(0, 30, (BATCH, TIME))
    return drawn(BATCH, TIME, WIDTH, seed=9) + 0.3


def leaf(kind, side="tensorflow", weights=None, settings=None, after=lambda y: y, **options):
    """A layer of a kind with a fault on one side: other weights, options or something done to its output."""
    x, right = input_of(kind), weights_of(kind)
    own = settings or ({}, {})
    place = ("torch", "tensorflow").index(side)
    found = [layer(kind, x, right, own[0]), layer(kind, x, right, own[1])]
    found[place] = layer(kind, x, {**right, **(weights or {})}, {**own[place], **options})
    found[place] = after(found[place])

    def again(of, settings=(), weights=()):
        at = ("torch", "tensorflow").index(of)
        altered = {**own[at], **dict(settings), **(options if at == place else {})}
        made = layer(kind, x, {**right, **dict(weights)}, altered)
        return after(made) if at == place else made

    return Segment(kind, kind, "output", {"input": x}, tuple(found), LIMIT, settings=own, weights=right, again=again)


def code(torch, tensorflow, place="output", path="block", limit=LIMIT, **given):
    """A model's own code, which made two things of what it was given."""
    given = {name.replace("_", " ") if name.startswith("input") else name: array for name, array in given.items()}
    return Segment(path, "Block", place, given, (torch, tensorflow), limit)


def both_ways(segment):
    """The same fault on the other side."""
    return replace(segment, found=segment.found[::-1])


def proved(segment):
    """The names of the proved causes, with each one's promise kept."""
    causes, _ = explain(segment)
    for cause in causes:
        assert cause.name in CAUSES
        assert cause.where == segment.path
        assert cause.told
        assert cause.fix
        assert cause.after <= segment.limit < cause.before
    return [cause.name for cause in causes]


def told(segment):
    ((cause,), _) = explain(segment)
    return cause.told
