"""Equivalent mutants: another way to compute the same, or the same change on both sides. No check may flag one.

What is planted in Keras keeps every bit: a `.keras` file is built anew from the model's class, without it.

A tool that calls everything different finds every fault: these are what it costs. Each is what a good port does, by
another operation, order or layout, and rounds otherwise than the clean pair. `alternatives` and `attentions` have other
ways to compute, `checkpoints` other ways to load the same weights; lines between layers are those of `faults.own_code`.
"""

from itertools import cycle

from parity.selftest.faults import attention, own_code
from parity.selftest.faults.activations import gelu
from parity.selftest.faults.fault import SIDES, BenignTwin
from parity.selftest.faults.inject_layers import after, around, before, during, holding, setting, then
from parity.selftest.faults.modes import in_training, keras_training
from parity.selftest.faults.pairs.loading import loading
from parity.selftest.faults.recurrent import gru_step, in_torch, lstm_step
from parity.selftest.twins import alternatives, attentions, checkpoints

LSTM, GRU, CONV, TRANSFORMER = "lstm", "gru", "conv", "transformer"
IMAGE, SENTENCE, CARRIED = "image", "sentence", "carried"
ATTENTION = attention.ATTENTION
TWINS: tuple[BenignTwin, ...] = (
    # Attention, as the two frameworks' own layers, papers and fused kernels have it; and what an attention cannot see,
    # as one number that all keys share.
    BenignTwin("fused attention", TRANSFORMER, attentions.attending(attentions.fused)),
    BenignTwin("an additive mask", TRANSFORMER, attentions.attending(attentions.additive)),
    BenignTwin("the query scaled instead of the scores", TRANSFORMER, attentions.attending(attentions.scaled_query)),
    BenignTwin("softmax's division behind the product", TRANSFORMER, attentions.attending(attentions.by_powers)),
    BenignTwin("attention by einsum", TRANSFORMER, attentions.attending(attentions.by_einsum)),
    BenignTwin(
        "query, key and value by one product",
        TRANSFORMER,
        attentions.attending(attentions.fused, attentions.at_once),
    ),
    BenignTwin(
        "units of query and key permuted alike",
        TRANSFORMER,
        holding(ATTENTION, query=then(attentions.units_permuted), key=then(attentions.units_permuted)),
    ),
    BenignTwin("heads permuted", TRANSFORMER, attentions.heads_permuted),
    BenignTwin("a constant in every key", TRANSFORMER, holding(ATTENTION, key=then(lambda x: x + 0.75))),
    BenignTwin(
        "query times 2, key by half",
        TRANSFORMER,
        holding(ATTENTION, query=then(lambda x: x * 2), key=then(lambda x: x * 0.5)),
    ),
    BenignTwin("mask of -1e4", TRANSFORMER, attention.masked_by(-1e4, "torch", 0)),
    BenignTwin("mask of -1e9", TRANSFORMER, keras=attention.masked_by(-1e9, "tensorflow", 0)),
    BenignTwin("mask of float32's least", TRANSFORMER, attention.masked_by(-3.4e38, "torch", 1)),
    BenignTwin("causal mask by a triangle", TRANSFORMER, attention.seeing(attentions.by_triangle)),
    BenignTwin("causal mask by a band", TRANSFORMER, keras=attention.seeing(attentions.keras_by_band)),
    # Products and sums in another order, whose rounding is another.
    BenignTwin("head by addmm", LSTM, alternatives.product(alternatives.as_addmm)),
    BenignTwin("head by einsum", GRU, alternatives.product(alternatives.as_einsum)),
    BenignTwin("head as a convolution", CONV, alternatives.product(alternatives.as_convolution)),
    BenignTwin("head in two halves, bias last", TRANSFORMER, alternatives.product(alternatives.in_halves)),
    BenignTwin("residual in another order", TRANSFORMER, around("blocks.0", alternatives.bias_between)),
    BenignTwin(
        "norm by rsqrt", TRANSFORMER, alternatives.norm_by(lambda x, eps: x * (x.square().mean(-1, True) + eps).rsqrt())
    ),
    BenignTwin(
        "norm by the sum of squares",
        TRANSFORMER,
        alternatives.norm_by(lambda x, eps: x / (x.square().sum(-1, True) / x.shape[-1] + eps).sqrt()),
    ),
    BenignTwin("convolution by taps", CONV, alternatives.convolved(alternatives.by_taps)),
    BenignTwin("convolution by unfolding", CONV, alternatives.convolved(alternatives.by_unfolding)),
    BenignTwin("GELU by the error function", TRANSFORMER, during("blocks.0", "torch.nn.functional", gelu=gelu)),
    # Recurrences token by token, where the clean pair has a fused call; torch's two biases, of which the sum alone
    # acts.
    BenignTwin("LSTM written out", LSTM, in_torch("lstm", lstm_step)),
    BenignTwin("LSTM of sigmoids by tanh", LSTM, in_torch("lstm", alternatives.lstm_by_tanh)),
    BenignTwin("GRU written out", GRU, in_torch("gru", gru_step)),
    BenignTwin("the LSTM's bias shared between two", LSTM, alternatives.biases_shared),
    # Tables as products with ones and zeros, whose gradient is dense where that of a lookup may have rows alone.
    BenignTwin("embedding by a product, torch", LSTM, alternatives.looked_up("embedding")),
    BenignTwin("embedding by a product, Keras", GRU, keras=alternatives.keras_looked_up("embedding")),
    BenignTwin("embedding by indexing", CONV, around("embedding", lambda run, ids: run.__self__.weight[ids])),
    BenignTwin("positions by a product, torch", TRANSFORMER, alternatives.looked_up("positions")),
    BenignTwin("positions by a product, Keras", TRANSFORMER, keras=alternatives.keras_looked_up("positions")),
    # How a model is run: by rows, on more threads, from memory of another layout, with layers that do nothing.
    BenignTwin("each row by itself", GRU, around("", alternatives.rows_alone)),
    BenignTwin("two threads", LSTM, around("", alternatives.two_threads)),
    BenignTwin("kernel stored transposed", LSTM, alternatives.stored_transposed),
    BenignTwin("input stored transposed", GRU, before("head", lambda x: x.mT.contiguous().mT)),
    BenignTwin("layers that do nothing, torch", LSTM, alternatives.torch_identity),
    BenignTwin("layers that do nothing, Keras", CONV, keras=alternatives.identity),
    BenignTwin("a cast to the same dtype", CONV, keras=after("convs.1", alternatives.same_dtype)),
    BenignTwin("a layer with a graph of its own", LSTM, keras=alternatives.graph_of_its_own, only="tensorflow"),
    BenignTwin("the loss by hand", CONV, corners=alternatives.loss_by_hand),
    # of the pairs without a tokenizer
    BenignTwin("attention by the formula", SENTENCE, around("attention", attentions.by_formula)),
    BenignTwin("a norm in the model's own precision", SENTENCE, alternatives.as_precise),
    BenignTwin("a row of padding that is not trained", SENTENCE, setting("embedding", padding_idx=0)),
    BenignTwin(
        "pooling and loss by hand", IMAGE, alternatives.pooled_by_shifts, loss={"torch": alternatives.smooth_l1_by_hand}
    ),
    # A checkpoint that both builders load: units, heads and channels have no order and no sign of their own, so that
    # two sides may hold other numbers and be the same model.
    BenignTwin("the second of two biases loaded", CARRIED, checkpoints.second_bias),
    BenignTwin("a checkpoint of float16 on both sides", CARRIED, **checkpoints.both(checkpoints.to_float16)),
    BenignTwin("nothing loaded but a table", CARRIED, **checkpoints.both(checkpoints.drawn_but_the_table)),
    BenignTwin("heads loaded in another order", CARRIED, loading("torch", checkpoints.heads_in_another_order)),
    BenignTwin("units loaded in another order", CARRIED, keras=loading("keras", checkpoints.units_in_another_order)),
    BenignTwin(
        "zeros with a sign",
        CARRIED,
        loading("torch", checkpoints.zeros),
        loading("keras", checkpoints.zeros_with_a_sign),
    ),
    *(
        BenignTwin(name, CARRIED, **checkpoints.on(side, change))
        for (name, change), side in zip(checkpoints.LAYOUTS.items(), cycle(SIDES), strict=False)
    ),
    *(BenignTwin(name, CARRIED, **checkpoints.both(change)) for name, change in checkpoints.BOTH.items()),
    *(BenignTwin(name, CARRIED, change) for name, change in checkpoints.IN_TORCH.items()),
    *own_code.TWINS,
    # What both sides do alike, and draws, is no difference of theirs.
    BenignTwin("dropout in training mode on both sides", GRU, in_training, keras_training),
)
