"""The square's constants keep their margins: on the page, and in a small run of the same measurement."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import constants, stacks
from parity import backends
from parity.compare.judge import MAX_FLOAT64_ULPS, MAX_NOISE_RATIO
from parity.reference.stack.config import KINDS, Stack, Step

DOCS = Path(__file__).parents[2] / "docs"
KINDS_IN_TEXT = r"stacks of up to three layers of (.*?), one third the reference pairs"
FIGURES = json.loads((DOCS / "verdicts.json").read_text())


def test_the_page_is_about_these_constants():
    assert (FIGURES["floor"], FIGURES["ratio"]) == (MAX_FLOAT64_ULPS, MAX_NOISE_RATIO)
    assert FIGURES["pairs"] >= 10_000
    assert f"| `MAX_FLOAT64_ULPS` | {MAX_FLOAT64_ULPS:g} |" in (DOCS / "verdicts.md").read_text()


def test_the_constants_stand_in_the_gap():
    """Ten times above every clean pair and ten times below every planted fault; lower precisions are coarser."""
    largest = FIGURES["largest"]

    assert 10 * largest["units"] < MAX_FLOAT64_ULPS
    assert all(10 * largest[figure] < MAX_NOISE_RATIO["float32"] for figure in ("float32", "one side's float64"))
    assert all(2 * largest[figure] < MAX_NOISE_RATIO[figure] for figure in constants.LOW)
    assert min(FIGURES["faults"].values()) > 10 * MAX_FLOAT64_ULPS
    assert min(FIGURES["unstable"].values()) > 10 * MAX_NOISE_RATIO["float32"]
    assert set(FIGURES["faults"]) == set(stacks.FAULTS)
    assert set(FIGURES["unstable"]) == set(stacks.UNSTABLE)


def test_the_page_covers_every_reference_pair_and_says_which_layer_kinds_are_in_it():
    from parity.reference import PAIRS

    arrays = FIGURES["arrays"]
    text = (DOCS / "verdicts.md").read_text()
    named = re.findall(r"`(\w+)`", re.search(KINDS_IN_TEXT, text)[1])
    every = Stack(17, tuple(Step(kind, 30 + place) for place, kind in enumerate(named)))
    model = backends.load()["torch"].Model(stacks.stack_pair(every, 131).torch, "float32", 0)
    ids = np.array([[5, 6, 7]])

    assert all(f"{name}: {what}" in arrays for name in PAIRS for what in ("logits", "loss", "gradient"))
    assert sorted(named) == sorted(KINDS)
    assert {constants._name(f"gradient of {name}", "") for name in model.gradients(ids, ids)} <= set(arrays)


def test_a_small_run_keeps_away_from_the_constants():
    found = constants.clean(50, np.random.default_rng(7), lambda _: None)
    largest = {
        figure: max(max(values[figure], default=1.0) for values in found.values()) for figure in constants.FIGURES
    }

    assert sum(len(values["units"]) for values in found.values()) > 150
    assert largest["units"] < MAX_FLOAT64_ULPS / 4
    assert all(
        largest[figure] < MAX_NOISE_RATIO.get(figure, MAX_NOISE_RATIO["float32"]) / 2 for figure in constants.RATIOS
    )


@pytest.mark.parametrize("fault", stacks.FAULTS)
def test_every_planted_fault_stands_out(fault):
    random = np.random.default_rng(3)
    corners = stacks.FAULTS[fault].corners()
    figures = [constants.of_logits(corners, random, scale)["units"] for scale in (1.0, 1.0, 30.0)]

    assert max(figures) > 4 * MAX_FLOAT64_ULPS


@pytest.mark.parametrize("fault", stacks.UNSTABLE)
def test_every_unstable_formula_stands_out(fault):
    random = np.random.default_rng(3)
    corners = stacks.UNSTABLE[fault].corners()
    figures = [constants.of_logits(corners, random, scale)["float32"] for scale in (1.0, 30.0, 30.0)]

    assert max(figures) > 4 * MAX_NOISE_RATIO["float32"]


@pytest.mark.parametrize("where", ["stack", "gru", "transformer", "conv"])
def test_the_pairs_without_their_faults_are_clean(where):
    found = constants.measure(stacks.clean(where), np.random.default_rng(3), 1.0)

    assert max(figures["units"] for figures in found.values()) < MAX_FLOAT64_ULPS / 4
