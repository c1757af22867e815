"""What a baseline holds of a pair, measured: a clean run differs in nothing, and what parity cannot see moves it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from parity import checks, strategies
from parity.checks import forward, weights
from parity.frontends.cli import gate
from parity.gate import golden
from parity.gate.differences import differences
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from tests.helpers import ports


def other_torch():
    model = ports.torch_signal()
    model.norm.eps = 1e-5
    return model


def bare_torch():
    import torch

    model = ports.torch_signal()
    model.norm = torch.nn.Identity()
    return model


def bare_keras():
    import keras

    layers = [layer for layer in ports.keras_signal().layers if "normalization" not in layer.name]
    return keras.Sequential(layers)


def wide_torch():
    from torch import nn

    return nn.Sequential(nn.Linear(4, 7), nn.Linear(7, 5))


def wide_keras():
    import keras

    return keras.Sequential([keras.layers.Dense(7), keras.layers.Dense(5)])


@pytest.fixture(scope="module")
def run():
    """What a run of two checks finds of a pair beside a baseline: `run(pair, old, seed)`."""

    def found(pair, old=None, seed=0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checks, "CHECKS", (weights, forward))
            return gate.measured(PairModels(pair), "acme:signal", seed, 3, old)

    return found


@pytest.fixture(scope="module")
def clean(run):
    """A baseline of the signal pair."""
    return run(ports.signal)


def lines(expected, found):
    return [difference.text for difference in differences(expected, found)]


@pytest.mark.parametrize("seed", [0, 7])
def test_a_clean_run_differs_in_nothing(seed, run, clean):
    assert lines(clean, run(ports.signal, clean, seed)) == []


def test_an_epsilon_changed_on_both_sides_moves_the_golden_values(run, clean):
    """Parity holds: no check can see it."""
    pair = replace(ports.signal, torch=other_torch, tensorflow=ports.keras_signal_other_epsilon)
    found = run(pair, clean)
    told = differences(clean, found)

    assert found.report["holds"] is True
    assert {difference.cause for difference in told} == {"moved"}
    assert [difference.what for difference in told] == [
        "golden output of both sides",
        "golden norm of output of both sides",
        "golden gradient norms of both sides",
        "golden losses of both sides",
    ]
    assert " changed by " in told[0].found
    assert " in " in told[2].expected  # which parameter's
    assert all(difference.loosens for difference in told)


def test_an_epsilon_changed_on_one_side_fails_a_check_and_moves_that_side(run, clean):
    found = run(replace(ports.signal, tensorflow=ports.keras_signal_other_epsilon), clean)
    told = differences(clean, found)

    assert (told[0].cause, told[0].what, told[0].expected) == ("fails", "check forward", "rounding")
    assert told[0].found.startswith("different: output (")
    assert "cause: norm: epsilon: torch epsilon 0.001, tensorflow epsilon 1e-05" in told[0].detail
    assert {of.what.partition(" of ")[2] for of in told[1:]} >= {"tensorflow alone"}
    assert not any("torch alone" in of.what or "both" in of.what for of in told[1:])


def test_a_vanished_layer_is_named(run, clean):
    pair = replace(ports.signal, torch=bare_torch, tensorflow=bare_keras)
    told = lines(clean, run(pair, clean))

    assert "vanished: layer norm: expected layer_norm gain (7), bias (7), found no such layer" in told
    assert any(line.startswith("moved: golden output of both sides: ") for line in told)


def test_inputs_that_no_longer_fit_are_told_and_nothing_else_is_compared(run, clean):
    pair = Pair("signal", wide_torch, wide_keras, inputs=strategies.arrays(4))
    told = [line for line in lines(clean, run(pair, clean)) if "golden" in line]

    assert len(told) == 1
    assert told[0].startswith("vanished: golden inputs: expected those of the baseline, found that they do not fit: ")


def test_of_texts_there_are_ids_and_greedy_tokens(corners, monkeypatch):
    monkeypatch.setattr(checks, "CHECKS", (weights,))
    found = gate.measured(corners, "lstm", 0, 1, None)
    again = gate.measured(corners, "lstm", 0, 1, found)

    assert lines(found, again) == []
    assert found.document["texts"]["import os"] == corners.tokenizer.encode("import os")
    assert found.arrays["torch greedy tokens"].tolist() == found.arrays["tensorflow greedy tokens"].tolist()
    assert found.arrays["torch greedy tokens"].size == golden.TOKENS
    assert found.arrays["torch logits"].size <= golden.SAMPLE


def test_digits_that_float32_loses_on_both_sides_are_seen_by_the_noise_alone(corners, monkeypatch):
    monkeypatch.setattr(checks, "CHECKS", (weights, forward))
    clean = gate.measured(corners, "lstm", 0, 1, None)
    for (_, dtype), model in corners.models.items():
        if dtype == "float32":
            lossy = partial(lambda logits, ids: logits(ids) + np.float32(100) - np.float32(100), model.logits)
            monkeypatch.setattr(model, "logits", lossy)
    found = gate.measured(corners, "lstm", 0, 1, clean)
    told = differences(clean, found)

    assert found.report["holds"] is True
    assert [difference.cause for difference in told] == ["noise", "noise"]
    assert {difference.what for difference in told} == {
        "float32 noise of torch outputs",
        "float32 noise of tensorflow outputs",
    }
