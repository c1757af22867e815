"""Transfer: bit-exact there and back, every variable accounted for, and what does not fit is named."""

import dataclasses
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import backends, checks, strategies
from parity.backends import SIDES
from parity.canonical import weights
from parity.canonical.weights import Weights
from parity.checks import runner
from parity.dtypes import EPS
from parity.errors import ParityError
from parity.pair import transfer
from parity.pair.models import PairModels
from parity.pair.pair import Pair

WEIGHTS = Weights(5, 1.0)
IDS = np.array([[5, 6, 7, 7, 5], [9, 8, 0, 0, 0]], np.int64)


def test_transfer_there_and_back_keeps_every_torch_bit(lstm):
    loaded = backends.load()
    torch, keras = (loaded[side].Model(lstm.builds[side], "float32", 0) for side in SIDES)
    layout = transfer.layout("torch", torch)
    before = {name: tensor.numpy().copy() for name, tensor in torch.module.state_dict().items()}
    transfer.transfer(torch, keras, layout)
    torch.write({name: np.zeros_like(array) for name, array in torch.read().items()})
    transfer.transfer(keras, torch, layout)

    for name, tensor in torch.module.state_dict().items():
        np.testing.assert_array_equal(before[name], tensor.numpy())


def test_both_torch_biases_arrive_as_their_sum(lstm):
    import torch as framework

    loaded = backends.load()
    torch, keras = (loaded[side].Model(lstm.builds[side], "float64", 0) for side in SIDES)
    with framework.no_grad():
        torch.module.lstm.bias_hh_l0.uniform_(-0.5, 0.5)
    transfer.transfer(torch, keras, transfer.layout("torch", torch))

    expected = torch.module.lstm.bias_ih_l0 + torch.module.lstm.bias_hh_l0
    np.testing.assert_array_equal(keras.module.lstm.cell.bias.numpy(), expected.detach().numpy())
    assert np.abs(torch.logits(IDS) - keras.logits(IDS)).max() < 16 * EPS["float64"]


def values_of(corners):
    return weights.draw(corners.layout, WEIGHTS)


UNFITTING = {
    "missing": (lambda v: v.pop("lstm.bias"), "lstm.bias is missing from the values"),
    "extra": (lambda v: v.update(other=v["head.bias"]), "other is not a parameter of the model"),
    "transposed": (
        lambda v: v.update({"head.kernel": v["head.kernel"].T}),
        "head.kernel is (128, 1000) float32, but should be (1000, 128) float32",
    ),
    "cast": (
        lambda v: v.update({"head.bias": v["head.bias"].astype(np.float64)}),
        "head.bias is (1000,) float64, but should be (1000,) float32",
    ),
}


@pytest.mark.parametrize("fault", UNFITTING)
@pytest.mark.parametrize("side", SIDES)
def test_unfitting_values_are_named_and_nothing_is_written(fault, side, corners):
    corners.ensure(WEIGHTS)
    model = corners.models[side, "float32"]
    change, message = UNFITTING[fault]
    values = values_of(corners)
    change(values)
    before = model.read()
    with pytest.raises(ParityError) as caught:
        transfer.write(model, values, corners.layout)

    assert str(caught.value) == message
    for name, array in model.read().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(("source", "target"), [SIDES, SIDES[::-1]])
def test_nothing_is_cast_on_the_way_to_a_model_of_another_precision(source, target, corners):
    corners.ensure(WEIGHTS)
    for dtypes in (("float32", "float64"), ("float64", "float32")):
        models = (corners.models[corner] for corner in zip((source, target), dtypes, strict=True))
        with pytest.raises(ParityError, match=rf" is \(.*\) {dtypes[0]}, but should be \(.*\) {dtypes[1]}$"):
            transfer.transfer(*models, corners.layout)


def test_two_layers_of_one_name_are_named(small):
    """Only one of them would be read, and both be given its weights."""
    import keras

    class Twice(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="twice")
            self.steps = [keras.layers.Dense(1000, name="step") for _ in range(2)]

        def call(self, x):
            return self.steps[0](x) + self.steps[1](x)

    model = keras.Sequential([keras.layers.Embedding(1000, 11, name="embedding"), Twice()])
    corner = backends.load()["tensorflow"].Model(lambda: model, "float32", small.pad)

    with pytest.raises(ParityError, match=r"tensorflow: 2 layers are called twice.step; give each its own name"):
        transfer.layout("tensorflow", corner)


def test_a_layer_that_is_never_called_is_left_out_and_named(lstm, small):
    import torch

    from parity.reference.lstm.config import Config
    from parity.reference.lstm.torch import LanguageModel

    def with_another():
        model = LanguageModel(Config(small.vocab))
        model.more = torch.nn.Linear(3, 5)
        return model

    found = PairModels(dataclasses.replace(lstm, torch=with_another)).exercised.missing(())
    assert found == ("parameters of torch's more, which the other side has not: never called",)


def test_twins_of_other_shapes_are_named(lstm, small):
    from parity.reference.lstm.config import Config
    from parity.reference.lstm.torch import LanguageModel

    with pytest.raises(
        ParityError,
        match=r"lstm: torch has lstm input_kernel \(512, 64\), .* tensorflow has lstm input_kernel \(516, 64\), ",
    ):
        PairModels(
            dataclasses.replace(
                lstm, torch=lambda: LanguageModel(Config(small.vocab)), tensorflow=lambda: keras_lstm(129)
            )
        )


def keras_lstm(units):
    from parity.reference.lstm.config import Config
    from parity.reference.lstm.tensorflow import LanguageModel

    return LanguageModel(Config(1000, units=units))


@pytest.mark.parametrize(
    ("side", "wanted"), [("torch", "a torch.nn.Module"), ("tensorflow", "a Keras model")], ids=SIDES
)
def test_a_builder_that_returns_something_else_is_named(side, wanted, small):
    builds = {one: (lambda: "no model") for one in SIDES}
    pair = Pair("nothing", **builds, tokenizer=small)

    with pytest.raises(ParityError, match=rf"the {side} builder returned str; it must return {wanted}"):
        backends.load()[side].Model(pair.builds[side], "float32", 0)


def test_any_way_of_writing_a_keras_model_will_do(small):
    """Sequential, functional, and a subclass that is registered nowhere; each survives every check."""
    import keras

    def layers():
        return (
            keras.layers.Embedding(1000, 11, name="embedding"),
            keras.layers.LSTM(13, return_sequences=True, name="lstm"),
            keras.layers.Dense(1000, name="head"),
        )

    def functional():
        inputs = x = keras.Input((None,), dtype="int64")
        for layer in layers():
            x = layer(x)
        return keras.Model(inputs, x)

    class Plain(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.embedding, self.lstm, self.head = layers()

        def call(self, ids):
            return self.head(self.lstm(self.embedding(ids)))

    from parity.reference.lstm.config import Config
    from parity.reference.lstm.torch import LanguageModel

    for build in (lambda: keras.Sequential(layers()), functional, Plain):
        pair = Pair("any", lambda: LanguageModel(Config(1000, 11, 13)), build, small)
        corners = PairModels(pair)
        for module in checks.CHECKS[3:5]:
            assert runner.run_check(module, corners, 0, 5, "").findings == []
        model = corners.models["tensorflow", "float32"]
        with tempfile.TemporaryDirectory() as scratch:
            for suffix in corners.backends["tensorflow"].FORMATS:
                path = Path(scratch) / f"model{suffix}"
                model.save(path)
                loaded = corners.backends["tensorflow"].load(build, "float32", 0, path)
                np.testing.assert_array_equal(loaded.logits(IDS), model.logits(IDS))


class Residual(nn.Module):
    """A branch that a learnt number weighs, as ReZero's."""

    def __init__(self):
        super().__init__()
        self.branch, self.alpha = nn.Linear(5, 5), nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return x + self.alpha * torch.tanh(self.branch(x))


class KerasResidual(keras.Model):
    def __init__(self):
        super().__init__()
        self.branch, self.alpha = keras.layers.Dense(5, name="branch"), self.add_weight(shape=(), name="alpha")

    def call(self, x):
        return x + self.alpha * keras.ops.tanh(self.branch(x))


def test_a_parameter_without_dimensions_is_carried_and_trained():
    """NumPy makes a scalar of such an array in any arithmetic."""
    models = PairModels(Pair("residual", Residual, KerasResidual, inputs=strategies.arrays(5)))

    for check in (checks.weights, checks.training):
        outcome = runner.run_check(check, models, 0, 1, "")
        assert (outcome.findings, outcome.error) == ([], None)
    assert "alpha.value" in models.layout
