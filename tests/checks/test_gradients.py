"""Gradients: every parameter beside the norm of all; the pad row, frozen layers; and what the check catches."""

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import gradients, masking, runner
from parity.compare.judge import judge
from parity.compare.square import norm

IDS = np.array([[5, 6, 7, 7, 5], [9, 8, 0, 0, 0]], np.int64)
TARGETS = np.array([[6, 7, 7, 5, 1], [8, 3, 0, 0, 0]], np.int64)


def test_a_gradient_that_is_zero_but_for_rounding_holds_beside_the_norm_of_all(references):
    """The attention's key bias moves every score alike, which softmax does not see."""
    corners = references("transformer")
    corners.load(Weights(5, 1.0))
    found = corners.gradients(IDS, TARGETS)
    bias = found["blocks.0.attention.key.bias"]

    assert bias.float64_difference.scale < 1e-15 * norm(found)
    assert bias.float64_difference.max_abs_diff > 0.1 * bias.float64_difference.scale
    assert judge("key bias", bias, scale=norm(found)).word == "rounding"


def test_padding_leaves_the_pad_row_of_the_table_alone(twins):
    """Exactly zero: padding stands on the right, and no counted target's logits have seen it."""
    twins.ensure(Weights(5, 1.0))
    for model in twins.models.values():
        table = model.gradients(IDS, TARGETS)["embedding.table"]
        assert not table[0].any()
        assert table[5].any()


def test_a_pad_id_inside_a_text_learns(twins):
    twins.ensure(Weights(5, 1.0))
    inside = np.where(IDS == 6, 0, IDS)
    for model in twins.models.values():
        assert model.gradients(inside, TARGETS)["embedding.table"][0].any()


def altered_call(layer, change):
    """Let a Keras layer's output pass through `change`."""
    call = layer.call
    layer.call = lambda *args, **kwargs: change(call(*args, **kwargs))


def test_stopped_gradient_is_caught(broken, message_of):
    def alter(model):
        import tensorflow as tf

        altered_call(model.embedding, tf.stop_gradient)

    assert message_of(gradients, broken(tensorflow=alter)).startswith("gradient of embedding.table (1000, 64)")


def test_a_gradient_off_by_a_millionth_behind_equal_logits_is_caught(broken, message_of):
    def alter(model):
        import tensorflow as tf

        altered_call(model.lstm, lambda out: [out[0] + 1e-6 * (out[0] - tf.stop_gradient(out[0])), *out[1:]])

    assert "torch and tensorflow are different" in message_of(gradients, broken(tensorflow=alter))


def test_a_sum_for_the_mean_is_caught(broken, message_of):
    """Behind the right value of the loss, which Adam would hide as well."""
    corners = broken()
    for (side, _), model in corners.models.items():
        if side == "torch":

            def loss(ids, targets, mean=model._loss):
                value = mean(ids, targets)
                return value * 8 - (value * 7).detach()

            model._loss = loss

    assert message_of(gradients, corners).startswith("gradient of ")


def test_padding_idx_is_caught_by_the_pad_row(broken, message_of):
    def alter(model):
        model.embedding.padding_idx = 0

    message = message_of(gradients, broken(torch=alter))
    assert message.startswith("gradient of embedding.table")
    assert "greatest difference at (0, " in message


def frozen_in_torch(model):
    model.head.requires_grad_(False)


def frozen_in_keras(model):
    model.head.trainable = False


def test_a_layer_frozen_on_one_side_is_caught_and_named(broken, message_of):
    message = message_of(gradients, broken(tensorflow=frozen_in_keras))

    assert message.startswith("whether head.kernel is trained (1): torch and tensorflow are different")
    assert "torch True, tensorflow False" in message


def test_a_layer_frozen_in_torch_is_caught_and_named(broken, message_of):
    assert "torch False, tensorflow True" in message_of(gradients, broken(torch=frozen_in_torch))


@pytest.mark.parametrize("module", [gradients, masking])
def test_a_layer_frozen_on_both_sides_holds_without_a_gradient(module, broken):
    corners = broken(torch=frozen_in_torch, tensorflow=frozen_in_keras)

    assert runner.run_check(module, corners, 0, 10, "parity check").findings == []
    assert not [name for name in corners.gradients(IDS, TARGETS) if name.startswith("head.")]
