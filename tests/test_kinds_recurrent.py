"""Recurrent layers: twins of each kind hold forward and gradients, some of them reload, and a fault fails."""

import pytest

from tests import kinds


@pytest.mark.parametrize("name", kinds.RECURRENT)
def test_twins_of_a_kind_hold(name, small):
    assert not any(kinds.findings(name, small))


@pytest.mark.parametrize("name", kinds.RECURRENT)
def test_a_fault_in_a_kind_fails(name, small):
    ((message,),) = kinds.findings(name, small, broken=True)

    assert "torch and tensorflow are different" in message
