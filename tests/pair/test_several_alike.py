"""Layers of a user's own that hold several parameters of one size: which is which, and which way round."""

from functools import partial
from itertools import pairwise

import keras
import pytest
import torch
from torch import nn

from parity import check, strategies
from parity.canonical.custom import CUSTOM
from parity.pair.pair import Pair
from parity.pair.related import matches

WIDTH = 6


class Attention(nn.Module):
    """One head, its four square matrices in a dict, applied as `turned` says."""

    def __init__(self, turned=False):
        super().__init__()
        torch.manual_seed(0)
        self.turned = turned
        self.p = nn.ParameterDict({name: nn.Parameter(torch.randn(WIDTH, WIDTH)) for name in "vkqo"})

    def forward(self, x):
        p = {name: matrix.mT if self.turned else matrix for name, matrix in self.p.items()}
        query, key, value = (x @ p[name] for name in "qkv")
        return torch.softmax(query @ key.mT / WIDTH**0.5, -1) @ value @ p["o"]


class Attending(keras.layers.Layer):
    """The same, under other names and in another order."""

    def __init__(self, scale=WIDTH**-0.5):
        super().__init__()
        self.scale = scale
        self.wo, self.wq, self.wk, self.wv = (
            self.add_weight(shape=(WIDTH, WIDTH), name=f"weight_{name}") for name in "oqkv"
        )

    def call(self, x):
        ops = keras.ops
        scores = ops.matmul(x @ self.wq, ops.transpose(x @ self.wk, (0, 2, 1))) * self.scale
        return ops.matmul(ops.softmax(scores), x @ self.wv) @ self.wo


def attending(scale=WIDTH**-0.5):
    return keras.Sequential([keras.Input((5, WIDTH)), Attending(scale)])


@pytest.mark.parametrize("turned", [False, True])
def test_four_matrices_of_one_size_are_told_apart_by_their_names_and_all_turned_alike(turned):
    pair = Pair("several", partial(Attention, turned), attending, inputs=strategies.arrays(5, WIDTH))

    assert check(pair, examples=2, checks=["forward"]).holds


def test_what_differs_beside_them_is_named_and_nothing_else():
    pair = Pair("several", Attention, partial(attending, 1 / WIDTH), inputs=strategies.arrays(5, WIDTH))
    (finding,) = check(pair, examples=2, checks=["forward"]).findings

    assert [cause.name for cause in finding.diagnosis.causes] == ["attention scale"]


class Listed(nn.Module):
    """Three matrices in a list, the one in the middle square, and a bias for each."""

    def __init__(self):
        super().__init__()
        sizes = (5, 6, 6, 4)
        self.ws = nn.ParameterList([nn.Parameter(torch.randn(b, a)) for a, b in pairwise(sizes)])
        self.bs = nn.ParameterList([nn.Parameter(torch.randn(size)) for size in sizes[1:]])

    def forward(self, x):
        for w, b in zip(self.ws, self.bs, strict=True):
            x = torch.tanh(nn.functional.linear(x, w, b))
        return x


class Listing(keras.layers.Layer):
    """The same; `again` uses the first bias twice, and the second never."""

    def __init__(self, again=False):
        super().__init__()
        sizes = (5, 6, 6, 4)
        self.again, self.ws = again, [self.add_weight(shape=both, name=f"w{both}") for both in pairwise(sizes)]
        self.bs = [self.add_weight(shape=(size,), name=f"b{size}") for size in sizes[1:]]

    def call(self, x):
        biases = [self.bs[0], self.bs[0], self.bs[2]] if self.again else self.bs
        for w, b in zip(self.ws, biases, strict=True):
            x = keras.ops.tanh(x @ w + b)
        return x


def listing(again=False):
    return keras.Sequential([keras.Input((5,)), Listing(again)])


def test_a_square_matrix_is_turned_as_those_beside_it_are_and_no_cause():
    pair = Pair("listed", Listed, partial(listing, True), inputs=strategies.arrays(5))
    (finding,) = check(pair, examples=2, checks=["forward"]).findings

    assert [cause.name for cause in finding.diagnosis.causes] == ["operand"]


NAMES = "gain", "offset", "gate", "up", "down", "tau"
SHAPES = (6,), (6,), (8, 6), (8, 6), (6, 8), ()


def test_many_parameters_of_other_names_go_by_their_sizes():
    ours = CUSTOM, tuple(zip(NAMES, SHAPES, strict=True))
    theirs = CUSTOM, tuple((f"w{at}", shape[::-1]) for at, shape in enumerate(SHAPES[::-1]))
    readings = matches(ours, theirs)

    assert len(set(readings)) == len(readings) > 1
    sizes = [dict(of[1]) for of in (ours, theirs)]
    for reading in readings:
        assert all(sizes[0][of.names[0]] in (sizes[1][of.names[1]], sizes[1][of.names[1]][::-1]) for of in reading)


def test_parameters_that_one_side_has_more_of_are_no_counterparts():
    ours = CUSTOM, tuple(zip(NAMES, SHAPES, strict=True))
    theirs = CUSTOM, tuple((f"w{at}", shape) for at, shape in enumerate((*SHAPES[:-1], (7,))))

    assert matches(ours, theirs) == ()


@pytest.mark.parametrize("beside", ["q", "query"])
def test_the_likeliest_pairing_is_that_of_the_names_most_alike(beside):
    ours = CUSTOM, (("k", (6, 6)), (beside, (6, 6)))
    theirs = CUSTOM, ((f"w_{beside}", (6, 6)), ("w_k", (6, 6)))

    assert {of.names for of in matches(ours, theirs)[0]} == {("k", "w_k"), (beside, f"w_{beside}")}
