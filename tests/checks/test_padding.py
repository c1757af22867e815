"""Padding, masking, batching and causality: which bits hold on every reference pair, and what each check catches."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import batching, causality, forward, masking, padding, runner
from parity.errors import ParityError
from parity.pair.models import PairModels
from parity.strategies import SCALES

IDS = np.array([[5, 6, 7, 7, 5, 0, 11], [9, 8, 999, 3, 0, 0, 0], [4, 4, 4, 4, 4, 4, 4]], np.int64)
TARGETS = np.array([[6, 7, 7, 5, 0, 0, 0], [8, 999, 3, 0, 0, 0, 0], [4, 0, 0, 0, 0, 0, 0]], np.int64)
KEPT = 4  # columns before the change
RECURRENT = ("lstm", "gru")


def changed():
    ids = IDS.copy()
    ids[:, KEPT:] = 17
    return ids


@pytest.fixture(params=SCALES)
def loaded(request, twins):
    """Each reference pair at each scale."""
    twins.ensure(Weights(5, request.param))
    return twins


# Bits that hold on this software; research found them, and the checks ask no user's model for them.


def test_a_later_token_changes_no_bit_of_an_earlier_one(loaded):
    for model in loaded.models.values():
        np.testing.assert_array_equal(model.logits(IDS)[:, :KEPT], model.logits(changed())[:, :KEPT])


def test_masked_positions_change_no_bit_of_loss_and_gradients(loaded):
    for model in loaded.models.values():
        np.testing.assert_array_equal(model.loss(IDS, TARGETS), model.loss(changed(), TARGETS))
        before, after = (model.gradients(ids, TARGETS) for ids in (IDS, changed()))
        for name, gradient in before.items():
            np.testing.assert_array_equal(gradient, after[name], name)


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_padding_and_order_change_no_bit_of_a_recurrent_keras_model(dtype, name, references):
    references(name).ensure(Weights(5, 1.0))
    model = references(name).models["tensorflow", dtype]
    logits = model.logits(IDS)

    np.testing.assert_array_equal(model.logits(np.pad(IDS, ((0, 0), (0, 6))))[:, : IDS.shape[1]], logits)
    np.testing.assert_array_equal(model.logits(IDS[::-1]), logits[::-1])


# Faults that both sides have, so that no comparison of the sides shows them


def through(change):
    """A model whose logits pass through `change(library, logits)`, library being torch or TensorFlow."""

    def alter(library):
        def planted(model):
            advance = model.advance

            def altered(ids, state=None):
                logits, state = advance(ids, state)
                return change(library, logits), state

            model.advance = altered

        return planted

    import tensorflow as tf
    import torch

    return {"torch": alter(torch), "tensorflow": alter(tf)}


def mean(library, x, axis):
    return x.mean(axis, keepdim=True) if hasattr(x, "dim") else library.reduce_mean(x, axis, keepdims=True)


def over_time(library, logits):
    return logits + mean(library, logits, 1)


def over_batch(library, logits):
    return logits - mean(library, logits, 0)


def of_the_next(library, logits):
    return logits + 1e-6 * library.concat([logits[:, 1:], logits[:, -1:]], 1)


@pytest.mark.parametrize("module", [padding, masking, batching, causality])
def test_a_mean_over_time_is_caught_though_both_sides_have_it(module, broken, message_of):
    corners = broken(**through(over_time))

    assert runner.run_check(forward, corners, 0, 25, "parity check").findings == []
    assert message_of(module, corners).startswith("torch logits ")


def test_a_mean_over_the_batch_is_caught_though_both_sides_have_it(broken, message_of):
    corners = broken(**through(over_batch))

    assert runner.run_check(padding, corners, 0, 25, "parity check").findings == []
    message = message_of(batching, corners)
    assert message.startswith("torch logits in another batch")
    assert "in the batch as drawn and beside rows" in message


def test_a_millionth_of_the_next_token_is_caught_though_both_sides_have_it(broken, message_of):
    corners = broken(**through(of_the_next))

    message = message_of(causality, corners, shrink=True)
    assert message.startswith("torch logits before a change")
    assert "as drawn and other ids from position 1 on are different" in message


def test_one_zero_too_few_before_a_text_is_caught(broken, message_of, monkeypatch):
    """The causal convolution sees one token too many, on one side."""
    import torch

    pad = torch.nn.functional.pad
    corners = broken("conv")
    monkeypatch.setattr(torch.nn.functional, "pad", lambda x, sides: pad(x, (0, 0, sides[2] - 1, 1)))

    assert message_of(causality, corners).startswith("torch logits before a change")


# masking


def losing(corners, criterion):
    """Keras models whose loss is `criterion(ids, targets, per-token losses)`."""
    import keras
    import tensorflow as tf

    for (side, _), model in corners.models.items():
        if side == "tensorflow":

            def loss(ids, targets, model=model):
                logits = model.module(ids)
                return criterion(
                    tf, ids, targets, keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)
                )

            model._loss = loss
            signature = model._loss_graph.input_signature
            model._loss_graph = tf.function(loss, signature)
            model._gradient_graph = tf.function(partial(type(model)._gradients, model), signature)
    return corners


def test_a_loss_that_counts_by_its_inputs_is_caught(broken, message_of):
    """Scribbling over masked inputs changes what it counts."""

    def by_inputs(tf, ids, _, losses):
        counted = tf.cast(ids != 0, losses.dtype)
        return tf.reduce_sum(losses * counted) / tf.reduce_sum(counted)

    assert message_of(masking, losing(broken(), by_inputs)).startswith("tensorflow loss under masking")


def test_a_fully_masked_row_in_the_mean_is_caught(broken, message_of):
    """The mean of each row's mean: a row of nothing but padding lowers it."""

    def by_rows(tf, _, targets, losses):
        counted = tf.cast(targets != 0, losses.dtype)
        rows = tf.math.divide_no_nan(tf.reduce_sum(losses * counted, 1), tf.reduce_sum(counted, 1))
        return tf.reduce_mean(rows)

    assert message_of(masking, losing(broken(), by_rows)).startswith("tensorflow loss under masking")


def test_padding_that_is_not_zero_weighted_in_the_gradient_is_caught(broken, message_of):
    """The loss is right, its gradient counts a thousandth of the padding."""

    def leaking(tf, _, targets, losses):
        counted = tf.cast(targets != 0, losses.dtype)
        right = tf.reduce_sum(losses * counted) / tf.reduce_sum(counted)
        wrong = tf.reduce_sum(losses * (1 - counted)) / 1000
        return right + wrong - tf.stop_gradient(wrong)

    message = message_of(masking, losing(broken(), leaking))
    assert message.startswith("tensorflow gradient of ")
    assert "under masking" in message


# lengths


def test_a_text_of_length_1_is_drawn_and_its_fault_caught(broken, message_of):
    """A special way for a single time step, wrong in the last digits."""

    def alter(model):
        advance = model.advance

        def special(ids, state=None):
            logits, state = advance(ids, state)
            return (logits * (1 + 1e-9) if ids.shape[1] == 1 else logits), state

        model.advance = special

    assert message_of(forward, broken(torch=alter), shrink=True).startswith("logits (1, 1000)")


def test_the_last_position_is_drawn_and_its_fault_caught(broken, message_of):
    """The 40th position takes the 39th's place, on one side."""

    def alter(model):
        import tensorflow as tf

        call = model.positions.call
        model.positions.call = lambda places: call(tf.minimum(places, 38))

    message = message_of(forward, broken("transformer", tensorflow=alter), shrink=True)
    assert message.startswith("logits (40, 1000)")
    assert "greatest difference at (0, 39," in message


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (12, "length is 12, but the checks draw texts of up to 13 ids"),
        (41, "the torch model cannot be called on 41 ids, the pair's length: ValueError: more ids than the 40"),
    ],
)
def test_a_length_that_cannot_be_is_refused(length, told, references):
    with pytest.raises(ParityError, match=told):
        PairModels(replace(references("transformer").pair, length=length))


# left padding, where a pair claims to support it


def test_a_recurrent_model_that_claims_left_padding_is_caught(lstm, message_of):
    message = message_of(padding, PairModels(replace(lstm, left_padding=True)))

    assert message.startswith("torch logits under padding")
    assert "pads more on the left are different" in message


def test_left_padding_that_is_supported_holds(bag):
    corners = PairModels(replace(bag, left_padding=True))
    outcome = runner.run_check(padding, corners, 0, 25, "parity check")

    assert outcome.findings == []
    assert outcome.elements > 0
