"""The forward pass: every id, every way to call a model, every scale; and what each check catches."""

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import calls, forward, runner, vocabulary
from parity.strategies import SCALES

IDS = np.array([[5, 6, 7, 7, 5, 0, 11], [9, 8, 999, 3, 0, 0, 0]], np.int64)


@pytest.mark.parametrize("scale", SCALES)
def test_a_second_call_and_training_mode_change_no_bit_of_a_reference_model(scale, twins):
    twins.ensure(Weights(5, scale))
    for model in twins.models.values():
        np.testing.assert_array_equal(model.logits(IDS), model.logits(IDS))
        np.testing.assert_array_equal(model.eager(IDS, False), model.eager(IDS, True))


@pytest.mark.parametrize("name", ["lstm", "gru", "conv"])
def test_a_graph_changes_no_bit_where_grappler_finds_nothing_to_rearrange(name, references):
    """It rearranges the transformer's arithmetic: there rounding is all that can be asked."""
    references(name).ensure(Weights(5, 1.0))
    for model in references(name).models.values():
        np.testing.assert_array_equal(model.logits(IDS), model.eager(IDS, False))


# vocabulary


def test_no_part_is_drawn_twice_until_every_id_has_been_an_input(corners, monkeypatch):
    seen, verify = [], vocabulary.verify
    monkeypatch.setattr(vocabulary, "LOGITS", 30_000)
    monkeypatch.setattr(vocabulary, "verify", lambda corners, part: seen.append(part) or verify(corners, part))
    outcome = runner.run_check(vocabulary, corners, 0, 34, "parity check")

    assert outcome.elements == 1000 * 1000
    assert sorted(i for part in seen for i in part) == list(range(1000))


def test_one_id_that_is_read_as_another_is_caught(broken, message_of):
    def alter(model):
        import tensorflow as tf

        call = model.embedding.call
        model.embedding.call = lambda ids: call(tf.where(ids == 777, tf.constant(776, ids.dtype), ids))

    corners = broken(tensorflow=alter)

    assert runner.run_check(forward, corners, 0, 5, "parity check").findings == []
    message = message_of(vocabulary, corners)
    assert message.startswith("logits after each id from 0 to 999 (1000, 1000)")
    assert "first" in message or "greatest difference at (64, " in message  # the row that holds 777


# calls


def test_a_second_call_that_differs_is_caught(broken, message_of):
    """A state of the model's own, carried from call to call."""

    def alter(model):
        advance, calls_made = model.advance, []

        def stateful(ids, state=None):
            logits, state = advance(ids, state)
            calls_made.append(1)
            return logits * (1 + 1e-6 * len(calls_made)), state

        model.advance = stateful

    assert message_of(calls, broken(torch=alter)).startswith("torch64 logits, called twice")


def dropout_of_torch(rate, always=False):
    def alter(model):
        from torch.nn.functional import dropout

        head = model.head.forward
        model.head.forward = lambda x: head(dropout(x, rate, always or model.training))

    return alter


def dropout_of_keras(rate):
    def alter(model):
        import keras

        head, dropout = model.head.call, keras.layers.Dropout(rate)
        model.head.call = lambda x, training=None: head(dropout(x, training=training))

    return alter


def test_dropout_that_stays_on_in_evaluation_is_caught(broken, message_of):
    corners = broken(torch=dropout_of_torch(0.1, always=True))

    assert " logits, called twice" in message_of(calls, corners)


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_dropout_on_one_side_is_caught(side, broken, message_of):
    alter = {"torch": dropout_of_torch(0.1), "tensorflow": dropout_of_keras(0.1)}

    assert message_of(calls, broken(**{side: alter[side]})).startswith("whether training mode draws at random")


def test_dropout_on_both_sides_holds(broken):
    corners = broken(torch=dropout_of_torch(0.1), tensorflow=dropout_of_keras(0.1))
    outcome = runner.run_check(calls, corners, 0, 8, "parity check")

    assert outcome.findings == []
    assert outcome.elements > 0


def test_another_function_in_training_mode_is_caught(broken, message_of):
    def alter(model):
        head = model.head.forward
        model.head.forward = lambda x: head(x * (1 + 1e-9 * model.training))

    corners = broken(torch=alter)

    assert runner.run_check(forward, corners, 0, 25, "parity check").findings == []
    assert message_of(calls, corners).startswith("logits in training mode")


def test_another_function_outside_a_graph_is_caught(broken, message_of):
    def alter(model):
        import tensorflow as tf

        call = model.head.call
        model.head.call = lambda x, training=None: call(x) * (1 + 1e-9 * tf.executing_eagerly())

    corners = broken(tensorflow=alter)

    assert runner.run_check(forward, corners, 0, 25, "parity check").findings == []
    assert message_of(calls, corners).startswith("tensorflow logits outside a graph")


# scales


def test_an_epsilon_that_only_small_activations_show_is_caught(broken, message_of):
    """1e-9 beside a hidden state: nothing beside one of size 1 in float32, much in float64."""

    def alter(model):
        head = model.head.forward
        model.head.forward = lambda x: head(x / (1 + 1e-9 / (x.abs() + 1e-3)))

    assert "different" in message_of(forward, broken(torch=alter))


def test_a_clip_that_only_large_logits_show_is_caught(broken, message_of):
    def alter(model):
        head = model.head.forward
        model.head.forward = lambda x: head(x).clamp(-8, 8)

    message = message_of(forward, broken(torch=alter))
    assert "torch and tensorflow are different" in message
