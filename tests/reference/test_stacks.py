"""Stacks of layers: every kind alone and among others is the same on both sides, and a fault shrinks to its layer."""

import importlib
from functools import cache
from random import Random

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from parity import backends
from parity.checks import forward, gradients
from parity.checks.runner import run_check
from parity.pair.models import PairModels
from parity.reference.stack import pair
from parity.reference.stack.config import KINDS, Stack, Step
from parity.reference.stack.strategies import stacks
from tests.helpers.eager import eagerly


def problems(stack, small, checks=(forward, gradients), examples=3):
    corners = PairModels(pair(stack, small))
    outcomes = [run_check(module, corners, 0, examples, "parity check", shrink=False) for module in checks]
    return [finding.message for outcome in outcomes for finding in outcome.findings]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_holds(kind, small):
    with eagerly():
        assert problems(Stack(18, (Step(kind, 14),)), small) == []


def generated(examples, *also):
    return settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, *also),
        suppress_health_check=list(HealthCheck),
    )


def test_drawn_stacks_hold(small):
    @hypothesis.seed(11)
    @generated(6)
    @given(stacks())
    def drawn(stack):
        assert problems(stack, small) == []

    drawn()


@pytest.fixture
def large_epsilon(monkeypatch):
    """Every Keras layer norm of a stack has ten times the epsilon."""
    backends.load()
    twin = importlib.import_module("parity.reference.stack.tensorflow")
    make = twin.MAKERS["layer_norm"]

    def other(*given, name):
        layer = make(*given, name=name)
        layer.epsilon = 1e-2
        return layer

    monkeypatch.setitem(twin.MAKERS, "layer_norm", other)


@pytest.mark.usefixtures("large_epsilon")
def test_a_fault_shrinks_to_the_smallest_stack_that_fails(small):
    @cache  # what the shrinker comes back to by another way
    def fails(stack):
        return bool(problems(stack, small, (forward,), 1))

    drawn = stacks(("dense", "layer_norm", "prelu"), depth=3)
    with eagerly():
        smallest = hypothesis.find(drawn, fails, settings=generated(60, Phase.shrink), random=Random(3))

    assert smallest == Stack(5, (Step("layer_norm", 5),))


def test_a_stack_takes_widths_that_its_kinds_can_make_and_no_width_twice():
    @hypothesis.seed(5)
    @generated(200)
    @given(stacks(depth=5))
    def drawn(stack):
        places = stack.places()
        changing = [place for place in places if not KINDS[place.step.kind]]
        assert all(place.given == place.made for place in places if KINDS[place.step.kind])
        assert len({stack.width, *(place.made for place in changing)}) == 1 + len(changing)

    drawn()
