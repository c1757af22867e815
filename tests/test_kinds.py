"""Every layer kind alone: its twins hold the forward, gradients and reload checks, and a fault in it fails."""

import pytest

from parity.checks import forward, gradients, reload
from parity.pair import Corners
from parity.run import run_one
from tests import kinds


@pytest.mark.parametrize("name", kinds.CASES)
def test_twins_of_a_kind_hold(name, small):
    corners = Corners(kinds.pair(name, small))

    for module in (forward, gradients, reload):
        outcome = run_one(module, corners, 0, 6, "parity check")
        assert outcome.findings == []
        assert outcome.elements > 0


@pytest.mark.parametrize("name", kinds.CASES)
def test_a_fault_in_a_kind_fails(name, small):
    corners = Corners(kinds.pair(name, small, broken=True))

    (finding,) = run_one(forward, corners, 0, 6, "parity check", shrink=False).findings
    assert "torch and tensorflow are different" in finding.message
