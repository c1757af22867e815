"""Determinism: two processes come to identical bits, and what depends on the process is caught."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from parity.backends import SIDES
from parity.canonical.weights import Weights
from parity.checks import determinism
from parity.strategies import Case

CASE = Case(Weights(5, 1.0), ((5, 6, 7, 7, 7, 5, 9), (8, 3, 7, 7), (9, 9, 9, 12, 13, 14)))


def test_two_processes_come_to_identical_bits(corners):
    verdicts = determinism.verify(corners, CASE)

    assert {verdict.word for verdict in verdicts} == {"identical"}
    assert {verdict.subject.split()[0] for verdict in verdicts} == set(SIDES)
    assert len(verdicts) == 2 * (1 + 3 * len(corners.layout))


@pytest.mark.parametrize("side", SIDES)
def test_what_depends_on_the_process_is_caught(side, corners, monkeypatch):
    """A step that is off by a bit in this process alone."""
    trainer = type(corners.models[side, "float32"]).trainer

    def off(model, recipe):
        return trainer(model, replace(recipe, rate=np.nextafter(np.float32(recipe.rate), 1).item()))

    monkeypatch.setattr(type(corners.models[side, "float32"]), "trainer", off)
    found = [verdict.message for verdict in determinism.verify(corners, CASE) if verdict.fails]

    assert found
    assert all(message.startswith(side) for message in found)


@pytest.mark.parametrize(("lean", "expected"), [(False, ["begun", "here", "asked"]), (True, ["here", "fresh"])])
def test_both_processes_train_at_the_same_time_but_where_memory_is_scarce(lean, expected, references, monkeypatch):
    corners, order = references("conv"), []

    @contextlib.contextmanager
    def begun(_):
        order.append("begun")
        yield lambda: order.append("asked") or {}

    monkeypatch.setattr(corners, "lean", lean)
    monkeypatch.setattr(determinism, "resting", contextlib.nullcontext)
    monkeypatch.setattr(determinism.process, "begun", begun)
    monkeypatch.setattr(determinism.process, "fresh", lambda _: order.append("fresh") or {})
    monkeypatch.setattr(determinism, "trained", lambda *_: order.append("here") or ())

    assert determinism.verify(corners, CASE) == []
    assert order == expected
