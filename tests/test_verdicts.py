"""The square's constants keep their margins: on the page, and in a small run of the same measurement."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import constants, stacks
from parity.square import FLOOR, RATIO

DOCS = Path(__file__).parent.parent / "docs"
FIGURES = json.loads((DOCS / "verdicts.json").read_text())


def test_the_page_is_about_these_constants():
    assert (FIGURES["floor"], FIGURES["ratio"]) == (FLOOR, RATIO)
    assert FIGURES["pairs"] >= 10_000
    assert f"| `FLOOR` | {FLOOR:g} |" in (DOCS / "verdicts.md").read_text()


def test_the_constants_stand_in_the_gap():
    """Above every clean pair, and far below every planted fault."""
    assert 3 * FIGURES["largest healthy difference"] < FLOOR
    assert 3 * FIGURES["largest healthy noise ratio"] < RATIO
    assert min(FIGURES["faults"].values()) > 100 * FLOOR
    assert set(FIGURES["faults"]) == set(stacks.FAULTS)


def test_a_small_run_keeps_away_from_the_constants():
    found = constants.clean(100, np.random.default_rng(7), lambda _: None)
    figures = np.concatenate([np.array(figures) for figures in found.values()])

    assert len(figures) > 300
    assert figures[:, 0].max() < FLOOR / 2
    assert figures[:, 1].max() < RATIO / 2


@pytest.mark.parametrize("fault", stacks.FAULTS)
def test_every_planted_fault_stands_out(fault):
    random = np.random.default_rng(3)
    corners = stacks.corners(constants.FULL, stacks.FAULTS[fault])
    figures = [constants.measure(corners, constants.FULL.sizes[0], random, 1.0)["logits"][0][0] for _ in range(3)]

    assert max(figures) > 10 * FLOOR
