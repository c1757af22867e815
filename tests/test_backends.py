"""Backends and transfer: precisions, the protocol's verbs, bit-exact weights, the exact twin Adam."""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from parity import backends, layers, transfer
from parity.backends import PRECISIONS, SIDES
from parity.errors import ParityError
from parity.layers import Weights
from parity.pair import Corners, Pair
from parity.square import EPS64, norm

WEIGHTS = Weights(5, 1.0)
IDS = np.array([[5, 6, 7, 7, 5], [9, 8, 0, 0, 0]], np.int64)
TARGETS = np.array([[6, 7, 7, 5, 1], [8, 3, 0, 0, 0]], np.int64)
CORNERS = [(side, dtype) for side in SIDES for dtype in PRECISIONS]


@pytest.fixture(scope="module")
def loaded(corners):
    corners.load(WEIGHTS)
    return corners


@pytest.mark.parametrize("corner", CORNERS)
def test_results_have_the_corners_dtype_and_shape(corner, loaded):
    model = loaded.models[corner]
    loaded.ensure(WEIGHTS)

    assert model.logits(IDS).dtype == corner[1]
    assert model.logits(IDS).shape == (2, 5, 1000)
    assert (model.loss(IDS, TARGETS).dtype, model.loss(IDS, TARGETS).shape) == (corner[1], ())
    assert {g.dtype.name for g in model.gradients(IDS, TARGETS).values()} == {corner[1]}


@pytest.mark.parametrize("side", SIDES)
def test_precisions_take_turns_in_one_process(side, lstm):
    """float32, float64, float32: the two float32 models give identical bits."""
    backend = backends.load()[side]
    results = []
    for dtype in ("float32", "float64", "float32"):
        model = backend.Model(lstm.builds[side], dtype, 0)
        layout = transfer.layout(side, model)
        values = {name: a.astype(dtype) for name, a in layers.draw(layout, WEIGHTS).items()}
        transfer.write(model, values, layout)
        results.append([model.logits(IDS), model.loss(IDS, TARGETS), *model.gradients(IDS, TARGETS).values()])

    for first, third in zip(results[0], results[2], strict=True):
        assert first.dtype == np.float32
        np.testing.assert_array_equal(first, third)


def test_the_surroundings_are_restored(lstm):
    import keras
    import tensorflow as tf
    import torch

    before = torch.get_default_dtype(), keras.config.floatx(), keras.config.dtype_policy().name, tf.cast
    Corners(lstm)

    assert before == (torch.get_default_dtype(), keras.config.floatx(), keras.config.dtype_policy().name, tf.cast)


def test_float64_is_clean_of_float32_constants():
    """tf.cast takes 0.1 through float32: GELU would be off by 5e-9."""
    import keras
    import tensorflow as tf
    import torch

    from parity.backends import tensorflow as backend

    points = np.linspace(-3, 3, 101)
    torch_gelu = torch.nn.functional.gelu(torch.from_numpy(points)).numpy()
    plain = keras.activations.gelu(tf.constant(points)).numpy()
    with backend.precision("float64"):
        clean = keras.activations.gelu(tf.constant(points)).numpy()

    assert np.abs(plain - torch_gelu).max() > 1e-9
    assert np.abs(clean - torch_gelu).max() < 16 * EPS64


def test_logits_agree_to_the_last_digits_of_float64(loaded):
    loaded.ensure(WEIGHTS)
    square = loaded.logits(IDS, np.ones_like(IDS, bool))

    assert square.meaning.worst < 16 * EPS64 * square.meaning.scale


@pytest.mark.parametrize("corner", CORNERS)
def test_what_was_read_does_not_follow_the_model(corner, loaded):
    model = loaded.models[corner]
    before = model.read()
    kept = {name: array.copy() for name, array in before.items()}
    loaded.load(Weights(6, 1.0))

    for name, array in before.items():
        np.testing.assert_array_equal(array, kept[name])


@pytest.mark.parametrize("side", SIDES)
def test_advancing_gives_what_the_whole_text_gives(side, loaded):
    loaded.ensure(WEIGHTS)
    model = loaded.models[side, "float64"]
    first, state = model.advance(IDS[:, :2], None)
    second, _ = model.advance(IDS[:, 2:], state)
    whole = model.logits(IDS)

    assert np.abs(np.concatenate([first, second], 1) - whole).max() < 16 * EPS64 * np.abs(whole).max()


LATE = """
import tensorflow as tf
from parity import backends, errors

tf.constant(1.0) + 1
try:
    backends.load()
except errors.ParityError as error:
    print(error)
"""


def test_an_operation_before_the_threads_are_settled_is_named():
    result = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)

    assert result.stdout == (
        "TensorFlow has run an operation before parity could settle its threads and devices; "
        "call parity.backends.load() before that, in conftest.py for instance\n"
    )


def test_loading_twice_is_nothing():
    assert backends.load() == backends.load()


# transfer


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
    assert np.abs(torch.logits(IDS) - keras.logits(IDS)).max() < 16 * EPS64


def values_of(corners):
    return layers.draw(corners.layout, WEIGHTS)


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


def test_a_variable_of_no_known_kind_is_named(broken):
    import torch

    with pytest.raises(
        ParityError, match=r"torch: variable norm.weight belongs to no layer of a kind that parity knows"
    ):
        broken(torch=lambda model: setattr(model, "norm", torch.nn.LayerNorm(7)))


def test_tied_weights_are_named(broken):
    import torch

    def tie(model):
        model.twin = torch.nn.Embedding(1000, 64)
        model.twin.weight = model.embedding.weight

    with pytest.raises(ParityError, match=r"torch: variable embedding.weight is used by 2 layers"):
        broken(torch=tie)


def test_layers_without_a_twin_are_named(lstm, small):
    from parity.reference.lstm import Config, _torch

    def other_name():
        model = _torch(Config(small.vocab))
        model.output = model.head
        del model.head
        return model

    with pytest.raises(ParityError, match=r"output.kernel of torch has no twin in tensorflow, which has .* head"):
        Corners(dataclasses.replace(lstm, torch=other_name))


def test_twins_of_other_shapes_are_named(lstm, small):
    from parity.reference.lstm import Config, _torch

    with pytest.raises(
        ParityError,
        match=r"lstm.input_kernel: torch has a lstm of shape \(512, 64\), tensorflow has a lstm of shape \(516, 64\)",
    ):
        Corners(
            dataclasses.replace(lstm, torch=lambda: _torch(Config(small.vocab)), tensorflow=lambda: keras_lstm(129))
        )


def keras_lstm(units):
    from parity.reference.lstm import Config, _tensorflow

    return _tensorflow(Config(1000, units=units))


def test_a_builder_that_fixes_its_dtype_is_named(lstm):
    with pytest.raises(ParityError, match=r"torch: embedding.table is float32 in a model built as float64"):
        Corners(dataclasses.replace(lstm, torch=lambda: lstm.torch().float()))


@pytest.mark.parametrize(
    ("side", "wanted"), [("torch", "a torch.nn.Module"), ("tensorflow", "a keras.Model")], ids=SIDES
)
def test_a_builder_that_returns_something_else_is_named(side, wanted, small):
    builds = {one: (lambda: "no model") for one in SIDES}
    pair = Pair("nothing", **builds, tokenizer=small)

    with pytest.raises(ParityError, match=rf"the {side} builder returned str; it must return {wanted}"):
        backends.load()[side].Model(pair.builds[side], "float32", 0)


def test_any_way_of_writing_a_keras_model_will_do(small):
    """Sequential, functional, and a subclass that is registered nowhere; each survives every check."""
    import keras

    from parity import run

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

    from parity.reference.lstm import Config, _torch

    for build in (lambda: keras.Sequential(layers()), functional, Plain):
        pair = Pair("any", lambda: _torch(Config(1000, 11, 13)), build, small)
        corners = Corners(pair)
        for module in run.CHECKS[2:4]:
            assert run.run_one(module, corners, 0, 5, "").findings == []
        model = corners.models["tensorflow", "float32"]
        with tempfile.TemporaryDirectory() as scratch:
            for suffix in corners.backends["tensorflow"].FORMATS:
                path = Path(scratch) / f"model{suffix}"
                model.save(path)
                loaded = corners.backends["tensorflow"].load(build, "float32", 0, path)
                np.testing.assert_array_equal(loaded.logits(IDS), model.logits(IDS))


UNSUPPORTED = {
    "two layers": {"num_layers": 2},
    "two directions": {"bidirectional": True},
    "a projection": {"proj_size": 3},
    "no bias": {"bias": False},
}


@pytest.mark.parametrize("options", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_an_lstm_that_has_no_twin_is_refused(options, broken):
    import torch

    def replace(model):
        model.lstm = torch.nn.LSTM(64, 128, batch_first=True, **options)

    with pytest.raises(ParityError, match=r"^lstm: "):
        broken(torch=replace)


# Adam


def trained(corners, steps, learning_rate=1e-3):
    """The weights of all corners after some steps on batches with repeated tokens."""
    corners.load(WEIGHTS)
    random = np.random.default_rng(0)
    learners = {corner: model.adam(learning_rate) for corner, model in corners.models.items()}
    for _ in range(steps):
        ids = random.integers(1, 40, (3, 7))
        for learn in learners.values():
            learn(ids[:, :-1], ids[:, 1:])
    return {corner: model.read() for corner, model in corners.models.items()}


def test_twin_adams_agree_to_float64_rounding(lstm):
    corners = Corners(lstm)
    weights = trained(corners, 10)

    for name, ours in weights["torch", "float64"].items():
        assert np.abs(ours - weights["tensorflow", "float64"][name]).max() < 1e-3 * 1e-9, name
        assert np.abs(ours - values_of(corners)[name]).max() > 1e-3


def test_stock_keras_adam_does_not(lstm):
    """What the twin is for: the test above would not pass with the optimizer that Keras brings."""
    import keras

    from parity.backends import tensorflow as backend

    class Stock:
        def __init__(self, variables, learning_rate):
            self.variables = [variable.value for variable in variables]
            self.optimizer = keras.optimizers.Adam(learning_rate, epsilon=1e-8)
            self.optimizer.build(variables)
            self.trained = variables

        def apply(self, gradients):
            self.optimizer.apply(gradients, self.trained)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "Adam", Stock)
        weights = trained(Corners(lstm), 2)

    gaps = {n: np.abs(a - weights["tensorflow", "float64"][n]).max() for n, a in weights["torch", "float64"].items()}
    assert gaps["embedding.table"] > 1e-3 * 1e-3


def test_gradients_sum_over_repeated_tokens(loaded):
    loaded.ensure(WEIGHTS)
    gradients = loaded.gradients(np.full((1, 6), 7), np.full((1, 6), 8))
    table = gradients["embedding.table"]

    assert np.flatnonzero(np.abs(table.first64).max(1)).tolist() == [7]
    assert table.meaning.worst < 16 * EPS64 * norm(gradients)
