"""How the self-test's own models are called, and their losses, with what a fault makes of these."""

from collections.abc import Sequence
from typing import Any

from parity.dtypes import Inputs, Module, Tensor


def torch_call(names: Sequence[str], model: Module, inputs: Inputs, _: bool) -> Any:
    """By these of the inputs; pictures with their channels first."""
    arguments = [inputs[name] for name in names]
    return model(*(array.permute(0, 3, 1, 2) if array.ndim == 4 else array for array in arguments))


def keras_call(names: Sequence[str], model: Module, inputs: Inputs, training: bool) -> Any:
    return model(*(inputs[name] for name in names), training=training)


def smooth_l1(output: Tensor, inputs: Inputs, **options: Any) -> Tensor:
    from torch.nn.functional import smooth_l1_loss

    return smooth_l1_loss(output, inputs["target"], **{"beta": 0.5, **options})


def huber(output: Tensor, inputs: Inputs, delta: float = 0.5, factor: float = 2.0) -> Tensor:
    """torch's smooth L1 is Keras's Huber by delta."""
    import keras

    return factor * keras.ops.mean(keras.losses.huber(inputs["target"], output, delta))


def cross_entropy(output: Tensor, inputs: Inputs, **options: Any) -> Tensor:
    from torch.nn import functional

    return functional.cross_entropy(output, inputs["label"], **{"label_smoothing": 0.1, **options})


def keras_cross_entropy(output: Tensor, inputs: Inputs, smoothing: float = 0.1, logits: bool = True) -> Tensor:
    import keras

    labels = keras.ops.one_hot(inputs["label"], output.shape[-1], dtype=output.dtype)
    return keras.ops.mean(keras.losses.categorical_crossentropy(labels, output, logits, smoothing))
