"""Variants of a layer whose numbers, or places, are read off what a side made; each is then proved like the others."""

import math
from collections.abc import Iterator

import numpy as np

from parity.diagnose.formulas import layer
from parity.diagnose.functions import sigmoid
from parity.diagnose.gaps import gap
from parity.diagnose.numbers import factor, proposals, solved
from parity.diagnose.variants import Variant
from parity.diagnose.weights import FIXES
from parity.layers import Array
from parity.segment import Segment

CLIPS = (1.0, 2.0, 3.0, 5.0, 6.0, 10.0)
FEW = 4  # elements of a parameter that are sought one by one


def estimates(segment: Segment, place: int) -> Iterator[Variant]:
    """The likeliest first."""
    kind, found = segment.kind, segment.found[place]
    base = layer(kind, segment.given["input"], segment.weights, segment.settings[place])
    if base is None or base.shape != found.shape:
        return
    if kind == "embedding":
        yield from _rows(segment, base, found)
    if kind in ("dense", "conv1d", "layer_norm"):
        yield from _elements(segment, base, found)
    if kind in ("lstm", "gru"):
        yield from _states(segment, place, found)
    if kind == "lstm":
        yield from _cells(segment, place, found)


def _rows(segment: Segment, base: Array, found: Array) -> Iterator[Variant]:
    """Few ids whose rows are others; rows cut to a norm."""
    ids, table = segment.given["input"], segment.weights["table"]
    differ = np.unique(ids[(base != found).any(-1)])
    if 0 < len(differ) <= FEW * FEW and len(differ) < len(np.unique(ids)):
        changed = table.copy()
        for number in differ:
            changed[number] = found[ids == number][0]
        same = {int(n): np.nonzero((table == changed[n]).all(-1))[0] for n in differ}
        told = ", ".join(f"id {n}" + (f" that of id {rows[0]}" if len(rows) else "") for n, rows in same.items())
        yield Variant("weights changed", f"has other rows for {told}", FIXES["weights changed"], {"table": changed})
    norms = np.sqrt(np.square(table).sum(-1, keepdims=True))
    largest = math.sqrt(float(np.square(found).sum(-1).max()))
    for name, bound in proposals(largest, ()):
        for more in (0.0, 1e-7):  # torch divides by the norm and 1e-7
            cut = np.where(norms > bound, table * (bound / (norms + more)), table)
            told, fix = f"cuts rows to a norm of {name}", "no max_norm, or the same bound on both sides"
            yield Variant("clipped", told, fix, {"table": cut})
    yield from _uncut(base, found)


def _uncut(base: Array, found: Array) -> Iterator[Variant]:
    """Rows as they were before torch cut them: it changes its table itself, so that the table is cut too."""
    lengths = np.sqrt(np.square(found).sum(-1, keepdims=True))
    for name, bound in proposals(math.sqrt(float(np.square(base).sum(-1).max())), ()):
        for more in (0.0, 1e-7):
            cut = np.where(lengths > bound, found * (bound / (lengths + more)), found)
            told, fix = f"does not cut its rows to a norm of {name}, as the other side does", "no max_norm"
            yield Variant("clipped", told, fix, made=found - (cut - base))


def _elements(segment: Segment, base: Array, found: Array) -> Iterator[Variant]:
    """One element of a kernel, gain or bias in each of few columns that differ."""
    apart = (found - base).reshape(-1, base.shape[-1])
    columns = np.nonzero(np.abs(apart).max(0) > segment.limit)[0]
    if not 0 < len(columns) <= FEW or segment.settings[0].get("activation", "linear") not in (None, "linear"):
        return
    weights = {name: array.copy() for name, array in segment.weights.items()}
    told = []
    for column in columns:
        sought = list(_one(segment, int(column), apart[:, column]))
        if not sought:
            return
        _, name, at, number = min(sought, key=lambda one: one[0])
        weights[name][at] += number
        values = f"{weights[name][at]:.9g}, not {segment.weights[name][at]:.9g}"
        told.append(f"{name} at {', '.join(map(str, at))} were {values}")
    yield Variant("weights changed", "computes as if " + "; ".join(told), FIXES["weights changed"], weights)


def _one(segment: Segment, column: int, apart: Array) -> Iterator[tuple[float, str, tuple[int, ...], float]]:
    """Every element that acts on a column: what is left of the difference, its parameter, place and change."""
    whole = segment.kind == "layer_norm"  # else the columns are computed apart from one another
    at = column if whole else 0
    own = {n: array if whole else array[column : column + 1] for n, array in segment.weights.items()}
    before = layer(segment.kind, segment.given["input"], own, segment.settings[0])
    for name, array in own.items():
        for place in np.ndindex(array.shape[1:]):
            more = {**own, name: array.copy()}
            more[name][at, *place] += 1
            after = layer(segment.kind, segment.given["input"], more, segment.settings[0])
            if before is None or after is None:
                continue
            effect = (after - before)[..., at].reshape(-1)
            number = factor(effect, apart)
            if math.isfinite(number):
                yield float(np.abs(apart - number * effect).max()), name, (column, *place), number


def _states(segment: Segment, place: int, found: Array) -> Iterator[Variant]:
    """A recurrence that starts from something else: a constant, or the state that an earlier call left."""
    kind, x, options = segment.kind, segment.given["input"], segment.settings[place]
    for first in (1.0, -1.0):
        made = layer(kind, x, segment.weights, {**options, "first": first})
        if made is not None and gap(made, found) <= segment.limit:
            yield Variant("first state", f"starts from a state of {first:g}", "start from zeros", made=made)
            return
    if found.ndim < 3:
        return
    start, state = (1, (found[:, 0], found[:, 0])) if kind == "gru" else (2, _second(segment, found))
    if state is None or x.shape[1] <= start + 1:
        return
    rest = layer(kind, x[:, start:], segment.weights, {**options, "first": state})
    if rest is not None:
        told = f"goes on from another state than zeros: from step {start + 1} on it follows from its own step {start}"
        fix = "start each call from zeros: stateful=False in Keras, no state from the call before in torch"
        yield Variant("state kept", told, fix, made=np.concatenate([found[:, :start], rest], 1))


def _second(segment: Segment, found: Array) -> tuple[Array, Array] | None:
    """An LSTM's hidden and cell after two steps, from its first two outputs: cell = artanh(hidden / output gate)."""
    if found.shape[1] < 2:
        return None
    weights = segment.weights
    gates = segment.given["input"][:, 1] @ weights["input_kernel"].T + found[:, 0] @ weights["recurrent_kernel"].T
    out = sigmoid(np.split(gates + weights["bias"], 4, -1)[3])
    with np.errstate(all="ignore"):
        cell = np.arctanh(found[:, 1] / out)
    return (found[:, 1], cell) if np.isfinite(cell).all() else None


def _cells(segment: Segment, place: int, found: Array) -> Iterator[Variant]:
    """A cell that is cut off, or that the gates see."""
    for clip in CLIPS:
        told, fix = f"cuts its cell off at {clip:g}", "no bound, or the same on both sides"
        yield Variant("clipped", told, fix, options={"clip": clip})
        yield Variant("clipped", f"{told} before the next step", fix, options={"handed": clip})

    def made(peep: float) -> Array:
        options = {**segment.settings[place], "peep": peep}
        result = layer("lstm", segment.given["input"], segment.weights, options)
        assert result is not None  # the base is known
        return result

    for name, peep in proposals(solved(made, found, 0.0), ()):
        told, fix = f"adds {name} times the cell in its gates", "no peepholes, which neither framework's LSTM has"
        yield Variant("recurrence", told, fix, options={"peep": peep})
