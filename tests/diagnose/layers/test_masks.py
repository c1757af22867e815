"""Why masks and positions differ: each cause from a fault that was made by NumPy."""

import numpy as np
import pytest

from parity.diagnose.layers import explain
from tests.helpers.segments import BATCH, IDS, TIME, both_ways, code, proved, told

AHEAD = np.arange(TIME)[None] - np.arange(TIME)[:, None]
CAUSAL = AHEAD <= 0


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
    causes, ruled_out = explain(code(CAUSAL, random, limit=0.0, input=IDS))  # of as many rows as no axis has

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
