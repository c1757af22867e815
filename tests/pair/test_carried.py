"""Whether one side's values were made from the other's, by the values alone."""

import numpy as np
import pytest

from parity.pair.carried import related

SHAPES = {"wide.kernel": (8, 5), "wide.bias": (8,), "narrow.kernel": (3, 8), "narrow.bias": (3,)}


def drawn(seed=None):
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}


ORDERS = {
    "as it is": lambda x: x,
    "another order of all": lambda x: np.random.default_rng(3).permutation(x.reshape(-1)).reshape(x.shape),
    "through float16": lambda x: x.astype(np.float16).astype(x.dtype),
    "three times": lambda x: 3 * x,
}


@pytest.mark.parametrize("name", ORDERS)
def test_values_are_related_whatever_was_made_of_them(name):
    values = drawn(0)

    assert related(values, {parameter: ORDERS[name](array) for parameter, array in values.items()})


def test_constants_and_one_table_of_many_relate_nothing():
    ours, theirs = drawn(), drawn()
    zeros = {"narrow.bias": np.zeros(3), "wide.bias": np.ones(8)}
    table = {"table": np.sin(np.arange(30.0)).reshape(5, 6)}

    assert not related({**ours, **zeros}, {**theirs, **zeros})
    assert not related({**ours, **table}, {**theirs, **table})
    assert not related(zeros, zeros)
