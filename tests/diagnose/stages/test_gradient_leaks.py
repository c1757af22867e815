"""A gradient that reaches hidden places on both sides is named at the operation that it passes through."""

from parity.canonical.weights import Weights
from parity.checks import masking
from parity.diagnose.stages import gradients
from parity.selftest.faults.attention import FAULTS
from parity.selftest.faults.inject_layers import holding, then
from parity.strategies import Case

CASE = Case(Weights(5, 1.0), ((5, 6, 7, 7, 7, 5, 9), (8, 3, 7)))


def explained(corners):
    targets = CASE.batch(corners.pad).targets
    return gradients.leaks(corners, CASE.weights, masking.views(corners, (CASE, 3)), targets)


def test_the_operation_that_a_gradient_passes_through_is_named(corners):
    fault = next(fault for fault in FAULTS if fault.name == "gradient of masked positions in both")
    [cause] = explained(fault.inject(corners.pair))

    assert (cause.name, cause.where) == ("mask missing", "")
    assert "they pass through mean(dim=1, keepdim=True) (attention.py:" in cause.told
    assert cause.after < 1e-12 < cause.before


def squared(z):
    """Logits through which each position's gradient passes to all, as their sum's and as that of their squares."""
    once, again = z.sum(1, keepdim=True), z.square().sum(1, keepdim=True)
    return z + (once - once.detach()) + (again - again.detach())


def test_several_operations_are_named(broken):
    causes = explained(broken(torch=holding("", head=then(squared))))

    assert len(causes) == 2
    assert all("they pass through sum(dim=1, keepdim=True)" in cause.told for cause in causes)


def test_equal_gradients_have_no_cause(twins):
    assert explained(twins) == []
