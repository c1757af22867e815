"""Every check holds on the clean pair, and fails when it is shown its faults."""

import numpy as np
import pytest

from parity import run
from parity.checks import CHECKS, forward, gradients, loss, masking, padding, reload, weights

EXAMPLES = 25


def outcome_of(module, corners, examples=EXAMPLES, seed=0):
    return run.run_one(module, corners, seed, examples, "parity check")


def message_of(module, corners):
    """The message of the one finding; an error if the check is content."""
    (finding,) = outcome_of(module, corners).findings
    return finding.message


@pytest.mark.parametrize("module", CHECKS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_clean_pair_holds(module, corners):
    """The clean pair passes, and something was compared."""
    outcome = outcome_of(module, corners)

    assert outcome.findings == []
    assert outcome.elements > 0
    assert outcome.verdict in ("identical", "rounding")


class Altered:
    """An object with some of its attributes replaced."""

    def __init__(self, original, **changes):
        self._original = original
        self.__dict__.update(changes)

    def __getattr__(self, name):
        return getattr(self._original, name)


def with_(corners, **changes):
    return Altered(corners, **changes)


# weights


def rewritten(variable, change):
    """Every value written to a Keras variable goes through `change` first."""
    assign = variable.assign
    # Arrays are written; a tensor comes from the float32 model, which has the fault already.
    variable.assign = lambda value: assign(change(np.array(value)) if isinstance(value, np.ndarray) else value)


def nudge(value):
    value[5, 3] += 1e-6
    return value


def test_one_weight_off_by_a_millionth_is_caught(broken):
    corners = broken(tensorflow=lambda model: rewritten(model.head.kernel, nudge))

    message = message_of(weights, corners)

    assert message.startswith("head.kernel in tensorflow float32 (1000, 128): drawn and tensorflow are different")
    assert "first at (3, 5)" in message


def test_weight_that_is_not_written_is_caught(broken):
    corners = broken(tensorflow=lambda model: setattr(model.lstm.cell.bias, "assign", lambda value: None))

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


# padding and masking


def leak_of_torch(model):
    """Every token sees the mean over all time steps, padding included."""
    advance = model.advance

    def leaky(ids, state=None):
        logits, state = advance(ids, state)
        return logits + logits.mean(1, keepdim=True), state

    model.advance = leaky


def leak_of_keras(model):
    import tensorflow as tf

    advance = model.advance

    def leaky(ids, state=None):
        logits, state = advance(ids, state)
        return logits + tf.reduce_mean(logits, 1, keepdims=True), state

    model.advance = leaky


@pytest.mark.parametrize("module", [padding, masking])
def test_leak_from_padding_is_caught_though_both_sides_have_it(module, broken):
    corners = broken(torch=leak_of_torch, tensorflow=leak_of_keras)

    assert outcome_of(forward, corners).findings == []
    assert message_of(module, corners).startswith("torch logits under")


def test_keras_mask_zero_is_caught_by_an_id_0_inside_a_text(broken):
    def alter(model):
        model.embedding.mask_zero = model.embedding.supports_masking = True

    assert "different" in message_of(forward, broken(tensorflow=alter))


# loss and gradients


def losing(corners, **criteria):
    """Models whose loss is another function."""
    for (side, _), model in corners.models.items():
        if side in criteria:
            model._loss = criteria[side](model)
            if side == "tensorflow":
                import tensorflow as tf

                model._loss_graph = tf.function(model._loss)
    return corners


def torch_loss(**options):
    def made(model):
        from torch.nn.functional import cross_entropy

        return lambda ids, targets: cross_entropy(model.module(ids).flatten(0, 1), targets.flatten(), **options)

    return made


def keras_loss():
    def made(model):
        import keras
        import tensorflow as tf

        def criterion(ids, targets):
            logits = model.module(ids)
            return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True))

        return criterion

    return made


def test_padding_in_the_mean_is_caught(broken):
    assert message_of(loss, losing(broken(), tensorflow=keras_loss())).startswith("loss ()")


def test_padding_in_both_means_is_caught_by_the_formula(broken):
    corners = losing(broken(), torch=torch_loss(), tensorflow=keras_loss())

    assert message_of(loss, corners).startswith("torch loss against the formula")


def test_label_smoothing_on_one_side_is_caught(broken):
    corners = losing(broken(), torch=torch_loss(ignore_index=0, label_smoothing=1e-6))

    assert message_of(loss, corners).startswith("loss ()")


def test_masked_positions_in_the_loss_are_caught(broken):
    """Inputs decide what the loss counts: scribbling over them changes it."""

    def by_inputs(model):
        import keras
        import tensorflow as tf

        def criterion(ids, targets):
            counted = tf.cast(ids != 0, model.dtype)
            losses = keras.losses.sparse_categorical_crossentropy(targets, model.module(ids), from_logits=True)
            return tf.reduce_sum(losses * counted) / tf.reduce_sum(counted)

        return criterion

    assert message_of(masking, losing(broken(), tensorflow=by_inputs)).startswith("tensorflow loss under masking")


def test_stopped_gradient_is_caught(broken):
    def alter(model):
        import tensorflow as tf

        altered_call(model.embedding, tf.stop_gradient)

    assert message_of(gradients, broken(tensorflow=alter)).startswith("gradient of embedding.table (1000, 64)")


def test_frozen_layer_is_caught(broken):
    def alter(model):
        model.head.bias.trainable = False

    assert message_of(gradients, broken(tensorflow=alter)) == (
        "gradient of head.bias: shapes differ: torch32 (1000), tensorflow32 (0), torch64 (1000), tensorflow64 (0)"
    )


def test_padding_idx_is_caught_by_the_pad_row(broken):
    def alter(model):
        model.embedding.padding_idx = 0

    assert message_of(gradients, broken(torch=alter)).startswith("gradient of embedding.table")


# reload


class Rounded:
    """Saves a model whose numbers went through float16."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def save(self, path):
        values = self._model.read()
        self._model.write({name: a.astype(np.float16).astype(a.dtype) for name, a in values.items()})
        self._model.save(path)
        self._model.write(values)


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_down_cast_on_disk_is_caught(side, corners):
    models = {**corners.models, (side, "float32"): Rounded(corners.models[side, "float32"])}

    assert message_of(reload, with_(corners, models=models)).startswith(f"logits of the reloaded {side}")
