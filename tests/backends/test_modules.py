"""What a TensorFlow builder may return besides a Keras model: a tf.Module, a loaded SavedModel, a callable."""

import tempfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import parity
from parity import api, backends, strategies
from parity.checks import forward, gradients, reload, resume, training, weights
from parity.checks.runner import run_check
from parity.diagnose import locate, specimens
from parity.errors import ParityError
from parity.pair.models import PairModels
from parity.pair.pair import Pair

backends.load()  # the order of the imports

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from torch import nn  # noqa: E402

from parity.backends.keras import modules  # noqa: E402

IN, HIDDEN, OUT = 5, 7, 3
CHECKS = (weights, forward, gradients, training, reload, resume)


class TorchNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(IN, HIDDEN), nn.Linear(HIDDEN, OUT)

    def forward(self, x):
        return self.second(self.first(x).tanh())


class Dense(tf.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.w = tf.Variable(tf.zeros((inside, outside), keras.config.floatx()))
        self.b = tf.Variable(tf.zeros(outside, keras.config.floatx()))

    def __call__(self, x):
        return x @ self.w + self.b


class Shifted(Dense):
    def __init__(self, *sizes, by=1e-6):
        super().__init__(*sizes)
        self.by = by

    def __call__(self, x):
        return super().__call__(x) + self.by


class Net(tf.Module):
    """A module with layers of its own."""

    def __init__(self, last=Dense):
        super().__init__()
        self.layers = [Dense(IN, HIDDEN), last(HIDDEN, OUT)]

    @tf.function(input_signature=[tf.TensorSpec((None, IN))])
    def __call__(self, x):
        return self.layers[1](tf.tanh(self.layers[0](x)))


class Anywhere(Net):
    """The same in any precision."""

    __call__ = tf.function(Net.__call__.python_function)


class Function:
    """A callable with variables and no more."""

    def __init__(self):
        self.variables = [
            tf.Variable(tf.zeros(shape, keras.config.floatx()), name=name)
            for name, shape in (("w", (IN, HIDDEN)), ("b", (HIDDEN,)), ("v", (HIDDEN, OUT)), ("c", (OUT,)))
        ]

    def __call__(self, x):
        w, b, v, c = self.variables
        return tf.tanh(x @ w + b) @ v + c


def loaded():
    with tempfile.TemporaryDirectory() as place:
        tf.saved_model.save(Net(), place)
        return tf.saved_model.load(place)


def shifted():
    net = Anywhere(Shifted)
    net.layers[0].b.assign([1.0] * HIDDEN)
    return net


def of_dense(layer):
    return {"kernel": (layer.w, parity.TRANSPOSED), "bias": layer.b}


def of_function(model):
    w, b, v, c = model.variables
    return {
        "first.kernel": (w, parity.TRANSPOSED),
        "first.bias": b,
        "second.kernel": (v, parity.TRANSPOSED),
        "second.bias": c,
    }


def of_loaded(model):
    told = [of_dense(layer) for layer in model.layers]
    return {
        f"{at}.{name}": value for at, of in zip(("first", "second"), told, strict=True) for name, value in of.items()
    }


PAIRS = {
    "module": (Anywhere, {Dense: of_dense}),
    "callable": (Function, {"tensorflow": of_function}),
    "loaded": (loaded, {"tensorflow": of_loaded}),
}


def pair(name):
    build, custom = PAIRS[name]
    return Pair(name, TorchNet, build, inputs=strategies.arrays(IN), custom=custom)


@pytest.fixture(scope="module", params=PAIRS)
def corners(request):
    return PairModels(pair(request.param))


def test_it_is_checked_as_a_keras_model_is(corners):
    """A program that was saved in float32 has three corners."""
    for module in CHECKS if corners.pair.name == "module" else CHECKS[:-2]:  # they start a process each
        outcome = run_check(module, corners, 0, 2, "parity check")

        assert [finding.message for finding in outcome.findings] == []
        assert outcome.elements > 0
    assert bool(corners.reason) == (corners.pair.name == "loaded")
    assert {kind for kind, _ in corners.layout.values()} == {"dense"}  # as its twins are


def test_a_module_that_is_another_is_told_from_its_twin_by_its_layers():
    corners = PairModels(replace(pair("module"), tensorflow=shifted))
    weights, inputs = specimens.specimen(corners, 0, None)
    corners.load(weights)

    assert [piece.path for piece in locate.locate(corners, inputs).introduces] == ["second"]


def test_a_saved_model_is_held_against_its_source(tmp_path):
    def build(last=Dense, net=Anywhere):
        model, random = net(last), np.random.default_rng(0)
        for variable in model.variables:
            variable.assign(random.standard_normal(variable.shape))
        return model

    tf.saved_model.save(build(net=Net), str(tmp_path))
    sides = {"source": build, "saved": partial(tf.saved_model.load, str(tmp_path))}
    right = Pair("saved", tensorflow=sides, weights="given", inputs=strategies.arrays(IN))
    wrong = replace(right, tensorflow=sides | {"source": partial(build, partial(Shifted, by=1e-3))})

    assert api.check(right, examples=1, checks=["forward", "calls"]).holds
    assert api.check(wrong, examples=1, checks=["forward"])["forward"].verdict == "different"


def test_an_exported_model_has_each_variable_once(tmp_path):
    """Keras writes each twice, of which its function reads one."""
    source = keras.Sequential([keras.Input((IN,)), keras.layers.Dense(HIDDEN), keras.layers.Dense(OUT)])
    source.export(str(tmp_path), verbose=False)
    model = tf.saved_model.load(str(tmp_path))
    before = model.serve(tf.ones((1, IN)))
    variables = [of for _, of in modules.variables(model)]
    for variable in variables:
        variable.assign(variable * 2)

    assert [tuple(of.shape) for of in variables] == [tuple(of.shape) for of in source.weights]
    assert not np.allclose(before, model.serve(tf.ones((1, IN))))


class Nothing:
    variables = ()


@pytest.mark.parametrize(("build", "told"), [(object, "object"), (Nothing, "Nothing")])
def test_what_is_none_of_them_is_refused(build, told):
    with pytest.raises(ParityError) as caught:
        PairModels(replace(pair("module"), tensorflow=build))

    assert str(caught.value) == (
        f"the tensorflow builder returned {told}; it must return a Keras model, a tf.Module, a loaded SavedModel, "
        "or a callable with variables"
    )


def test_a_model_that_is_told_whole_names_its_layers():
    told = {"tensorflow": lambda model: {"kernel": model.variables[0]}}
    with pytest.raises(ParityError, match=r"Function: its function in custom= leaves out b; each variable is one"):
        PairModels(replace(pair("callable"), custom=told))
