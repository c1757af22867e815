"""The losses of single tokens in Keras, and a user's loss.

Line for line beside `parity/backends/torch/losses.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from parity.backends.keras.engine import engine
from parity.backends.keras.modules import floating
from parity.backends.nesting import places, put
from parity.dtypes import Inputs, Outputs, Tensor


def per_token(logits: Tensor, targets: Tensor, pad: int | None, smoothing: float) -> Tensor:
    """Cross entropy in nats of logits (batch, time, vocab), as (batch, time); 0 where the target is padding.

    With `smoothing` s the target is 1 - s of its class and s / vocab of every class.
    Szegedy et al., Rethinking the Inception Architecture, 2015, section 7: https://arxiv.org/abs/1512.00567
    """
    dtype = keras.backend.standardize_dtype(logits.dtype)
    options: dict[str, Any] = {"from_logits": True, "reduction": None, "dtype": dtype}
    if not smoothing:
        return keras.losses.SparseCategoricalCrossentropy(ignore_class=pad, **options)(targets, logits)
    classes = keras.ops.one_hot(targets, logits.shape[-1], dtype=dtype)  # smoothing is for these alone in Keras
    losses = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing, **options)(classes, logits)
    return keras.ops.where(targets == pad, keras.ops.zeros_like(losses), losses)


def of_outputs(
    loss: Callable[[Any, Any], Any] | None, output: Outputs, targets: Mapping[str, Any], inputs: Inputs, backward: bool
) -> dict[str, Any]:
    """A user's loss of an output with `targets` in the places of its leaves; or its gradient by each that floats."""
    assert loss is not None  # asked for only where there is one
    own = places(output)
    leaves = {place: _alike(targets.get(place), leaf) for place, leaf in own.items() if isinstance(leaf, engine.TENSOR)}
    if not backward:
        return {"loss": loss(put(output, leaves), inputs)}
    sources = [place for place, leaf in leaves.items() if floating(leaf.dtype)]

    def lost(tensors: Any) -> list[Any]:
        return [loss(put(output, leaves | dict(zip(sources, tensors, strict=True))), inputs)]

    gradients, _ = engine.gradients(lost, [leaves[place] for place in sources], ())
    return dict(zip(sources, gradients, strict=True))


def _alike(value: Any, own: Any) -> Tensor:
    """A tensor of the same shape and dtype, or the model's own."""
    return own if value is None or (value.shape, value.dtype) != (own.shape, own.dtype) else value
