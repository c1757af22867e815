"""A notebook whose cells define the models, and each framework by itself: `tox -e notebook`.

In an environment of its own, because it needs a kernel, and processes that import the frameworks anew.
"""

import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

MODELS = """
import keras
import tensorflow as tf
from torch import nn

tf.reduce_sum(tf.ones(3))  # from here on TensorFlow's threads are settled


class TorchNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.norm, self.head = nn.Linear(11, 7), nn.LayerNorm(7), nn.Linear(7, 5)

    def forward(self, x):
        return self.head(self.norm(self.hidden(x).relu()))


class KerasNet(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(7, activation="relu")
        self.norm = keras.layers.LayerNormalization(epsilon=EPSILON)
        self.head = keras.layers.Dense(5)

    def call(self, x):
        return self.head(self.norm(self.hidden(x)))
"""
CHECK = """
import parity
from parity import Pair, strategies

pair = Pair("mine", torch=TorchNet, tensorflow=lambda: KerasNet(), inputs=strategies.arrays(11))
report = parity.check(pair, examples=2)
report
"""
PRINTED = "print(report.holds, report['forward'].verdict, *report.not_run)\nprint(report)"


def ran(*cells):
    """The outputs of each cell of a notebook that has been run."""
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.mark.parametrize(("epsilon", "holds"), [("1e-5", True), ("1e-3", False)])
def test_models_of_a_notebook_are_checked(epsilon, holds):
    _, _, shown, printed = ran(f"EPSILON = {epsilon}", MODELS, CHECK, PRINTED)
    (page,) = [output.data["text/html"] for output in shown if output.output_type == "execute_result"]
    text = "".join(output.text for output in printed if output.get("name") == "stdout")
    warned = "".join(output.get("text", "") for output in shown)

    assert "TensorFlow has run an operation before parity, and keeps its threads" in warned
    assert text.startswith(f"{holds} {'rounding' if holds else 'different'} ")
    assert {"determinism", "reload", "resume"} <= set(text.splitlines()[0].split())
    assert "not run, they need a fresh process, which cannot import models of a script or notebook" in text
    assert page.startswith("<iframe srcdoc=")
    assert ("fix: epsilon=1e-05 in LayerNormalization norm" in text) is not holds


BLOCKED = """
import sys
from importlib.machinery import PathFinder

names, find = sys.argv.pop(1).split(","), PathFinder.find_spec


def without(name, *args):
    return None if name.partition(".")[0] in names else find(name, *args)


PathFinder.find_spec = without
from parity.frontends.cli import main

main()
"""


def test_each_side_is_run_without_the_other_framework(tmp_path):
    def parity(blocked, *args):
        command = [sys.executable, "-c", BLOCKED, blocked, *args]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    torch = parity("tensorflow,keras", "dump", "demo", "--side", "torch", "-o", "t.npz")
    other = parity("torch", "dump", "demo", "--side", "tensorflow", "--weights", "t.npz", "-o", "k.npz")
    found = parity("torch,tensorflow,keras", "compare", "t.npz", "k.npz", "--quiet")

    assert [run.returncode for run in (torch, other, found)] == [0, 0, 1]
    assert found.stdout.startswith("different, max |diff| ")
