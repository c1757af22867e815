"""The loss: masked means, single tokens, smoothed labels, epochs; and every fault that the check catches."""

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import loss, runner
from parity.dtypes import EPS
from parity.pair.models import PairModels

IDS = np.array([[5, 6, 7, 7, 5, 0, 11], [9, 8, 999, 3, 0, 0, 0], [4, 4, 0, 0, 0, 0, 0]], np.int64)
TARGETS = np.array([[6, 7, 0, 5, 1, 11, 2], [8, 999, 3, 0, 0, 0, 0], [4, 0, 0, 0, 0, 0, 0]], np.int64)


def test_the_formula_is_right_where_it_can_be_worked_out():
    logits = np.log(np.array([[1.0, 2.0, 5.0]]))

    assert loss.formula(logits, np.array([1])) == pytest.approx(np.log(4), rel=1e-15)
    smoothed = loss.formula(logits, np.array([1]), 0.3)
    assert smoothed == pytest.approx(0.8 * np.log(4) + 0.1 * np.log(8) + 0.1 * np.log(1.6), rel=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_compiled_keras_loss_is_the_loss(dtype, lstm):
    """What a user gets from compile() with the masked loss, in evaluate()."""
    import keras

    corners = PairModels(lstm)
    corners.load(Weights(5, 1.0))
    model = corners.models["tensorflow", dtype]
    criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0, dtype=dtype)
    with corners.backends["tensorflow"].precision(dtype):
        model.module.compile(loss=criterion)
        found = model.module.evaluate(IDS, TARGETS, batch_size=3, verbose=0)

    ours = float(model.loss(IDS, TARGETS))
    assert abs(found - ours) <= 4 * EPS["float32"] * ours  # Keras keeps its metrics in float32


def test_keras_weighs_an_epochs_batches_by_rows_and_not_by_tokens(lstm):
    """A known divergence from the mean over all tokens, with batches of two rows and one.

    https://github.com/keras-team/keras/issues/15323
    """
    import keras

    corners = PairModels(lstm)
    corners.load(Weights(5, 1.0))
    model = corners.models["tensorflow", "float32"]
    model.module.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0))
    found = model.module.evaluate(IDS, TARGETS, batch_size=2, verbose=0)

    first, second, whole = (float(model.loss(IDS[part], TARGETS[part])) for part in np.s_[:2, 2:, :])
    assert found == pytest.approx((2 * first + second) / 3, rel=1e-6)
    assert abs(found - whole) > 1e-3
    assert (9 * first + second) / 10 == pytest.approx(whole, rel=1e-6)


# what is caught


def losing(corners, **criteria):
    """Models whose loss is another function."""
    import tensorflow as tf

    for (side, _), model in corners.models.items():
        if side in criteria:
            model._loss = criteria[side](model)
            if side == "tensorflow":
                model._loss_graph = tf.function(model._loss, model._loss_graph.input_signature)
    return corners


def torch_loss(**options):
    def made(model):
        from torch.nn.functional import cross_entropy

        return lambda ids, targets: cross_entropy(model.module(ids).flatten(0, 1), targets.flatten(), **options)

    return made


def keras_loss(reduce=None):
    """The mean of all, or `reduce(tf, per-token losses, counted)`."""

    def made(model):
        import keras
        import tensorflow as tf

        def criterion(ids, targets):
            losses = keras.losses.sparse_categorical_crossentropy(targets, model.module(ids), from_logits=True)
            if reduce is None:
                return tf.reduce_mean(losses)
            return reduce(tf, losses, tf.cast(targets != 0, losses.dtype))

        return criterion

    return made


def test_padding_in_the_mean_is_caught(broken, message_of):
    assert message_of(loss, losing(broken(), tensorflow=keras_loss())).startswith("loss ()")


def test_padding_in_both_means_is_caught_by_the_formula(broken, message_of):
    corners = losing(broken(), torch=torch_loss(), tensorflow=keras_loss())

    assert message_of(loss, corners).startswith("torch loss against the formula")


def test_zeros_in_the_mean_are_caught(broken, message_of):
    """Padding weighs nothing and is counted all the same."""
    corners = losing(broken(), tensorflow=keras_loss(lambda tf, losses, counted: tf.reduce_mean(losses * counted)))

    assert message_of(loss, corners).startswith("loss ()")


def test_a_sum_over_the_rows_is_caught(broken, message_of):
    def by_rows(tf, losses, counted):
        return tf.reduce_sum(losses * counted) / tf.cast(tf.shape(losses)[0], losses.dtype)

    assert message_of(loss, losing(broken(), tensorflow=keras_loss(by_rows))).startswith("loss ()")


def test_label_smoothing_on_one_side_is_caught(broken, message_of):
    corners = losing(broken(), torch=torch_loss(ignore_index=0, label_smoothing=1e-6))

    assert message_of(loss, corners).startswith("loss ()")


def test_a_probability_kept_from_zero_is_caught(broken, message_of):
    """-log(p + 1e-10), which float32 does not show beside modest logits."""

    def made(model):
        import torch

        def criterion(ids, targets):
            chances = torch.softmax(model.module(ids), -1) + 1e-10
            return torch.nn.functional.nll_loss(chances.log().flatten(0, 1), targets.flatten(), ignore_index=0)

        return criterion

    assert message_of(loss, losing(broken(), torch=made)).startswith("loss ()")


def test_a_target_left_out_in_the_middle_is_drawn(broken, message_of):
    """Counts every row to its last target, as a mask of lengths would."""

    def by_length(tf, losses, counted):
        counted = tf.cast(tf.cumsum(counted, 1, reverse=True) > 0, losses.dtype)
        return tf.reduce_sum(losses * counted) / tf.reduce_sum(counted)

    assert message_of(loss, losing(broken(), tensorflow=keras_loss(by_length))).startswith("loss ()")


def altered(corners, side, change):
    """Single tokens' losses pass through `change(losses, targets, smoothing)`."""
    for (of, _), model in corners.models.items():
        if of == side:
            losses = model.losses

            def changed(ids, targets, smoothing, losses=losses):
                return change(losses(ids, targets, smoothing), targets, smoothing)

            model.losses = changed
    return corners


def test_one_tokens_loss_is_caught(broken, message_of):
    corners = altered(broken(), "torch", lambda x, targets, _: x + 1e-6 * (targets == 4).astype(x.dtype))

    assert message_of(loss, corners).startswith("losses of each token")


def test_a_loss_of_padding_is_caught(broken, message_of):
    corners = altered(broken(), "torch", lambda x, targets, _: x + (targets == 0).astype(x.dtype))

    assert message_of(loss, corners).startswith("mean of the losses everywhere")


def test_smoothing_that_leaves_the_target_out_is_caught(broken, message_of):
    """The mass goes to the 999 other classes, not to all 1,000."""

    def others(losses, _, smoothing):
        return losses * (1 + losses.dtype.type(smoothing / 999))

    assert message_of(loss, altered(broken(), "tensorflow", others)).startswith("losses with labels smoothed by ")


def test_a_short_last_batch_in_the_mean_is_caught(broken, message_of):
    """Both sides divide a batch of fewer rows than the one before by the count of that one."""
    corners = broken()
    for model in corners.models.values():

        def loss_of(ids, targets, loss=model.loss, rows=[0]):  # noqa: B006 what it remembers from call to call
            part = ids.base is not None  # rows of a batch, not a batch as it was drawn
            short, rows[0] = part and len(ids) < rows[0], len(ids)
            found = loss(ids, targets)
            return np.array(found * (1 - 1e-6 * short), found.dtype)

        model.loss = loss_of

    assert message_of(loss, corners).startswith("torch loss of an epoch against the loss")


def test_confident_logits_hold(corners):
    """Of size 30 and more: the loss is a small difference of large numbers, and no finding."""
    corners.ensure(Weights(3, 30.0))
    assert np.abs(corners.logits(IDS, IDS >= 0).reference).max() > 30
    assert runner.run_check(loss, corners, 3, 100, "parity check").findings == []
