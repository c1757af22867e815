"""Layer kinds: twins of each hold forward and gradients, some of them reload, and a fault in each fails."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import forward, gradients, reload
from parity.pair.models import PairModels
from tests.helpers import kinds
from tests.helpers.eager import eagerly


@pytest.mark.parametrize("name", kinds.CASES)
def test_twins_of_a_kind_hold_until_a_fault_is_in_one(name, small):
    """One kind reloads, too, of layers within layers: all of them take the same way through a file.

    Of groups, TensorFlow has gradients in a graph alone.
    """
    with nullcontext() if "groups" in name else eagerly():
        corners = PairModels(kinds.pair(name, small))
        checks = (forward, gradients, *((reload,) if name == "deep bidirectional gru" else ()))
        assert [kinds.findings(module, corners) for module in checks] == [[]] * len(checks)

        kinds.break_keras(name, corners)
        (message,) = kinds.findings(forward, corners)
    assert "torch and tensorflow are different" in message


def test_statistics_cross_and_have_no_gradient(small):
    corners = PairModels(kinds.pair("batch_norm", small))
    corners.ensure(Weights(5, 1.0))
    ids = np.array([[5, 6, 7]])

    assert [name for name in corners.layout if name.startswith("a.")] == ["a.gain", "a.bias", "a.mean", "a.variance"]
    assert [name for name in corners.gradients(ids, ids) if name.startswith("a.")] == ["a.gain", "a.bias"]


def test_a_query_that_is_frozen_on_one_side_is_found(small, message_of):
    """Its kernel is a third of what torch packs into one parameter."""
    pair = kinds.pair("attention", small)

    def frozen():
        model = pair.tensorflow()
        model(np.zeros((1, 1), np.int64))
        model.made[0].query_dense.trainable = False
        return model

    message = message_of(gradients, PairModels(replace(pair, tensorflow=frozen)), 4)
    assert message.startswith("gradient of a.input_kernel (3, 3, 8, 24): torch and tensorflow are different")
