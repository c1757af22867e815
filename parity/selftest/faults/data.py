"""Faults of a framework's data path: what becomes of the rows of ids on their way into batches.

Each side has a feed of its own, from the same rows by the same plan (`parity.backends.protocol.Plan`), and one of them
does a step of it as another library does by default.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity.backends.protocol import Plan
from parity.dtypes import Array
from parity.selftest.faults.fault import Fault
from parity.selftest.faults.inject_stages import backend

Rows = Sequence[Sequence[int]]  # ids of texts
Fed = list[tuple[Array, Array]]  # batches of ids and targets, (rows, time) each
Feed = Callable[[Rows, Plan, int], Fed]  # a backend's `feed(rows, plan, pad)`


def _fault(name: str, side: str, cause: str, change: Callable[[Feed, Rows, Plan, int], Fed]) -> Fault:
    """`change` gets the side's own feed and what it is given."""
    altered = backend(side, "feed", change)
    return Fault(name, "conv", corners=altered, check="feeds", where="data", cause=cause)


def _rows(change: Callable[[list[int]], Sequence[int]]) -> Callable[..., Fed]:
    """Every row passes through `change` before it is fed."""
    return lambda feed, rows, plan, pad: feed([change(list(row)) for row in rows], plan, pad)


def _plan(change: Callable[[Plan], dict[str, Any]]) -> Callable[..., Fed]:
    """Another plan."""
    return lambda feed, rows, plan, pad: feed(rows, replace(plan, **change(plan)), pad)


def _arrays(change: Callable[[Array, Array], tuple[Array, Array]]) -> Callable[..., Fed]:
    """Every batch's ids and targets pass through `change`."""
    return lambda feed, rows, plan, pad: [change(*fed) for fed in feed(rows, plan, pad)]


def _left(feed: Feed, rows: Rows, plan: Plan, pad: int) -> Fed:
    """Padding stands in front: each line is rolled by as many ids as are padding in it."""

    def moved(array: Array) -> Array:
        return np.array([np.roll(line, np.count_nonzero(line == pad)) for line in array])

    return [(moved(ids), moved(targets)) for ids, targets in feed(rows, plan, pad)]


def _other(plan: Plan) -> dict[str, Any]:
    """The plan's fields for a cut on the other side."""
    return {"side": "left" if plan.side == "right" else "right"}


def _by_length(feed: Feed, rows: Rows, plan: Plan, pad: int) -> Fed:
    """The planned rows, shortest first, as buckets by length have them."""
    return feed(rows, replace(plan, order=tuple(sorted(plan.order, key=lambda place: len(rows[place])))), pad)


def _first_twice(feed: Feed, rows: Rows, plan: Plan, pad: int) -> Fed:
    """The first row of the plan once more at the end, as a sampler fills up its last batch."""
    return feed([*rows, rows[plan.order[0]]], replace(plan, order=(*plan.order, len(rows))), pad)


def _swapped(first: int, second: int) -> Callable[[list[int]], list[int]]:
    """Another vocabulary, in which two pieces have each other's id."""
    other = {first: second, second: first}
    return lambda row: [other.get(token, token) for token in row]


FAULTS: tuple[Fault, ...] = (
    # keras.utils.pad_sequences pads and cuts in front unless told otherwise, torch's pad_sequence behind.
    # https://www.tensorflow.org/api_docs/python/tf/keras/utils/pad_sequences
    _fault("torch pads on the left", "torch", "padding side", _left),
    _fault("tensorflow pads on the left", "keras", "padding side", _left),
    _fault("tensorflow pads with 3", "keras", "pad id", lambda feed, rows, plan, _: feed(rows, plan, 3)),
    # -100 is what torch's cross entropy ignores by default, so that collators of its world pad targets with it.
    _fault(
        "torch pads targets with -100",
        "torch",
        "pad id",
        _arrays(lambda ids, targets: (ids, np.where(targets == 0, -100, targets))),
    ),
    _fault("torch cuts on the other side", "torch", "truncation", _plan(_other)),
    _fault("tensorflow cuts on the other side", "keras", "truncation", _plan(_other)),
    _fault(
        "tensorflow cuts one id too many",
        "keras",
        "truncation",
        _plan(lambda plan: {"limit": max(2, plan.limit - 1)}),
    ),
    _fault("torch does not cut", "torch", "truncation", _plan(lambda plan: {"limit": 10_000})),
    # drop_remainder=True, which a fixed shape asks for; filters of what is too short; samplers that fill up the last
    # batch, as torch's DistributedSampler does.
    _fault(
        "tensorflow drops a short last batch",
        "keras",
        "rows lost",
        lambda feed, rows, plan, pad: [fed for fed in feed(rows, plan, pad) if len(fed[0]) == plan.size],
    ),
    _fault(
        "torch keeps texts of one token",
        "torch",
        "rows lost",
        _rows(lambda row: row * 2 if len(row) == 1 else row),
    ),
    _fault(
        "tensorflow drops texts of two tokens",
        "keras",
        "rows lost",
        _rows(lambda row: row if len(row) > 2 else []),
    ),
    _fault("torch feeds the first row twice", "torch", "rows lost", _first_twice),
    # pack_padded_sequence wants the longest first, buckets want like lengths together; and a shuffle that one side does
    # not have, or does twice.
    _fault("torch sorts rows by length", "torch", "row order", _by_length),
    _fault(
        "tensorflow keeps the order of the texts",
        "keras",
        "row order",
        _plan(lambda plan: {"order": tuple(sorted(plan.order))}),
    ),
    _fault("torch feeds in reverse", "torch", "row order", _plan(lambda plan: {"order": plan.order[::-1]})),
    # Some models shift the targets themselves, as Hugging Face's do: given shifted ones they do it twice.
    _fault("tensorflow does not shift", "keras", "target shift", _arrays(lambda ids, _: (ids, ids))),
    _fault(
        "torch shifts twice",
        "torch",
        "target shift",
        _arrays(lambda ids, targets: (ids, np.pad(targets, ((0, 0), (0, 1)))[:, 1:])),
    ),
    # Two tokenizers, or one with other options.
    _fault("tensorflow adds an end to every text", "keras", "special ids", _rows(lambda row: [*row, 3])),
    _fault("torch adds a start to every text", "torch", "special ids", _rows(lambda row: [2, *row])),
    _fault("tensorflow has the two commonest pieces exchanged", "keras", "tokenizer", _rows(_swapped(260, 261))),
    _fault(
        "torch has no bytes but the unknown",
        "torch",
        "tokenizer",
        _rows(lambda row: [1 if 4 <= token < 260 else token for token in row]),
    ),
    # int32 is what Keras has by default for whole numbers, int64 what torch has.
    _fault(
        "tensorflow feeds int32 ids",
        "keras",
        "dtype",
        _arrays(lambda ids, targets: (ids.astype(np.int32), targets)),
    ),
    _fault(
        "torch feeds int32 targets",
        "torch",
        "dtype",
        _arrays(lambda ids, targets: (ids, targets.astype(np.int32))),
    ),
)
