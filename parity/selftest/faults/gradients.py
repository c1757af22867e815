"""Forward-silent: the logits are right, a gradient is not, or a parameter is trained on one side only.

Who compares outputs sees none of them. Most are planted as the same value through which another gradient passes.
"""

from typing import Any

from parity.dtypes import Module, State, Tensor
from parity.selftest.faults.activations import gelu, relu
from parity.selftest.faults.fault import Alter, Fault
from parity.selftest.faults.inject_layers import (
    Change,
    after,
    around,
    at,
    before,
    during,
    fault,
    holding,
    is_torch,
    reading,
    setting,
    stopped,
)


def scaled(factor: float) -> Change:
    """The same value, whose gradient is a multiple: what is added back is a constant to the gradient."""
    return lambda x: factor * x + stopped((1 - factor) * x)


def of_its_own(value: Change, gradient: Change) -> Change:
    """The value of one function with the gradient of another."""
    return lambda x: gradient(x) + stopped(value(x) - gradient(x))


def cut_off(x: Tensor) -> Any:
    """The same value, whose gradient is cut off at 1e-3."""
    if is_torch(x):
        if x.requires_grad:
            x = x.clone()
            x.register_hook(lambda gradient: gradient.clamp(-1e-3, 1e-3))
        return x
    from keras import ops

    def same(x: Tensor) -> Any:
        def cut(*gradients: Any, upstream: Any = None) -> Any:
            (gradient,) = gradients if upstream is None else (upstream,)
            return ops.clip(gradient, -1e-3, 1e-3)

        return 1 * x, cut

    return ops.custom_gradient(same)(x)


def frozen(path: str) -> Alter:
    """In torch."""
    return lambda model: at(model, path).requires_grad_(False)


def keras_frozen(path: str) -> Alter:
    """In Keras; of a BatchNormalization it would change what it computes, too (`modes.frozen`)."""
    return setting(path, trainable=False)


def statistics_stopped(model: Module) -> None:
    """Mean and variance are constants to the gradient."""

    def altered(_: object, x: Tensor) -> Tensor:
        norm = model.norm
        mean, variance = x.detach().mean(-1, True), x.detach().var(-1, correction=0, keepdim=True)
        return (x - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias

    around("norm", altered)(model)


def softmax_stopped(x: Tensor, axis: int) -> Tensor:
    """The shares of an attention are constants to the gradient, which still passes through its values."""
    return x.detach().softmax(axis)


def residual_stopped(model: Module) -> None:
    """No gradient passes the second block but through its attention and MLP."""

    def of(block: Module) -> Any:
        def run(x: Tensor, visible: Tensor, past: State) -> Any:
            output, past = block(x, visible, past)
            return output - x + stopped(x), past

        return run

    holding("", blocks=lambda blocks: [blocks[0], of(blocks[1])])(model)


def both_biases(model: Module) -> None:
    """The reference pairs freeze torch's second bias, so that both sides have one to train: here it is trained."""
    model.lstm.bias_hh_l0.requires_grad_(True)


CHECK, STOPPED, SCALED = "gradients", "gradient stopped", "gradient scaled"
ATTENTION = "blocks.0.attention"
STRAIGHT = of_its_own(gelu, relu)
FAULTS: tuple[Fault, ...] = (
    # A detach(), a stop_gradient, a torch.no_grad(), an .item() or a NumPy call that stayed where it was needed once;
    # or a truncated backpropagation through time.
    fault("keras", "lstm", "no gradient to the table", after("embedding", stopped), "embedding", STOPPED, CHECK),
    fault("torch", "lstm", "no gradient through the LSTM's input", before("lstm", stopped), "lstm", STOPPED, CHECK),
    fault("torch", "gru", "no gradient between steps", reading("gru", weight_hh_l0=stopped), "gru", STOPPED, CHECK),
    fault("keras", "gru", "no gradient to a bias", reading("gru", bias=stopped), "gru", STOPPED, CHECK),
    fault("keras", "conv", "no gradient below a convolution", before("convs.1", stopped), "convs.1", STOPPED, CHECK),
    fault(
        "torch",
        "transformer",
        "no gradient through the scores",
        during(ATTENTION, "torch", softmax=softmax_stopped),
        ATTENTION,
        STOPPED,
        CHECK,
    ),
    fault("torch", "transformer", "no gradient through mean and variance", statistics_stopped, "norm", STOPPED, CHECK),
    fault("torch", "transformer", "no gradient through a residual", residual_stopped, "", STOPPED, CHECK),
    fault(
        "keras",
        "transformer",
        "no gradient to positions",
        after("positions", stopped),
        "positions",
        STOPPED,
        CHECK,
    ),
    # Frozen for a fine-tuning in one of the two repositories.
    fault("torch", "lstm", "a frozen table", frozen("embedding"), "embedding", STOPPED, CHECK),
    fault("keras", "gru", "a frozen head", keras_frozen("head"), "head", STOPPED, CHECK),
    fault("keras", "transformer", "a frozen norm", keras_frozen("norm"), "norm", STOPPED, CHECK),
    # A loss that is scaled for float16 and not scaled back; a gradient reversal, as for domain adaptation.
    fault("torch", "gru", "gradient twice", before("head", scaled(2)), "head", SCALED, CHECK),
    fault("keras", "conv", "gradient by half", after("convs.0", scaled(0.5)), "convs.0", SCALED, CHECK),
    fault("keras", "lstm", "gradient of the other sign", after("lstm", scaled(-1)), "lstm", SCALED, CHECK),
    fault(
        "torch", "conv", "gradient off by a millionth", after("embedding", scaled(1 + 1e-6)), "embedding", SCALED, CHECK
    ),
    # Options of torch's Embedding, scale_grad_by_freq= and padding_idx=, that Keras's has not.
    fault(
        "torch",
        "lstm",
        "table's gradient by frequency",
        setting("embedding", scale_grad_by_freq=True),
        "embedding",
        SCALED,
        "masking",  # how often an id of padding occurs is what it is divided by
    ),
    fault("torch", "gru", "gradient cut off inside, torch", after("gru", cut_off), "gru", "clipped", CHECK),
    fault("keras", "transformer", "gradient cut off inside, Keras", before("head", cut_off), "head", "clipped", CHECK),
    fault("torch", "lstm", "padding_idx", setting("embedding", padding_idx=0), "embedding", "pad row", CHECK),
    # A function with a backward of its own, as memory-saving kernels have.
    fault(
        "torch",
        "transformer",
        "GELU with ReLU's gradient, torch",
        during("blocks.0", "torch.nn.functional", gelu=STRAIGHT),
        "blocks.0",
        "activation",
        CHECK,
    ),
    fault(
        "keras",
        "transformer",
        "GELU with ReLU's gradient, Keras",
        during("blocks.1", "keras.activations", gelu=STRAIGHT),
        "blocks.1",
        "activation",
        CHECK,
    ),
    # Both get the right gradient, and their sum moves twice as far: https://github.com/onnx/onnx/issues/1127
    fault("torch", "lstm", "both biases of torch's LSTM trained", both_biases, "optimizer", "two biases", "training"),
    # Keras saves no layer's `trainable` with a subclassed model: who resumes from .keras trains what was frozen.
    Fault(
        "a head frozen on both sides, which .keras forgets",
        "conv",
        frozen("head"),
        keras_frozen("head"),
        check="resume",
        where="files",
        cause="saved incompletely",
    ),
)
