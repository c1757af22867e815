"""What a user meets who got something wrong: one line each, with what, where, and the next step."""

import keras
import numpy as np
import pytest
from hypothesis import strategies as st
from torch import nn

from parity import ParityError, api, errors, strategies
from parity.checks import calls, forward, runner
from parity.pair.models import PairModels
from parity.pair.pair import Pair

layers = keras.layers
ROWS = strategies.arrays(7)


def chain(*made):
    return lambda: nn.Sequential(*(layer() for layer in made))


def keras_chain(*made):
    return lambda: keras.Sequential([layer() for layer in made])


def linear(*sizes, **settings):
    return lambda: nn.Linear(*sizes, **settings)


def dense(units, **settings):
    return lambda: layers.Dense(units, **settings)


ONE, KERAS_ONE = chain(linear(7, 5)), keras_chain(dense(5, name="0"))
REFUSED = {
    "nothing": (lambda: None, KERAS_ONE, "the torch builder returned NoneType; it must return a torch.nn.Module"),
    "a class": (
        ONE,
        lambda: keras.Model,
        "the tensorflow builder returned the class Model; it must return a Keras model, a tf.Module, a loaded "
        "SavedModel, or a callable with variables",
    ),
    "layers more": (
        chain(linear(7, 9), linear(9, 5), *(lambda: nn.LayerNorm(5),) * 3),
        keras_chain(dense(9, name="0"), dense(5, name="1")),
        "torch has 10 parameters, tensorflow has 4 parameters; unmatched are torch's 2 (layer_norm gain (5), "
        "bias (5)), 3 (layer_norm gain (5), bias (5)), 4 (layer_norm gain (5), bias (5)) and tensorflow's none: "
        'build both with the same layers, of the same sizes; weights="given" takes models as they are',
    ),
    "other sizes": (
        chain(linear(7, 9), linear(9, 5)),
        keras_chain(dense(8, name="0"), dense(5, name="1")),
        "0: torch has dense kernel (9, 7), bias (9), tensorflow has dense kernel (8, 7), bias (8), and 1 more layer "
        'differs; build both with the same layers, of the same sizes; weights="given" takes models as they are',
    ),
    "other sizes and names": (
        chain(linear(7, 9), linear(9, 5)),
        keras_chain(dense(8, name="one"), dense(5, name="two")),
        "sizes differ: torch's 0 has dense kernel (9, 7), bias (9), tensorflow's one has dense kernel (8, 7), "
        "bias (8), and 1 more layer differs: build both with the same layers, of the same sizes; "
        'weights="given" takes models as they are',
    ),
    "numbers for ids": (
        chain(lambda: nn.Embedding(90, 5)),
        keras_chain(lambda: layers.Embedding(90, 5, name="0")),
        "the torch model cannot be called on float32 (2, 7): RuntimeError: Expected tensor for argument #1 'indices' "
        "to have one of the following scalar types: Long, Int; but got torch.FloatTensor instead (while checking "
        "arguments for embedding); 0 is an embedding, which takes ids: draw them by strategies.ids(length, 90) or "
        "strategies.arrays(..., below=90)",
    ),
    "torch cannot be called": (
        chain(linear(8, 5)),
        KERAS_ONE,
        "the torch model cannot be called on float32 (2, 7): RuntimeError: mat1 and mat2 shapes cannot be multiplied "
        "(2x7 and 8x5); draw other inputs by inputs=, or adapt these by call={...}",
    ),
    "a cast": (
        chain(lambda: nn.Linear(7, 5).half()),
        KERAS_ONE,
        "the torch model cannot be called on float32 (2, 7): RuntimeError: mat1 and mat2 must have the same dtype, but "
        "got Float and Half; its builder casts parameters to float16: build it without a cast, parity sets the "
        "precision",
    ),
    "Keras cannot be called": (
        ONE,
        keras_chain(lambda: keras.Input((8,)), dense(5, name="0")),
        "the tensorflow model cannot be called on float32 (2, 7): ValueError: Input 0 with name 'None' of layer '0' is "
        "incompatible with the layer: expected axis -1 of input shape to have value 8, but received input with shape "
        "(2, 7); draw other inputs by inputs=, or adapt these by call={...}",
    ),
}


def two(*shape):
    """Two rows, always."""
    return st.integers(0, 99).map(
        lambda seed: np.random.default_rng(seed).standard_normal((2, *shape)).astype(np.float32)
    )


@pytest.mark.parametrize("what", REFUSED)
def test_a_pair_that_cannot_be_checked_is_refused_in_one_line(what):
    torch, tensorflow, message = REFUSED[what]
    with pytest.raises(ParityError) as caught:
        PairModels(Pair("acme", torch, tensorflow, inputs=two(7)))

    assert str(caught.value) == message


@pytest.mark.parametrize("model", [nn.Linear(7, 5), "acme.model"], ids=["a model", "a name"])
def test_a_model_in_the_place_of_its_builder_is_refused(model):
    with pytest.raises(ParityError) as caught:
        Pair("acme", model, KERAS_ONE, inputs=ROWS)

    assert str(caught.value) == f"acme: torch is a {type(model).__name__}; give the function that builds a model"


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(7, 5)

    def forward(self, x):
        return nn.functional.dropout(self.scale(x))


class Counting(nn.Module):
    """A second call gives twice as much."""

    def __init__(self):
        super().__init__()
        self.scale, self.calls = nn.Linear(7, 5), 0

    def forward(self, x):
        self.calls += 1
        return self.scale(x) * self.calls


class Normalizing(nn.Module):
    """In training mode whatever is asked for."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(7, eps=1e-3, momentum=0.01)

    def forward(self, x):
        self.norm.train()
        return self.norm(x)


class KerasNormalizing(keras.Model):
    def __init__(self):
        super().__init__()
        self.norm = layers.BatchNormalization(name="norm")

    def call(self, x):
        return self.norm(x, training=True)


class State(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(7, 5, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


NAMED = keras_chain(dense(5, name="scale"))
FOUND = {
    "dropout left on": (
        Dropping,
        NAMED,
        forward,
        "cause: the code between layers: dropout: torch gives another result for the same inputs the second time; not "
        "with the same random numbers",
        "switch dropout off there: call torch in evaluation mode",
    ),
    "a count": (
        Counting,
        NAMED,
        forward,
        "cause: the code between layers: state kept: torch gives another result for the same inputs the second time, "
        "with the same random numbers too",
        "torch keeps something from call to call there: start each call from the same state",
    ),
    "a stateful layer": (
        State,
        keras_chain(lambda: layers.LSTM(5, return_sequences=True, stateful=True, name="lstm")),
        forward,
        "cause: lstm: state kept: tensorflow gives another result for the same inputs the second time, with the same "
        "random numbers too",
        "tensorflow keeps something from call to call there: start each call from the same state",
    ),
    "a norm in training mode": (
        Normalizing,
        keras_chain(lambda: layers.BatchNormalization(name="norm")),
        forward,
        "cause: norm: training mode: torch changes its mean and variance when it is called",
        "leave training mode off there: model.eval() in torch",
    ),
    "norms in training mode": (
        Normalizing,
        KerasNormalizing,
        calls,
        "cause: norm: training mode: torch changes its mean and variance when it is called",
        "leave training mode off there: model.eval() in torch",
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_a_model_that_does_not_repeat_is_told_why_and_what_to_do(what):
    torch, tensorflow, check, cause, step = FOUND[what]
    shape = (3, 7) if what == "a stateful layer" else (7,)
    corners = PairModels(Pair("acme", torch, tensorflow, inputs=two(*shape)))
    outcome = runner.run_check(check, corners, 0, 5, "parity check")
    api.explain(corners, [outcome])
    _, why, *_ = outcome.findings[0].why
    told, fix = why.partition("; with this corrected")[0].splitlines()

    assert (told, fix.strip()) == (cause, f"fix: {step}")


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(7, 60)

    def forward(self, x):
        return self.scale(x)


class KerasDropping(keras.Model):
    def __init__(self):
        super().__init__()
        self.scale, self.dropout = layers.Dense(60, name="scale"), layers.Dropout(0.5)

    def call(self, x):
        return self.dropout(self.scale(x), training=True)


def test_dropout_left_on_in_keras_is_told_from_two_calls():
    corners = PairModels(Pair("acme", Wide, KerasDropping, inputs=two(7)))
    outcome = runner.run_check(forward, corners, 0, 5, "parity check")
    api.explain(corners, [outcome])
    told, fix = outcome.findings[0].why[1].partition("; with this corrected")[0].splitlines()

    assert told == (
        "cause: the code between layers: dropout: tensorflow gives another result for the same inputs the second time; "
        "not with the same random numbers"
    )
    assert fix == "  fix: switch dropout off there: call tensorflow in evaluation mode"


@pytest.mark.parametrize("words", ["Arguments received by Dense.call(): x", "Received args: (<tf.Tensor: ...>,)"])
def test_arguments_that_a_framework_adds_to_its_error_are_left_out(words):
    assert errors.reason(TypeError(f"x cannot be cast. {words}")) == "TypeError: x cannot be cast."
