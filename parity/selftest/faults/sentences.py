"""Ids with padding, of a pair without a tokenizer: padding that is not hidden, attention, islands of precision."""

from collections.abc import Callable
from typing import Any

from parity.dtypes import Module, Tensor
from parity.selftest.faults.attention import everything
from parity.selftest.faults.fault import Fault
from parity.selftest.faults.inject_layers import after, around, before, fault, setting


def pooling(change: Any) -> Any:
    """The model's own mean over time, `change(x, kept)`."""

    def plant(model: Module) -> None:
        model.pool = change

    return plant


def keras_mean(x: Tensor, _: object) -> Tensor:
    """Keras's mean over time of x (batch, time, width), padding in it."""
    from keras import ops

    return ops.mean(x, 1)


def without_a_bound(x: Tensor, mask: Any) -> Tensor:
    """Of padding alone it is nothing divided by nothing."""
    counts = mask[..., None].to(x.dtype)
    return (x * counts).sum(1) / counts.sum(1)


def in_half(model: Module) -> None:
    """The norm is given numbers that went through float16, where float32 is meant."""
    model.precisely = lambda x: model.norm(x.half().to(x.dtype))


def softmax(z: Tensor) -> Tensor:
    """The chances of the logits z (batch, classes)."""
    from keras import ops

    return ops.softmax(z)


def hidden(run: Callable[..., Any], x: Tensor, visible: Tensor) -> Any:
    """As a mask of what is padding, where one of what is not is asked for; the last place stays."""
    from keras import ops

    return run(x, ~visible | (ops.arange(ops.shape(visible)[1]) == 8))


FAULTS: tuple[Fault, ...] = (
    # A mean that counts padding: https://github.com/keras-team/keras/issues/7227. Of a row of padding alone the mean is
    # of no token, and one side guards against the division by zero.
    fault(
        "torch", "sentence", "padding in the mean over time, torch", pooling(lambda x, _: x.mean(1)), "", "mask missing"
    ),
    fault("keras", "sentence", "padding in the mean over time, Keras", pooling(keras_mean), "", "mask missing"),
    fault("torch", "sentence", "no mean of no token", pooling(without_a_bound), "", "clipped"),
    # A mask that is not handed on, or says the reverse: https://github.com/braindecode/braindecode/pull/902
    fault(
        "torch",
        "sentence",
        "padding is attended to",
        around("attention", lambda run, x, visible: run(x, everything(visible))),
        "attention",
        "mask missing",
    ),
    fault(
        "keras",
        "sentence",
        "padding alone is attended to",
        around("attention", hidden),
        "attention",
        "mask inverted",
    ),
    # A kernel that scales by itself, given what a person scaled by the width of all heads.
    fault(
        "torch",
        "sentence",
        "fused attention by another width",
        setting("attention", scale=10**-0.5),
        "attention",
        "attention scale",
    ),
    fault(
        "torch",
        "sentence",
        "the last id taken for the one before",
        before("embedding", lambda ids: ids.clamp(max=21)),
        "embedding",
        "weights changed",
    ),
    # A step that is kept in float32 on purpose where the rest may be in half, and that one side did not keep.
    fault("torch", "sentence", "a norm of float16", in_half, "", "lower precision"),
    fault("keras", "sentence", "the model ends in a softmax", after("", softmax), "", "activation"),
)
