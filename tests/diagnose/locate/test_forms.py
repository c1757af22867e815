"""Locating in a functional Keras model: layers shared and called again, a Sequential inside; each with a fault."""

from dataclasses import replace

import numpy as np
import pytest

from parity import strategies
from parity.canonical.weights import Weights
from parity.diagnose import explain
from parity.diagnose.locate import locate
from parity.pair.models import PairModels
from parity.pair.pair import Pair

VOCAB, WIDTH, INNER = 1000, 11, 13
IDS = np.array([[5, 6, 7, 0, 9], [8, 0, 3, 0, 0]])


def in_torch():
    from torch import nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCAB, WIDTH)
            self.mix = nn.Linear(WIDTH, WIDTH)
            self.body = nn.Sequential()
            for name, layer in (
                ("wide", nn.Linear(WIDTH, INNER)),
                ("act", nn.Tanh()),
                ("narrow", nn.Linear(INNER, WIDTH)),
            ):
                self.body.add_module(name, layer)
            self.norm = nn.LayerNorm(WIDTH)
            self.head = nn.Linear(WIDTH, VOCAB)

        def forward(self, ids):
            x = self.embedding(ids)  # (batch, time, width)
            x = self.mix(self.mix(x).relu())
            x = x + self.body(x)
            x = x + self.body(self.norm(x))
            return self.head(self.norm(x))  # (batch, time, vocab)

    return Model()


def in_keras():
    import keras

    layers = keras.layers
    ids = keras.Input((None,), dtype="int64")
    mix, norm = layers.Dense(WIDTH, name="mix"), layers.LayerNormalization(epsilon=1e-5, name="norm")
    body = keras.Sequential(
        [
            layers.Dense(INNER, name="wide"),
            layers.Activation("tanh", name="act"),
            layers.Dense(WIDTH, name="narrow"),
        ],
        name="body",
    )
    x = layers.Embedding(VOCAB, WIDTH, name="embedding")(ids)  # (batch, time, width)
    x = mix(layers.ReLU(name="relu")(mix(x)))
    x = layers.Add(name="first")([x, body(x)])
    x = layers.Add(name="second")([x, body(norm(x))])
    return keras.Model(ids, layers.Dense(VOCAB, name="head")(norm(x)))  # (batch, time, vocab)


@pytest.fixture(scope="module")
def pair(small):
    return Pair("functional", in_torch, in_keras, small)


def built(pair, **alter):
    def builder(side):
        def build():
            model = getattr(pair, side)()
            alter[side](model)
            return model

        return build

    corners = PairModels(replace(pair, **{side: builder(side) for side in alter}))
    corners.load(Weights(1, 1.0))
    return corners


def layer(model, path):
    for name in path.split("."):
        model = model.get_layer(name)
    return model


def test_every_layer_of_a_clean_functional_model_is_clean_and_called_as_often_as_it_is(pair):
    found = locate(built(pair), IDS)

    assert found.introduces == []
    assert {node.path: node.calls for node in found.nodes} == {
        **dict.fromkeys(("", "embedding", "head"), 1),
        **dict.fromkeys(("mix", "norm", "body", "body.wide", "body.act", "body.narrow"), 2),
    }
    assert {node.mark for node in found.nodes} == {"clean"}
    assert found.unlinked == {"torch": [], "tensorflow": ["relu", "first", "second"]}


def at_call(path, call, change):
    """One of a layer's two calls is changed, which its input tells: what locates may run a call again."""

    def alter(model):
        import tensorflow as tf

        there, first = layer(model, path), []
        inner, whole = there.call, model.call

        def altered(x, **given):
            made = inner(x, **given)
            if not tf.executing_eagerly():
                return made
            first[:] = first or [x.numpy()]
            return change(made) if np.array_equal(first[0], x) == (call == 1) else made

        def begun(*given, **named):
            first.clear()
            return whole(*given, **named)

        there.call, model.call = altered, begun

    return alter


@pytest.mark.parametrize("path", ["mix", "norm", "body.wide", "body.act", "body.narrow"])
@pytest.mark.parametrize("call", [1, 2])
def test_one_call_of_a_layer_that_is_called_twice_is_blamed_on_it(path, call, pair):
    found = locate(built(pair, tensorflow=at_call(path, call, lambda made: made + 1e-6)), IDS)

    assert {piece.path for piece in found.introduces} == {path}
    assert found.introduces[0].gap.max_abs_diff == pytest.approx(1e-6, rel=1e-3)
    marked = {node.path: node.mark for node in found.nodes}
    assert marked.pop(path) == "introduces"
    assert "introduces" not in marked.values()
    assert marked["embedding"] == "clean"


def test_a_shared_layers_setting_is_the_cause(pair):
    def epsilon(model):
        layer(model, "norm").epsilon = 1e-3

    found, diagnosis = explain.located(built(pair, tensorflow=epsilon), IDS)

    assert {piece.path for piece in found.introduces} == {"norm"}
    assert [(cause.name, cause.where) for cause in diagnosis.causes] == [("epsilon", "norm")]


@pytest.mark.parametrize("call", [1, 2])
def test_a_gradient_that_one_call_stops_is_blamed_on_the_layer(call, pair):
    def stopped(made):
        import tensorflow as tf

        return tf.stop_gradient(made)

    found = locate(built(pair, tensorflow=at_call("body.narrow", call, stopped)), IDS)

    assert {piece.path for piece in found.introduces} == {"body.narrow"}
    assert found.introduces[0].place.startswith("gradient of ")


def test_what_joins_the_layers_is_the_models_own_code(pair):
    def scaled(model):
        first = layer(model, "second").call
        layer(model, "second").call = lambda x: first([x[0], 1.001 * x[1]])

    found = locate(built(pair, tensorflow=scaled), IDS)

    assert [(piece.path, piece.place) for piece in found.introduces] == [("", "input of norm")]


def test_a_layer_called_once_more_is_told(pair):
    def again(model):
        forward = model.forward

        def altered(ids):
            model.head(model.embedding(ids))
            return forward(ids)

        model.forward = altered

    found = locate(built(pair, torch=again), IDS)

    assert "torch calls it twice, tensorflow once" in {piece.unlike for piece in found.introduces}


def test_a_layer_that_two_hold_comes_once(small):
    def torch():
        from torch import nn

        model, shared = nn.Sequential(), nn.Linear(WIDTH, WIDTH)
        model.add_module("embedding", nn.Embedding(VOCAB, WIDTH))
        for name in ("one", "two"):
            model.add_module(name, nn.Sequential())
            model.get_submodule(name).add_module("shared", shared)
        model.add_module("head", nn.Linear(WIDTH, VOCAB))
        return model

    def tensorflow(amount=0.0):
        import keras

        layers, shared = keras.layers, keras.layers.Dense(WIDTH, name="shared")
        call = shared.call
        shared.call = lambda x, **given: call(x, **given) + amount
        held = [keras.Sequential([shared], name=name) for name in ("one", "two")]
        table, head = layers.Embedding(VOCAB, WIDTH, name="embedding"), layers.Dense(VOCAB, name="head")
        return keras.Sequential([keras.Input((None,), dtype="int64"), table, *held, head])

    for amount, marked in ((0.0, set()), (1e-6, {"one.shared"})):
        corners = PairModels(Pair("shared", torch, lambda amount=amount: tensorflow(amount), small))
        corners.load(Weights(1, 1.0))
        found = locate(corners, IDS)
        assert {piece.path for piece in found.introduces} == marked
        assert {node.path: node.calls for node in found.nodes}["one.shared"] == 2
        assert found.unlinked == {"torch": [], "tensorflow": []}


def test_the_models_are_left_as_they_were(pair):
    corners = built(pair, tensorflow=lambda model: setattr(layer(model, "norm"), "epsilon", 1e-3))
    models = corners.models.values()
    before = [(model.read(), model.logits(IDS), model.eager(IDS, False)) for model in models]
    held = [[dict(vars(one)) for one in every(model)] for model in models]
    explain.located(corners, IDS)

    for model, (values, logits, eager), attributes in zip(models, before, held, strict=True):
        np.testing.assert_array_equal(model.logits(IDS), logits)
        np.testing.assert_array_equal(model.eager(IDS, False), eager)
        for name, array in model.read().items():
            np.testing.assert_array_equal(array, values[name])
        assert [vars(one).keys() for one in every(model)] == [of.keys() for of in attributes]
        assert not [one for one in every(model) if {"forward", "call"} & vars(one).keys()]


def every(model):
    """All layers that a corner's module holds."""
    module = model.module
    return list(module.modules() if hasattr(module, "modules") else module._flatten_layers())


def chain(rates):
    """Causal convolutions: torch pads before each and has a relu behind it, Keras has both in the layer."""

    def ours():
        from torch import nn

        convolutions = [nn.Conv1d(4, 4, 3, dilation=2**k) for k in range(3)]
        return nn.Sequential(
            *(of for k, c in enumerate(convolutions) for of in (nn.ConstantPad1d((2 * 2**k, 0), 0.0), c, nn.ReLU()))
        )

    def theirs():
        import keras

        kinds = {"padding": "causal", "activation": "relu"}
        layers = [keras.layers.Conv1D(4, 3, dilation_rate=rate, **kinds) for rate in rates]
        return keras.Sequential([keras.Input((11, 4)), *layers])

    call = {"torch": lambda model, x, training: model(x.mT).mT}
    return Pair("chain", ours, theirs, inputs=strategies.arrays(11, 4), call=call)


@pytest.mark.parametrize(("rates", "wrong"), [((1, 2, 4), []), ((1, 2, 3), ["7"])])
def test_an_activation_behind_each_of_several_layers_is_none_that_differs(rates, wrong):
    corners = PairModels(chain(rates))
    corners.load(Weights(1, 1.0))
    found = locate(corners, corners.given(0)[0])

    assert found.bare == {"1", "4", "7"}
    assert [piece.path for piece in found.introduces if piece.path] == wrong
