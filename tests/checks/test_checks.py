"""Every check holds on the clean pair, and fails when it is shown its faults."""

import numpy as np

from benchmarks.stacks import rewritten
from parity.checks import forward, runner, weights

EXAMPLES = 25


def outcome_of(module, corners, examples=EXAMPLES, seed=0):
    return runner.run_check(module, corners, seed, examples, "parity check")


def message_of(module, corners):
    """The message of the one finding; an error if the check is content."""
    (finding,) = outcome_of(module, corners).findings
    return finding.message


# weights


def nudge(value):
    value[5, 3] += 1e-6
    return value


def test_one_weight_off_by_a_millionth_is_caught(broken):
    corners = broken(tensorflow=lambda model: rewritten(model.head.kernel, nudge))

    message = message_of(weights, corners)

    assert message.startswith("head.kernel in tensorflow float32 (1000, 128): drawn and tensorflow are different")
    assert "first at (3, 5)" in message


def test_weight_that_is_not_written_is_caught(broken):
    corners = broken(tensorflow=lambda model: setattr(model.lstm.cell.bias.value, "assign", lambda *_, **named: None))

    assert message_of(weights, corners).startswith("lstm.bias in tensorflow float32")


# forward


def altered_call(layer, change):
    """Let a Keras layer's output pass through `change`."""
    call = layer.call
    layer.call = lambda *args, **kwargs: change(call(*args, **kwargs))


def test_millionth_in_one_logit_is_caught(broken):
    def alter(model):
        import tensorflow as tf

        altered_call(model.head, lambda z: z + tf.one_hot(7, z.shape[-1], dtype=z.dtype) * 1e-9)

    message = message_of(forward, broken(tensorflow=alter))

    assert message.startswith("logits (")
    assert "torch and tensorflow are different" in message


def test_gate_order_is_caught(broken):
    """Input and forget gate change places in everything that is written to the Keras LSTM."""

    def alter(model):
        for variable in (model.lstm.cell.kernel, model.lstm.cell.recurrent_kernel, model.lstm.cell.bias):
            rewritten(variable, lambda value: value[..., np.r_[128:256, 0:128, 256:512]])

    assert "torch and tensorflow are different" in message_of(forward, broken(tensorflow=alter))


def test_log_of_softmax_is_caught_as_unstable(broken):
    """The bug that shrinks: the same function in float64, minus infinity in float32."""

    def alter(model):
        import tensorflow as tf

        def detour(z):
            powers = tf.exp(z - tf.reduce_max(z, -1, keepdims=True))
            softmax = powers / tf.reduce_sum(powers, -1, keepdims=True)
            return tf.math.log(softmax) + tf.reduce_logsumexp(z, -1, keepdims=True)

        altered_call(model.head, detour)

    message = message_of(forward, broken(tensorflow=alter))

    assert "tensorflow is unstable" in message
    assert "times the other side's, but should be at most" in message


def test_keras_mask_zero_is_caught_by_an_id_0_inside_a_text(broken):
    def alter(model):
        model.embedding.mask_zero = model.embedding.supports_masking = True

    assert "different" in message_of(forward, broken(tensorflow=alter))
