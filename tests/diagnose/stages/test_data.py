"""Why a feed differs: every cause proved on the side that has it, none on a clean pair or of an unknown fault."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from parity.backends import SIDES
from parity.backends.protocol import Plan
from parity.checks import feeds as check
from parity.diagnose import CAUSES
from parity.diagnose.stages import data

GIVEN = check.Example(
    ("the river does not ask the map", "a", "", "the first one", "every map is a river"),
    Plan((4, 2, 0, 1, 3), 5, "right", 2),
)


def fed_by(corners, side, fault):
    """The pair, with the fault in one side's data path."""
    feed = corners.backends[side].feed
    faulty = SimpleNamespace(feed=lambda rows, plan, pad: fault(feed, rows, plan, pad))
    return SimpleNamespace(tokenizer=corners.tokenizer, backends={**corners.backends, side: faulty})


def rows(change):
    return lambda feed, rows, plan, pad: feed([change(list(row)) for row in rows], plan, pad)


def planned(change):
    return lambda feed, rows, plan, pad: feed(rows, replace(plan, **change(plan)), pad)


def arrays(change):
    return lambda feed, rows, plan, pad: [change(*fed) for fed in feed(rows, plan, pad)]


def on_the_left(ids, targets):
    return tuple(np.array([np.roll(line, np.count_nonzero(line == 0)) for line in array]) for array in (ids, targets))


def first_twice(feed, rows, plan, pad):
    return feed([*rows, rows[plan.order[0]]], replace(plan, order=(*plan.order, len(rows))), pad)


def without_the_first(feed, rows, plan, pad):
    return feed(rows, replace(plan, order=plan.order[1:]), pad)


def odd_rows_first(feed, rows, plan, pad):
    return feed(rows, replace(plan, order=tuple(sorted(plan.order, key=lambda place: (place + 1) % 2))), pad)


def other(plan):
    return {"side": "left" if plan.side == "right" else "right"}


def by_length(feed, rows, plan, pad):
    return feed(rows, replace(plan, order=tuple(sorted(plan.order, key=lambda place: len(rows[place])))), pad)


FAULTS = {
    "left padding": ("padding side", "on the left", arrays(on_the_left)),
    "pad id": ("pad id", "pads with 3, not 0", lambda feed, rows, plan, _: feed(rows, plan, 3)),
    "targets' pad id": (
        "pad id",
        "pads targets with -100",
        arrays(lambda ids, targets: (ids, np.where(targets == 0, -100, targets))),
    ),
    "cut on the other side": ("truncation", "the other side", planned(other)),
    "not cut": ("truncation", "does not cut", planned(lambda _: {"limit": 10_000})),
    "cut too short": ("truncation", "1 id too short", planned(lambda plan: {"limit": max(2, plan.limit - 1)})),
    "first id lost": ("truncation", "the first id", rows(lambda row: row[1:])),
    "short last batch": (
        "rows lost",
        "a last batch that is short",
        lambda feed, rows, plan, pad: [fed for fed in feed(rows, plan, pad) if len(fed[0]) == plan.size],
    ),
    "one token": ("rows lost", "that token twice", rows(lambda row: row * 2 if len(row) == 1 else row)),
    "two tokens": ("rows lost", "texts of two tokens", rows(lambda row: row if len(row) > 2 else [])),
    "twice": ("rows lost", "some twice", first_twice),
    "once less": ("rows lost", "leaves rows out", without_the_first),
    "sorted": ("row order", "by length", by_length),
    "order of the texts": ("row order", "the order of the texts", planned(lambda p: {"order": tuple(sorted(p.order))})),
    "reversed": ("row order", "in reverse", planned(lambda plan: {"order": plan.order[::-1]})),
    "another order": ("row order", "another order", odd_rows_first),
    "not shifted": ("target shift", "does not shift", arrays(lambda ids, _: (ids, ids))),
    "shifted twice": (
        "target shift",
        "once more",
        arrays(lambda ids, targets: (ids, np.pad(targets, ((0, 0), (0, 1)))[:, 1:])),
    ),
    "an end": ("special ids", "adds eos [3] behind", rows(lambda row: [*row, 3])),
    "start and end": ("special ids", "bos [2] in front of and eos [3] behind", rows(lambda row: [2, *row, 3])),
    "exchanged": ("tokenizer", "261 for 260", rows(lambda row: [{260: 261, 261: 260}.get(i, i) for i in row])),
    "int32 ids": ("dtype", "ids as int32", arrays(lambda ids, targets: (ids.astype(np.int32), targets))),
    "int32 targets": ("dtype", "targets as int32", arrays(lambda ids, targets: (ids, targets.astype(np.int32)))),
}


def failing(corners):
    return [verdict for verdict in check.verify(corners, GIVEN) if verdict.fails]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_proved(fault, side, corners):
    name, told, alter = FAULTS[fault]
    planted = fed_by(corners, side, alter)
    (cause,), ruled = data.explain(planted, GIVEN, check.verify(planted, GIVEN)[0])

    assert (cause.name, cause.where) == (name, "data")
    assert cause.told.startswith(side)
    assert told in cause.told
    assert name in CAUSES
    assert cause.fix
    assert cause.after == 0 < cause.before
    assert len(ruled) == 1


def test_clean_sides_have_no_cause(corners):
    causes, ruled = data.explain(corners, GIVEN, check.verify(corners, GIVEN)[0])

    assert causes == []
    assert ruled == ["torch's batches are those of the reference", "tensorflow's batches are those of the reference"]


UNKNOWN = {
    "larger batches": planned(lambda plan: {"size": plan.size + 1}),
    "one id lost in the middle": rows(lambda row: row[:3] + row[4:]),
}


@pytest.mark.parametrize("fault", UNKNOWN)
def test_of_an_unknown_fault_it_is_said_what_was_tried(fault, corners):
    planted = fed_by(corners, "torch", UNKNOWN[fault])
    causes, ruled = data.explain(planted, GIVEN, failing(planted)[0])

    assert causes == []
    assert "is explained by none of another padding side, pad id" in ruled[0]
