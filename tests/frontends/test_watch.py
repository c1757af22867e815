"""`parity watch`: a changed file is imported and checked anew, in a process that was ready before."""

import sys
from functools import partial

import pytest

from parity.api import Asked
from parity.errors import KerasTaken, ParityError
from parity.frontends.cli import watch
from parity.frontends.config import Config

PAIR = """
import keras
import parity
from torch import nn

def build():
    model = keras.Sequential([keras.layers.Dense(3, activation="relu")])
    model.build((None, 5))
    return model

pair = parity.Pair("desk", lambda: nn.Sequential(nn.Linear(5, 3), nn.ReLU()), build, inputs=parity.strategies.arrays(5))
"""


@pytest.fixture
def rounds(tmp_path, monkeypatch):
    """The lines of one round after another, of a module in this directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "desk.py").write_text(PAIR)
    asked = Asked(examples=1, checks=["forward"], fail_fast=True, target="desk:pair")
    lines = watch.rounds("desk:pair", partial(watch.Desk, asked, Config(examples=1, directory=tmp_path)), tmp_path)
    yield lines
    lines.close()


def test_each_change_of_a_file_has_its_verdict(rounds, tmp_path):
    lines = [next(rounds)]
    for text in (PAIR.replace("relu", "tanh"), PAIR.replace("(None, 5))", "(None, 5)")):
        (tmp_path / "desk.py").write_text(text)
        lines.append(next(rounds))

    assert lines[:2] == [
        "PASS: models match: 1 of 9 checks were run, 15 elements compared",
        "FAIL: 1 of 1 check failed: forward",
    ]
    assert lines[2].startswith("parity: desk:pair: cannot be imported (SyntaxError: ")


def test_a_pair_that_needs_keras_on_another_backend_begins_the_command_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "elsewhere.py").write_text(PAIR.replace("nn.ReLU()), build,", "nn.ReLU()), jax=build,"))
    desk = watch.Desk(Asked(target="elsewhere:pair"), Config(directory=tmp_path))

    with pytest.raises(KerasTaken, match="jax needs Keras on jax"):
        desk(watch.IMPORT)


def test_what_is_no_pair_of_a_module_is_refused(tmp_path):
    with pytest.raises(ParityError, match="lstm: should be module:attribute"):
        next(watch.rounds("lstm", None, tmp_path))
