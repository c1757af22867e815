"""Variants of a layer whose numbers, or places, are read off what a side made; each is then proved like the others.

Only this solves for few elements of a parameter, and for the state that a recurrence, one operation, starts from.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from parity.canonical.activations import sigmoid
from parity.canonical.formulas import layer
from parity.diagnose.constants import factor, proposals, solved
from parity.diagnose.layers.settings import computed
from parity.diagnose.layers.variants import Variant
from parity.diagnose.layers.weights import FIXES
from parity.diagnose.locate.segment import Segment
from parity.diagnose.search import gap
from parity.dtypes import Array

CLIPS = (1.0, 2.0, 3.0, 5.0, 6.0, 10.0)
FEW = 4  # elements of a parameter that are sought one by one
Element = tuple[str, tuple[int, ...]]


def estimates(segment: Segment, place: int) -> Iterator[Variant]:
    """Variants of the layer whose numbers are read off what side `place` (0 or 1) made, the likeliest first."""
    kind, target = segment.kind, segment.found[place]
    base = computed(segment, place)
    if base is None or base.shape != target.shape:
        return
    if kind == "embedding":
        yield from _rows(segment, place, base, target)
    if kind in ("dense", "conv1d", "layer_norm"):
        yield from _elements(segment, place, base, target)
    if kind in ("lstm", "gru"):
        yield from _states(segment, place, target)
    if kind == "lstm":
        yield from _cells(segment, place, target)


def _rows(segment: Segment, place: int, base: Array, target: Array) -> Iterator[Variant]:
    """Variants of an embedding: few ids have other rows, or rows are cut to a norm (torch's max_norm)."""
    ids, table = segment.given["input"], segment.weights["table"]
    differ = np.unique(ids[(base != target).any(-1)])
    if 0 < len(differ) <= FEW * FEW and len(differ) < len(np.unique(ids)):
        same = {int(n): np.nonzero((table == target[ids == n][0]).all(-1))[0] for n in differ}
        description = ", ".join(f"id {n}" + (f" that of id {rows[0]}" if len(rows) else "") for n, rows in same.items())
        read = partial(_others, place, {n: int(rows[0]) if len(rows) else None for n, rows in same.items()})
        yield Variant("weights changed", f"has other rows for {description}", FIXES["weights changed"], read)
    largest = math.sqrt(float(np.square(target).sum(-1).max()))
    for name, bound in proposals(largest, ()):
        for more in (0.0, 1e-7):  # torch divides by the norm and 1e-7
            description, fix = f"cuts rows to a norm of {name}", "no max_norm, or the same bound on both sides"
            yield Variant("clipped", description, fix, partial(_cut_table, bound, more))
    # Rows as they were before torch cut them: it changes its table itself, so that the table is cut too.
    for name, bound in proposals(math.sqrt(float(np.square(base).sum(-1).max())), ()):
        for more in (0.0, 1e-7):
            description, fix = f"does not cut its rows to a norm of {name}, as the other side does", "no max_norm"
            yield Variant("clipped", description, fix, made=partial(_as_before, place, bound, more))


def _others(place: int, rows: Mapping[int, int | None], segment: Segment) -> dict[str, Array]:
    """The table with other rows for some ids: those of other ids, or what a side looked up where they occurred."""
    ids, table = segment.given["input"], segment.weights["table"].copy()
    for number, row in rows.items():
        if row is not None:
            table[number] = segment.weights["table"][row]
        elif (ids == number).any():
            table[number] = segment.found[place][ids == number][0]
    return {"table": table}


def _cut(array: Array, bound: float, more: float) -> Array:
    """Rows longer than `bound` scaled down to it; `more` is added to the norm that divides."""
    norms = np.sqrt(np.square(array).sum(-1, keepdims=True))
    return np.where(norms > bound, array * (bound / (norms + more)), array)


def _cut_table(bound: float, more: float, segment: Segment) -> dict[str, Array]:
    return {"table": _cut(segment.weights["table"], bound, more)}


def _as_before(place: int, bound: float, more: float, segment: Segment) -> Array | None:
    """A side's output, less how far the table's own rows are from being cut: nothing, where they have been cut."""
    base, target = computed(segment, place), segment.found[place]
    return None if base is None else target - (_cut(target, bound, more) - base)


def _elements(segment: Segment, place: int, base: Array, target: Array) -> Iterator[Variant]:
    """The variant in which one element of a kernel, gain or bias has another value, in each of few output columns."""
    apart = (target - base).reshape(-1, base.shape[-1])
    columns = np.nonzero(np.abs(apart).max(0) > segment.limit)[0]
    if not 0 < len(columns) <= FEW or segment.settings[0].get("activation", "linear") not in (None, "linear"):
        return
    description, elements = [], []
    for column in columns:
        sought = list(_one(segment, int(column), apart[:, column]))
        if not sought:
            return
        _, name, at, number = min(sought, key=lambda one: one[0])
        elements.append((name, at))
        right = segment.weights[name][at]
        description.append(f"{name} at {', '.join(map(str, at))} were {right + number:.9g}, not {right:.9g}")
    read = partial(_changed, place, elements)
    yield Variant("weights changed", "computes as if " + "; ".join(description), FIXES["weights changed"], read)


def _changed(place: int, elements: Sequence[Element], segment: Segment) -> dict[str, Array] | None:
    """The weights with other values at some places, each estimated from what a side made."""
    base = computed(segment, place)
    if base is None:
        return None
    apart = (segment.found[place] - base).reshape(-1, base.shape[-1])
    weights = {name: array.copy() for name, array in segment.weights.items()}
    for name, at in elements:
        sought = {(n, there): number for _, n, there, number in _one(segment, at[0], apart[:, at[0]])}
        weights[name][at] += sought.get((name, at), 0.0)
    return weights


def _one(segment: Segment, column: int, apart: Array) -> Iterator[tuple[float, str, tuple[int, ...], float]]:
    """For each element that acts on an output column: (what is left of the difference, parameter, place, change).

    The change is the factor of the element's unit effect, in least squares: exact where the layer is linear in it.
    """
    whole = segment.kind == "layer_norm"  # else the columns are computed apart from one another
    at = column if whole else 0
    own = {n: array if whole else array[column : column + 1] for n, array in segment.weights.items()}
    before = computed(segment, 0, own)
    for name, array in own.items():
        for place in np.ndindex(array.shape[1:]):
            more = {**own, name: array.copy()}
            more[name][at, *place] += 1
            after = computed(segment, 0, more)
            if before is None or after is None:
                continue
            effect = (after - before)[..., at].reshape(-1)
            number = factor(effect, apart)
            if math.isfinite(number):
                yield float(np.abs(apart - number * effect).max()), name, (column, *place), number


def _states(segment: Segment, place: int, target: Array) -> Iterator[Variant]:
    """A recurrence that starts from something else: a constant, or the state that an earlier call left."""
    for first in (1.0, -1.0):
        outputs = computed(segment, place, first=first)
        if outputs is not None and gap(outputs, target) <= segment.limit:
            description = f"starts from a state of {first:g}"
            yield Variant("first state", description, "start from zeros", options={"first": first})
            return
    if target.ndim < 3:
        return
    start = 1 if segment.kind == "gru" else 2
    description = (
        f"goes on from another state than zeros: from step {start + 1} on it follows from its own step {start}"
    )
    fix = "start each call from zeros: stateful=False in Keras, no state from the call before in torch"
    yield Variant("state kept", description, fix, made=partial(_going_on, place, start))


def _going_on(place: int, start: int, segment: Segment) -> Array | None:
    """A side's own first steps, and then the recurrence continued from the state that these show."""
    kind, x, target = segment.kind, segment.given["input"], segment.found[place]
    state = (target[:, 0], target[:, 0]) if kind == "gru" else _second(segment, target)
    if state is None or x.shape[1] <= start + 1:
        return None
    rest = layer(kind, x[:, start:], segment.weights, {**segment.settings[place], "first": state})
    return None if rest is None else np.concatenate([target[:, :start], rest], 1)


def _second(segment: Segment, target: Array) -> tuple[Array, Array] | None:
    """An LSTM's hidden and cell after two steps, from its first two outputs: cell = artanh(hidden / output gate)."""
    if target.shape[1] < 2:
        return None
    weights = segment.weights
    gates = segment.given["input"][:, 1] @ weights["input_kernel"].T + target[:, 0] @ weights["recurrent_kernel"].T
    out = sigmoid(np.split(gates + weights["bias"], 4, -1)[3])
    with np.errstate(all="ignore"):
        cell = np.arctanh(target[:, 1] / out)
    return (target[:, 1], cell) if np.isfinite(cell).all() else None


def _cells(segment: Segment, place: int, target: Array) -> Iterator[Variant]:
    """A cell that is cut off, or that the gates see."""
    for clip in CLIPS:
        description, fix = f"cuts its cell off at {clip:g}", "no bound, or the same on both sides"
        yield Variant("clipped", description, fix, options={"clip": clip})
        yield Variant("clipped", f"{description} before the next step", fix, options={"handed": clip})

    def made(peep: float) -> Array:
        result = computed(segment, place, peep=peep)
        assert result is not None  # the base is known
        return result

    for name, peep in proposals(solved(made, target, 0.0), ()):
        description, fix = (
            f"adds {name} times the cell in its gates",
            "no peepholes, which neither framework's LSTM has",
        )
        yield Variant("recurrence", description, fix, options={"peep": peep})
