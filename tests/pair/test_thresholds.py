"""Thresholds that drawn inputs and weights do not come to: what reaches them, what is said where nothing does."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

import parity
from parity import Pair, strategies
from parity.backends.operations import Operation, Trace
from parity.pair.thresholds import thresholds

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")


class Layers(torch.nn.Module):
    """Two dense layers with a norm between them, whose results `end` takes."""

    def __init__(self, end):
        super().__init__()
        self.first, self.norm, self.last = torch.nn.Linear(7, 9), torch.nn.LayerNorm(9), torch.nn.Linear(9, 4)
        self.end = end

    def forward(self, x):
        return self.last(self.end(self.norm(self.first(x))))


class KerasLayers(keras.Model):
    def __init__(self, end):
        super().__init__()
        self.first, self.last = keras.layers.Dense(9), keras.layers.Dense(4)
        self.norm, self.end = keras.layers.LayerNormalization(epsilon=1e-5), end

    def call(self, x):
        return self.last(self.end(self.norm(self.first(x))))


class Scale(torch.nn.Module):
    """A factor's logarithm that is trained, and has an upper end."""

    def __init__(self, most):
        super().__init__()
        self.dense, self.factor, self.most = torch.nn.Linear(7, 5), torch.nn.Parameter(torch.tensor(2.0)), most

    def forward(self, x):
        return torch.tanh(self.dense(x)) * self.factor.clamp(max=self.most).exp()


class KerasScale(keras.Model):
    def __init__(self, most):
        super().__init__()
        self.dense, self.most = keras.layers.Dense(5), most
        self.factor = self.add_weight(name="factor", shape=(), initializer="ones")

    def call(self, x):
        return tf.tanh(self.dense(x)) * tf.exp(tf.minimum(self.factor, self.most))


def unit(least):
    return lambda x: x / x.norm(dim=-1, keepdim=True).clamp(min=least)


def keras_unit(least):
    return lambda x: x / tf.maximum(tf.norm(x, axis=-1, keepdims=True), least)


def bounded(most):
    return lambda x: torch.tanh(x).clamp(max=most)


def keras_bounded(most):
    return lambda x: tf.minimum(tf.tanh(x), most)


def pair_of(ours, theirs):
    return Pair("thresholds", lambda: Layers(ours), lambda: KerasLayers(theirs), inputs=strategies.arrays(7))


PAIRS = {  # what torch does, what TensorFlow does when it is a bug, what when it is right
    "relu6 behind a norm": (functional.relu6, tf.nn.relu, tf.nn.relu6),
    "floor of a norm": (unit(1e-4), keras_unit(1e-6), keras_unit(1e-4)),
    "a far choice": (
        lambda x: torch.where(x > 40.0, x * x, x),
        lambda x: tf.where(x > 70.0, x * x, x),
        lambda x: tf.where(x > 40.0, x * x, x),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_threshold_behind_a_norm_is_reached(name):
    ours, wrong, right = PAIRS[name]
    report = parity.check(pair_of(ours, wrong), examples=6, checks=["forward"])
    assert not report.holds
    assert "stretched=(('norm.gain', " in report.checks[0].findings[0].example

    assert parity.check(pair_of(ours, right), examples=6, checks=["forward"]).holds


def test_an_upper_end_of_a_trained_factor_is_reached_and_the_cause_has_both_numbers():
    def scaled(most):
        return Pair("scale", lambda: Scale(5.0), lambda: KerasScale(most), inputs=strategies.arrays(7))

    [outcome] = parity.check(scaled(6.0), examples=6, checks=["forward"]).checks
    [cause] = outcome.findings[0].diagnosis.causes
    assert "max=5.0 on factor; with max=6.0" in cause.told
    assert parity.check(scaled(5.0), examples=6, checks=["forward"]).holds


def test_an_upper_end_of_inputs_is_reached():
    """The inputs are drawn alone, and their share of it goes to both sides."""

    def cut(most):
        return Pair(
            "inputs",
            lambda: torch.nn.Sequential(torch.nn.Hardtanh(-5e3, 5e3), torch.nn.Linear(7, 4)),
            lambda: keras.Sequential([keras.layers.Lambda(lambda x: tf.clip_by_value(x, -most, most)), dense()]),
            inputs=strategies.arrays(7),
        )

    def dense():
        return keras.layers.Dense(4)

    assert not parity.check(cut(8e3), examples=6, checks=["forward"]).holds
    report = parity.check(cut(5e3), examples=6, checks=["forward"])
    assert report.holds
    assert not [line for line in report.not_exercised if "reached" in line]


def test_a_choice_that_one_side_makes_nowhere_is_no_operation_that_is_missing():
    """On every drawn example that shows it all of TensorFlow's values are below its threshold."""
    ours, wrong, _ = PAIRS["a far choice"]
    [outcome] = parity.check(pair_of(ours, wrong), examples=6, checks=["forward"]).checks
    [cause] = outcome.findings[0].diagnosis.causes
    assert "other=40.0" in cause.told
    assert "other=70.0" in cause.told


def test_what_nothing_reaches_is_said_where_the_sides_differ_in_it():
    report = parity.check(pair_of(bounded(20.0), keras_bounded(100.0)), examples=2, checks=["forward"])
    assert report.holds
    lines = [line for line in report.not_exercised if "never reached" in line]
    assert [line.partition(" (")[0] for line in lines] == ["tensorflow's Minimum at 100", "torch's clamp at 20"]

    report = parity.check(pair_of(bounded(20.0), keras_bounded(20.0)), examples=2, checks=["forward"])
    assert report.holds
    assert not [line for line in report.not_exercised if "reached" in line]


def trace_of(*values):
    trace = Trace()
    for value in values:
        trace.add(np.asarray(value))
    return trace


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("clamp", {"min": -1.0, "max": 2.0}, [(True, 2.0), (False, -1.0)]),
        ("ClipByValue", {"clip_value_min": -1.0, "clip_value_max": 2.0}, [(True, 2.0), (False, -1.0)]),
        ("relu6", {"inplace": False}, [(True, 6.0)]),
        ("Maximum", {"y": 0.0}, []),  # a rectifier: everything comes to zero
        ("Greater", {"y": 3}, [(True, 3.0), (False, 3.0)]),
        ("clamp", {"max": 3e38}, []),
        ("clamp", {"max": math.inf}, []),
        ("add", {"other": 1e-6, "alpha": 1}, [(False, 1e-6)]),
        ("add", {"other": 2.0, "alpha": 1}, []),
        ("max", {"dim": 1}, []),
    ],
)
def test_thresholds_of_an_operation(name, settings, expected):
    trace = trace_of([0.5, 1.5])
    trace.operations.append(Operation(name, (("self", 0),), (), settings, "", None))
    assert [(one.above, one.number) for one in thresholds("torch", trace)] == expected
