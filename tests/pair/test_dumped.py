"""Files of what one side gives: judged as `parity check` judges, and refused where they do not belong together."""

import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import torch

from parity import Pair, api, reference, strategies
from parity.checks import forward
from parity.checks.runner import run_check
from parity.errors import ParityError
from parity.pair import dumped, stored
from parity.pair.models import PairModels
from parity.reference.demo import tensorflow as ported


def corrected():
    model = ported.Classifier()
    model.norm.epsilon = 1e-5
    return model


DEMO = reference.pair("demo")
RIGHT = replace(DEMO, tensorflow=corrected)


class Projections(torch.nn.Module):
    def __init__(self, bias=True):
        super().__init__()
        self.parts = torch.nn.ModuleList(torch.nn.Linear(5, 4, bias=bias) for _ in range(3))

    def forward(self, x):
        query, key, value = (part(x) for part in self.parts)
        return {"left": query * key, "right": value}


class Joined(keras.Model):
    def __init__(self):
        super().__init__()
        self.parts = keras.layers.Dense(12)

    def call(self, x):
        query, key, value = keras.ops.split(self.parts(x), 3, axis=-1)
        return {"left": query * key, "right": value}


JOINED = Pair("joined", torch=Projections, tensorflow=Joined, inputs=strategies.arrays(5))


def unlike():
    return keras.Sequential([keras.Input((11,)), keras.layers.Dense(6), keras.layers.Dense(5)])


@pytest.fixture
def files(tmp_path):
    """Both sides' files of a pair: torch's is written first, and TensorFlow's by it, if they are to be of one kind."""

    def written(pair, name, ending="npz", own=False, **options):
        first, second = (tmp_path / f"{name}-{side}.{ending}" for side in ("torch", "tensorflow"))
        api.dump(pair, "torch", first, **options)
        api.dump(pair, "tensorflow", second, weights=None if own else first, **options)
        return first, second

    return written


def compared(paths):
    first, second = (dumped.of(path, stored.read(path)) for path in paths)
    return dumped.compared((first, second))


def test_two_files_are_judged_as_check_judges(files):
    found = {name: compared(files(pair, name, examples=3)) for name, pair in (("wrong", DEMO), ("right", RIGHT))}
    outcome = run_check(forward, PairModels(DEMO), 0, 3, "", shrink=False)

    assert (found["wrong"].word, found["right"].word) == (outcome.verdict, "rounding")
    assert found["wrong"]["output, example 1"].figure == outcome.worst.figure
    assert [*found["right"]] == ["output, example 1", "output, example 2", "output, example 3"]
    assert "      torch32      --- " in str(found["wrong"]) or "torch64      --- " in str(found["wrong"])


def test_layers_that_one_side_has_joined_take_the_other_sides_weights(files):
    paths = files(JOINED, "joined", "safetensors", examples=2)

    assert {name.partition(",")[0] for name in compared(paths)} == {"output['left']", "output['right']"}
    assert compared(paths).holds
    assert compared(paths[::-1]).holds


def test_models_with_weights_of_their_own_are_run_as_they_are(files, tmp_path):
    pair = replace(RIGHT, weights="given")

    assert compared(files(pair, "own", own=True, examples=1)).word == "different"
    with pytest.raises(ParityError, match="only one of both keeps its own weights"):
        api.dump(RIGHT, "tensorflow", tmp_path / "x.npz", weights=tmp_path / "own-torch.npz")


def test_files_that_do_not_belong_together_are_refused_in_one_line(files, tmp_path):
    first, _ = files(RIGHT, "one", own=True, examples=2)
    other, _ = files(RIGHT, "other", own=True, examples=2, seed=2)
    lines = {files(JOINED, "alone", own=True, examples=2): "different weights", (first, other): "different inputs"}
    for paths, told in lines.items():
        with pytest.raises(ParityError, match=f"{told}: write the second by --weights ") as caught:
            compared(paths)
        assert "\n" not in str(caught.value)
    for pair, told in ((replace(DEMO, tensorflow=unlike), "only in torch: hidden "), (JOINED, "only in torch: ")):
        with pytest.raises(ParityError, match=f'{told}.*only in tensorflow: .*weights="given"'):
            api.dump(pair, "tensorflow", tmp_path / "x.npz", weights=first)
    np.savez(tmp_path / "plain.npz", a=np.zeros(2))
    with pytest.raises(ParityError, match="was not written by parity dump"):
        api.dump(DEMO, "tensorflow", tmp_path / "x.npz", weights=tmp_path / "plain.npz")
    with pytest.raises(ParityError, match=r"is no \.npz or \.safetensors file"):
        api.dump(DEMO, "torch", tmp_path / "x.npy", examples=1)


@pytest.mark.parametrize("document", ["{", "[]", '{"schema": 2}', '{"schema": 1, "side": "torch"}'])
def test_a_damaged_file_is_one_line(document, tmp_path):
    arrays = {dumped.KEY: np.frombuffer(document.encode(), np.uint8)}

    with pytest.raises(ParityError, match="is no file of parity dump"):
        dumped.of(tmp_path / "a.npz", arrays)


NEITHER = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "tensorflow", "keras"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())
from parity.frontends.cli import main
main()
"""


def test_the_command_line_compares_with_neither_framework(files, tmp_path):
    first, second = files(DEMO, "demo", "safetensors", examples=4)
    command = [sys.executable, "-c", NEITHER, "compare", first.name, second.name]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.count("torch and tensorflow are different") == 2
    assert "and 2 more, which --json has" in result.stdout
    assert result.stdout.splitlines()[-1].endswith(f": {first.name} and {second.name}, 4 arrays")
