"""The feeds: every fault of a data path is caught, on either side, and a batch gives its rows back."""

from dataclasses import replace
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from parity.backends.protocol import Plan
from parity.checks import feeds, runner
from parity.inputs.batch import batch, rows_of, unpad
from parity.inputs.tokenizer import Tokenizer

SIDES = ["torch", "tensorflow"]


def message_of(corners):
    """The message of the one finding; an error if the check is content."""
    (finding,) = runner.run_check(feeds, corners, 0, 50, "parity check", shrink=False).findings
    return finding.message


def with_(corners, **changes):
    parts = {"pair": corners.pair, "tokenizer": corners.tokenizer, "backends": corners.backends}
    return SimpleNamespace(**{**parts, **changes})


def fed_by(corners, side, fault):
    """One side alone, with the fault in its data path."""
    feed = corners.backends[side].feed
    faulty = SimpleNamespace(feed=lambda rows, plan, pad: fault(feed, rows, plan, pad))
    return with_(corners, backends={side: faulty})


def padded_on_the_left(feed, rows, plan, pad):
    def moved(array):
        return np.array([np.roll(line, np.count_nonzero(line == pad)) for line in array])

    return [(moved(ids), moved(targets)) for ids, targets in feed(rows, plan, pad)]


def other(side):
    return "left" if side == "right" else "right"


FAULTS = {
    "another pad id": lambda feed, rows, plan, pad: feed(rows, plan, 3),
    "left padding": padded_on_the_left,
    "short last batch dropped": lambda feed, rows, plan, pad: [
        fed for fed in feed(rows, plan, pad) if len(fed[0]) == plan.size
    ],
    "int32 ids": lambda feed, rows, plan, pad: [
        (ids.astype(np.int32), targets) for ids, targets in feed(rows, plan, pad)
    ],
    "int32 targets": lambda feed, rows, plan, pad: [
        (ids, targets.astype(np.int32)) for ids, targets in feed(rows, plan, pad)
    ],
    "no shift": lambda feed, rows, plan, pad: [(ids, ids) for ids, _ in feed(rows, plan, pad)],
    "double shift": lambda feed, rows, plan, pad: feed([row[1:] for row in rows], plan, pad),
    "cut on the other side": lambda feed, rows, plan, pad: feed(rows, replace(plan, side=other(plan.side)), pad),
    "not cut": lambda feed, rows, plan, pad: feed(rows, replace(plan, limit=10_000), pad),
    "cut one too short": lambda feed, rows, plan, pad: feed(rows, replace(plan, limit=max(2, plan.limit - 1)), pad),
    "another order": lambda feed, rows, plan, pad: feed(rows, replace(plan, order=plan.order[::-1]), pad),
    "no order": lambda feed, rows, plan, pad: feed(rows, replace(plan, order=tuple(range(len(rows)))), pad),
    "larger batches": lambda feed, rows, plan, pad: feed(rows, replace(plan, size=plan.size + 1), pad),
    "one-token texts kept": lambda feed, rows, plan, pad: feed(
        [row * 2 if len(row) == 1 else row for row in rows], plan, pad
    ),
    "two-token texts dropped": lambda feed, rows, plan, pad: feed(
        [row if len(row) > 2 else [] for row in rows], plan, pad
    ),
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("fault", FAULTS)
def test_feed_fault_is_caught(fault, side, corners):
    assert message_of(fed_by(corners, side, FAULTS[fault])).startswith(f"{side} ")


def test_pad_id_out_of_a_text_is_caught(corners, small):
    """Both sides and the reference agree, but the rows do not come back."""
    padded = Tokenizer(small.data)
    padded.encode = lambda text: [*small.encode(text), small.pad]

    assert message_of(with_(corners, tokenizer=padded)).startswith("torch rows without their padding")


AWKWARD = {
    "an empty text": lambda example, lengths: 0 in lengths,
    "a text of one token": lambda example, lengths: 1 in lengths,
    "nothing left": lambda example, lengths: max(lengths) < 2,
    "an order": lambda example, lengths: example.plan.order == (2, 0, 1),
    "a cut on the left": lambda example, lengths: example.plan.side == "left" and max(lengths) > example.plan.limit,
    "a short last batch": lambda example, lengths: (
        example.plan.size == 2 and sum(length > 1 for length in lengths) == 3
    ),
}


@pytest.mark.parametrize("wanted", AWKWARD.values(), ids=AWKWARD)
def test_examples_reach_what_a_plain_list_does_not(wanted, corners, small):
    def met(example):
        return wanted(example, [len(small.encode(text)) for text in example.texts])

    reach = settings(max_examples=1000, phases=[Phase.generate])  # nobody reads the smallest
    assert met(find(feeds.examples(corners), met, settings=reach, random=Random(0)))


@pytest.mark.parametrize("side", SIDES)
def test_no_text_long_enough_gives_no_batch(side, corners):
    assert corners.backends[side].feed([[], [5], []], Plan((2, 0, 1), 4, "right", 2), 0) == []


@given(rows=st.lists(st.lists(st.integers(1, 999), min_size=2, max_size=9), min_size=1, max_size=6))
def test_a_batch_without_its_padding_is_its_rows(rows):
    made = batch(rows, pad=0)

    assert unpad(made.ids, made.targets, 0) == rows


def test_a_limit_cuts_the_side_that_is_named(small):
    text = "the river does not ask the map"
    whole = small.encode(text)

    assert rows_of([text], small, 3) == rows_of([text], small, 3, "right") == [whole[:3]]
    assert rows_of([text], small, 3, "left") == [whole[-3:]]
    assert rows_of([text], small, 1000, "left") == [whole]
