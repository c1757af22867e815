"""The losses of single tokens in Keras, and a user's loss; line for line beside torch.py."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from parity.backends.nesting import places, put
from parity.dtypes import Inputs, Outputs


def per_token(logits: tf.Tensor, targets: tf.Tensor, pad: int | None, smoothing: float) -> tf.Tensor:
    """Cross entropy in nats of logits (batch, time, vocab), as (batch, time); 0 where the target is padding.

    With `smoothing` s the target is 1 - s of its class and s / vocab of every class.
    Szegedy et al., Rethinking the Inception Architecture, 2015, section 7: https://arxiv.org/abs/1512.00567
    """
    options: dict[str, Any] = {"from_logits": True, "reduction": None, "dtype": logits.dtype.name}
    if not smoothing:
        return keras.losses.SparseCategoricalCrossentropy(ignore_class=pad, **options)(targets, logits)
    classes = tf.one_hot(targets, logits.shape[-1], dtype=logits.dtype)  # smoothing is for these alone in Keras
    losses = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing, **options)(classes, logits)
    return tf.where(targets == pad, tf.zeros_like(losses), losses)


def of_outputs(
    loss: Callable[[Any, Any], Any] | None, output: Outputs, targets: Mapping[str, Any], inputs: Inputs, backward: bool
) -> dict[str, Any]:
    """A user's loss of an output with `targets` in the places of its leaves; or its gradient by each that floats."""
    assert loss is not None  # asked for only where there is one
    own = places(output)
    leaves = {place: _alike(targets.get(place), leaf) for place, leaf in own.items() if isinstance(leaf, tf.Tensor)}
    sources = {place: tf.identity(leaf) for place, leaf in leaves.items() if leaf.dtype.is_floating}
    with tf.GradientTape() as tape:
        tape.watch(sources)
        value = loss(put(output, leaves | sources), inputs)
    if not backward:
        return {"loss": value}
    gradients = tape.gradient(value, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {
        place: tf.convert_to_tensor(gradient) for place, gradient in gradients.items()
    }  # of rows alone, if it comes so


def _alike(value: Any, own: Any) -> tf.Tensor:
    """A tensor of the same shape and dtype, or the model's own."""
    return own if value is None or (value.shape, value.dtype) != (own.shape, own.dtype) else value
