"""Slices that begin elsewhere, the other side's line of a cause, conditions that hold nowhere, edits that fail."""

from pathlib import Path

import tensorflow as tf

from parity.diagnose.operators import families
from parity.diagnose.operators.proposal import Proposal
from tests.helpers.between import found, pair


def sliced(x):
    return x[:, :, 1:5, 2:4].square()


def sliced_elsewhere(x):
    return tf.square(x[:, 0:4, 1:3])


def test_slices_that_begin_elsewhere_along_two_axes_are_one_cause():
    _, [cause] = found(pair(sliced, sliced_elsewhere))

    assert cause.name == "argument"
    assert "with idx=[:, :, 1:5, 2:4]" in cause.told
    assert "with idx=[:, :, 0:4, 1:3] it makes what tensorflow does" in cause.told


def shares(x):
    return 0.9 * x.tanh() + 0.1 * x.sin()


def shares_exchanged(x):
    first = tf.reduce_mean(x) * tf.zeros_like(x)
    return 0.1 * tf.tanh(x) + 0.9 * tf.sin(x) + first


def test_the_line_of_the_other_side_is_that_of_the_operation_that_the_edit_is_about():
    _, [cause] = found(pair(shares, shares_exchanged))
    lines = Path(__file__).read_text().splitlines()
    line = next(number for number, code in enumerate(lines, 1) if "0.1 * tf.tanh(x)" in code)

    assert cause.name == "scale"
    assert f"(test_operator_places.py:{line})" in cause.told


def test_an_edit_that_cannot_be_made_ends_no_search(monkeypatch):
    def impossible(_):
        def made(_trace):
            raise ValueError("axes don't match array")

        yield Proposal(made, "argument", "", "")

    monkeypatch.setattr(families, "SINGLE", (impossible, *families.SINGLE))
    monkeypatch.setattr(families, "PLAIN", (impossible, *families.PLAIN))
    _, [cause] = found(pair(sliced, sliced_elsewhere))

    assert cause.name == "argument"


def large_alone(x):
    large = x.abs().amax((1, 2, 3), keepdim=True) > 3.0
    return x.sin() * (1.0 + large.to(x.dtype))


def test_a_condition_that_holds_nowhere_on_an_example_may_hide_nothing_on_the_other_side():
    _, [cause] = found(pair(large_alone, lambda x: tf.sin(x) * 2.0))

    assert cause.name == "mask missing"
    assert "torch distinguishes elements by gt(other=3.0)" in cause.told
