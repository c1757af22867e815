"""Layer defaults and formulas: another epsilon, activation, constant, recurrence; another order of norm and sum.

Most are defaults: what neither framework asks for, and each fills in otherwise.
"""

from collections.abc import Callable
from typing import Any

from parity.dtypes import Module, State, Tensor
from parity.selftest.faults.activations import (
    early,
    gelu,
    hard_sigmoid,
    late,
    leaky,
    padded,
    quick_gelu,
    relu,
    silu,
    softsign,
    tanh_gelu,
)
from parity.selftest.faults.fault import Alter, Fault
from parity.selftest.faults.inject_layers import after, around, at, before, during, fault, given, holding, setting, then
from parity.selftest.faults.recurrent import (
    cell_clipped,
    in_cell,
    in_torch,
    keras_cell_clipped,
    keras_reset_before,
    peephole,
    reset_before,
)


def in_torch_gelu(place: int, form: Callable[[Any], Any]) -> Alter:
    """torch's transformer has another function for GELU in the MLP of one block."""
    return during(f"blocks.{place}", "torch.nn.functional", gelu=form)


def in_keras_gelu(place: int, form: Callable[[Any], Any]) -> Alter:
    """The same of Keras's."""
    return during(f"blocks.{place}", "keras.activations", gelu=form)


def on_the_deviation(model: Module) -> None:
    """(x - mean) / (deviation + epsilon), where epsilon belongs to the variance."""

    def altered(_: object, x: Tensor) -> Tensor:
        norm = model.norm
        centred = x - x.mean(-1, keepdim=True)
        deviation = centred.square().mean(-1, keepdim=True).sqrt()
        return centred / (deviation + norm.eps) * norm.weight + norm.bias

    around("norm", altered)(model)


def unbiased(model: Module) -> None:
    """torch.var's own default divides by one less than the width."""

    def altered(_: object, x: Tensor) -> Tensor:
        norm = model.norm
        variance = x.var(-1, keepdim=True)
        return (x - x.mean(-1, keepdim=True)) / (variance + norm.eps).sqrt() * norm.weight + norm.bias

    around("norm", altered)(model)


def inner(block: Module, x: Tensor) -> Any:
    """The MLP of a block of either framework."""
    return block.contract(gelu(block.expand(x)))


def post_norm(place: int) -> Alter:
    """A block that norms behind each sum, as the first Transformer: https://arxiv.org/abs/1706.03762"""

    def plant(model: Module) -> None:
        block = model.blocks[place]

        def altered(_: object, x: Tensor, visible: Tensor, past: State) -> Any:
            change, past = block.attention(x, visible, past)
            x = block.attention_norm(x + change)
            return block.mlp_norm(x + inner(block, x)), past

        around(f"blocks.{place}", altered)(model)

    return plant


def residual(place: int, attention: float, mlp: float) -> Alter:
    """How often a block counts what stands before its attention, and before its MLP."""

    def plant(model: Module) -> None:
        block = model.blocks[place]

        def altered(_: object, x: Tensor, visible: Tensor, past: State) -> Any:
            change, past = block.attention(block.attention_norm(x), visible, past)
            x = attention * x + change
            return mlp * x + inner(block, block.mlp_norm(x)), past

        around(f"blocks.{place}", altered)(model)

    return plant


def parallel(place: int) -> Alter:
    """x + attention(norm(x)) + MLP(norm(x)): the MLP does not see what the attention adds."""

    def plant(model: Module) -> None:
        block = model.blocks[place]

        def altered(_: object, x: Tensor, visible: Tensor, past: State) -> Any:
            change, past = block.attention(block.attention_norm(x), visible, past)
            return x + change + inner(block, block.mlp_norm(x)), past

        around(f"blocks.{place}", altered)(model)

    return plant


def first_state_of_ones(model: Module) -> None:
    """torch's LSTM starts from ones where no state is given, hidden and cell."""

    def altered(run: Callable[..., Any], x: Tensor, state: State = None) -> Any:
        import torch

        ones = torch.ones(1, len(x), model.lstm.hidden_size, dtype=x.dtype)
        return run(x, state or (ones, ones))

    around("lstm", altered)(model)


def turned(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """For torch's convolutions, (batch, channels, time): a change of (batch, time, channels)."""
    return lambda x: change(x.mT).mT


def dilated(model: Module) -> None:
    """The second convolution looks at every other token; two zeros more in front keep the length."""
    conv = at(model, "convs.1")
    setting("convs.1", **({"dilation": (2,)} if hasattr(conv, "dilation") else {"dilation_rate": (2,)}))(model)
    if hasattr(conv, "dilation"):
        from torch.nn.functional import pad

        before("convs.1", lambda x: pad(x, (2, 0)))(model)
    else:
        before("convs.1", lambda x: padded(x, 2, 0))(model)


def edge(model: Module) -> None:
    """The first token's own values stand before a text, where zeros should."""

    def pad(x: Tensor, sides: Any) -> Tensor:
        import torch

        return torch.cat([x[:, :1].expand(-1, sides[2], -1), x], 1)

    during("", "torch.nn.functional", pad=pad)(model)


def one_ahead(model: Module) -> None:
    """One zero before a text and one behind it."""
    from torch.nn.functional import pad

    during("", "torch.nn.functional", pad=lambda x, sides, **named: pad(x, (0, 0, sides[2] - 1, 1), **named))(model)


FAULTS: tuple[Fault, ...] = (
    # Keras's LayerNormalization has an epsilon of 1e-3, torch's one of 1e-5, Flax's and many papers' 1e-6, BERT's
    # 1e-12. https://github.com/gzuidhof/nn-transfer/pull/3, https://github.com/huggingface/candle/pull/271,
    # https://github.com/huggingface/transformers/pull/1089
    fault("keras", "transformer", "LayerNorm epsilon 1e-3", setting("norm", epsilon=1e-3), "norm", "epsilon"),
    fault(
        "keras",
        "transformer",
        "LayerNorm epsilon 1e-6",
        setting("blocks.0.attention_norm", epsilon=1e-6),
        "blocks.0.attention_norm",
        "epsilon",
    ),
    fault(
        "torch",
        "transformer",
        "LayerNorm epsilon 1e-12",
        setting("blocks.1.mlp_norm", eps=1e-12),
        "blocks.1.mlp_norm",
        "epsilon",
    ),
    # Norms that were written by hand, for a framework or a dtype that had none.
    fault("torch", "transformer", "epsilon on the deviation", on_the_deviation, "norm", "epsilon placement"),
    fault("torch", "transformer", "unbiased variance", unbiased, "norm", "variance"),
    # Two orders that both go by "transformer"; and a pre-norm model has one norm more, behind all blocks, which a port
    # that goes block by block leaves out.
    fault("torch", "transformer", "post-norm block, torch", post_norm(0), "blocks.0", "norm placement"),
    fault("keras", "transformer", "post-norm block, TensorFlow", post_norm(1), "blocks.1", "norm placement"),
    fault("torch", "transformer", "no last norm", holding("", norm=lambda _: lambda x: x), "", "norm placement"),
    # keras.ops.gelu is by tanh unless told otherwise, keras.activations.gelu and torch's by the error function.
    # https://github.com/goodfire-ai/spd/issues/624
    fault("keras", "transformer", "GELU by tanh, Keras", in_keras_gelu(0, tanh_gelu), "blocks.0", "activation"),
    fault("torch", "transformer", "GELU by tanh, torch", in_torch_gelu(1, tanh_gelu), "blocks.1", "activation"),
    fault("torch", "transformer", "quick GELU", in_torch_gelu(0, quick_gelu), "blocks.0", "activation"),
    fault("keras", "transformer", "ReLU for GELU", in_keras_gelu(1, relu), "blocks.1", "activation"),
    fault("torch", "transformer", "SiLU for GELU", in_torch_gelu(1, silu), "blocks.1", "activation"),
    # 0.01 and 0.3 are the defaults of torch.nn.LeakyReLU and keras.layers.LeakyReLU.
    Fault(
        "leaky ReLU by each framework's own slope",
        "transformer",
        in_torch_gelu(0, leaky(0.01)),
        in_keras_gelu(0, leaky(0.3)),
        check="forward",
        where="blocks.0",
        cause="scale",
    ),
    # Keras's recurrences had the hard sigmoid before Keras 2.3, cuDNN's and torch's never.
    # https://github.com/keras-team/keras/pull/9112
    fault(
        "keras",
        "lstm",
        "LSTM with Keras's hard sigmoid",
        setting("lstm.cell", recurrent_activation=hard_sigmoid),
        "lstm",
        "activation",
    ),
    fault("keras", "lstm", "LSTM with ReLU", setting("lstm.cell", activation=relu), "lstm", "activation"),
    fault(
        "keras",
        "gru",
        "GRU with Keras's hard sigmoid",
        setting("gru.cell", recurrent_activation=hard_sigmoid),
        "gru",
        "activation",
    ),
    fault("keras", "gru", "GRU with ReLU", setting("gru.cell", activation=relu), "gru", "activation"),
    fault("keras", "conv", "ReLU for tanh", during("", "keras.ops", tanh=relu), "", "activation"),
    fault("torch", "conv", "softsign for tanh", during("", "torch", tanh=softsign), "", "activation"),
    # A sum that is lost or made twice where a block is written anew; and blocks of another family, as GPT-J's, whose
    # attention and MLP stand beside each other.
    fault("torch", "transformer", "no residual around the attention", residual(0, 0, 1), "blocks.0", "operand"),
    fault("keras", "transformer", "no residual around the MLP", residual(1, 1, 0), "blocks.1", "residual"),
    fault("torch", "transformer", "residual counted twice", residual(1, 1, 2), "blocks.1", "scale"),
    fault("torch", "transformer", "attention and MLP in parallel", parallel(0), "blocks.0", "operand"),
    # The first Transformer multiplies embeddings by the root of their width, most others do not: ports add or lose it.
    fault(
        "keras",
        "transformer",
        "embedding times the root of its width",
        holding("", embedding=then(lambda x: x * 48**0.5)),
        "",
        "scale",
    ),
    fault("torch", "gru", "embedding times 2", after("embedding", lambda x: x * 2), "embedding", "scale"),
    fault("torch", "gru", "temperature of the logits", holding("", head=then(lambda z: z / 0.7)), "", "scale"),
    # Below any tolerance that one would set, and below float32's rounding: float64 alone shows these two.
    fault("keras", "lstm", "logits times 1 + 1e-9", after("head", lambda z: z * (1 + 1e-9)), "head", "scale"),
    fault("torch", "conv", "1e-10 added to the logits", after("head", lambda z: z + 1e-10), "head", "offset"),
    # A Keras classifier ends in a softmax as often as not, one of torch's in logits.
    fault("torch", "lstm", "softmax of the logits", holding("", head=then(lambda z: z.softmax(-1))), "", "activation"),
    # Keras's GRU reset before the product until reset_after=True became its default.
    # https://github.com/keras-team/keras/pull/9112
    fault("torch", "gru", "GRU resets before the product, torch", in_torch("gru", reset_before), "gru", "reset_after"),
    fault("keras", "gru", "GRU resets before the product, Keras", keras_reset_before, "gru", "reset_after"),
    # Options of TensorFlow 1's LSTMCell, cell_clip= and use_peepholes=, which neither torch nor Keras has.
    fault("torch", "lstm", "LSTM cell clipped at 1, torch", in_torch("lstm", cell_clipped), "lstm", "clipped"),
    fault(
        "keras",
        "lstm",
        "LSTM cell clipped at 1, Keras",
        in_cell("lstm", keras_cell_clipped),
        "lstm",
        "clipped",
    ),
    fault("torch", "lstm", "LSTM with peepholes", in_torch("lstm", peephole), "lstm", "recurrence"),
    fault("torch", "lstm", "LSTM that starts from ones", first_state_of_ones, "lstm", "first state"),
    # The backward half of a bidirectional layer, without its outputs turned back, or turned back twice.
    fault("keras", "lstm", "go_backwards", setting("lstm", go_backwards=True), "lstm", "time shift"),
    fault("torch", "gru", "GRU of the text turned round", holding("", gru=given(lambda x: x.flip(1))), "", "order"),
    # A causal convolution pads in front alone: padding="same", or as much on the other end, shows it what is to come.
    fault("keras", "conv", "convolution one token late", after("convs.0", late), "convs.0", "extra operation"),
    fault("torch", "conv", "convolution of one token before", before("convs.1", turned(late)), "convs.1", "time shift"),
    fault("keras", "conv", "convolution that looks ahead", before("convs.1", early), "convs.1", "time shift"),
    fault("torch", "conv", "convolutions that look ahead, by padding", one_ahead, "", "argument"),
    # A convolution that is rewritten as a layer of one's own loses an argument:
    # https://github.com/keras-team/keras-io/pull/2347
    fault("torch", "conv", "dilation of 2, torch", dilated, "convs.1", "dilation"),
    fault("keras", "conv", "dilation of 2, Keras", dilated, "convs.1", "dilation"),
    fault("torch", "conv", "padded by the edge", edge, "", "padding value"),
)
