"""The losses of single tokens in Keras; line for line beside torch.py."""

from typing import Any

import keras
import tensorflow as tf


def per_token(logits: Any, targets: Any, pad: int | None, smoothing: float) -> Any:
    """Cross entropy in nats of logits (batch, time, vocab), as (batch, time); 0 where the target is padding.

    With `smoothing` s the target is 1 - s of its class and s / vocab of every class.
    Szegedy et al., Rethinking the Inception Architecture, 2015, section 7: https://arxiv.org/abs/1512.00567
    """
    given: dict[str, Any] = {"from_logits": True, "reduction": None, "dtype": logits.dtype.name}
    if not smoothing:
        return keras.losses.SparseCategoricalCrossentropy(ignore_class=pad, **given)(targets, logits)
    classes = tf.one_hot(targets, logits.shape[-1], dtype=logits.dtype)  # smoothing is for these alone in Keras
    losses = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing, **given)(classes, logits)
    return tf.where(targets == pad, tf.zeros_like(losses), losses)
