"""Models as they are written: parameters beside layers, attention written out, other kinds, what one side lacks."""

from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import ParityError, api, strategies
from parity.canonical.form import View
from parity.canonical.ways import axes, ways
from parity.checks import forward, gradients, runner, weights
from parity.checks.results import Diagnosis
from parity.diagnose.wording import why
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.pair.related import matches

WIDTH, HEADS, PATCH = 10, 2, 4


class Rms(nn.Module):
    def __init__(self, eps=1e-6):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(WIDTH)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class Turned(nn.Module):
    """A dense layer whose weight has its inputs first."""

    def __init__(self, within, out):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(within, out)), nn.Parameter(torch.zeros(out))

    def forward(self, x):
        return torch.addmm(self.bias, x.flatten(0, 1), self.weight).unflatten(0, x.shape[:2])


class InTorch(nn.Module):
    """A picture's patches, a token before them, positions, one block, and a head; one layer is never called."""

    def __init__(self, by_heads=False):
        super().__init__()
        self.token, self.positions = nn.Parameter(torch.zeros(1, 1, WIDTH)), nn.Parameter(torch.zeros(5, WIDTH))
        self.patches, self.norm = nn.Conv2d(3, WIDTH, PATCH, PATCH), Rms()
        self.attention, self.back = Turned(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)
        self.gamma, self.spare, self.head = nn.Parameter(torch.ones(WIDTH)), nn.Linear(3, 3), nn.Linear(WIDTH, 7)
        self.by_heads = by_heads

    def forward(self, x):
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        fused = self.attention(self.norm(x))
        if self.by_heads:
            parts = (part.transpose(1, 2) for part in fused.unflatten(-1, (HEADS, 3, -1)).unbind(3))
        else:
            parts = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in fused.chunk(3, -1))
        seen = nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        return self.head((x + self.gamma * self.back(seen))[:, 0])


class Scale(keras.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.factor


class Responses(nn.Module):
    """A layer scale whose gain and offset are two arrays of the model's own."""

    def __init__(self):
        super().__init__()
        self.gamma, self.beta, self.head = (
            nn.Parameter(torch.ones(1, 5)),
            nn.Parameter(torch.ones(1, 5)),
            nn.Linear(5, 2),
        )

    def forward(self, x):
        return self.head(self.gamma * x / (1 + x.abs().amax(-1, keepdim=True)) + self.beta)


class Responding(keras.layers.Layer):
    """The same, with both in one layer."""

    def build(self, shape):
        self.gamma, self.beta = (self.add_weight(shape=shape[1:], name=name) for name in ("gamma", "beta"))

    def call(self, x):
        return x / (1 + keras.ops.max(keras.ops.abs(x), -1, keepdims=True)) * self.gamma + self.beta


def responding():
    return keras.Sequential([keras.Input((5,)), Responding(), keras.layers.Dense(2)])


class InKeras(keras.Model):
    def __init__(self, eps=1e-6):
        super().__init__()
        layers = keras.layers
        self.token = self.add_weight(shape=(1, 1, WIDTH))
        self.table, self.flat, self.norm = layers.Embedding(5, WIDTH), layers.Dense(WIDTH), Scale()
        self.attention, self.scale, self.eps = layers.MultiHeadAttention(HEADS, WIDTH // HEADS), Scale(), eps
        self.out = layers.EinsumDense("bc,cd->bd", 7, bias_axes="d")

    def call(self, x):
        ops, count = keras.ops, keras.ops.shape(x)[0]
        x = ops.reshape(x, (count, 3, 2, PATCH, 2, PATCH))
        x = self.flat(ops.reshape(ops.transpose(x, (0, 2, 4, 1, 3, 5)), (count, 4, 3 * PATCH**2)))
        x = ops.concatenate([ops.tile(self.token, (count, 1, 1)), x], 1) + self.table(ops.arange(5))
        y = self.norm(x * ops.rsqrt(ops.mean(x**2, -1, keepdims=True) + self.eps))
        return self.out((x + self.scale(self.attention(y, y)))[:, 0])


@pytest.fixture(scope="module")
def pair():
    return Pair("written", InTorch, InKeras, inputs=strategies.arrays(3, 8, 8))


@pytest.fixture(scope="module")
def corners(pair):
    return PairModels(pair)


def findings(corners, *modules):
    outcomes = [runner.run_check(module, corners, 0, 2, "parity check") for module in modules]
    return [finding.message for outcome in outcomes for finding in outcome.findings]


def test_layers_are_linked_however_each_side_writes_them(corners):
    assert findings(corners, weights, forward) == []
    assert {link.ours: link.theirs for link in corners.links} == {
        "token": "token",
        "positions": "table",
        "patches": "flat",
        "norm": "norm",
        "attention": "attention.query+key+value",
        "back": "attention.attention_output",
        "gamma": "scale",
        "head": "out",
    }


def test_a_bias_that_one_side_lacks_is_held_at_0_and_trained_by_the_other_alone(corners):
    values = corners.load(replace(corners.loaded, seed=7))

    assert corners.layout["back.bias"] == ("held", (WIDTH,))
    assert not values["back.bias"].any()
    outcome = runner.run_check(gradients, corners, 0, 1, "parity check")
    api.explain(corners, [outcome])
    assert outcome.findings[0].message.startswith(
        "whether back.bias is trained (1): torch and tensorflow are different"
    )
    assert "torch has no back.bias, and the other side trains it" in outcome.findings[0].why[1]


def test_a_layer_is_no_twin_of_one_of_its_arrays_where_the_other_side_has_them_all():
    corners = PairModels(Pair("responses", Responses, responding, inputs=strategies.arrays(5)))

    assert findings(corners, forward) == []
    assert {link.ours: link.theirs for link in corners.links}["beta"] == "responding.beta"


def keras_table():
    return keras.Sequential([keras.layers.Embedding(9, 3), keras.layers.Dense(2)])


def torch_table():
    return nn.Sequential(nn.Embedding(9, 3, padding_idx=0), nn.Linear(3, 2))


def test_a_row_that_one_side_does_not_train_is_told_without_a_tokenizer():
    corners = PairModels(Pair("table", torch_table, keras_table, inputs=strategies.arrays(8, below=9)))
    outcome = runner.run_check(gradients, corners, 0, 2, "parity check")
    api.explain(corners, [outcome])

    assert outcome.findings[0].why[1].startswith("cause: 0: pad row: torch's embedding(padding_idx=0")


def test_what_one_side_alone_has_is_said(corners):
    assert "back.bias, which one side lacks: held at 0" in corners.exercised.missing(())
    told = "parameters of torch's spare, which the other side has not: never called"
    assert told in corners.exercised.missing(())


def test_rows_that_alternate_by_heads_are_found_by_running(pair):
    corners = PairModels(replace(pair, torch=partial(InTorch, by_heads=True)))

    assert corners.unproved == ()
    assert findings(corners, forward) == []


def test_a_difference_in_what_is_written_otherwise_is_found(pair):
    """And where the outputs are as far apart however rows are read, that is said."""
    corners = PairModels(replace(pair, tensorflow=partial(InKeras, eps=1e3)))

    assert findings(corners, forward)
    told = "not verified: how attention and attention.query+key+value hold the same numbers"
    assert told in "".join(why(corners, Diagnosis(())))


class Longer(nn.Module):
    """A table of positions of which the first rows are for nothing, and a kind of token that is the only one."""

    def __init__(self, first=2):
        super().__init__()
        self.tokens, self.positions, self.types = nn.Embedding(9, 3), nn.Embedding(7, 3), nn.Embedding(1, 3)
        self.first = first

    def forward(self, ids):
        places = torch.arange(self.first, self.first + ids.shape[1])
        return self.tokens(ids) + self.positions(places) + self.types(torch.zeros_like(ids))


class Shorter(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.table = keras.layers.Embedding(9, 3), keras.layers.Embedding(5, 3)

    def call(self, ids):
        return self.embedding(ids) + self.table(keras.ops.arange(keras.ops.shape(ids)[1]))


@pytest.mark.parametrize(("first", "holds"), [(2, True), (1, False)])
def test_a_table_may_be_longer_on_one_side(first, holds):
    pair = Pair("tables", partial(Longer, first), Shorter, inputs=strategies.arrays(5, below=9))
    corners = PairModels(pair)

    assert (findings(corners, weights, forward) == []) is holds
    assert corners.layout["positions.table"] == ("embedding", (5, 3))
    assert "types.table, which one side lacks: held at 0" in corners.exercised.missing(())


class Bilinear(InTorch):
    def __init__(self):
        super().__init__()
        self.both = nn.Bilinear(7, 7, 7)

    def forward(self, x):
        return self.both(y := super().forward(x), y)


def test_what_one_side_alone_computes_is_refused_by_name(pair):
    with pytest.raises(ParityError, match=r"unmatched are torch's .*both \(custom weight \(7, 7, 7\), bias \(7\)\)"):
        PairModels(replace(pair, torch=Bilinear))


# The ways from one shape to another


def test_axes_that_are_known_leave_one_way():
    image, sequence = axes("conv2d", "kernel", (11, 1, 3, 20)), axes("conv1d", "kernel", (11, 20, 3))
    heads, rows = axes("attention", "query_kernel", (2, 5, 10)), axes("dense", "kernel", (10, 10))

    assert ways(sequence, image) == [View((11, 20, 3), (11, 20, 3), (0, 2, 1), (11, 1, 3, 20))]
    assert [view.order for view in ways(heads, rows)] == [(0, 1, 2), (1, 0, 2)]
    assert ways(axes("dense", "kernel", (5, 3)), axes("dense", "kernel", (3, 5))) == []


def test_axes_that_are_not_known_may_be_turned():
    square, other = axes("custom", "weight", (6, 6)), axes("dense", "kernel", (6, 6))

    assert [view.order for view in ways(square, other)] == [(0, 1), (1, 0)]


def test_a_kernel_of_equal_sides_stands_as_the_frameworks_have_it():
    both = (axes("custom", "kernel", shape) for shape in ((4, 3, 3, 3), (3, 3, 3, 4)))
    assert ways(*both)[0].order == (2, 3, 1, 0)


def test_every_way_is_exact_there_and_back():
    for source, target in (((10, 48), (3, 10, 4, 4)), ((3, 10, 4, 4), (48, 10)), ((1, 1, 6), (6,)), ((), (1,))):
        array = np.arange(np.prod(source), dtype=np.float32).reshape(source)
        found = ways((source, ("",) * len(source)), (target, ("",) * len(target)))
        assert found
        for view in found:
            assert (view.there(array).shape, view.back(view.there(array)).shape) == (target, source)
            np.testing.assert_array_equal(view.back(view.there(array)), array)


def test_a_parameter_that_is_no_bias_and_no_gain_has_to_be_on_both_sides():
    norm, batch = ("layer_norm", (("gain", (5,)),)), ("batch_norm", (("gain", (5,)), ("mean", (5,))))

    assert [
        match.names
        for match in matches(("dense", (("kernel", (5, 3)), ("bias", (5,)))), ("custom", (("w", (3, 5)),)))[0]
    ] == [
        ("kernel", "w"),
        ("bias", None),
    ]
    assert matches(norm, batch) == ()
