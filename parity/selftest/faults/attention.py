"""Attention, masks, positions, padding: what is seen, from where, and by how much."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from parity.dtypes import Module, State, Tensor
from parity.selftest.faults.fault import Alter, Fault
from parity.selftest.faults.inject_layers import (
    Change,
    around,
    at,
    during,
    exchanging,
    fault,
    given,
    holding,
    is_torch,
    library,
    stopped,
    then,
)

REFERENCE = "parity.reference.transformer"
# A head's width is 20, the model's is 48.
HEAD, WIDTH = 20, 48
ATTENTION = "blocks.0.attention"


def scaled(factor: float) -> Alter:
    """The scores of the first block are multiplied once more."""
    return holding(ATTENTION, query=then(lambda x: x * factor))


def masked_by(value: float, file: str, place: int) -> Alter:
    """Masked scores are `value` where they should be minus infinity."""
    return during(f"blocks.{place}.attention", f"{REFERENCE}.{file}", math=SimpleNamespace(inf=-value))


def seeing(change: Change) -> Alter:
    """The mask that the code between layers makes, (time, seen), is changed for every block."""

    def of(block: Module) -> Any:
        return lambda x, visible, past: block(x, change(visible), past)

    return holding("", blocks=lambda blocks: [of(block) for block in blocks])


def seeing_in(path: str, change: Change) -> Alter:
    """The attention at a path sees by a changed mask (time, seen)."""
    return around(path, lambda run, x, visible, past: run(x, change(visible), past))


def everything(visible: Tensor) -> Tensor:
    """A mask of the same shape and framework that hides nothing."""
    return visible | ~visible


def and_the_next(visible: Tensor) -> Tensor:
    """Each id sees one more."""
    return beside(visible[:, :1], visible[:, :-1])


def but_itself(visible: Tensor) -> Tensor:
    """Each id sees one less; the first keeps what it has, without which its row would hold nothing."""
    return _earlier(visible) | beside(visible[:, :1], visible[:, 1:] & ~visible[:, 1:])


def inverted(visible: Tensor) -> Tensor:
    """Each id sees itself and those behind it."""
    return ~visible | (visible & ~_earlier(visible))


def in_a_window(visible: Tensor) -> Tensor:
    """Each id sees itself and the four before it."""
    far = visible
    for _ in range(5):
        far = _earlier(far)
    return visible & ~far


def _earlier(visible: Tensor) -> Tensor:
    """A causal mask (time, seen) without each row's last place: what stands before the token itself."""
    nothing = visible[:, :1] & ~visible[:, :1]
    return beside(visible[:, 1:], nothing)


def beside(first: Tensor, second: Tensor) -> Tensor:
    """Two arrays joined along axis 1."""
    return library(first).concatenate([first, second], 1)


def split_otherwise(model: Module) -> None:
    """A projection's numbers are dealt out to the heads in turn."""
    attention = at(model, ATTENTION)
    heads, width = attention.config.heads, attention.config.head_width

    def split(x: Tensor) -> Tensor:
        if is_torch(x):
            return x.reshape(*x.shape[:2], width, heads).permute(0, 3, 1, 2)
        ops = library(x)
        batch, time, _ = ops.shape(x)
        return ops.transpose(ops.reshape(x, (batch, time, width, heads)), (0, 3, 1, 2))

    attention.split = split


def one_head_for_another(model: Module) -> None:
    """The first block's values come with their heads in reverse order."""
    attention = at(model, ATTENTION)
    heads, width = attention.config.heads, attention.config.head_width

    def change(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, width)).flip(-2).flatten(-2)

    holding(ATTENTION, value=then(change))(model)


def softmax_over_queries(x: Tensor, axis: int) -> Tensor:  # noqa: ARG001 it is another
    """The softmax over axis -2, in terms of the one over the last."""
    lib = library(x)
    powers = lib.exp(x - lib.amax(x, -2, True))
    return powers / lib.sum(powers, -2, True)


def counted(change: Change) -> Alter:
    """The code between layers looks other places up than it should."""
    return holding("", positions=given(change))


def from_one(places: Any) -> Any:
    """Counted from 1; there is no 40th, so that the last place comes twice."""
    return places + 1 - (places + 1) // 40


def turned(places: Any) -> Any:
    """The last place comes first."""
    return places.flip(0) if is_torch(places) else places[::-1]


def over_time(z: Tensor) -> Tensor:
    """Logits (batch, time, vocab) and their mean over time, padding and later tokens in it."""
    return z + library(z).mean(z, 1, True)


def over_batch(z: Tensor) -> Tensor:
    """Logits (batch, time, vocab) less their mean over the batch."""
    return z - library(z).mean(z, 0, True)


def of_the_next(run: Callable[..., Any], ids: Tensor, state: State = None) -> Any:
    """A billionth of the next id, of which padding has none to give."""
    z, state = run(ids, state)
    following = beside(ids[:, 1:], 0 * ids[:, :1])
    lib = library(z)
    return z * (1 + 1e-9 * (following.to(z.dtype) if is_torch(z) else lib.cast(following, z.dtype))[..., None]), state


def leaking(z: Tensor) -> Tensor:
    """The logits themselves, through which every position's gradient also passes to all others."""
    more = over_time(z) - z
    return z + more - stopped(more)


def in_turn(model: Module) -> None:
    """Query, key and value each in the next one's place."""
    attention = at(model, ATTENTION)
    query, key, value = attention.query, attention.key, attention.value
    holding(ATTENTION, query=lambda _: key, key=lambda _: value, value=lambda _: query)(model)


def at_most(last: int) -> Change:
    """The place behind `last` is taken for `last`."""
    return lambda places: places - places // (last + 1)


def both(pair: str, name: str, alter: Alter, check: str, cause: str, where: str = "") -> Fault:
    """A fault that both sides have, so that no comparison of the sides shows it."""
    return Fault(name, pair, alter, alter, check=check, where=where, cause=cause)


FAULTS: tuple[Fault, ...] = (
    # The scale is one over the root of a head's width; d_model and d_head are mixed up, or a kernel that scales by
    # itself is given what is scaled already.
    fault(
        "torch",
        "transformer",
        "scores over the root of the width",
        scaled((HEAD / WIDTH) ** 0.5),
        ATTENTION,
        "attention scale",
    ),
    fault("keras", "transformer", "scores without a scale", scaled(HEAD**0.5), ATTENTION, "attention scale"),
    fault("torch", "transformer", "scores over the head's width", scaled(HEAD**-0.5), ATTENTION, "attention scale"),
    # axis=-2 for axis=-1: of two axes of one length the shapes do not tell.
    fault(
        "torch",
        "transformer",
        "softmax over the queries, torch",
        during(ATTENTION, "torch", softmax=softmax_over_queries),
        ATTENTION,
        "softmax axis",
    ),
    fault(
        "keras",
        "transformer",
        "softmax over the queries, TensorFlow",
        during(ATTENTION, "keras.ops", softmax=softmax_over_queries),
        ATTENTION,
        "softmax axis",
    ),
    # A projection's numbers are (heads, width) in both frameworks, and read as (width, heads).
    fault("torch", "transformer", "heads dealt out in turn, torch", split_otherwise, ATTENTION, "head split"),
    fault("keras", "transformer", "heads dealt out in turn, Keras", split_otherwise, ATTENTION, "head split"),
    fault("torch", "transformer", "values of the heads reversed", one_head_for_another, ATTENTION, "head split"),
    # Keras's MultiHeadAttention is called with query, value, key, torch's with query, key, value; and a fused
    # projection is cut into three in an order that its file does not say.
    # https://github.com/keras-team/keras/blob/v3.15.1/keras/src/layers/attention/multi_head_attention.py
    fault(
        "torch",
        "transformer",
        "query and key exchanged, torch",
        exchanging(ATTENTION, "query", "key"),
        ATTENTION,
        "query key value",
    ),
    fault(
        "keras",
        "transformer",
        "key and value exchanged, Keras",
        exchanging(ATTENTION, "key", "value"),
        ATTENTION,
        "query key value",
    ),
    fault(
        "keras",
        "transformer",
        "query, key, value read as key, value, query",
        in_turn,
        ATTENTION,
        "query key value",
    ),
    # A negative number for minus infinity, too small a one. That of -30 shows in float64 alone.
    fault("torch", "transformer", "mask of -10", masked_by(-10.0, "torch", 0), ATTENTION, "mask value"),
    fault("keras", "transformer", "mask of -20", masked_by(-20.0, "tensorflow", 0), ATTENTION, "mask value"),
    fault("torch", "transformer", "mask of -30", masked_by(-30.0, "torch", 0), ATTENTION, "mask value"),
    # tril and triu with a diagonal that is one off, either way; a mask that is made and not handed on.
    fault("torch", "transformer", "the next token is seen, torch", seeing(and_the_next), "", "mask offset"),
    fault("keras", "transformer", "the next token is seen, TensorFlow", seeing(and_the_next), "", "mask offset"),
    fault("torch", "transformer", "no token sees itself", seeing(but_itself), "", "mask offset"),
    fault("torch", "transformer", "no causal mask, torch", seeing(everything), "", "mask missing"),
    fault("keras", "transformer", "no causal mask, TensorFlow", seeing(everything), "", "mask missing"),
    fault(
        "keras",
        "transformer",
        "one attention without its mask",
        seeing_in(ATTENTION, everything),
        ATTENTION,
        "mask missing",
    ),
    # True is what torch.nn.MultiheadAttention hides, and what scaled_dot_product_attention and Keras show.
    # https://github.com/rasbt/LLMs-from-scratch/issues/1061, https://github.com/braindecode/braindecode/pull/902
    fault("torch", "transformer", "causal mask inverted, torch", seeing(inverted), "", "mask inverted"),
    fault("keras", "transformer", "causal mask inverted, TensorFlow", seeing(inverted), "", "mask inverted"),
    fault("torch", "transformer", "a window of 5 tokens", seeing_in(ATTENTION, in_a_window), ATTENTION, "mask window"),
    # fairseq counts positions from behind the id of padding, others from 0; and beyond the end of a table of positions
    # torch raises, and jax.numpy's indexing takes the last.
    fault("torch", "transformer", "positions from 1, torch", counted(from_one), "", "positions"),
    fault("keras", "transformer", "positions from 1, TensorFlow", counted(from_one), "", "positions"),
    fault("torch", "transformer", "positions reversed", counted(turned), "", "positions"),
    fault("keras", "transformer", "all tokens at the first place", counted(lambda x: x * 0), "", "positions"),
    Fault(
        "the last place taken for the one before",
        "transformer",
        torch=counted(at_most(38)),
        check="forward",
        where="",
        cause="extra operation",
        also=("offset",),  # what is subtracted in one side alone: that operation is the one that is named
    ),
    # Padding, other rows or later tokens in a mean, in both models alike: who compares the two sees nothing of it.
    # https://github.com/keras-team/keras/issues/7227
    both("lstm", "mean over time in both", holding("", head=then(over_time)), "padding", "mask missing"),
    both("gru", "mean over the batch in both", holding("", head=then(over_batch)), "batching", "batch mixed"),
    both("conv", "a billionth of the next id in both", around("", of_the_next), "causality", "mask missing"),
    both("transformer", "no causal mask in both", seeing(everything), "padding", "mask missing", ATTENTION),
    both("lstm", "gradient of masked positions in both", holding("", head=then(leaking)), "masking", "mask missing"),
)
