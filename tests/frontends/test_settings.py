"""Settings of a folder's configuration that a converter drops are told from those that it follows or refuses."""

import json
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair, ParityError, backends, strategies
from parity.backends.torch import ported
from parity.frontends import settings
from parity.frontends.ported import Origin
from parity.report import relations as table

CONFIG = {"model_type": "toy", "scale": 2.0, "norm_eps": 1e-6, "width": 5, "hidden_act": "tanh", "bias": True}
CONFIG |= {
    "dropout": 0.1,
    "inner": {"shift": 1.0, "st. rope": {"theta": 3.0}},
    "extra": 3,
    "names": ["a"],
    "initial": None,
    "_commit": 1.5,
}
WEIGHTS = np.random.default_rng(0).standard_normal((5, 5)).astype(np.float32)


def computed(config, x, ops):
    y = ops.tanh(x) if config["hidden_act"] == "tanh" else ops.relu(x)
    y = y * config["scale"] + config["inner"]["shift"] + (0.25 if config["bias"] else 0.0)
    y = y + config["inner"]["st. rope"]["theta"]
    return y / (config["norm_eps"] + (y * y).sum() ** 0.5) if ops is torch else y


class Source(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config["width"] != 5:
            raise ValueError("other weights")
        self.config, self.weight = config, nn.Parameter(torch.from_numpy(WEIGHTS.copy()))
        self.more = nn.Parameter(torch.randn(()) if config["extra"] != 3 else torch.zeros(()))

    def forward(self, x):
        return computed(self.config, x @ self.weight.to(x.dtype), torch) + self.more


class Port:
    """It takes the activation for tanh, and another norm."""

    def __init__(self, config):
        if not config["bias"]:
            raise ValueError("no bias is not supported")
        self.config, self.variables = config, [tf.Variable(WEIGHTS)]

    def __call__(self, x):
        y = tf.tanh(x @ tf.cast(self.variables[0], x.dtype)) * self.config["scale"] + self.config["inner"]["shift"]
        y += 3.25  # a bias, and theta as it is by default
        return y / (1e-6 + tf.reduce_sum(y * y) ** 0.5)


def read(folder):
    return json.loads((Path(folder) / "config.json").read_text())


def convert(folder):
    return Port(read(folder))


@pytest.fixture
def pair(tmp_path, monkeypatch):
    backends.load()
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "acme_settings", SimpleNamespace(convert=convert))
    monkeypatch.setattr(ported, "of_folder", lambda _, path, __: Source(read(path)))
    source = Origin("toy", "huggingface", str(tmp_path))
    port = Origin("acme_settings:convert", "builder", "", "acme_settings:convert", str(tmp_path))
    return partial(Pair, "toy", torch=source, tensorflow=port, inputs=strategies.arrays(5), weights="given")


def test_each_field_is_followed_ignored_refused_or_without_effect(pair):
    found = {field.name: field for field in settings.survey(pair(), ("torch", "tensorflow"))}

    assert {name: field.verdict for name, field in found.items()} == {
        "scale": settings.FOLLOWED,
        "norm_eps": settings.IGNORED,
        "hidden_act": settings.IGNORED,
        "bias": settings.REFUSED,
        "dropout": settings.WITHOUT,
        "inner.shift": settings.FOLLOWED,
        "inner.st. rope.theta": settings.IGNORED,
    }
    assert found["bias"].told.endswith("no bias is not supported")


def test_what_fails_is_told_first_and_last():
    fields = [settings.Field(("scale",), 2.0, 4.0, settings.FOLLOWED)]
    fields.append(settings.Field(("eps",), 1.0, 2.0, settings.IGNORED))
    lines = []
    table.show_settings(fields, SimpleNamespace(print=lambda *line, **_: lines.append(str(*line))))

    assert lines[2].split() == ["eps", "1.0", "->", "2.0", "ignored"]
    assert lines[-1] == "FAIL: 1 of 2 settings that matter are dropped: eps"


def test_a_port_that_is_not_converted_has_no_settings(pair):
    with pytest.raises(ParityError, match="--settings needs a Hugging Face folder, and a PORT that"):
        settings.survey(pair(tensorflow=convert), ("torch", "tensorflow"))
