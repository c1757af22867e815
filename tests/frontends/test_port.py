"""`parity port`: two models of folders, files and builders, without a Python file of the user's."""

import json
import re
import sys
import zipfile

import keras
import numpy as np
import pytest
import safetensors.torch
import tensorflow as tf
import torch
from click.testing import CliRunner

from parity import backends
from parity.errors import ParityError
from parity.frontends import cli
from parity.frontends.ported import origin, taken

ACME = """
import keras
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.mix, self.head = nn.Embedding(19, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, ids):
        return self.head(torch.tanh(self.mix(self.table(ids))))


def original():
    return Net()


def converted(folder):
    return keras.saving.load_model(folder + "/acme.keras", compile=False)


def drawn():
    layers = keras.layers
    mix = layers.Dense(6, "tanh", name="mix")
    return keras.Sequential(
        [keras.Input((7,), dtype="int32"), layers.Embedding(19, 6, name="table"), mix, layers.Dense(3, name="head")]
    )


number = 3
"""


class Program(tf.Module):
    """Without layers, as a SavedModel comes back."""

    def __init__(self, given):
        super().__init__()
        self.values = {name: tf.Variable(array) for name, array in given.items()}

    @tf.function(input_signature=[tf.TensorSpec((None, 7), tf.int64)])
    def __call__(self, ids):
        given = self.values
        x = tf.tanh(tf.gather(given["table"], ids) @ given["mix"] + given["mix_bias"])
        return x @ given["head"] + given["head_bias"]


@pytest.fixture(scope="module")
def given():
    random = np.random.default_rng(0)
    shapes = {"table": (19, 6), "mix": (6, 6), "mix_bias": (6,), "head": (6, 3), "head_bias": (3,)}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def acme(given, tmp_path_factory):
    """A folder with the same values in several forms, and a module that builds what they go into."""
    backends.load()
    folder = tmp_path_factory.mktemp("acme")
    (folder / "acme_port.py").write_text(ACME)
    names = {"table": "table.weight", "mix": "mix.weight", "head": "head.weight", "mix_bias": "mix.bias"}
    state = {
        names.get(name, "head.bias"): torch.from_numpy(array.T.copy() if name in ("mix", "head") else array)
        for name, array in given.items()
    }
    safetensors.torch.save_file(state, folder / "acme.safetensors")
    torch.save(state, folder / "acme.pth")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            layers.Embedding(19, 6, name="table"),
            layers.Dense(6, "tanh", name="mix"),
            layers.Dense(3, name="head"),
        ]
    )
    for name, turned in (("acme", False), ("wrong", True)):
        mix = given["mix"].T if turned else given["mix"]
        model.set_weights([given["table"], mix, given["mix_bias"], given["head"], given["head_bias"]])
        model.save(folder / f"{name}.keras")
        model.save_weights(folder / f"{name}.weights.h5")
        model.export(str(folder / name), verbose=False)
    return folder


@pytest.fixture
def port(acme, monkeypatch):
    """What the command prints, and its exit status, in that folder."""
    monkeypatch.chdir(acme)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*args):
        result = CliRunner().invoke(
            cli.cli, ["port", *args, "--examples", "1", "--check", "forward"], standalone_mode=False
        )
        if result.exception:
            raise result.exception
        return result.return_value, result.stdout

    return run


def test_a_right_conversion_holds_and_shows_what_was_made_from_what(port, acme, valid):
    status, shown = port("acme_port:original@acme.safetensors", "acme.keras", "--json", "found.json")
    document = json.loads((acme / "found.json").read_text())

    assert status == 0
    assert "mix.kernel (6, 6) mix.weight transposed" in " ".join(shown.split())
    assert "5 of 5 parameters were made from the source's, 5 of them bit for bit" in shown
    assert [entry["how"] for entry in document["parameters"]].count(["transposed"]) == 2
    assert valid("report", json.dumps(document))["weights"] == "given"


def test_a_wrong_one_fails_in_the_other_direction_too(port):
    status, shown = port("wrong.keras", "acme_port:original@acme.pth")

    assert status == 1
    assert "mix.weight" in shown
    assert "forward     different" in shown
    assert "rerun: parity port wrong.keras acme_port:original@acme.pth --seed 0" in shown


@pytest.mark.parametrize("port_of", ["acme_port:drawn@acme.weights.h5", "acme"])
def test_weights_that_keras_saved_and_a_model_that_it_exported_are_taken_as_they_are(port, port_of):
    status, shown = port("acme_port:original@acme.safetensors", port_of, "--inputs", "7<19")

    assert status == 0
    assert "5 of 5 parameters were made from the source's, 5 of them bit for bit" in shown
    assert "untied" not in shown


def test_a_saved_model_is_judged(port, given, acme):
    tf.saved_model.save(Program(given), str(acme / "program"))

    assert port("acme_port:original@acme.safetensors", "program", "--inputs", "7<19")[0] == 0


def test_two_models_of_one_framework_are_judged(port):
    status, shown = port("wrong.keras", "acme.keras")

    assert status == 1
    assert "mix.kernel (6, 6) mix.kernel transposed" in " ".join(shown.split())
    assert re.search(r"greatest difference at \(.*\): source \S+, port ", shown)


def test_a_converter_needs_a_folder(port):
    with pytest.raises(ParityError, match=r"takes an argument, the source's folder, but acme.keras is none"):
        port("acme.keras", "acme_port:converted")


REFUSED = {
    "gone.keras": r"^gone.keras: there is no such file or folder; give module:builder, a Hugging Face",
    "acme.safetensors": r"^acme.safetensors: holds weights and no model; give its builder: module:builder@acme.safe",
    "acme.onnx": r"^acme.onnx: is a program, which is judged beside a pair: parity check PAIR --onnx acme.onnx$",
    "acme.tflite": r"^acme.tflite: is a program, .* parity check PAIR --litert acme.tflite$",
    "acme_port:original@gone.pth": r"^gone.pth: there is no such file",
    "acme_port:origin": r"^acme_port:origin: cannot be imported \(AttributeError",
    "empty": r"^empty: has neither config.json nor saved_model.pb; give module:builder",
    "hugging": r'^hugging: transformers is not installed: run python -m pip install "parity\[huggingface\]"$',
    "hub": r'^hub: keras_hub is not installed: run python -m pip install "parity\[kerashub\]"$',
    "broken": r"^broken/config.json: cannot be read as JSON",
    "acme_port:number": r"^acme_port:number: is a int, but should be a function that returns a model",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_model_is_told_in_one_line(text, port, acme):
    configs = {"empty": "", "hugging": '{"model_type": "gpt2"}', "hub": '{"registered_name": "x"}', "broken": "{"}
    for name, config in configs.items():
        (acme / name).mkdir(exist_ok=True)
        if config:
            (acme / name / "config.json").write_text(config)
    for name in ("acme.onnx", "acme.tflite"):
        (acme / name).touch()
    with pytest.raises(ParityError, match=REFUSED[text]) as caught:
        port(text, "acme.keras")

    assert "\n" not in str(caught.value)


def test_inputs_are_sizes_a_file_or_a_name(acme, monkeypatch):
    monkeypatch.chdir(acme)
    np.savez("rows.npz", x=np.zeros((2, 7)))

    assert taken(None, acme) is None
    assert taken("7<19", acme).ids[()].below == 19
    assert taken("rows.npz", acme)["x"].shape == (2, 7)
    with pytest.raises(ParityError, match=r"is no .npz or .npy or .safetensors file"):
        taken("7x11", acme)


def test_a_file_may_not_ask_for_more_than_it_holds(acme, tmp_path):
    path = tmp_path / "huge.keras"
    with zipfile.ZipFile(acme / "acme.keras") as held, zipfile.ZipFile(path, "w") as huge:
        for name in held.namelist():
            huge.writestr(name, held.read(name).replace(b'"input_dim": 19', b'"input_dim": 999999999'))
    with pytest.raises(ParityError, match=r"huge.keras: asks for a variable of shape \(999999999, 6\)"):
        origin(str(path))()
