"""Operands in another order, or not given at all: each is told by a name of its own, and two sides never read alike."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair, strategies
from parity.checks.results import Cause
from parity.diagnose import operators
from parity.diagnose.operators import search
from parity.diagnose.operators.orders import orders
from parity.pair.models import PairModels
from tests.helpers.between import found, pair

SHARES = torch.tensor([[0.2, 0.5, -0.1], [0.3, 0.1, 0.4], [-0.6, 0.2, 0.3]])
SEEN = torch.arange(6)[:, None, None] != 2


def spread(x):
    """Three steps of a chain, along the first three channels."""
    for _ in range(3):
        x = torch.tanh(torch.einsum("bcij,cd->bdij", x[:, :3], SHARES.to(x.dtype)))
    return torch.cat([x, x], 1)


def spread_back(x):
    for _ in range(3):
        x = tf.tanh(tf.einsum("bijc,dc->bijd", x[..., :3], tf.constant(SHARES.numpy(), x.dtype)))
    return tf.concat([x, x], 3)


def stepped(times):
    def run(x):
        for _ in range(times):
            x = torch.sin(1.3 * x) - x.mean(1, keepdim=True)
        return x

    return run


def stepped_there(times):
    def run(x):
        for _ in range(times):
            x = tf.sin(1.3 * x) - tf.reduce_mean(x, 3, keepdims=True)
        return x

    return run


def every_turn(chosen):
    def run(x):
        turns = [x]
        for _ in range(4):
            turns.append(torch.sin(1.3 * turns[-1]) - turns[-1].mean(1, keepdim=True))
        return turns[chosen] * turns[-1].sin()

    return run


def every_turn_there(chosen):
    def run(x):
        turns = [x]
        for _ in range(4):
            turns.append(tf.sin(1.3 * turns[-1]) - tf.reduce_mean(turns[-1], 3, keepdims=True))
        return turns[chosen] * tf.sin(turns[-1])

    return run


def weighed(x):
    return 0.3 * x.sin() + 0.7 * x.cos()


def weighed_otherwise(first, second):
    return lambda x: first * tf.sin(x) + second * tf.cos(x)


def hidden_first(x):
    return x.masked_fill(~SEEN, -1e9).softmax(1) * x.exp()


def hidden_behind(x):
    seen = tf.constant(SEEN.numpy()[:, 0, 0])
    return tf.nn.softmax(x, 3) * tf.cast(seen, x.dtype) * tf.exp(x)


def shares_of_scores(x):
    """Of the two best by biased scores, the scores themselves, of each the share."""
    scores = x.sigmoid()
    best = torch.topk(scores + torch.arange(6, dtype=x.dtype)[:, None, None] / 9, 2, dim=1)[1]
    chosen = scores.gather(1, best)
    return (chosen / chosen.sum(1, keepdim=True)).repeat(1, 3, 1, 1)


def shares_of_biased_scores(x):
    chosen = tf.math.top_k(tf.sigmoid(x) + tf.range(6, dtype=x.dtype) / 9, 2)[0]
    return tf.tile(chosen / tf.reduce_sum(chosen, 3, keepdims=True), (1, 1, 1, 3))


EDITED = {
    "a loop of fewer turns": (
        stepped(4),
        stepped_there(2),
        "torch does these 4 operations 4 times, tensorflow twice",
    ),
    "a result of another turn": (
        every_turn(2),
        every_turn_there(3),
        "turn 2 of 4 in torch, and the result of sub()",
    ),
    "a matrix that is turned in each turn": (spread, spread_back, "; so in 3 places"),
    "the weights of two terms": (weighed, weighed_otherwise(0.7, 0.3), "stand in each other's place in tensorflow"),
    "a condition and its inverse": (
        lambda x: torch.where(x > 0.1, 0.25, 0.75) * x.exp(),
        lambda x: tf.where(x > 0.1, tf.constant(0.75, x.dtype), tf.constant(0.25, x.dtype)) * tf.exp(x),
        "where(",
    ),
    "two joined in another order": (
        lambda x: torch.cat([x[:, :2], x[:, 2:].abs()], 1),
        lambda x: tf.concat([tf.abs(x[..., 2:]), x[..., :2]], 3),
        "tensors[0] (the result of __getitem__",
    ),
    "three joined in another order": (
        lambda x: torch.cat([x[:, :2], x[:, :2].abs(), x[:, :2].exp()], 1),
        lambda x: tf.concat([tf.exp(x[..., :2]), x[..., :2], tf.abs(x[..., :2])], 3),
        "stand in the order tensors[2], tensors[0], tensors[1] in tensorflow",
    ),
    "a running sum without the element itself": (
        lambda x: x.cumsum(1),
        lambda x: tf.cumsum(x, 3, exclusive=True),
        "tensorflow does so exclusive: Cumsum(",
    ),
    "a running sum from the end": (
        lambda x: x.cumsum(2),
        lambda x: tf.cumsum(x, 1, reverse=True),
        "tensorflow does so reverse: Cumsum(",
    ),
    "a difference that a maximum would hide": (
        lambda x: x.abs().clamp(min=1.0) - 1.0,
        lambda x: tf.maximum(tf.abs(x), 1.0),
        "torch does sub(other=1.0)",
    ),
    "one operand twice": (
        lambda x: (x.sin() + 2) * x.cos().exp() * x.tanh(),
        lambda x: tf.square(tf.exp(tf.cos(x))) * tf.tanh(x),
        "the self of mul (test_operator_operands.py:",
    ),
    "what is chosen by, where what is chosen was meant": (
        shares_of_scores,
        shares_of_biased_scores,
        "torch goes on with the result of gather(dim=1)",
    ),
    "a sum for a maximum": (
        lambda x: x.abs() + 0.5,
        lambda x: tf.maximum(tf.abs(x), 0.5),
        "torch adds 0.5 (test_operator_operands.py:",
    ),
}


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    monkeypatch.setattr(search, "WORK", 500)


@pytest.mark.parametrize(("ours", "theirs", "words"), EDITED.values(), ids=EDITED)
def test_an_edit_of_operands_is_the_cause(ours, theirs, words):
    _, [cause] = found(pair(ours, theirs))

    assert words in cause.told


def test_other_weights_are_not_told_as_exchanged():
    _, causes = found(pair(weighed, weighed_otherwise(0.7, 0.7)))

    assert [(cause.name, "with other=0.7" in cause.told) for cause in causes] == [("scale", True)]


def test_a_sign_that_no_operation_turns_is_no_half_of_a_cause():
    _, [cause] = found(pair(lambda x: (x.sin() * 0.5).exp(), lambda x: tf.exp(tf.sin(x - 2.0 * x) * 0.25)))

    assert "-0.5 times as large in tensorflow" in cause.told


def test_a_single_edit_that_shows_at_the_end_alone_is_preferred_to_two_that_show_at_once(monkeypatch):
    corners = pair(weighed, weighed_otherwise(0.7, 0.3))
    monkeypatch.setattr(operators, "_of_form", lambda *_: [two, two])
    two = Cause("scale", "", "one of two", "both", 1.0, 0.0)
    _, [cause] = found(corners)

    assert "stand in each other's place in tensorflow" in cause.told


def test_two_edits_are_told_where_no_single_one_explains_as_much(monkeypatch):
    corners = pair(weighed, weighed_otherwise(0.6, 0.2))
    monkeypatch.setattr(operators, "_of_form", lambda *_: [two, two])
    two = Cause("scale", "", "one of two", "both", 1.0, 0.0)

    assert found(corners)[1] == [two, two]


def test_a_mask_before_is_told_beside_what_stands_behind_in_its_place():
    """What TensorFlow does behind holds all before it, so that the mask that torch has would seem to matter no more."""
    _, causes = found(pair(hidden_first, hidden_behind))

    assert [cause.name for cause in causes] == ["mask missing", "extra operation"]


def test_labels_smoothed_over_the_other_classes_are_told_as_that():
    def loss(x):
        return x * nn.functional.cross_entropy(
            x[:, :, 0, 0], torch.ones(len(x), dtype=torch.int64), label_smoothing=0.3
        )

    def of_the_others(x):
        one = tf.one_hot(tf.ones(tf.shape(x)[0], tf.int64), 6, dtype=x.dtype)
        shares = 0.7 * one + (1 - one) * 0.3 / 5
        return x * tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(shares, x[:, 0, 0]))

    _, [cause] = found(pair(loss, of_the_others))

    assert cause.name == "label smoothing"
    assert cause.told.endswith("; as if tensorflow gives the mass to the 5 other classes alone")


def test_a_square_that_is_turned_is_not_told_by_the_same_numbers_twice():
    array = np.random.default_rng(0).normal(size=(3, 4))
    turned = array.reshape(3, 2, 2).swapaxes(1, 2).reshape(3, 4)

    [description] = [description for _, description in orders(array, turned, 1e-9)]
    assert description == "axis 1 of 4, read as 2 x 2, has rows and columns exchanged"


class Read(nn.Module):
    """An LSTM that starts from what it is given, and a dense layer."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x, h, c):
        return self.head(self.rnn(x, (h[None], c[None]))[0][:, -1])


class KerasRead(keras.Model):
    """As `Read`, starting from `first(h, c)`."""

    def __init__(self, first):
        super().__init__()
        self.rnn, self.head = keras.layers.LSTM(5, name="rnn"), keras.layers.Dense(4, name="head")
        self.first = first

    def call(self, x, h, c):
        return self.head(self.rnn(x, initial_state=self.first(h, c)))


def read_from(first):
    inputs = strategies.together(x=strategies.arrays(4, 3), h=strategies.arrays(5), c=strategies.arrays(5))
    return PairModels(Pair("read", Read, lambda: KerasRead(first), inputs=inputs))


STATES = {
    "no state at all": (lambda *_: None, "first state", "starts from hx[0] (input['h']) and hx[1] (input['c'])"),
    "no cell": (lambda h, c: [h, tf.zeros_like(c)], "first state", "starts from hx[1] (input['c']); in tensorflow"),
    "state and cell exchanged": (lambda h, c: [c, h], "order", "hx[0] (input['h']) and hx[1] (input['c']) of lstm"),
}


@pytest.mark.parametrize(("first", "name", "words"), STATES.values(), ids=STATES)
def test_the_first_state_is_told_part_by_part(first, name, words):
    _, [cause] = found(read_from(first))

    assert cause.name == name
    assert words in cause.told


def test_the_same_first_state_has_no_cause():
    places, causes = found(read_from(lambda h, c: [h, c]))

    assert not places
    assert not causes
