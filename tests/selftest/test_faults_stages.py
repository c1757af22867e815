"""A fault of each stage and check is caught by that check.

A sample keeps the suite short: causes are tested beside what names them, and `parity selftest` plants every fault.
"""

import pytest

from parity.checks import CHECKS, runner
from parity.selftest.faults import FAMILIES

STAGES = {
    "tokenizer": "tokenizer",
    "data": "data",
    "loss": "loss",
    "optimizers": "optimizer",
    "files": "files",
    "generation": "generation",
}
FIRST_OF_A_CHECK = [
    fault for family in STAGES for fault in {fault.check: fault for fault in reversed(FAMILIES[family])}.values()
]
EXAMPLES = 25
NAMES = {module.__name__.rpartition(".")[2]: module for module in CHECKS}


@pytest.fixture
def planted(references):
    """A pair with a fault in it, in whose models a verb is replaced at most: a side without is the clean pair's."""
    return lambda fault: fault.inject(references(fault.pair).pair, references(fault.pair))


@pytest.mark.parametrize("fault", FIRST_OF_A_CHECK, ids=lambda fault: fault.name.replace(" ", "_"))
def test_a_fault_is_caught_by_its_check(fault, planted):
    outcome = runner.run_check(NAMES[fault.check], planted(fault), 0, EXAMPLES, "parity check", shrink=False)

    assert len(outcome.findings) == 1


@pytest.mark.parametrize("family", STAGES)
def test_a_familys_faults_are_blamed_on_its_stage(family):
    assert {fault.where for fault in FAMILIES[family]} == {STAGES[family]}


def test_the_clean_pair_holds_behind_them(references):
    """Nothing is left of a fault, though the models are the same."""
    corners = references("lstm")

    for name in ("tokenizer", "feeds", "loss", "generation"):
        assert runner.run_check(NAMES[name], corners, 0, EXAMPLES, "parity check").findings == []
