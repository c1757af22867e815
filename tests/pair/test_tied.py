"""Tied weights: one parameter on each side, wherever it is used again; a tie on one side only is caught."""

from dataclasses import replace

import numpy as np
import pytest

from parity import backends
from parity.canonical.weights import Weights
from parity.checks import CHECKS, forward, gradients, reload, resume, runner, training
from parity.dtypes import EPS
from parity.errors import ParityError
from parity.pair import transfer
from parity.pair.models import PairModels
from parity.pair.pair import Pair

VOCAB, WIDTH, UNITS = 1000, 11, 13
WEIGHTS = Weights(5, 1.0)
IDS = np.array([[5, 6, 7, 7, 5], [9, 8, 0, 0, 0]], np.int64)
TARGETS = np.array([[6, 7, 7, 5, 1], [8, 3, 0, 0, 0]], np.int64)


def torch_tied(tie=True, bias=False):
    """A head that is a layer, whose weight is the table."""
    from torch import nn

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCAB, WIDTH)
            self.wide, self.narrow = nn.Linear(WIDTH, UNITS), nn.Linear(UNITS, WIDTH)
            self.head = nn.Linear(WIDTH, VOCAB, bias=bias)
            if tie:
                self.head.weight = self.embedding.weight

        def forward(self, ids):
            x = self.narrow(self.wide(self.embedding(ids)).tanh())
            return self.head(x)  # (batch, time, width) -> (batch, time, vocab)

    return Tied()


def keras_tied(head=None):
    """A head that is no layer at all, or a layer of the user's: `head(embedding)`, which gives logits of x."""
    import keras
    import tensorflow as tf

    class Tied(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.embedding = keras.layers.Embedding(VOCAB, WIDTH, name="embedding")
            self.wide = keras.layers.Dense(UNITS, activation="tanh", name="wide")
            self.narrow = keras.layers.Dense(WIDTH, name="narrow")
            self.head = head(self.embedding) if head else self.as_table
            self(keras.Input((None,), dtype="int64"))

        def as_table(self, x):
            return tf.matmul(x, self.embedding.embeddings, transpose_b=True)  # (batch, time, vocab)

        def call(self, ids):
            return self.head(self.narrow(self.wide(self.embedding(ids))))

    return Tied()


def keras_with_a_head_of_its_own():
    """A layer of the user's, which holds the embedding."""
    import keras
    import tensorflow as tf

    class Head(keras.layers.Layer):
        def __init__(self, embedding, **kwargs):
            super().__init__(**kwargs)
            self.embedding = embedding

        def call(self, x):
            return tf.matmul(x, self.embedding.embeddings, transpose_b=True)

    return keras_tied(lambda embedding: Head(embedding, name="head"))


def keras_untied():
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Embedding(VOCAB, WIDTH, name="embedding"),
            layers.Dense(UNITS, activation="tanh", name="wide"),
            layers.Dense(WIDTH, name="narrow"),
            layers.Dense(VOCAB, name="head"),
        ]
    )


@pytest.fixture(scope="module")
def pair(small):
    return Pair("tied", torch_tied, keras_tied, small)


@pytest.fixture(scope="module")
def tied(pair):
    return PairModels(pair)


@pytest.mark.parametrize("module", CHECKS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_tied_pair_holds_every_check(module, tied):
    outcome = runner.run_check(module, tied, 0, 10, "parity check")

    assert outcome.findings == []
    assert outcome.elements > 0


def test_the_table_is_carried_once(tied):
    dense = [f"{name}.{parameter}" for name in ("wide", "narrow") for parameter in ("kernel", "bias")]

    assert list(tied.layout) == ["embedding.table", *dense]


def test_the_gradient_is_the_sum_of_both_parts(pair):
    """Of the table as it is looked up and as it stands in the head: what an untied pair has apart, at equal values."""
    tied, apart = (
        PairModels(pair),
        PairModels(replace(pair, torch=lambda: torch_tied(False, True), tensorflow=keras_untied)),
    )
    apart.load(WEIGHTS)
    for corner, model in apart.models.items():
        values = model.read()
        values["head.kernel"], values["head.bias"] = values["embedding.table"], np.zeros_like(values["head.bias"])
        model.write(values)
        tied.models[corner].write({name: array for name, array in values.items() if name in tied.layout})
    for side in tied.backends:
        found, parts = (of.models[side, "float64"].gradients(IDS, TARGETS) for of in (tied, apart))
        lookup, head = parts["embedding.table"], parts["head.kernel"]
        largest = min(np.abs(lookup).max(), np.abs(head).max())
        assert np.abs(found["embedding.table"] - (lookup + head)).max() <= 16 * EPS["float64"] * largest


def test_a_head_layer_that_holds_the_embedding_is_the_same(pair):
    corners = PairModels(replace(pair, tensorflow=keras_with_a_head_of_its_own))

    assert [name for name in corners.layout if name.endswith("table")] == ["embedding.table"]
    for module in (forward, gradients, training, reload, resume):
        assert runner.run_check(module, corners, 0, 10, "parity check").findings == []


# Faults


def without_the_head():
    import tensorflow as tf

    return keras_tied(lambda table: lambda x: tf.matmul(x, tf.stop_gradient(table.embeddings), transpose_b=True))


def test_a_head_that_does_not_learn_is_caught_behind_equal_logits(pair, message_of):
    corners = PairModels(replace(pair, tensorflow=without_the_head))

    assert runner.run_check(forward, corners, 0, 10, "parity check").findings == []
    assert message_of(gradients, corners).startswith("gradient of embedding.table (1000, 11): torch and tensorflow")


@pytest.mark.parametrize(
    ("changes", "message", "advice"),
    [
        (
            {"tensorflow": keras_untied},
            "torch's none and tensorflow's head (dense kernel (1000, 11)",
            "if torch ties it to embedding, tie it in tensorflow too;",
        ),
        (
            {"torch": lambda: torch_tied(False, True)},
            "torch's head (dense kernel (1000, 11), bias (1000)) and",
            "if tensorflow ties it to embedding, tie it in torch too;",
        ),
    ],
    ids=["tensorflow", "torch"],
)
def test_a_tie_on_one_side_only_is_refused_and_named(changes, message, advice, pair):
    with pytest.raises(ParityError) as caught:
        PairModels(replace(pair, **changes))

    assert f"unmatched are {message}" in str(caught.value)
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bias_beside_a_tie_is_trained_on_one_side_alone(pair, message_of):
    corners = PairModels(replace(pair, torch=lambda: torch_tied(bias=True)))

    assert message_of(gradients, corners).startswith("whether head.bias is trained (1)")


def copied():
    """Tied once, and no longer: the head is a copy that goes its own way."""
    from torch import nn

    model = torch_tied()
    head = nn.Parameter(model.embedding.weight.detach().clone())
    model.head.forward = lambda x: x @ head.T
    return model


def test_a_head_that_has_left_the_table_is_caught(pair, message_of):
    assert "torch and tensorflow are different" in message_of(forward, PairModels(replace(pair, torch=copied)))


def test_a_tie_of_half_a_parameter_is_refused(small):
    """Both biases of an LSTM are one parameter; it cannot be another's in part."""
    from torch import nn

    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCAB, WIDTH)
            self.one, self.two = nn.LSTM(WIDTH, UNITS), nn.LSTM(WIDTH, UNITS)
            self.two.bias_ih_l0 = self.one.bias_ih_l0

    model = backends.load()["torch"].Model(Half, "float32", small.pad)
    with pytest.raises(ParityError, match=r"^torch: variable one.bias_ih_l0 is tied, but not by whole parameters; "):
        transfer.layout("torch", model)


# Files: torch has a tied tensor under both names, safetensors takes one


def test_a_state_that_torch_wrote_has_both_names_and_safetensors_the_first(tied, tmp_path):
    import safetensors.torch
    import torch

    tied.load(WEIGHTS)
    model = tied.models["torch", "float32"]
    for suffix in (".pth", ".safetensors"):
        model.save(tmp_path / f"model{suffix}")
        again = tied.backends["torch"].load(torch_tied, "float32", 0, tmp_path / f"model{suffix}")
        np.testing.assert_array_equal(again.logits(IDS), model.logits(IDS))
        assert again.module.head.weight is again.module.embedding.weight

    both = {"embedding.weight", "head.weight"}
    assert both <= set(torch.load(tmp_path / "model.pth"))
    assert both & set(safetensors.torch.load_file(tmp_path / "model.safetensors")) == {"embedding.weight"}
    torch_tied().load_state_dict(torch.load(tmp_path / "model.pth"))
    safetensors.torch.load_model(torch_tied(), tmp_path / "model.safetensors")


def test_a_state_of_an_untied_model_is_refused(tied, tmp_path):
    """load_state_dict would let the last one win."""
    import torch

    torch.save(torch_tied(tie=False).state_dict(), tmp_path / "model.pth")
    with pytest.raises(ParityError) as caught:
        tied.backends["torch"].load(torch_tied, "float32", 0, tmp_path / "model.pth")

    assert str(caught.value) == (
        f"{tmp_path}/model.pth: head.weight differs from embedding.weight, but the model holds one tensor for both"
    )
