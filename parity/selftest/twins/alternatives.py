"""Other ways to compute the same, for the equivalent mutants: most of them in torch, since what is saved from Keras
as `.keras` is built anew from its class, without what is planted here, and so must keep every bit.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from parity.dtypes import Inputs, Module, State, Tensor
from parity.selftest.faults.activations import gelu
from parity.selftest.faults.fault import Alter
from parity.selftest.faults.inject_layers import around, holding, reading, then


def product(form: Callable[[Any, Any, Any], Any]) -> Alter:
    """torch's head by another product of input (batch, time, in), kernel (out, in) and bias."""
    return around("head", lambda run, x: form(x, run.__self__.weight, run.__self__.bias))


def as_addmm(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """As one call that begins from the bias, over all tokens as rows."""
    import torch

    return torch.addmm(bias, x.flatten(0, 1), kernel.T).unflatten(0, x.shape[:2])


def as_einsum(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    import torch

    return torch.einsum("bti,oi->bto", x, kernel) + bias


def as_convolution(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """As a convolution of one tap, with the channels first."""
    from torch.nn.functional import conv1d

    return conv1d(x.mT, kernel[:, :, None], bias).mT


def in_halves(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """The sum over the input in two parts, the bias last."""
    half = x.shape[-1] // 2
    return x[..., :half] @ kernel[:, :half].T + x[..., half:] @ kernel[:, half:].T + bias


def norm_by(form: Callable[[Any, Any], Any]) -> Alter:
    """torch's last norm: `form` of the centred numbers and epsilon, then gain and bias."""

    def altered(run: Any, x: Tensor) -> Any:
        norm = run.__self__
        return form(x - x.mean(-1, True), norm.eps) * norm.weight + norm.bias

    return around("norm", altered)


def bias_between(run: Any, x: Tensor, visible: Tensor, past: State) -> Any:
    """The residual's sum in another order: the bias of the MLP before its product."""
    block = run.__self__
    change, past = block.attention(block.attention_norm(x), visible, past)
    x = x + change
    inner = gelu(block.expand(block.mlp_norm(x)))
    return x + block.contract.bias + inner @ block.contract.weight.T, past


def convolved(form: Callable[[Any, Any], Any]) -> Alter:
    """torch's second convolution, (batch, in, time): `form` of its input and kernel, and the bias."""
    return around("convs.1", lambda run, x: form(x, run.__self__.weight) + run.__self__.bias[:, None])


def by_taps(x: Tensor, kernel: Tensor) -> Tensor:
    """A convolution as the sum of one product for each tap: x (batch, in, time), kernel (out, in, taps)."""
    time = x.shape[-1] - kernel.shape[-1] + 1
    return sum(kernel[:, :, tap] @ x[..., tap : tap + time] for tap in range(kernel.shape[-1]))


def by_unfolding(x: Tensor, kernel: Tensor) -> Tensor:
    """A convolution as one product of all its windows: x (batch, in, time), kernel (out, in, taps)."""
    windows = x.unfold(-1, kernel.shape[-1], 1)  # (batch, in, time, kernel)
    return kernel.flatten(1) @ windows.transpose(2, 3).flatten(1, 2)


def looked_up(path: str) -> Alter:
    """A table's rows by a product with ones and zeros, in torch."""

    def altered(run: Any, ids: Tensor) -> Any:
        from torch.nn.functional import one_hot

        table = run.__self__.weight
        return one_hot(ids, len(table)).to(table.dtype) @ table

    return around(path, altered)


def keras_looked_up(path: str) -> Alter:
    """The same in Keras."""

    def altered(run: Any, ids: Tensor) -> Any:
        from keras import ops

        table = run.__self__.embeddings.value
        return ops.one_hot(ids, table.shape[0], dtype=table.dtype) @ table

    return around(path, altered)


def biases_shared(model: Module) -> None:
    """Half of the bias in the second one."""
    lstm = model.lstm
    reading("lstm", bias_ih_l0=lambda bias: bias / 2, bias_hh_l0=lambda bias: bias + lstm.bias_ih_l0 / 2)(model)


def tanh_sigmoid(x: Tensor) -> Tensor:
    """sigmoid(x) = (1 + tanh(x / 2)) / 2, as fused kernels compute it."""
    return (1 + (x / 2).tanh()) / 2


def lstm_by_tanh(x: Tensor, state: State, weights: Any) -> Any:
    """An LSTM's step, as `recurrent.lstm_step`, with each sigmoid by tanh."""
    hidden, cell = state
    by_input, by_hidden, bias, more = weights
    keep_in, forget, new, out = (x @ by_input.mT + hidden @ by_hidden.mT + (bias + more)).chunk(4, -1)
    cell = tanh_sigmoid(keep_in) * new.tanh() + tanh_sigmoid(forget) * cell
    return tanh_sigmoid(out) * cell.tanh(), cell


def rows_alone(run: Any, ids: Tensor, state: State = None) -> Any:
    """Each row of a batch by itself."""
    import torch

    if len(ids) == 1:
        return run(ids, state)
    return torch.cat([run(row[None])[0] for row in ids]), None


def two_threads(run: Any, ids: Tensor, state: State = None) -> Any:
    """torch runs on two threads, and on one again behind it."""
    import torch

    torch.set_num_threads(2)
    try:
        return run(ids, state)
    finally:
        torch.set_num_threads(1)


def stored_transposed(model: Module) -> None:
    """The head's kernel lies column by column in memory, with the same shape and numbers."""
    kernel = model.head.weight
    kernel.data = kernel.data.T.contiguous().T


def same_dtype(x: Tensor) -> Tensor:
    """A cast that does nothing, as a port has where it does not know the dtype."""
    from keras import ops

    return ops.cast(x, x.dtype)


def loss_by_hand(corners: Any) -> None:
    """torch's loss as log(sum(exp(z))) - z[target], averaged over what counts."""

    def loss(model: Module, ids: Tensor, targets: Tensor) -> Tensor:
        logits = model.module(ids)
        losses = logits.logsumexp(-1) - logits.gather(-1, targets[..., None])[..., 0]
        return losses[targets != model.pad].mean()

    for (side, _), model in corners.models.items():
        if side == "torch":
            model._loss = partial(loss, model)


def identity(model: Module) -> None:
    """A layer behind Keras's embedding that hands on what it is given: one more, without a counterpart."""
    import keras

    extra = keras.layers.Identity()
    holding("", embedding=then(extra))(model)


def graph_of_its_own(model: Module) -> None:
    """Keras's head is a tf.function of its own inside the model's."""
    import tensorflow as tf

    model.head.call = tf.function(model.head.call)


def torch_identity(model: Module) -> None:
    """Two such layers in torch: nn.Identity, and a dropout of nothing, as a configuration leaves them."""
    from torch import nn

    model.extra = nn.Sequential(nn.Identity(), nn.Dropout(0.0))
    holding("", embedding=then(model.extra))(model)


def as_precise(model: Module) -> None:
    """The step that the pair does in float32 on purpose is done in the model's own dtype: more exact, not less."""
    model.precisely = model.norm


def smooth_l1_by_hand(output: Tensor, inputs: Inputs) -> Tensor:
    """torch's smooth L1 loss with beta = 1/2: x^2 below it, |x| - beta / 2 above."""
    apart = (output - inputs["target"]).abs()
    return ((apart < 0.5) * apart.square() + (apart >= 0.5) * (apart - 0.25)).mean()


def pooled_by_shifts(model: Module) -> None:
    """The maximum of windows of 2 by 2, cut out one by one; an odd last row is left out, as pooling does."""
    around("pool", lambda _, x: x[..., :4, :].unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1)))(model)
