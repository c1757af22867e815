"""A port whose batch normalizations a converter folded into the layers before them, wrongly."""

from functools import partial

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair, ParityError, api
from parity.diagnose.relations import related
from parity.diagnose.stages.folds import with_biases
from parity.strategies import arrays


def source():
    """Three norms, (batch, 3, 8) to (batch, 4), behind a convolution, a depthwise one without a bias, and a matrix."""
    torch.manual_seed(0)
    blocks = [nn.Conv1d(3, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 6, 4, groups=6, bias=False)]
    blocks += [nn.BatchNorm1d(6, eps=1e-4), nn.Flatten(), nn.Linear(18, 4), nn.BatchNorm1d(4)]
    for norm in (block for block in blocks if isinstance(block, nn.BatchNorm1d)):
        for values in (norm.weight, norm.bias, norm.running_mean):
            nn.init.normal_(values)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return nn.Sequential(*blocks).eval()


def folded(layer, norm, wrong):
    """The kernel and bias of both layers, in torch's order of axes."""
    gain, shift, mean, variance = (of.detach().numpy() for of in (norm.weight, norm.bias, *norm.buffers()) if of.ndim)
    before = 0 if layer.bias is None else layer.bias.detach().numpy()
    factor = gain / np.sqrt(variance + (1e-2 if wrong == "epsilon" else norm.eps))
    factor = {"variance": gain / (variance + norm.eps), "gain": 1 / np.sqrt(variance + norm.eps)}.get(wrong, factor)
    kernel = layer.weight.detach().numpy()
    kernel = kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1))
    sign = {"mean": 0, "sign": 1}.get(wrong, -1)
    return kernel.T, before * factor * (wrong != "before") + sign * mean * factor + shift * (wrong != "shift")


def ported(wrong="", of=(0, 1, 2)):
    """The port, with the same wrong in the norms `of`."""
    inputs = keras.Input((3, 8))
    kinds = [keras.layers.Conv1D(6, 3, activation="relu"), keras.layers.DepthwiseConv1D(4), keras.layers.Dense(4)]
    x = kinds[1](kinds[0](keras.layers.Permute((2, 1))(inputs)))
    model = keras.Model(inputs, kinds[2](keras.layers.Flatten()(keras.layers.Permute((2, 1))(x))))
    blocks = [*source()]
    for place, (kind, at) in enumerate(zip(kinds, (0, 3, 6), strict=True)):
        kernel, bias = folded(blocks[at], blocks[at + 1], wrong if place in of else "")
        kind.set_weights([kernel.transpose(0, 2, 1) if place == 1 else kernel, bias])
    return model


def causes(tensorflow):
    pair = Pair("acme", torch=source, tensorflow=tensorflow, inputs=arrays(3, 8), weights="given")
    outcome = api.check(pair, examples=2, checks=["forward"])["forward"]
    return [(of.name, of.told) for finding in outcome.findings for of in finding.diagnosis.causes]


def test_norms_that_are_rightly_folded_hold_and_training_mode_is_said_to_be_another():
    report = api.check(Pair("acme", torch=source, tensorflow=ported, inputs=arrays(3, 8), weights="given"), examples=2)

    assert report.holds
    assert report.not_exercised[-1] == (
        "outputs in training mode: torch changes 1.running_mean, 1.running_var, 4.running_mean and 3 more, which the "
        "other side holds nowhere"
    )


@pytest.mark.parametrize(
    ("wrong", "how"),
    [
        ("", "(0.bias - 1.running_mean) * that factor + 1.bias"),
        ("mean", "0.bias * that factor + 1.bias"),
        ("shift", "(0.bias - 1.running_mean) * that factor"),
        ("before", "-1.running_mean * that factor + 1.bias"),
    ],
)
def test_a_bias_that_a_folded_norm_left_is_told_by_what_it_was_made_from(wrong, how):
    model = source()
    values = {name: of.detach().numpy() for name, of in model.state_dict().items() if of.ndim}
    kernel, bias = folded(model[0], model[1], wrong)
    port = {"conv.kernel": kernel, "conv.bias": bias, "other.bias": np.arange(6, dtype=np.float32) / 7}
    of = {one.name: one for one in with_biases(related(values, port), values, port)}

    assert of["conv.bias"].how == (how,)
    assert all(name in how for name in of["conv.bias"].sources)
    assert of["other.bias"].sources == ()


def small():
    """One norm, (batch, 3) to (batch, 5), whose statistics are numbers of no other array."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5, eps=1e-3))
    nn.init.uniform_(model[1].running_mean, 0.5, 1)
    nn.init.uniform_(model[1].running_var, 0.5, 1)
    return model


def frozen():
    """The same with its norm, whose statistics training mode neither takes nor moves."""
    linear, norm = small()
    inputs = keras.Input((3,))
    layers = [keras.layers.Dense(5), keras.layers.BatchNormalization()]
    model = keras.Model(inputs, layers[1](layers[0](inputs)))
    layers[1].trainable = False  # Keras then runs it as in evaluation
    layers[0].set_weights([linear.weight.detach().numpy().T, linear.bias.detach().numpy()])
    layers[1].set_weights([of.detach().numpy() for of in (norm.weight, norm.bias, norm.running_mean, norm.running_var)])
    return model


def test_a_norm_that_is_there_and_does_not_train_is_a_difference():
    pair = Pair("acme", torch=small, tensorflow=frozen, inputs=arrays(3), weights="given")
    report = api.check(pair, examples=1, checks=["forward", "calls"])

    assert [check.name for check in report.failed] == ["calls"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("mean", "without its mean"),
        ("sign", "with its mean added"),
        ("shift", "without its bias"),
        ("gain", "without its gain"),
        ("variance", "divided by its variance, not by the root of it"),
    ],
)
def test_what_a_converter_did_to_every_norm_is_one_cause(wrong, words):
    [(name, told)] = causes(partial(ported, wrong))

    assert name == "batch norm folded"
    assert told.endswith(f" with 3 batch normalizations folded in, each {words}")


@pytest.mark.parametrize(
    ("wrong", "of", "words"),
    [
        ("epsilon", 1, "the batch normalization 4 folded in by epsilon 0.01, not 0.0001"),
        ("before", 2, "the batch normalization 7 folded in without the bias before it"),
    ],
)
def test_one_norm_that_is_folded_otherwise_is_named(wrong, of, words):
    [(name, told)] = causes(partial(ported, wrong, (of,)))

    assert name == "batch norm folded"
    assert told.endswith(words)


def test_a_pair_with_drawn_weights_is_refused_with_what_to_do():
    with pytest.raises(ParityError, match='tensorflow has them folded into the layers before, weights="given" takes'):
        api.check(Pair("acme", torch=source, tensorflow=ported, inputs=arrays(3, 8)), checks=["forward"])


class Doubled(keras.layers.Layer):
    def call(self, x, training=False):
        return 2 * x if training else x


def nudged():
    """The same with statistics one representable number away, and something that training mode alone does."""
    linear, norm = small()
    layers = [keras.layers.Dense(5), keras.layers.BatchNormalization(momentum=0.9), Doubled()]
    model = keras.Sequential([keras.Input((3,)), *layers])
    layers[0].set_weights([linear.weight.detach().numpy().T, linear.bias.detach().numpy()])
    of = [of.detach().numpy() for of in (norm.weight, norm.bias, norm.running_mean, norm.running_var)]
    layers[1].set_weights([*of[:2], *(np.nextafter(values, np.float32(2)) for values in of[2:])])
    return model


def test_statistics_that_both_sides_have_in_another_form_are_trained_and_compared():
    pair = Pair("acme", torch=small, tensorflow=nudged, inputs=arrays(3), weights="given")
    report = api.check(pair, examples=1, checks=["forward", "calls"])

    assert [check.name for check in report.failed] == ["calls"]
