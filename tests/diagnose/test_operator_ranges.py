"""Formulas that leave the range of numbers on one side, and what a softmax in another's place is called."""

import numpy as np
import pytest
import tensorflow as tf
import torch

from parity.diagnose.operators import ranges, search
from parity.diagnose.search import within
from tests.helpers.between import found, pair

LARGE = 200.0  # times numbers about 1 and a row's place, so that exp() overflows in some rows alone


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    monkeypatch.setattr(search, "WORK", 500)


def large(x):
    return LARGE * x * torch.arange(1, len(x) + 1).reshape(-1, 1, 1, 1)


def large_there(x):
    rows = tf.reshape(tf.range(1, tf.shape(x)[0] + 1), (-1, 1, 1, 1))
    return LARGE * x * tf.cast(rows, x.dtype)


def by_powers(x):
    powers = torch.exp(large(x))
    return powers / powers.sum(1, keepdim=True)


def by_powers_there(x):
    powers = tf.exp(large_there(x))
    return powers / tf.reduce_sum(powers, 3, keepdims=True)


def shares(x):
    return torch.softmax(large(x), 1)


def shares_there(x):
    return tf.nn.softmax(large_there(x), 3)


def gate_by_powers(x):
    powers = torch.exp(large(x))
    return powers / (1 + powers)


def logs_of_shares(x):
    return torch.log(torch.softmax(large(x), 1)) * 1e-3


def logs(x):
    return tf.nn.log_softmax(large_there(x), 3) * 1e-3


CASES = {
    "powers in torch": (by_powers, shares_there, "torch's exp() (", "tensorflow's Softmax()"),
    "powers in TensorFlow": (shares, by_powers_there, "tensorflow's Exp() (", "torch's softmax("),
    "nothing finite in the end": (
        lambda x: 2.0 * torch.softmax(4e2 * x, 1),
        lambda x: 2.0 * (tf.exp(4e2 * x) / tf.reduce_sum(tf.exp(4e2 * x), 3, keepdims=True)),
        "tensorflow's Exp() (",
        "torch's softmax(",
    ),
    "a sigmoid": (gate_by_powers, lambda x: tf.sigmoid(large_there(x)), "torch's exp() (", "tensorflow's Sigmoid()"),
    "a logarithm of 0": (logs_of_shares, logs, "torch's softmax(dim=1)", "tensorflow's "),
}


@pytest.mark.parametrize(("ours", "theirs", "bad", "good"), CASES.values(), ids=CASES)
def test_a_chain_that_is_the_same_function_but_overflows_is_an_unstable_formula(ours, theirs, bad, good):
    _, [cause] = found(pair(ours, theirs))

    assert cause.name == "unstable formula"
    assert cause.told.startswith(bad)
    assert good in cause.told
    assert "are not finite" in cause.told


def over_the_other_axis(x):
    powers = torch.exp(x)
    return powers / powers.sum(2, keepdim=True)


def hidden(x):
    """Scores of which a mask hides some, and all of a pixel."""
    return torch.softmax(x.masked_fill(x.amax(1, True) < x.amax(), -torch.inf), 1)


def hidden_less(x):
    least = tf.reduce_max(x, 3, keepdims=True) < tf.reduce_max(x)
    return tf.nn.softmax(tf.where(least, tf.constant(-1e9, x.dtype), x), 3)


OTHERS = {
    "a mask of minus infinity that hides all": (hidden, hidden_less, "mask value"),
    "written out, over another axis": (over_the_other_axis, lambda x: tf.nn.softmax(x, 3), "softmax axis"),
    "no softmax": (torch.exp, lambda x: tf.nn.softmax(x, 3), "activation"),
    "a constant in a logarithm": (
        lambda x: torch.log(x.relu()).clamp(-50),
        lambda x: tf.maximum(tf.math.log(tf.nn.relu(x) + 1e-12), -50.0),
        "operation",
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "name"), OTHERS.values(), ids=OTHERS)
def test_another_function_is_no_unstable_formula_and_a_softmax_alone_has_an_axis(ours, theirs, name):
    _, causes = found(pair(ours, theirs))

    assert name in [cause.name for cause in causes]
    assert "unstable formula" not in [cause.name for cause in causes]


def test_what_is_out_of_range_is_no_other_function(monkeypatch):
    """It may be the same function as the one that would be proposed in its place."""
    monkeypatch.setattr(ranges, "POWERS", set())
    _, causes = found(pair(by_powers, shares_there))

    assert {"activation", "softmax axis"}.isdisjoint(cause.name for cause in causes)


def test_what_overflows_on_both_sides_alike_is_no_difference():
    assert found(pair(by_powers, by_powers_there)) == ([], [])


def test_two_nans_at_one_place_are_not_apart():
    one = np.array([1.0, np.nan, np.inf])

    assert within(one, one + 0.0, 0.0)
    assert not within(one, np.array([1.0, 2.0, np.inf]), 1e9)


def test_outputs_of_which_nothing_is_finite_prove_no_edit_that_spoils_torchs_too():
    """TensorFlow's exp() before torch's softmax makes all of torch's outputs NaN as well, of other numbers."""
    _, causes = found(
        pair(
            lambda x: torch.softmax(800.0 * x, 1),
            lambda x: tf.exp(800.0 * x) / tf.reduce_sum(tf.exp(800.0 * x), 3, keepdims=True),
        )
    )

    assert "extra operation" not in [cause.name for cause in causes]
