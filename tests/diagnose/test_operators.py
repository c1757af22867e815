"""The first operations that differ, by the values that they make, and causes that an edit of one of them proves."""

import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair
from parity.backends.operations import Trace
from parity.checks import forward, runner
from parity.diagnose import operators
from parity.diagnose.explain import diagnose
from parity.diagnose.operators import search
from parity.diagnose.operators.align import aligned
from parity.diagnose.operators.orders import orders, taken
from parity.diagnose.operators.proposal import written
from parity.diagnose.wording import why
from parity.pair.models import PairModels
from tests.helpers import between
from tests.helpers.between import IMAGES, Keras, Torch, found, given, pair, same


def pooled(x):
    return nn.functional.avg_pool2d(x, 2, padding=1)


def pooled_without_edges(x):
    return tf.nn.avg_pool2d(tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), 2, 2, "VALID") * 1.0


def uncounted(x):
    return nn.functional.avg_pool2d(x, 2, padding=1, count_include_pad=False)


def exact(x):
    return nn.functional.gelu(x)


def approximate(x):
    return tf.nn.gelu(x, approximate=True)


def shuffled(x):
    return nn.functional.channel_shuffle(x, 3)


def reduced(x):
    return x * nn.functional.l1_loss(x.relu(), torch.zeros_like(x))


def reduced_to_what_counts(x):
    each = tf.nn.relu(x)
    return x * tf.reduce_sum(each) / tf.cast(tf.math.count_nonzero(each), x.dtype)


STATISTICS = [0.1, -0.3, 0.2, 0.4, -0.1, 0.3], [1.0, 2.0, 0.5, 1.5, 0.7, 1.2]


def normalized(x):
    mean, variance = (torch.tensor(of, dtype=x.dtype) for of in STATISTICS)
    return nn.functional.batch_norm(x, mean, variance)


def normalized_along_rows(x):
    mean, variance = (tf.reshape(tf.constant(of, x.dtype), (6, 1, 1)) for of in STATISTICS)
    return (x - mean) / tf.sqrt(variance + 1e-5)


def gated(x):
    gate, value = x.chunk(2, 1)
    return nn.functional.pad(gate.sigmoid() * value, (0, 0, 0, 0, 0, 3))


def gated_by_the_other(x):
    value, gate = tf.split(x, 2, 3)
    return tf.pad(tf.sigmoid(gate) * value, ((0, 0), (0, 0), (0, 0), (0, 3)))


CASES = {
    "an argument that is true or false": (uncounted, pooled_without_edges, "avg_pool2d", "count_include_pad=True"),
    "a word that was not given": (exact, approximate, "gelu", "approximate=tanh"),
    "an operation of torch's": (lambda x: x * 0.5, same, "mul", "missing in tensorflow"),
    "an operation of TensorFlow's": (same, tf.nn.tanh, "mean", "tensorflow does Tanh()"),
    "the axis of batch normalization": (
        normalized,
        normalized_along_rows,
        "batch_norm",
        "along axis 2 of torch's array",
    ),
    "halves in each other's place": (gated, gated_by_the_other, "sigmoid", "results 0 and 1 of chunk(chunks=2, dim=1)"),
    "a power": (lambda x: x.abs() ** 2, lambda x: tf.abs(x) ** 1.5, "pow", "with exponent=1.5"),
    "another reduction": (reduced, reduced_to_what_counts, "l1_loss", "the mean over the elements that are not zero"),
    "a word of rounding": (
        lambda x: torch.div(4 * x, 0.5, rounding_mode="trunc"),
        lambda x: 4 * x // 0.5,
        "div",
        "with rounding_mode=floor",
    ),
    "an order": (same, lambda x: tf.reverse(x, (3,)), "linear", "stands in reverse"),
    "a shuffle": (shuffled, same, "linear", "another order"),
}


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    monkeypatch.setattr(search, "WORK", 500)


@pytest.mark.parametrize(("ours", "theirs", "name", "words"), CASES.values(), ids=CASES)
def test_an_edit_of_the_first_operation_that_differs_is_the_cause(ours, theirs, name, words):
    places, causes = found(pair(ours, theirs))

    assert name in places[0].call
    assert {place.side for place in places} == {"torch", "tensorflow"}
    assert {place.file for place in places} <= {__file__, between.__file__}
    [cause] = causes
    assert words in cause.told
    assert cause.after <= 1e-11 < 1e-7 < cause.before


def test_where_no_edit_is_enough_the_two_operations_are_said_to_differ_and_nothing_else():
    corners = pair(lambda x: x.logcumsumexp(1), lambda x: tf.math.cumulative_logsumexp(x, 3, reverse=True))
    places, [cause] = found(corners)

    assert places[0].call.startswith("logcumsumexp(")
    assert cause.name == "operation"
    assert "make other numbers of the same" in cause.told


def test_the_last_operation_of_a_model_is_one_like_any_other():
    call = {
        "torch": lambda model, x, training: model(x).cumsum(1),
        "tensorflow": lambda model, x, training: tf.cumsum(model(x, training=training), 1, exclusive=True),
    }
    corners = PairModels(Pair("own", lambda: Torch(same), lambda: Keras(same), inputs=IMAGES, call=call))
    _, [cause] = found(corners)

    assert cause.told.startswith("torch's cumsum(")


def test_two_faults_are_both_told():
    def ours(x):
        return nn.functional.elu((x * 0.5).tanh(), 0.7)

    _, causes = found(pair(ours, lambda x: tf.nn.elu(tf.tanh(x))))

    assert [cause.name for cause in causes] == ["scale", "argument"]
    assert "mul" in causes[0].told
    assert "alpha=1.0" in causes[1].told


KERNEL = np.random.default_rng(0).normal(size=(6, 6, 3, 3))
BIAS = np.random.default_rng(1).normal(size=6)


def strided(x):
    return nn.functional.conv2d(x, torch.from_numpy(KERNEL).to(x.dtype), torch.from_numpy(BIAS).to(x.dtype), 2, 1)


def strided_same(x):
    made = tf.nn.conv2d(x, tf.cast(KERNEL.transpose(2, 3, 1, 0), x.dtype), 2, "SAME")
    return tf.nn.bias_add(made, tf.cast(BIAS, x.dtype))


def test_an_exchange_has_to_help_what_follows():
    """A convolution without its bias is a value of TensorFlow's, too: in the place of torch's it brings nothing."""
    _, causes = found(
        pair(lambda x: strided(x).relu().cumsum(1), lambda x: tf.cumsum(tf.nn.relu(strided_same(x)), 3, True))
    )

    assert [cause.told.split("(")[0] for cause in causes] == ["torch's conv2d", "torch's cumsum"]


def test_of_two_faults_with_nothing_between_each_is_told_as_what_it_is():
    """A convolution without its bias could stand in the first's place, and the bias in the second's."""
    _, causes = found(pair(lambda x: strided(x).cumsum(1), lambda x: tf.cumsum(strided_same(x), 3, exclusive=True)))

    assert [cause.told.split("(")[0] for cause in causes] == ["torch's conv2d", "torch's cumsum"]
    assert "tensorflow pads 0 before and 1 after" in causes[0].told


def normed(x):
    mean = x.mean(1, keepdim=True)
    return (x - mean) / ((x - mean) ** 2).mean(1, keepdim=True).add(1e-3).sqrt()


def by_moments(x):
    square, mean = tf.reduce_mean(x * x, 3, keepdims=True), tf.reduce_mean(x, 3, keepdims=True)
    return x * tf.math.rsqrt(square - mean * mean + 1e-3) - mean * tf.math.rsqrt(square - mean * mean + 1e-3)


def test_another_way_to_compute_the_same_is_nobodys_fault():
    places, causes = found(pair(normed, by_moments))

    assert (places, causes) == ([], [])


def test_what_closes_one_example_alone_is_no_cause():
    corners = pair(lambda x: x * 0.5, lambda x: x if x.shape[0] == 1 else x * 0.5)
    (weights, images), *_ = given(corners, 1.0)
    one, two = (weights, images[:1]), (weights, np.concatenate([images[:1], images[:1] + 1]))

    assert [cause.name for cause in operators.causes(operators.Examples(corners, [one]))] == ["scale"]
    assert operators.causes(operators.Examples(corners, [one, two])) == []


def test_an_order_is_one_of_rows_whatever_stands_in_them():
    random = np.random.default_rng(0)
    image = random.normal(size=(2, 6, 3, 4))
    image[:, 2:4] = 0  # slices that are equal

    for twin in (image[:, ::-1], image.reshape(2, 3, 2, 3, 4).swapaxes(1, 2).reshape(2, 6, 3, 4)):
        found = [order for order, _ in orders(image, np.moveaxis(twin, 1, 3), 1e-9)]
        assert any((taken(image, order) == twin).all() for order in found)
    assert [*orders(image, np.moveaxis(image, 1, 3), 1e-9)] == []
    assert [*orders(image, random.normal(size=(2, 3, 4, 6)), 1e-9)] == []


def test_a_finding_shows_both_lines_and_the_cause():
    corners = pair(uncounted, pooled_without_edges)
    outcome = runner.attempt(forward, corners, 0, 2, "own")
    text = "\n".join(why(corners, diagnose(corners, outcome)))

    assert "first operations that differ:\n  torch avg_pool2d(" in text
    assert f"{__file__}:" in text
    assert "return nn.functional.avg_pool2d(x, 2, padding=1, count_include_pad=False)" in text
    assert "cause: the code between layers: count_include_pad False, not True: torch calls avg_pool2d" in text


def test_both_runs_stand_side_by_side():
    corners = pair(lambda x: x * 2.0, lambda x: x * 3.0)
    rows = operators.side_by_side(corners, *given(corners, 1.0)[0])
    marked = [(row.ours, row.theirs) for row in rows if row.differs]
    twins = [(row.ours.partition("(")[0], row.theirs.partition("(")[0]) for row in rows if row.ours and row.theirs]

    assert marked == [("mul(other=2.0)", ""), ("", "Mul(y=3.0)")]
    assert ("conv2d", "BiasAdd") in twins
    assert {row.layer for row in rows[-3:]} == {"head"}


def test_runs_that_are_alike_mark_nothing():
    corners = pair(same, same)

    assert not any(row.differs for row in operators.side_by_side(corners, *given(corners, 1.0)[0]))


def test_a_graph_runs_as_it_is_written_and_the_users_setting_stands():
    """To rewrite a graph of which all is kept takes longer than to run it once."""
    settings = []

    def told(x):
        settings.append(tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"])
        return x * 3.0

    corners = pair(same, told)
    corners.load(given(corners, 1.0)[0][0])
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    del settings[:]
    trace = corners.models["tensorflow", "float64"].record(given(corners, 1.0)[0][1]).trace

    assert settings == [True]
    assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"] is before
    assert 3.0 in [value.array for value in trace.values if value.leaf.startswith("constant") and not value.shape]


def test_numbers_near_the_end_of_their_range_and_infinities_are_matched_without_a_warning():
    """A mask of infinities and exponentials of large scores are what attention is made of."""
    huge = np.array([1e300, -np.inf, 3.0, 0.5])
    first, second = (Trace() for _ in range(2))
    here, there = first.values[first.add(huge)], second.values[second.add(huge[::-1])]

    assert aligned(first, second, "float64").same(here, there)
    assert not aligned(first, second, "float64").same(here, second.values[second.add(np.abs(huge))])


def test_a_function_among_the_arguments_is_written_by_its_name():
    """A hook's address is another in each run."""
    values = len, lambda gradient: gradient, [1, Ellipsis]
    assert [*map(written, values)] == ["len", "<lambda>", "[1, ...]"]
