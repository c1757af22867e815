"""Why masks, positions and attention differ: each cause from a fault that was made by NumPy."""

import time

import numpy as np
import pytest

from parity.canonical.activations import softmax
from parity.diagnose.layers import explain
from parity.diagnose.locate.segment import Segment
from tests.helpers.segments import BATCH, IDS, LIMIT, TIME, both_ways, code, drawn, proved, told

WIDTH, HEADS, HEAD = 48, 3, 20
X = drawn(BATCH, TIME, WIDTH)
AHEAD = np.arange(TIME)[None] - np.arange(TIME)[:, None]
CAUSAL = AHEAD <= 0


# Masks and positions

OTHER = {
    "ahead": (AHEAD <= 1, "mask offset"),
    "behind": (AHEAD <= -1, "mask offset"),
    "behind, but the first": ((AHEAD <= -1) | ((AHEAD == 0) & (np.arange(TIME)[:, None] == 0)), "mask offset"),
    "all": (AHEAD <= 99, "mask missing"),
    "inverted": (AHEAD > 0, "mask inverted"),
    "turned": (AHEAD >= 0, "mask inverted"),
    "window": (CAUSAL & (AHEAD > -5), "mask window"),
}


@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize("value", [None, -1e9])
def test_a_mask_is_a_rule_on_each_side(name, value):
    other, cause = OTHER[name]
    arrays = (CAUSAL, other) if value is None else tuple(np.where(mask, 0.0, value) for mask in (CAUSAL, other))
    segment = code(*arrays, "input 2 of block", "", limit=0.0, input=IDS)

    assert proved(segment) == [cause]
    assert proved(both_ways(segment)) == [cause]


def test_a_mask_without_its_padding():
    kept = (IDS != 0)[:, None, None]
    segment = code(CAUSAL & kept, np.broadcast_to(CAUSAL, (BATCH, 1, TIME, TIME)), limit=0.0, input=IDS)

    assert proved(segment) == ["mask missing"]
    assert "without id 0" in told(segment)


def test_what_a_mask_adds():
    values = tuple(np.where(CAUSAL, 0.0, value) for value in (-1e9, -10.0))

    assert proved(code(*values)) == ["mask value"]
    assert told(code(*values)) == "torch hides with -1e+09, tensorflow with -10"


def test_an_unknown_mask_has_no_cause():
    random = np.random.default_rng(0).random((TIME, TIME)) < 0.5
    causes, ruled_out = explain(code(CAUSAL, random, limit=0.0))

    assert causes == []
    assert ruled_out[0].startswith("torch sees the positions up to its own: no other known mask")


COUNTED = {
    "from 1": np.arange(TIME) + 1,
    "from the end": np.arange(TIME)[::-1],
    "all as 0": np.arange(TIME) * 0,
    "from 0, the last one twice": np.minimum(np.arange(TIME), TIME - 2),
}


@pytest.mark.parametrize("name", COUNTED)
def test_positions_are_counted_in_a_known_way_on_each_side(name):
    segment = code(np.arange(TIME), COUNTED[name], "input of positions", "", limit=0.0, input=IDS)

    assert proved(segment) == ["positions"]
    assert proved(both_ways(segment)) == ["positions"]
    assert told(segment) == f"torch counts positions from 0, tensorflow {name}"


# Attention

Q, K, V = (drawn(BATCH, TIME, HEADS * HEAD, seed=seed) for seed in (5, 6, 7))


def split(x, last=False):
    if last:
        return x.reshape(BATCH, TIME, HEAD, HEADS).transpose(0, 3, 1, 2)
    return x.reshape(BATCH, TIME, HEADS, HEAD).transpose(0, 2, 1, 3)


def attended(query=Q, key=K, value=V, scale=HEAD**-0.5, seen=CAUSAL, hides=-np.inf, axis=-1, last=False, turned=False):
    query, key, value = (split(x, last) for x in (query, key, value))
    value = value[:, ::-1] if turned else value
    scores = query @ key.swapaxes(-1, -2) * scale
    with np.errstate(all="ignore"):
        weights = softmax(np.where(seen, scores, hides), axis)
    return (weights @ value).transpose(0, 2, 1, 3).reshape(BATCH, TIME, -1)


def attending(other, seen=CAUSAL):
    given = {"input": X, "input 2": seen, "query": Q, "key": K, "value": V}
    return Segment("blocks.0.attention", "Attention", "input of out", given, (attended(seen=seen), other), LIMIT)


ATTENDED = {
    "root of the width": ({"scale": WIDTH**-0.5}, "attention scale"),
    "no scale": ({"scale": 1.0}, "attention scale"),
    "width of a head": ({"scale": 1 / HEAD}, "attention scale"),
    "any scale": ({"scale": 0.2345}, "attention scale"),
    "no mask": ({"seen": CAUSAL | True}, "mask missing"),
    "one ahead": ({"seen": AHEAD <= 1}, "mask offset"),
    "turned mask": ({"seen": AHEAD >= 0}, "mask offset"),
    "window": ({"seen": CAUSAL & (AHEAD > -5)}, "mask window"),
    "mask of -10": ({"hides": -10.0}, "mask value"),
    "mask of -20": ({"hides": -20.0}, "mask value"),
    "added to the scores": ({"seen": True, "hides": 0, "key": K}, "mask missing"),
    "query and key": ({"query": K, "key": Q}, "query key value"),
    "in turn": ({"query": K, "key": V, "value": Q}, "query key value"),
    "heads in turn": ({"last": True}, "head split"),
    "heads of the values reversed": ({"turned": True}, "head split"),
    "softmax over the queries": ({"axis": -2}, "softmax axis"),
}


@pytest.mark.parametrize("name", ATTENDED)
def test_attention_is_a_known_form_on_each_side(name):
    other, cause = ATTENDED[name]
    segment = attending(attended(**other))

    start = time.perf_counter()
    assert proved(segment) == [cause]
    assert time.perf_counter() - start < 10
    assert proved(both_ways(segment)) == [cause]


def test_scores_to_which_a_finite_value_is_added():
    scores = split(Q) @ split(K).swapaxes(-1, -2) * HEAD**-0.5
    weights = softmax(np.where(CAUSAL, scores, scores - 10))
    segment = attending((weights @ split(V)).transpose(0, 2, 1, 3).reshape(BATCH, TIME, -1))

    assert proved(segment) == ["mask value"]
    assert "-10" in told(segment)


def test_powers_that_overflow_in_float64_too():
    scores = 1000 * split(Q) @ split(K).swapaxes(-1, -2) * HEAD**-0.5
    with np.errstate(all="ignore"):
        raised = np.exp(np.where(CAUSAL, scores, -np.inf))
        weights = raised / raised.sum(-1, keepdims=True)
    other = (weights @ split(V)).transpose(0, 2, 1, 3).reshape(BATCH, TIME, -1)
    given = {"input 2": CAUSAL, "query": 1000 * Q, "key": K, "value": V}
    segment = Segment("attention", "Attention", "input of out", given, (attended(query=1000 * Q), other), LIMIT)

    assert np.isnan(other).any()
    assert "tensorflow takes powers of the scores without their maximum subtracted" in told(segment)
    assert proved(segment) == ["unstable formula"]


def test_padding_that_only_one_side_hides():
    seen = CAUSAL & (IDS != 0)[:, None, None]
    segment = attending(attended(), seen)

    assert proved(segment) == ["mask missing"]


def test_the_number_of_heads_is_found():
    query, key, value = (x.reshape(BATCH, TIME, 5, 12).transpose(0, 2, 1, 3) for x in (Q, K, V))
    weights = softmax(np.where(CAUSAL, query @ key.swapaxes(-1, -2) * 12**-0.5, -np.inf))
    segment = attending((weights @ value).transpose(0, 2, 1, 3).reshape(BATCH, TIME, -1))

    assert proved(segment) == ["head split"]
    assert told(segment) == "torch has 3 heads, tensorflow has 5 heads"


def test_unknown_attention_has_no_cause():
    causes, ruled_out = explain(attending(attended() + 0.01 * np.sin(V)))

    assert causes == []
    assert ruled_out[0].startswith("torch is known attention, the other side is not; tried: heads")


def test_heads_that_are_handed_on_split_otherwise():
    given = {"input": X, "query": Q, "key": K, "value": V}
    segment = Segment("attention", "Attention", "output 2", given, (split(K), split(K, last=True)), LIMIT)
    assert proved(segment) == ["head split"]

    segment = Segment("attention", "Attention", "output 2", given, (split(K), split(V)), LIMIT)
    assert proved(segment) == ["query key value"]
