"""Attention written by hand, recomputed: how heads are split, scores scaled and hidden, and which axis is summed.

Vaswani et al., 2017: https://arxiv.org/abs/1706.03762
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import permutations, product

import numpy as np

from parity.canonical.activations import softmax
from parity.diagnose import Cause
from parity.diagnose.constants import proposals, solved
from parity.diagnose.gaps import apart, gap, holds
from parity.diagnose.locate.segment import Segment
from parity.dtypes import Array

ROLES = ("query", "key", "value")
LAYOUTS = ("heads first", "heads last", "unmoved")  # of the width: (heads, d), (d, heads); or a bare reshape


@dataclass(frozen=True)
class Form:
    """One way to compute softmax(scale * query key^T) value; the first three fields have no default.

    `seen` names a mask of `Case.masks`; `hides` is -inf, or what masked scores get; `turned` is the role
    whose heads come in reverse order; `powers` are taken without the scores' maximum, and may overflow.
    """

    heads: int
    scale: float
    seen: str
    roles: tuple[str, ...] = ROLES
    split: str = LAYOUTS[0]
    merge: str = LAYOUTS[0]
    axis: int = -1
    hides: float = -math.inf
    added: bool = False
    turned: str = ""
    powers: bool = False


# What differs in a form -> cause, and how a side is told.
PARTS: Mapping[str, tuple[str, str]] = {
    "heads": ("head split", "has {} heads"),
    "split": ("head split", "splits the heads as {}"),
    "merge": ("head split", "joins the heads as {}"),
    "scale": ("attention scale", "multiplies the scores by {:.6g}"),
    "seen": ("mask offset", "sees {}"),
    "roles": ("query key value", "takes as query, key and value {}"),
    "axis": ("softmax axis", "has the softmax over axis {}"),
    "turned": ("head split", "reverses the heads of {}"),
    "powers": ("unstable formula", "takes powers of the scores {} their maximum subtracted"),
    "hides": ("mask value", "hides with {:g}"),
}


@dataclass(frozen=True)
class Case:
    """The arrays that a form is computed from, (batch, time, width) each, and masks that broadcast to the scores."""

    arrays: Mapping[str, Array]
    masks: Mapping[str, Array]
    limit: float

    def scores(self, form: Form) -> tuple[Array, Array]:
        """(batch, heads, time, seen), scaled, and the values (batch, heads, seen, d)."""
        heads = {role: split(array, form) for role, array in self.arrays.items()}
        if form.turned:
            heads[form.turned] = heads[form.turned][:, ::-1]
        query, key, value = (heads[role] for role in form.roles)
        return query @ key.swapaxes(-1, -2) * form.scale, value

    def made(self, form: Form) -> Array:
        """softmax(scores) value, joined: (batch, time, width)."""
        scores, value = self.scores(form)
        seen = self.masks[form.seen]
        with np.errstate(all="ignore"):
            hidden = scores + form.hides if form.added else form.hides
            scores = np.where(seen, scores, hidden)
            weights = powers(scores, form.axis) if form.powers else softmax(scores, form.axis)
            return _merged(weights @ value, form)

    def left(self, form: Form, target: Array) -> float:
        """How far the attention of this form is from what was captured, as `gap` has it."""
        return gap(self.made(form), target)


def powers(x: Array, axis: int) -> Array:
    """softmax without the maximum subtracted."""
    raised = np.exp(x)
    weights: Array = raised / raised.sum(axis, keepdims=True)
    return weights


def split(x: Array, form: Form) -> Array:
    """(batch, time, width) -> (batch, heads, time, d)."""
    batch, time, width = x.shape
    if form.split == "heads first":
        return x.reshape(batch, time, form.heads, -1).transpose(0, 2, 1, 3)
    if form.split == "heads last":
        return x.reshape(batch, time, -1, form.heads).transpose(0, 3, 1, 2)
    return x.reshape(batch, form.heads, time, width // form.heads)


def _merged(x: Array, form: Form) -> Array:
    """Heads (batch, heads, time, width) brought back to (batch, time, heads * width), in one of the orders that people
    write.
    """
    batch, heads, time, width = x.shape
    order = {"heads first": (0, 2, 1, 3), "heads last": (0, 2, 3, 1), "unmoved": (0, 1, 2, 3)}[form.merge]
    return x.transpose(order).reshape(batch, time, heads * width)


def attention(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Each side as a form of attention over the given query, key and value."""
    case = _case(segment)
    if case is None:
        return [], []
    common = [[form for form in _common(segment, case) if _attends(segment, place, form)] for place in (0, 1)]
    forms = [
        own or [form for start in other[:2] for form in _others(segment, case, start, place)]
        for place, (own, other) in enumerate(zip(common, common[::-1], strict=True))
    ]
    pairs = [(ours, theirs) for ours, theirs in product(*forms) if _differing(ours, theirs)]
    if not pairs:
        return [], [_unknown(segment.sides, common)]
    # Several forms can give the same numbers: those that differ in the fewest parts say what was done.
    least = min(len(_differing(*pair)) for pair in pairs)
    nearest = [pair for pair in pairs if len(_differing(*pair)) == least]
    causes = [cause for pair in nearest for cause in _causes(segment, case, *pair)]
    return list({cause.name: cause for cause in reversed(causes)}.values())[::-1], []


def _attends(segment: Segment, place: int, form: Form) -> bool:
    """Whether a side is attention of this form, wherever it was captured."""

    def left(one: Segment) -> float | None:
        case = _case(one)
        return None if case is None or form.seen not in case.masks else case.left(form, one.found[place])

    return holds(segment, left)


def _unknown(sides: tuple[str, str], common: list[list[Form]]) -> str:
    """What was tried of an attention that no form reproduces, in words."""
    descriptions = [side for side, forms in zip(sides, common, strict=True) if forms]
    tried = "heads, their split, scale, mask, value of the mask, exchanged query, key and value, axis of the softmax"
    known = (
        f"{descriptions[0]} is known attention, the other side is not"
        if descriptions
        else "neither side is known attention"
    )
    return f"{known}; tried: {tried}"


def _case(segment: Segment) -> Case | None:
    """A segment as an attention: its query, key, value and masks; None where it is given no such arrays."""
    arrays = {role: array for role in ROLES for name, array in segment.given.items() if name.rpartition(".")[2] == role}
    shape = segment.found[0].shape
    if len(arrays) < 3 or len(shape) != 3 or any(array.shape != shape for array in arrays.values()):
        return None
    masks: dict[str, Array] = {}
    for name, mask in _masks(segment, shape):
        if not any(np.array_equal(mask, other) for other in masks.values()):
            masks[name] = mask
    return Case(arrays, masks, segment.limit)


def _masks(segment: Segment, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Masks of (batch or 1, 1, time, seen), by the words that tell them."""
    batch, time, _ = shape
    ahead = np.arange(time)[None] - np.arange(time)[:, None]
    causal = (ahead <= 0)[None, None]
    inputs = {name: _laid(array, batch, time) for name, array in segment.given.items() if array.dtype == bool}
    shown = {name: array for name, array in inputs.items() if array is not None}
    for name, array in shown.items():
        yield f"what {name} shows", array
    yield "the positions up to its own", causal
    yield "everything", np.ones_like(causal)
    for name, array in shown.items():
        yield f"what {name} shows, up to its own", array & causal
    for name, array in shown.items():
        yield f"what {name} hides", ~array
    yield "the positions after its own", ~causal
    for steps in (1, -1, 2, -2):
        yield (
            f"the positions up to {abs(steps)} {'after' if steps > 0 else 'before'} its own",
            (ahead <= steps)[None, None],
        )
    yield "its own position and those after it", (ahead >= 0)[None, None]
    for width in range(1, time):
        yield f"only the nearest {width} positions up to its own", ((ahead <= 0) & (ahead > -width))[None, None]


def _laid(mask: Array, batch: int, time: int) -> Array | None:
    """A mask as (batch or 1, heads or 1, time or 1, keys); None where its shape says nothing of the kind."""
    # A square one may be a mask of the texts as well as one of time by time: it is taken for the latter.
    if mask.ndim == 2 and mask.shape == (batch, time) and batch != time:
        return mask[:, None, None]
    if mask.shape[-2:] not in ((time, time), (1, time)) or mask.ndim > 4:
        return None
    return mask[:, None] if mask.ndim == 3 else mask.reshape(*[1] * (4 - mask.ndim), *mask.shape)


def _common(segment: Segment, case: Case) -> Iterator[Form]:
    """Attention as it should be, with every number of heads, the usual scales and masks."""
    width = segment.found[0].shape[-1]
    inner = [array.shape[-1] for array in segment.given.values() if array.ndim == 3]
    for heads in (size for size in range(1, width + 1) if width % size == 0):
        head = width // heads
        scales = (head**-0.5, width**-0.5, 1 / head, 1.0, *(size**-0.5 for size in inner), head**0.5, heads**-0.5)
        # The first masks are the usual ones; the others are mistakes, and are tried one step away (`_others`).
        for scale, seen in product(dict.fromkeys(scales), list(case.masks)[:4]):
            yield Form(heads, scale, seen)


def _others(segment: Segment, case: Case, start: Form, place: int) -> list[Form]:
    """The forms one step from a known one that give what a side made; numbers estimated where none is known."""
    target = segment.found[place]
    trials = [replace(start, roles=roles) for roles in permutations(ROLES)]
    trials += [replace(start, roles=roles) for roles in product(ROLES, repeat=3)]
    trials += [replace(start, split=split, merge=merge) for split, merge in product(LAYOUTS, LAYOUTS)]
    trials += [replace(start, axis=axis) for axis in (-2, -3)]
    trials += [*(replace(start, turned=role) for role in ROLES), replace(start, powers=True)]
    trials += [replace(start, seen=seen) for seen in case.masks]
    trials += [form for added in (False, True) for form in _values(case, replace(start, added=added), target)]
    matches = [form for form in dict.fromkeys(trials) if _attends(segment, place, form)]
    return matches or [form for form in _scales(case, start, target) if _attends(segment, place, form)]


def _values(case: Case, start: Form, target: Array) -> Iterator[Form]:
    """The finite value of masked scores: with u its power of e, found * (Z + u * n) = N + u * H is linear in u."""
    if start.split != LAYOUTS[0] or start.axis != -1:  # Z and N below are sums over the last axis, head by head
        return
    scores, value = case.scores(start)
    seen = np.broadcast_to(case.masks[start.seen], scores.shape)
    raised = np.exp(scores - scores.max(-1, keepdims=True) if not start.added else scores)
    top = np.exp(-scores.max(-1, keepdims=True)) if not start.added else 1.0
    shown, hidden = np.where(seen, raised, 0), np.where(seen, 0, raised if start.added else top)
    output = split(target, start)
    left = shown @ value - output * shown.sum(-1, keepdims=True)
    right = output * hidden.sum(-1, keepdims=True) - hidden @ value
    square = float(np.vdot(right, right))
    u = float(np.vdot(right, left)) / square if square else 0.0
    if u > 0 and math.isfinite(u):
        for number in (round(math.log(u)), float(f"{math.log(u):.3g}"), math.log(u)):
            yield replace(start, hides=float(number))


def _scales(case: Case, start: Form, target: Array) -> Iterator[Form]:
    """A known form with another scale, solved for by its effect and recognised as a number that somebody wrote."""
    scale = solved(lambda number: case.made(replace(start, scale=number)), target, start.scale)
    for _, number in proposals(scale, target.shape):
        yield replace(start, scale=number)


def _differing(ours: Form, theirs: Form) -> list[str]:
    """The parts in which two forms of attention differ, by name."""
    names = [one.name for one in fields(Form) if one.name in PARTS]
    differ = [name for name in names if getattr(ours, name) != getattr(theirs, name)]
    # The scale of each follows from its number of heads.
    if "heads" in differ and ours.scale**2 / ours.heads == theirs.scale**2 / theirs.heads:
        differ.remove("scale")
    return differ


def _causes(segment: Segment, case: Case, ours: Form, theirs: Form) -> Iterator[Cause]:
    """A cause for each part in which the two sides' forms differ; both forms reproduce what their side makes."""
    after = max(case.left(ours, segment.found[0]), case.left(theirs, segment.found[1]))
    for part in _differing(ours, theirs):
        name, words = PARTS[part]
        mine, other = (words.format(_spelt(getattr(form, part))) for form in (ours, theirs))
        if part == "seen":
            nearest = "nearest" in ours.seen + theirs.seen
            name = "mask window" if nearest else _mask(case.masks[ours.seen], case.masks[theirs.seen])
        fix = f"what torch does, in tensorflow too: it {mine}"
        yield Cause(name, segment.path, f"torch {mine}, tensorflow {other}", fix, apart(segment), after)


def _spelt(value: object) -> object:
    """A part's value as its words in `PARTS` take it."""
    if isinstance(value, bool):
        return "without" if value else "with"
    return ", ".join(value) if isinstance(value, tuple) else value if value != "" else "none"


def _mask(ours: Array, theirs: Array) -> str:
    """Name how two masks differ: one is missing, inverted, or hides other places."""
    ours, theirs = np.broadcast_arrays(ours, theirs)
    if np.array_equal(ours, ~theirs):
        return "mask inverted"
    if ours.all() or theirs.all():
        return "mask missing"
    for less, more in ((ours, theirs), (theirs, ours)):
        if np.array_equal(less, more & less.any(-2, keepdims=True)):  # keys that no query sees: padding
            return "mask missing"
    return "mask offset"
