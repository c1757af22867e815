"""A training that draws is repeated with each source of random numbers held alike: the one that mattered is named."""

import random
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from parity.backends import process
from parity.canonical.weights import Weights
from parity.diagnose.stages import processes
from parity.strategies import Case
from tests.helpers import hashes

CASE = Case(Weights(5, 1.0), ((5, 6, 7, 7, 7, 5, 9), (8, 3, 7, 7)))
VERDICT = SimpleNamespace(subject="torch losses")
DRAWS = {
    "Python's random": lambda: random.random(),
    "numpy.random": lambda: np.random.random(),
    "torch's own generator": lambda: float(torch.rand(())),
    "os.urandom": lambda: np.random.default_rng().random(),
}
KERNELS = iter(range(10**6))


def explained(corners, monkeypatch, draw, fresh=lambda run, *arguments: run(*arguments)):
    """What is said of trainings whose every loss has something drawn added, in a `fresh` process, too."""
    kind = type(corners.models["torch", "float32"])
    build = kind.trainer

    def noisy(model, recipe):
        trainer = build(model, recipe)
        step = trainer.step
        trainer.step = lambda batches: step(batches) + np.float32(draw())
        return trainer

    monkeypatch.setattr(kind, "trainer", noisy)
    monkeypatch.setattr(process, "fresh", fresh)
    return processes.explain(corners, CASE, VERDICT)


@pytest.mark.parametrize("source", DRAWS)
def test_the_source_of_what_is_drawn_is_named(source, corners, monkeypatch):
    [cause], ruled_out = explained(corners, monkeypatch, DRAWS[source])

    assert cause.name == "seed"
    assert cause.told.startswith("torch comes to other bits each time, of the losses alone")
    assert source in cause.told
    assert cause.before > cause.after == 0
    assert ruled_out == ["tensorflow: trained again in one process it comes to the same bits"]


def test_what_no_source_makes_equal_has_no_cause(corners, monkeypatch):
    causes, (first, *_) = explained(corners, monkeypatch, lambda: next(KERNELS))

    assert causes == []
    assert first.startswith("torch comes to other bits each time")


def test_what_repeats_in_a_process_has_no_cause(corners, monkeypatch):
    causes, ruled_out = explained(corners, monkeypatch, lambda: 1)

    assert causes == []
    assert ruled_out[0] == "torch: trained again in one process it comes to the same bits"


def test_a_source_goes_on_behind_it_as_if_nothing_had_been_drawn(corners):
    for name, source in processes._sources(corners, "torch"):
        before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
        draws = [draw for of, draw in DRAWS.items() if of in (name, "os.urandom")]
        with source():
            for draw in draws:
                draw()

        assert random.getstate() == before[0]
        assert np.array_equal(np.random.get_state()[1], before[1])
        assert torch.equal(torch.get_rng_state(), before[2])
    assert np.random.default_rng().random() != np.random.default_rng().random()


def test_an_order_that_hashes_decide_is_proved_by_processes_with_other_ones():
    cause = processes.hashed("torch", "files", hashes.in_order_of_a_set)

    assert (cause.name, cause.where) == ("hash order", "files")
    assert cause.told.startswith("torch goes by an order that Python's hashes of strings decide")
    assert cause.before > cause.after == 0


def test_an_order_that_the_code_has_is_none_of_hashes():
    assert processes.hashed("torch", "files", hashes.in_order) is None


def test_what_no_hash_makes_equal_is_no_order_of_them(monkeypatch):
    counted = iter(range(100))
    monkeypatch.setattr(process, "rehashed", lambda *_: {"count": np.array([next(counted)])})

    assert processes.hashed("torch", "files", hashes.in_order) is None


def test_a_training_that_goes_by_hashes_has_that_cause(corners, monkeypatch):
    """Each process's hashes are those of a seed; what goes by them is the first loss."""

    def rehashed(seed, run, *arguments):
        return run(*arguments) | ({"torch losses": np.array([seed])} if "torch losses" in run(*arguments) else {})

    monkeypatch.setattr(process, "rehashed", rehashed)
    [cause], ruled_out = explained(corners, monkeypatch, lambda: 1, partial(rehashed, 1))

    assert cause.name == "hash order"
    assert ruled_out == ["tensorflow: trained again in one process it comes to the same bits"]
