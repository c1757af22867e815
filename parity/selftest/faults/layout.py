"""Layout: a layer's variables hold what they should, but it computes with something else.

The same mistakes as in `conversion` and `weights`, made by the layer: its variables can be compared bit for bit with
the other side's, and agree. That is how a converter looks that was written for another layer than runs here.
"""

from typing import Any

import numpy as np

from parity.dtypes import Module, Tensor
from parity.selftest.faults.fault import Alter, Fault
from parity.selftest.faults.inject_layers import (
    Change,
    before,
    blocks,
    fault,
    is_torch,
    joined,
    library,
    nudged,
    ordered,
    reading,
    setting,
)


def zero(x: Tensor) -> Tensor:
    return 0 * x


def twice(x: Tensor) -> Tensor:
    return 2 * x


def forget_one(value: Any) -> Any:
    """The forget gate's bias and 1."""
    first, forget, *rest = blocks(value, 4)
    return joined([first, forget + 1, *rest])


def turned_blocks(value: Any) -> Any:
    """Each gate's square block transposed."""
    return joined([_transposed(block) for block in blocks(value, 4)])


def _transposed(x: Tensor) -> Tensor:
    return x.T if is_torch(x) or isinstance(x, np.ndarray) else library(x).transpose(x)


def bias_outside(model: Module) -> None:
    """The new gate's second bias is added to the first, where the reset gate does not scale it."""
    layer = model.gru

    def altered(b: Tensor) -> Tensor:
        return b + joined([0 * part for part in blocks(layer.bias_hh_l0, 3)[:2]] + [blocks(layer.bias_hh_l0, 3)[2]])

    reading("gru", bias_ih_l0=altered, bias_hh_l0=_without_last)(model)


def keras_bias_outside(bias: Tensor) -> Tensor:
    """As above, of Keras's two rows."""
    from keras import ops

    update, reset, new = ops.split(bias, 3, -1)
    return ops.concatenate([update, reset, ops.stack([new[0] + new[1], 0 * new[1]])], -1)


def _without_last(bias: Tensor) -> Tensor:
    *first, last = blocks(bias, 3)
    return joined([*first, 0 * last])


def update_inverted(x: Tensor) -> Tensor:
    """The update gate of the negative: 1 - z for z. It is torch's second."""
    reset, update, new = blocks(x, 3)
    return joined([reset, -update, new])


def in_time(x: Tensor) -> Tensor:
    """A convolution's kernel read backwards: (out, in, time), or Keras's (time, in, out)."""
    return x.flip(-1) if is_torch(x) else x[::-1]


def shifted(x: Tensor) -> Tensor:
    """Every row in the next one's place."""
    return library(x).roll(x, 1, 0)


def every(path: str, change: Change, *names: str) -> Alter:
    """Several variables of a layer through one change."""
    return reading(path, **dict.fromkeys(names, change))


def in_another_place(model: Module) -> None:
    """Gain and bias of a norm read as each other."""
    norm = model.norm
    reading("norm", gamma=lambda _: norm.beta.value, beta=lambda _: norm.gamma.value)(model)


def id_taken_for(one: int, other: int) -> Alter:
    """One id of the vocabulary is looked up as another."""

    def change(ids: Tensor) -> Tensor:
        lib = library(ids)
        return lib.where(ids == one, lib.full_like(ids, other), ids)

    return before("embedding", change)


def skipping_zero(model: Module) -> None:
    """Keras's table makes a mask of id 0, by which a recurrence skips it. `supports_masking` hands the mask on."""
    model.embedding.mask_zero = model.embedding.supports_masking = True


TORCH = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
KERAS = ("kernel", "recurrent_kernel", "bias")
BACKWARDS = "kernel backwards"
INPUT_FORGET, TF1, REVERSED = ordered(1, 0, 2, 3), ordered(0, 2, 1, 3), ordered(3, 2, 1, 0)

FAULTS: tuple[Fault, ...] = (
    # torch and Keras have i, f, g, o; TensorFlow 1 has i, j, f, o, others forget first; a GRU's are r, z, n and z, r,
    # h. https://github.com/tensorflow/tensorflow/issues/29308, https://github.com/keras-team/keras/issues/15915; of the
    # bias alone: https://github.com/keras-team/keras/issues/8720
    fault("torch", "lstm", "LSTM gates f, i, g, o", every("lstm", INPUT_FORGET, *TORCH), "lstm", "gate order"),
    fault("keras", "lstm", "LSTM gates f, i, c, o", every("lstm", INPUT_FORGET, *KERAS), "lstm", "gate order"),
    fault("torch", "lstm", "LSTM gates i, g, f, o", every("lstm", TF1, *TORCH), "lstm", "gate order"),
    fault("keras", "lstm", "LSTM gates i, c, f, o", every("lstm", TF1, *KERAS), "lstm", "gate order"),
    fault("keras", "lstm", "LSTM gates o, c, f, i", every("lstm", REVERSED, *KERAS), "lstm", "gate order"),
    fault("torch", "lstm", "LSTM gate order of the bias only", reading("lstm", bias_ih_l0=TF1), "lstm", "gate order"),
    fault(
        "keras",
        "lstm",
        "LSTM gate order of the recurrent kernel only",
        reading("lstm", recurrent_kernel=INPUT_FORGET),
        "lstm",
        "gate order",
    ),
    fault("torch", "gru", "GRU gates z, r, n", every("gru", ordered(1, 0, 2), *TORCH), "gru", "gate order"),
    fault("keras", "gru", "GRU gates r, z, h", every("gru", ordered(1, 0, 2), *KERAS), "gru", "gate order"),
    fault("keras", "gru", "GRU gates h, r, z", every("gru", ordered(2, 1, 0), *KERAS), "gru", "gate order"),
    fault("torch", "gru", "GRU's update gate inverted", every("gru", update_inverted, *TORCH), "gru", "recurrence"),
    # A recurrent kernel's blocks are square, so that a transposition of each raises nothing. torch has two biases,
    # which are added up for a layer of one; a GRU's second new one stands inside the reset gate's product, and cannot
    # be. https://github.com/apple/coremltools/issues/1124
    fault(
        "keras",
        "lstm",
        "recurrent blocks not transposed, Keras",
        reading("lstm", recurrent_kernel=turned_blocks),
        "lstm",
        "transposed",
    ),
    fault("torch", "lstm", "LSTM without its bias", reading("lstm", bias_ih_l0=zero), "lstm", "bias missing"),
    fault("keras", "lstm", "LSTM bias counted twice", reading("lstm", bias=twice), "lstm", "bias doubled"),
    fault("keras", "lstm", "1 added to the forget gate", reading("lstm", bias=forget_one), "lstm", "offset"),
    fault("torch", "gru", "GRU without its second bias", reading("gru", bias_hh_l0=zero), "gru", "bias missing"),
    fault("torch", "gru", "GRU biases summed, torch", bias_outside, "gru", "biases summed"),
    fault("keras", "gru", "GRU biases summed, Keras", reading("gru", bias=keras_bias_outside), "gru", "biases summed"),
    # A kernel of a true convolution, as of SciPy's, is the reverse of a layer's, which correlates.
    fault("torch", "lstm", "head without its bias", reading("head", bias=zero), "head", "bias missing"),
    fault("keras", "gru", "head's bias counted twice", reading("head", bias=twice), "head", "bias doubled"),
    fault(
        "keras",
        "transformer",
        "value without its bias",
        reading("blocks.0.attention.value", bias=zero),
        "blocks.0.attention.value",
        "bias missing",
    ),
    fault("torch", "conv", "convolution without its bias", reading("convs.0", bias=zero), "convs.0", "bias missing"),
    fault("torch", "conv", "kernel read backwards, torch", reading("convs.0", weight=in_time), "convs.0", BACKWARDS),
    fault("keras", "conv", "kernel read backwards, Keras", reading("convs.1", kernel=in_time), "convs.1", BACKWARDS),
    fault(
        "torch",
        "transformer",
        "one weight read as another by 1e-6",
        reading("blocks.1.contract", weight=nudged(1e-6)),
        "blocks.1.contract",
        "weights changed",
    ),
    fault(
        "keras",
        "conv",
        "one bias read as another by 1e-6",
        reading("head", bias=nudged(1e-6)),
        "head",
        "weights changed",
    ),
    fault("torch", "gru", "the head's rows one further", reading("head", weight=shifted), "head", "weights changed"),
    # gamma and beta go by weight and bias in torch. mask_zero takes id 0 for padding, where it is a word, too; max_norm
    # renormalizes the rows of a table as they are looked up.
    fault("keras", "transformer", "gain and bias exchanged", in_another_place, "norm", "weights swapped"),
    fault("torch", "transformer", "norm without its bias", reading("norm", bias=zero), "norm", "bias missing"),
    fault(
        "torch",
        "transformer",
        "norm without its gain",
        reading("norm", weight=lambda x: 0 * x + 1),
        "norm",
        "weights not copied",
    ),
    fault("keras", "transformer", "gain counted from 1", reading("norm", gamma=lambda x: x + 1), "norm", "offset"),
    fault("torch", "lstm", "max_norm of the table", setting("embedding", max_norm=1.0), "embedding", "clipped"),
    fault("keras", "lstm", "mask_zero, LSTM", skipping_zero, "embedding", "mask of the inputs"),
    fault("keras", "gru", "mask_zero, GRU", skipping_zero, "embedding", "mask of the inputs"),
    fault(
        "torch",
        "lstm",
        "the table one row further",
        reading("embedding", weight=shifted),
        "embedding",
        "weights changed",
    ),
    fault(
        "torch",
        "gru",
        "one id read as another, torch",
        id_taken_for(777, 776),
        "embedding",
        "weights changed",
        "vocabulary",
    ),
    fault(
        "keras",
        "conv",
        "one id read as another, Keras",
        id_taken_for(523, 0),
        "embedding",
        "weights changed",
        "vocabulary",
    ),
)
