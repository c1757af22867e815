"""Other ways to compute the same, for the equivalent mutants: most of them in torch, since what is saved from Keras
as `.keras` is built anew from its class, without what is planted here, and so must keep every bit.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from parity.dtypes import Inputs, Module, State, Tensor
from parity.selftest.faults.activations import gelu
from parity.selftest.faults.attention import ATTENTION
from parity.selftest.faults.fault import Alter
from parity.selftest.faults.inject_layers import around, given, holding, reading, then

# query, key and value (batch, heads, time, head width) and a mask (time, seen) -> (batch, heads, time, head width)
Core = Callable[[Any, Any, Any, Any], Any]


def attending(core: Core, projected: Callable[..., Any] | None = None) -> Alter:
    """torch's attention in the first block by `core`; `projected(attention, x)` gives query, key and value instead."""

    def altered(run: Any, x: Tensor, visible: Tensor, past: State) -> Any:
        import torch

        attention = run.__self__
        parts = projected(attention, x) if projected else (attention.query(x), attention.key(x), attention.value(x))
        query, key, value = (attention.split(part) for part in parts)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        return attention.out(core(query, key, value, visible).transpose(1, 2).flatten(2)), (key, value)

    return around(ATTENTION, altered)


def fused(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    from torch.nn.functional import scaled_dot_product_attention

    return scaled_dot_product_attention(query, key, value, attn_mask=visible)


def additive(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    import torch

    mask = torch.zeros(visible.shape, dtype=query.dtype).masked_fill(~visible, -math.inf)
    return (query @ key.mT / query.shape[-1] ** 0.5 + mask).softmax(-1) @ value


def scaled_query(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    return scores.masked_fill(~visible, -math.inf).softmax(-1) @ value


def by_powers(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    """The softmax's division comes behind the product with the values."""
    scores = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(~visible, -math.inf)
    powers = (scores - scores.amax(-1, True)).exp()
    return powers @ value / powers.sum(-1, True)


def by_einsum(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    import torch

    scores = torch.einsum("bhid,bhjd->bhij", query, key) / query.shape[-1] ** 0.5
    return torch.einsum("bhij,bhjd->bhid", scores.masked_fill(~visible, -math.inf).softmax(-1), value)


def at_once(attention: Module, x: Tensor) -> Tensor:
    """Query, key and value by one product."""
    import torch

    parts = attention.query, attention.key, attention.value
    kernel, bias = (torch.cat([getattr(part, name) for part in parts]) for name in ("weight", "bias"))
    return (x @ kernel.mT + bias).chunk(3, -1)


def product(form: Callable[[Any, Any, Any], Any]) -> Alter:
    """torch's head by another product of input (batch, time, in), kernel (out, in) and bias."""
    return around("head", lambda run, x: form(x, run.__self__.weight, run.__self__.bias))


def as_addmm(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    import torch

    return torch.addmm(bias, x.flatten(0, 1), kernel.T).unflatten(0, x.shape[:2])


def as_einsum(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    import torch

    return torch.einsum("bti,oi->bto", x, kernel) + bias


def as_convolution(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
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


def units_permuted(x: Tensor) -> Tensor:
    """The units of each head in reverse."""
    return x.unflatten(-1, (3, 20)).flip(-1).flatten(-2)


def heads_permuted(model: Module) -> None:
    """The heads in reverse, and their parts of the projection behind them."""
    change = then(lambda x: x.unflatten(-1, (3, 20)).flip(-2).flatten(-2))
    back = given(lambda x: x.unflatten(-1, (3, 20)).flip(-2).flatten(-2))
    holding(ATTENTION, query=change, key=change, value=change, out=back)(model)


def by_triangle(visible: Tensor) -> Tensor:
    import torch

    time, seen = visible.shape
    return ~torch.ones(time, seen, dtype=torch.bool).triu(1 + seen - time)


def keras_by_band(visible: Tensor) -> Tensor:
    from keras import ops

    time, seen = ops.shape(visible)
    return ops.arange(seen) - ops.arange(time)[:, None] <= seen - time


def same_dtype(x: Tensor) -> Tensor:
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
    import keras

    extra = keras.layers.Identity()
    holding("", embedding=then(extra))(model)


def graph_of_its_own(model: Module) -> None:
    """Keras's head is a tf.function of its own inside the model's."""
    import tensorflow as tf

    model.head.call = tf.function(model.head.call)


def torch_identity(model: Module) -> None:
    from torch import nn

    model.extra = nn.Sequential(nn.Identity(), nn.Dropout(0.0))
    holding("", embedding=then(model.extra))(model)


def by_formula(run: Any, x: Tensor, visible: Tensor) -> Any:
    """Attention of one head, whose layer would take the fused kernel."""
    attention = run.__self__
    scores = attention.query(x) @ attention.key(x).mT * attention.scale
    return attention.out(scores.masked_fill(~visible[:, None], -math.inf).softmax(-1) @ attention.value(x))


def as_precise(model: Module) -> None:
    model.precisely = model.norm


def smooth_l1_by_hand(output: Tensor, inputs: Inputs) -> Tensor:
    """torch's smooth L1 loss with beta = 1/2: x^2 below it, |x| - beta / 2 above."""
    apart = (output - inputs["target"]).abs()
    return ((apart < 0.5) * apart.square() + (apart >= 0.5) * (apart - 0.25)).mean()


def pooled_by_shifts(model: Module) -> None:
    around("pool", lambda _, x: x[..., :4, :].unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1)))(model)
