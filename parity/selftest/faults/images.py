"""Pictures: pooling, padding, the order of equal layers, constants, what `call=` hands over, and edges of numbers."""

from collections.abc import Callable
from typing import Any

from parity.dtypes import Inputs, Module, Tensor
from parity.selftest.faults.fault import Fault
from parity.selftest.faults.inject_layers import (
    around,
    exchanged,
    exchanging,
    fault,
    is_torch,
    library,
    setting,
    writing,
)
from parity.selftest.faults.pairs import IMAGE
from parity.selftest.faults.pairs.functions import keras_call, torch_call


def padded_by_itself(model: Module) -> None:
    """padding="same" for a padding of 1 all around: with a stride of 2 all of it may stand behind."""
    model.stem.padding = "same"
    model.pad = lambda x: x


def without_its_sum(model: Module) -> None:
    """torch's residual block gives what its convolutions give, without x."""
    block = model.block

    def altered(_: object, x: Tensor) -> Tensor:
        return block.norm2(block.conv2(block.norm1(block.conv1(x)).relu())).relu()

    around("block", altered)(model)


def without_its_last_function(model: Module) -> None:
    """Keras's residual block ends in the sum."""
    from keras import ops

    block = model.block

    def altered(_: object, x: Tensor) -> Tensor:
        return x + block.norm2(block.conv2(ops.relu(block.norm1(block.conv1(x)))))

    around("block", altered)(model)


def by_the_variance(model: Module) -> None:
    """The saved deviation is a variance, and its root is taken no more."""
    model.variance.square_()


def another_mean(model: Module) -> None:
    """The mean of the third channel is another one; it is a constant of a Keras layer, and no weight."""
    model.normalize.input_mean = (0.5, 0.25, 0.125)


def in_bfloat16(run: Callable[..., Any], x: Tensor) -> Any:
    """As torch.autocast leaves a convolution; float64 it leaves alone."""
    import torch

    with torch.autocast("cpu", torch.bfloat16):
        return run(x).to(x.dtype)


def blue_first(model: Module, inputs: Inputs, training: bool) -> Any:
    """Each picture (batch, rows, columns, channels) comes with its channels in reverse."""
    return torch_call(IMAGE, model, {**inputs, "image": inputs["image"].flip(-1)}, training)


def scaled_twice(model: Module, inputs: Inputs, training: bool) -> Any:
    """Pixels are divided by 255 before the model, as if they had not been scaled already."""
    return keras_call(IMAGE, model, {**inputs, "image": inputs["image"] / 255}, training)


def target_for_place(model: Module, inputs: Inputs, training: bool) -> Any:
    """Of a dictionary of inputs, another entry is handed on: of the same shape, so that nothing raises."""
    return torch_call(("image", "target"), model, inputs, training)


def of_the_sign(run: Callable[..., Any], x: Tensor, place: Any, **named: Any) -> Any:
    """The sign of each pixel is added to it; that of zero is zero."""
    return run(x + library(x).sign(x), place, **named)


def of_the_sign_but_at_zero(run: Callable[..., Any], x: Tensor, place: Any, **named: Any) -> Any:
    """Zero counts as positive."""
    lib = library(x)
    return run(x + lib.where(x < 0, -lib.ones_like(x), lib.ones_like(x)), place, **named)


def largest(last: bool) -> Callable[..., Any]:
    """The place of each picture's largest number is taken for its place: of equal ones the first, or the last."""

    def altered(run: Callable[..., Any], x: Tensor, place: Any, **named: Any) -> Any:
        lib = library(x)
        bright = lib.sum(x, 1 if is_torch(x) else -1)
        flat = lib.reshape(bright, (-1, 72))
        if is_torch(x):
            places = 71 - flat.flip(1).argmax(1) if last else flat.argmax(1)
            return run(x, place + places[:, None].to(x.dtype) / 72, **named)
        return run(x, place + lib.cast(lib.argmax(flat, 1), x.dtype)[:, None] / 72, **named)

    return altered


SHIFT, SWAPPED = "time shift", "weights swapped"
FAULTS: tuple[Fault, ...] = (
    # ceil_mode keeps a last window that is not full: https://github.com/PINTO0309/onnx2tf/issues/207. With a stride,
    # "same" pads behind first, and a padding of 1 on both ends: https://github.com/keras-team/keras/pull/16363
    fault("torch", "image", "pooling with ceil_mode", setting("pool", ceil_mode=True), "pool", "argument"),
    fault("keras", "image", 'padding="same" for a padding of 1', padded_by_itself, "stem", "padding"),
    # A block that is written anew, whose two convolutions, or norms, have one shape: their names alone tell them apart.
    fault("torch", "image", "a residual block without its sum", without_its_sum, "block", "residual"),
    fault("keras", "image", "no ReLU behind the sum", without_its_last_function, "block", "activation"),
    fault(
        "keras",
        "image",
        "equal convolutions called in turn",
        exchanging("block", "conv1", "conv2"),
        "block",
        SWAPPED,
    ),
    fault("torch", "image", "equal norms called in turn", exchanging("block", "norm1", "norm2"), "block", SWAPPED),
    Fault(
        "equal convolutions read in turn",
        "image",
        corners=writing("torch", exchanged("block.conv1", "block.conv2")),
        check="weights",
        where="block.conv1 and block.conv2",
        cause=SWAPPED,
    ),
    # Constants that stand beside the weights, of which a layer wants the variance and is given the deviation, or the
    # other way round: https://github.com/tensorflow/tensorflow/issues/49930; and an autocast that stays on.
    fault("torch", "image", "divided by the variance", by_the_variance, "", "operand"),
    fault("keras", "image", "another mean of a channel", another_mean, "", "operand"),
    fault(
        "torch",
        "image",
        "bfloat16 in a convolution",
        around("block.conv2", in_bfloat16),
        "block.conv2",
        "unstable formula",
    ),
    # What call= hands over, as a data pipeline would: https://github.com/amdegroot/ssd.pytorch/issues/44
    Fault("BGR for RGB", "image", call={"torch": blue_first}, check="forward", where="call=", cause="order"),
    Fault("pixels scaled twice", "image", call={"keras": scaled_twice}, check="forward", where="call=", cause="scale"),
    Fault(
        "the target for an input",
        "image",
        call={"torch": target_for_place},
        check="forward",
        where="call=",
        cause="operand",
    ),
    # Functions of which the definitions agree but at single numbers, which random inputs do not have: sign(0), and the
    # place of the maximum among equals.
    Fault(
        "another sign of zero",
        "image",
        around("", of_the_sign),
        around("", of_the_sign_but_at_zero),
        check="forward",
        where="",
        cause="operation",
    ),
    Fault(
        "another of equal maxima",
        "image",
        around("", largest(last=True)),
        around("", largest(last=False)),
        check="forward",
        where="",
        cause="extra operation",
        also=("order",),  # of the two operations that one side alone does, the flip is told as an order
    ),
)
