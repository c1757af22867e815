"""A fault of each stage and cause is caught by the check that it names.

A sample keeps the suite short: `parity selftest` plants every fault.
"""

from functools import cache

import pytest

from parity import run
from parity.checks import CHECKS
from parity.corners import Corners
from parity.faults import FAMILIES
from parity.reference import pair as reference

STAGES = {
    "tokenizer": "tokenizer",
    "data": "data",
    "loss": "loss",
    "optimizers": "optimizer",
    "files": "files",
    "generation": "generation",
}
FIRST_OF_A_CAUSE = [
    fault for family in STAGES for fault in {fault.cause: fault for fault in reversed(FAMILIES[family])}.values()
]
EXAMPLES = 25
NAMES = {module.__name__.rpartition(".")[2]: module for module in CHECKS}


@pytest.fixture(scope="module")
def clean(small):
    """A clean reference pair's four models, by name."""
    return cache(lambda name: Corners(reference(name, small)))


@pytest.fixture
def planted(clean, monkeypatch):
    """A pair with a fault in it, in whose models a verb is replaced at most: they are the clean ones, and put back."""

    def plant(fault):
        whole = clean(fault.pair)
        if fault.torch or fault.tensorflow:
            return fault.plant(whole.pair)
        for model in whole.models.values():
            monkeypatch.setattr(model, "__dict__", dict(vars(model)))
        monkeypatch.setattr(Corners, "_model", lambda corners, side, dtype: whole.models[side, dtype])
        monkeypatch.setattr("parity.probe.leak", lambda *_: "")  # has been asked of these very models
        return fault.plant(whole.pair)

    return plant


@pytest.mark.parametrize("fault", FIRST_OF_A_CAUSE, ids=lambda fault: fault.name.replace(" ", "_"))
def test_a_fault_is_caught_by_its_check(fault, planted):
    outcome = run.run_one(NAMES[fault.check], planted(fault), 0, EXAMPLES, "parity check", shrink=False)

    assert len(outcome.findings) == 1


@pytest.mark.parametrize("family", STAGES)
def test_a_familys_faults_are_blamed_on_its_stage(family):
    assert {fault.where for fault in FAMILIES[family]} == {STAGES[family]}


def test_the_clean_pair_holds_behind_them(clean):
    """Nothing is left of a fault, though the models are the same."""
    corners = clean("lstm")

    for name in ("tokenizer", "feeds", "loss", "generation"):
        assert run.run_one(NAMES[name], corners, 0, EXAMPLES, "parity check").findings == []
