"""What a model's own code made of positions alone: masks, and the positions themselves.

Replaying operations shows that another mask stands there; only this says by which rule each side sees and counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from parity.diagnose import Cause
from parity.diagnose.constants import told
from parity.diagnose.layers.settings import run
from parity.diagnose.locate.segment import Segment
from parity.diagnose.search import apart, gap, holds
from parity.dtypes import Array


@dataclass(frozen=True)
class Seen:
    """A rule for what a query at a position sees: up to `ahead` positions after it, or everything (None).

    `turned` exchanges seen and hidden; `window` is how many positions are seen at most; `first` lets the
    first see itself where it would see nothing; `padding` says which ids, or which given mask, are left out.
    """

    ahead: int | None
    turned: bool = False
    padding: str = ""
    window: int = 0
    first: bool = False

    def __str__(self) -> str:
        rule = "everything" if self.ahead is None else RULES.get(self.ahead, f"{self.ahead:+d} positions from itself")
        rule = f"the positions up to {rule}" if self.ahead is not None else rule
        rule = f"only the nearest {self.window} of {rule}" if self.window else rule
        rule = f"{rule} (the first itself)" if self.first else rule
        rule = f"what {rule.removeprefix('the ')} hides" if self.turned else rule
        return f"{rule}{f', without {self.padding}' if self.padding else ''}"


RULES = {0: "its own", -1: "the one before it", 1: "the one after it"}
Shape = tuple[int, ...]
Known = tuple[Any, Array]  # a rule, and what it makes
Rules = Callable[[Segment, Shape], Iterator[Known]]


def masks(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Explain arrays that are masks: each side as a rule of who sees whom, whose difference is the cause.

    A mask is booleans, zeros and ones, or zeros and one negative number that is added to scores. Nothing, where either
    side is none.
    """
    arrays = [np.asarray(array, np.float64) for array in segment.found]
    added = any((array < 0).any() for array in arrays)
    one, two = (_visible(array, added) for array in arrays)
    if one is None or two is None:
        return [], []
    (ours, first), (theirs, second) = one, two
    if np.array_equal(ours, theirs):
        return _values(segment, first, second), []
    mine, other = (_rule(segment, partial(_shown, place=place, added=added), _rules) for place in (0, 1))
    if mine is None or other is None:
        known = f"torch sees {mine}" if mine else f"tensorflow sees {other}" if other else ""
        return [], [f"{known or 'neither side'}: no other known mask (causal, shifted, inverted, padding)"]
    words = f"torch sees {mine}, tensorflow sees {other}"
    shown, hidden = (0.0, second) if added else (1.0, 0.0)  # TensorFlow's numbers for seen and hidden
    outputs = _laid_out(segment, mine, ours.shape, _rules)
    after = gap(np.where(outputs == 1, shown, hidden), np.where(ours, shown, hidden))
    return [Cause(_named(mine, other), segment.path, words, f"let tensorflow see {mine}", apart(segment), after)], []


def _values(segment: Segment, first: float, second: float) -> list[Cause]:
    """Both sides see the same; each has a value of its own for what is hidden."""

    def left(one: Segment) -> float:
        ours, theirs = (np.asarray(array, np.float64) for array in one.found)
        return gap(np.where(theirs == second, first, theirs), ours)

    if not holds(segment, left):
        return []
    words = f"torch hides with {told(first)}, tensorflow with {told(second)}"
    fix = f"add {told(first)} to what is hidden in tensorflow too"
    return [Cause("mask value", segment.path, words, fix, apart(segment), left(segment))]


def _shown(segment: Segment, place: int, added: bool) -> Array | None:
    """The places that a side's array shows, bool, where it is a mask; else None."""
    visible = _visible(np.asarray(segment.found[place], np.float64), added)
    return None if visible is None else visible[0]


def seen(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Explain an attention layer's masks: made equal, nothing is left of the difference."""
    masks = [side.get("seen", segment) for side in segment.settings]
    if any(mask is segment for mask in masks) or _equal(*masks):
        return [], []
    after = _seen_alike(segment)
    if not holds(segment, _seen_alike):
        return [], [f"masks: made equal, {after:.1e} is left"]
    mine, other = (_rule(segment, partial(_hidden, place=place), _rules) for place in (0, 1))
    ours, theirs = (_hidden(segment, place) for place in (0, 1))
    words = [str(rule or f"{mask.sum()} of {mask.size} places") for rule, mask in ((mine, ours), (other, theirs))]
    inverted = _equal(ours, ~theirs)
    name = _named(mine, other) if mine and other else "mask inverted" if inverted else "mask missing"
    fix = f"let tensorflow see {words[0]}" if mine else "give both sides the same mask"
    if mine == Seen(0) and masks[1] is None:
        fix = f"use_causal_mask=True where {segment.path} is called"
    elif name == "mask inverted":
        fix = "invert the mask: Keras's attention_mask says what to keep, torch's key_padding_mask what to ignore"
    description = f"torch sees {words[0]}, tensorflow sees {words[1]}"
    return [Cause(name, segment.path, description, fix, apart(segment), after)], []


def _seen_alike(segment: Segment) -> float:
    """The difference that is left where one side sees what the other does."""
    masks = [side.get("seen", segment) for side in segment.settings]
    if any(mask is segment for mask in masks):
        return float("inf")
    return min(
        float("inf") if outputs is None else gap(outputs, segment.found[1 - place])
        for place in (0, 1)
        for outputs in [run(segment, place, settings={"seen": masks[1 - place]})]
    )


def _hidden(segment: Segment, place: int) -> Array:
    """The places that a side of an attention sees, bool, in the shape of both."""
    masks = [side.get("seen") for side in segment.settings]
    return np.broadcast_arrays(*(np.array(True) if mask is None else mask for mask in masks))[place]


def _equal(ours: Array | None, theirs: Array | None) -> bool:
    """Whether two masks hide the same; none hides nothing."""
    if ours is None or theirs is None:
        return all(mask is None or bool(mask.all()) for mask in (ours, theirs))
    return bool((ours == theirs).all())


def _visible(array: Array, added: bool) -> tuple[Array, float] | None:
    """What is seen, and the value that hides: an array of 0 and 1, or of 0 and one negative value that is added."""
    values = set(np.unique(array).tolist())
    if array.ndim < 2 or not values or len(values) > 2 or not (added or values <= {0.0, 1.0}):
        return None
    if added and max(values) != 0:
        return None
    return (array == 0, min(values)) if added else (array == 1, 0.0)


def _rule(segment: Segment, shown: Callable[[Segment], Array | None], rules: Rules) -> Any:
    """The first rule by which a side's array comes about, wherever it was captured; None if by none."""

    def wrong(rule: Any, one: Segment) -> float | None:
        array = shown(one)
        whole = None if array is None else _laid_out(one, rule, array.shape, rules)
        return None if array is None or whole is None else gap(whole, array)

    array = shown(segment)
    known = () if array is None else dict.fromkeys(rule for rule, _ in rules(segment, array.shape))
    return next((rule for rule in known if holds(segment, partial(wrong, rule))), None)


def _laid_out(segment: Segment, rule: Any, shape: Shape, rules: Rules) -> Array | None:
    """What a rule makes, in a shape; None where it cannot be told here."""
    array = next((array for other, array in rules(segment, shape) if other == rule), None)
    try:
        return None if array is None else np.broadcast_to(array, shape)
    except ValueError:
        return None


def _rules(segment: Segment, shape: Shape) -> Iterator[Known]:
    """Every known rule with its mask, simplest first, for masks of a shape (..., queries, keys)."""
    time, width = shape[-2:]
    # Key's position less the query's; the last query stands at the last key.
    ahead = np.arange(width)[None] - np.arange(width - time, width)[:, None]
    shapes: list[tuple[int | None, bool]] = [(0, False), (None, False), (0, True), (None, True)]
    shapes += [(steps, turned) for turned in (False, True) for steps in (1, -1, 2, -2, 3, -3)]
    padding = list(_padding(segment))
    for name, padding_mask in [("", np.array(True)), *padding]:
        for steps, turned in shapes:
            visible = np.ones_like(ahead, bool) if steps is None else ahead <= steps
            for keys in _as_keys(padding_mask, shape):
                yield Seen(steps, turned, name), (visible & keys) ^ turned
    yield Seen(-1, first=True), (ahead <= -1) | ((ahead == 0) & (np.arange(time)[:, None] == 0))
    for window in range(1, width):
        yield Seen(0, window=window), (ahead <= 0) & (ahead > -window)


def _padding(segment: Segment) -> Iterator[tuple[str, Array]]:
    """Masks that may drop something: given ones, as they stand and inverted, and each id that ends or starts a text."""
    for name, array in segment.given.items():
        if array.dtype == bool:
            yield f"what {name} hides", array
            yield f"what {name} shows", ~array
        elif array.dtype.kind in "iu" and array.ndim == 2:
            for value in dict.fromkeys([0, *array[:, -1].tolist(), *array[:, 0].tolist()]):
                yield f"id {value}", array != value


def _as_keys(mask: Array, shape: Shape) -> list[Array]:
    """A mask of texts (batch, time), laid along the keys of (batch, ..., time, time); others as they stand."""
    if mask.ndim == 2 and len(shape) > 2 and len(mask) == shape[0]:
        return [mask.reshape(len(mask), *[1] * (len(shape) - 2), -1)]
    return [mask] if mask.shape in ((), shape, shape[-2:]) else []


def _named(ours: Seen, theirs: Seen) -> str:
    """The cause's name for how two rules of sight differ."""
    if ours.turned != theirs.turned:
        return "mask inverted"
    if ours.window != theirs.window:
        return "mask window"
    if ours.padding != theirs.padding:
        return "mask of the inputs" if ours.padding and theirs.padding else "mask missing"
    return "mask missing" if None in (ours.ahead, theirs.ahead) else "mask offset"


def places(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Explain arrays that number positions: each side as a way to count them."""
    ours, theirs = (_rule(segment, partial(_numbers, place), _counts) for place in (0, 1))
    if ours is None or theirs is None or ours == theirs:
        return [], []
    words, fix = f"torch counts positions {ours}, tensorflow {theirs}", f"count them {ours} in tensorflow too"
    counted = _laid_out(segment, ours, segment.found[0].shape, _counts)
    after = gap(segment.found[0], segment.found[0] if counted is None else counted)
    return [Cause("positions", segment.path, words, fix, apart(segment), after)], []


def _numbers(place: int, segment: Segment) -> Array | None:
    """A side's array, float64, where it may number positions; else None."""
    array = segment.found[place]
    return np.asarray(array, np.float64) if 0 < array.ndim <= 2 else None


def _counts(segment: Segment, shape: Shape) -> Iterator[Known]:
    """The ways in which positions are counted, by name: from which number, from which end, stopping one early."""
    time = shape[-1]
    whole = np.arange(time)
    yield "from 0", whole
    yield "from 1", whole + 1
    yield "from 2", whole + 2
    yield "from -1", whole - 1
    yield "from the end", whole[::-1]
    yield "from the end to 1", whole[::-1] + 1
    yield "all as 0", 0 * whole
    yield "from 0, the last one twice", np.minimum(whole, time - 2)
    yield "from 1, the last one twice", np.minimum(whole + 1, time - 1)
    yield "from 0, the first one twice", np.maximum(whole - 1, 0)
    for name, mask in _padding(segment):
        if mask.ndim == 2 and mask.shape[1] == time:
            words = name.replace("what ", "without what ") if "what" in name else f"without {name}"
            yield f"from 0, {words}", np.maximum(np.cumsum(mask, 1) - 1, 0)
            yield f"from 1, {words}", np.cumsum(mask, 1) * mask
            yield f"from 0, {words}, which counts 0", np.where(mask, np.cumsum(mask, 1) - 1, 0)
