"""Slices, grids and windows of another form; the other side's line; what is no cause; edits that cannot be made."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair
from parity.backends.operations import Edit
from parity.diagnose import operators
from parity.diagnose.operators import families
from parity.diagnose.operators.examples import recorded
from parity.diagnose.operators.likeness import orphaned
from parity.diagnose.operators.operands import functions, of_results
from parity.diagnose.operators.orders import orders, taken
from parity.diagnose.operators.proposal import Proposal, Spot, contrary
from parity.pair.models import PairModels
from parity.strategies import arrays
from tests.helpers.between import found, given, pair


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


def below(diagonal):
    def weigh(x):
        mask = torch.ones(6, 4, dtype=torch.bool).tril(diagonal)
        return x.tanh().masked_fill(~mask, -1e4).softmax(3).sin()

    return weigh


def below_there(x):
    scores = tf.tanh(tf.square(x) / x)
    mask = tf.linalg.band_part(tf.ones((6, 4), tf.bool), -1, 0)
    return tf.sin(tf.nn.softmax(tf.where(mask[..., None], scores, -1e30), 2))


def test_the_line_of_a_mask_is_that_of_the_other_sides_mask():
    _, [cause] = found(pair(below(1), below_there))
    lines = Path(__file__).read_text().splitlines()
    line = next(number for number, code in enumerate(lines, 1) if "mask = tf.linalg.band_part(" in code)

    assert "diagonal=0" in cause.told
    assert f"(test_operator_places.py:{line})" in cause.told


def test_an_edit_that_cannot_be_made_ends_no_search(monkeypatch):
    def impossible(_):
        def made(_trace):
            raise ValueError("axes don't match array")

        yield Proposal(made, "argument", "", "")

    monkeypatch.setattr(families, "SINGLE", (impossible, *families.SINGLE))
    monkeypatch.setattr(families, "PLAIN", (impossible, *families.PLAIN))
    places, _ = found(pair(sliced, lambda x: tf.square(tf.cumsum(x, 2)[:, 1:5, 2:4]) * tf.reduce_mean(x)))

    assert places


def large_alone(x):
    large = x.abs().amax((1, 2, 3), keepdim=True) > 3.0
    return x.sin() * (1.0 + large.to(x.dtype))


def test_a_condition_that_holds_nowhere_on_an_example_may_hide_nothing_on_the_other_side():
    _, [cause] = found(pair(large_alone, lambda x: tf.sin(x) * 2.0))

    assert cause.name == "mask missing"
    assert "torch distinguishes elements by gt(other=3.0)" in cause.told


def centres(x):
    ys, xs = torch.meshgrid(torch.arange(6), torch.arange(4), indexing="ij")
    return x.sin() * (10 * ys + xs).reshape(6, 4).to(x.dtype).cos()


def centres_by_columns(x):
    ys, xs = tf.meshgrid(tf.range(6), tf.range(4), indexing="xy")
    return tf.sin(x) * tf.cos(tf.cast(tf.reshape(10 * ys + xs, (6, 4, 1)), x.dtype))


def windowed(x):
    return x * torch.hann_window(4, dtype=x.dtype)


def windowed_symmetrically(x):
    return x * tf.constant(np.hanning(4), x.dtype)[:, None]


EIGHTHS = 100.0 ** (-np.arange(0, 4, 2) / 8)


def frequencies(x):
    inverse = 1.0 / 100 ** (torch.arange(0, 4, 2, dtype=x.dtype) / 4).repeat_interleave(2)
    return (x * inverse).sin()


def other_frequencies(x):
    return tf.sin(x * tf.repeat(tf.constant(EIGHTHS, x.dtype), 2)[:, None])


ARGUMENTS = {
    "a grid's indexing": (centres, centres_by_columns, "argument", "with indexing=xy"),
    "a window's second form": (windowed, windowed_symmetrically, "argument", "with periodic=False"),
    "a whole number twice as large": (frequencies, other_frequencies, "scale", "with other=8"),
}


@pytest.mark.parametrize(("ours", "theirs", "name", "words"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_an_argument_of_what_is_made_of_constants_is_told(ours, theirs, name, words):
    _, [cause] = found(pair(ours, theirs))

    assert (cause.name, words in cause.told) == (name, True)


def test_few_constants_tell_no_function():
    corners = pair(frequencies, tf.identity)
    runs = recorded(corners, *given(corners, 1.0)[0], loss=False)
    numbers = {one.name: number for number, one in enumerate(runs.run.trace.operations)}
    spots = {name: Spot(runs.run, numbers[name], runs.alignment, ()) for name in ("repeat_interleave", "sin")}

    assert not [*functions(spots["repeat_interleave"]), *of_results(spots["repeat_interleave"])]
    assert [*functions(spots["sin"])]
    assert [*of_results(spots["sin"])]


def test_a_table_without_an_axis_of_rows_has_an_order():
    table = np.arange(48.0).reshape(1, 6, 8)

    [(order, _), *_] = orders(table, table[0][::-1], 1e-9)
    assert np.array_equal(taken(table, order)[0], table[0][::-1])
    [(order, _), *_] = orders(table[0], table[:, ::-1], 1e-9)
    assert np.array_equal(taken(table[0], order), table[0][::-1])


def emphasized(x):
    return torch.cat([x[:, :, :1], x[:, :, 1:] - 0.97 * x[:, :, :-1]], 2)


def test_edits_that_leave_what_torch_does_unused_are_known():
    corners = pair(emphasized, tf.identity)
    run = recorded(corners, *given(corners, 1.0)[0], loss=False).run
    [joined] = [number for number, one in enumerate(run.trace.operations) if one.name == "cat"]
    [_, difference] = [at for at, leaf in enumerate(run.leaves(joined)) if leaf.place is not None]
    [before] = [one.makes[0] for one in run.trace.operations if "slice(None, -1, None)" in str(one.settings)]

    assert orphaned(run, [Edit(joined, difference, take=before)])  # the difference is not taken any more
    assert not orphaned(run, [Edit(joined, difference, take=run.leaves(joined)[difference].place)])
    assert not orphaned(run, [Edit(joined, after=np.sin)])


def proposed(**more):
    return Proposal(lambda _: (), "extra operation", "", "", **more)


def test_what_one_edit_leaves_out_and_another_puts_in_is_not_missing_on_either_side():
    assert contrary([proposed(without="square"), proposed(brings=["Sub", "SquaredDifference", "Mean"])])
    assert contrary([proposed(without="__add__"), proposed(brings=["AddV2"])])
    assert not contrary([proposed(without="square"), proposed(brings=["Sub", "Mean"])])
    assert not contrary([proposed(without="square"), proposed(without="square")])


class Halved(nn.Module):
    """Whose output is a number on the other side's way to its own."""

    def __init__(self):
        super().__init__()
        self.own = nn.Linear(5, 3)

    def forward(self, x):
        return self.own(x) * 2.0 * 0.5


class Doubled(keras.Model):
    def __init__(self):
        super().__init__()
        self.own = keras.layers.Dense(3, name="own")

    def call(self, x):
        return self.own(x) * 2.0


def test_an_output_that_is_a_number_of_the_other_sides_way_has_a_place():
    corners = PairModels(Pair("half", Halved, Doubled, inputs=arrays(5)))
    places = operators.operations(operators.Examples(corners, given(corners, 1.0)))

    assert [(one.side, one.code) for one in places] == [
        ("torch", "return self.own(x) * 2.0 * 0.5"),
        ("tensorflow", "return self.own(x) * 2.0"),
    ]
