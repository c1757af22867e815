"""What a converter computes of each number, or of each channel, is told where it holds of all numbers, and by chance
never.
"""

from itertools import product

import numpy as np
import pytest

from parity.diagnose.layers.functions import by_channel, of_each
from parity.diagnose.layers.orders import arranged, left_out, rearranged
from parity.diagnose.relations import RUNS_ON, related


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.25, 2, shape).astype(np.float32)


FUNCTIONS = {
    "as its square root": np.sqrt,
    "as its square": np.square,
    "as one over its square root": lambda x: x**-0.5,
    "as its reciprocal": lambda x: 1 / x,
    "as its exponential": np.exp,
    "as its logarithm": np.log,
    "as its logarithm times 2": lambda x: 2 * np.log(x),
    "as its softplus": lambda x: np.log1p(np.exp(x)),
    "with 0.001 added": lambda x: x + 1e-3,
    "with -1e-05 added": lambda x: x - 1e-5,
    "as its square root, with 1e-05 added to it before": lambda x: np.sqrt(x + 1e-5),
    "as one over its square root, with 0.001 added to it before": lambda x: 1 / np.sqrt(x + 1e-3),
    "as its square root with 0.001 added": lambda x: np.sqrt(x) + 1e-3,
}


@pytest.mark.parametrize("told", FUNCTIONS)
def test_a_function_of_each_number_is_told_with_its_constant(told):
    x = drawn(40)
    y = FUNCTIONS[told](x.astype(np.float64)).astype(np.float32)

    assert next(of_each(x, y))[1] == told


SHAPES = [(3,), (5,), (8,), (64,), (2, 2), (4, 4), (2, 16), (3, 3, 3), (5, 3, 2, 2), (16, 1)]
KINDS = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "positive": lambda random, shape: random.uniform(0.5, 1.5, shape),
    "zeros": lambda random, shape: np.zeros(shape),
    "ones": lambda random, shape: np.ones(shape),
    "whole": lambda random, shape: random.integers(0, 3, shape),
    "ones but for rounding": lambda random, shape: 1 + 1e-7 * random.standard_normal(shape),
    "far apart": lambda random, shape: np.exp(3 * random.standard_normal(shape)),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nothing_is_told_of_unrelated_numbers_of_constants_and_of_rounding(shape):
    random = np.random.default_rng(0)
    for (_, one), (_, other) in product(KINDS.items(), repeat=2):
        x, y = (of(random, shape).astype(np.float32) for of in (one, other))
        near = (x * (1 + 1e-7 * random.uniform(-2, 2, shape))).astype(np.float32)
        for there in (y, near) if not np.array_equal(x, y) else (near,):
            assert [*of_each(x, there), *by_channel(x, there)] == []
            assert [of.told for of in rearranged(x, there) if np.array_equal(of.made, there) and there is y] == []


def test_a_norm_that_was_folded_in_is_told_with_its_axis_and_what_it_was_made_of():
    kernel, gain, variance = drawn(8, 8, 3), drawn(8, seed=1), drawn(8, seed=2)
    factors = gain / np.sqrt(variance.astype(np.float64) + 1e-3)
    vectors = {"bn.gain": gain, "bn.variance": variance, "other.bias": drawn(8, seed=3)}
    wrong = (kernel * factors[:, None]).astype(np.float32)
    (one,) = by_channel(kernel, wrong, vectors)
    (both,) = by_channel((kernel * factors[:, None, None]).astype(np.float32), wrong, vectors)

    assert one.told == "with a factor, bn.gain / sqrt(bn.variance + 0.001), at each place along axis 1"
    assert one.names == ("bn.gain", "bn.variance")
    assert any(np.allclose(of, kernel * factors[:, None, None], rtol=1e-6) for of in one.others)
    assert both.told == "with factors along axis 0 that belong along axis 1, or the other way round"


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (2, 3, 1, 0), (0, 1, 3, 2)])
def test_a_reshape_in_the_place_of_a_transposition_is_told_apart_from_one(order):
    kernel = drawn(6, 5, 3, 2)
    shape = tuple(kernel.shape[axis] for axis in order)
    told = {how for how, view in arranged(kernel, shape) if np.array_equal(view, kernel.reshape(shape))}

    assert told == {RUNS_ON}
    assert (
        next(how for how, view in arranged(kernel, shape) if np.array_equal(view, kernel.transpose(order))) != RUNS_ON
    )
    assert related({"a": kernel}, {"b": kernel.reshape(shape)})[0].how == (RUNS_ON,)
    assert related({"a": kernel}, {"b": kernel.reshape(30, 6).T})[0].how == ("transposed",)


def test_of_arrays_that_go_together_the_one_that_was_left_is_proposed_first():
    one, bias, two = drawn(9, 4), drawn(9, seed=1), drawn(5, 9, seed=2)
    order = np.random.default_rng(3).permutation(9)
    both = {"one.kernel": (one, one[order]), "one.bias": (bias, bias[order]), "two.kernel": (two, two)}
    first = next(left_out(both, {}))

    assert first.told == "left in its own order along axis 1, where one.kernel, one.bias have another"
    assert np.array_equal(first.values["two.kernel"], two[:, order])
    assert [*left_out({name: (array, array) for name, (array, _) in both.items()}, {})] == []


def test_channels_of_a_flatten_go_together_with_those_before_it():
    kernel, bias, behind = drawn(6, 5), drawn(6, seed=1), drawn(3, 24, seed=2)
    order = np.random.default_rng(3).permutation(6)
    both = {"conv.kernel": (kernel, kernel[order]), "conv.bias": (bias, bias[order]), "head.kernel": (behind, behind)}
    right = [behind.reshape(3, 6, 4)[:, order].reshape(3, 24), behind.reshape(3, 4, 6)[:, :, order].reshape(3, 24)]
    proposed = [of.values["head.kernel"] for of in left_out(both, {}) if "head.kernel" in of.values]

    assert all(any(np.array_equal(array, of) for of in proposed) for array in right)
