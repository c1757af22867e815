"""Conversion: what a wrong converter makes of a checkpoint on its way into one side's model.

The pair `carried` has both sides load one checkpoint (`pairs/loading.py`), and one of them loads other values. Most
have the right shape, so that the converter ends well: the loaded values have to be compared, not the shapes.
"""

from typing import Any

import numpy as np

from parity.dtypes import Array, round_to
from parity.selftest.faults.fault import Fault
from parity.selftest.faults.inject_layers import Change, exchanged, ordered
from parity.selftest.faults.layout import INPUT_FORGET, forget_one, turned_blocks, twice, zero
from parity.selftest.faults.pairs.loading import Values, loading
from parity.selftest.faults.weights import corner_transposed, row, rows_exchanged, to_float16

BACKWARDS, NOT_COPIED, MISSING, CHANGED = "kernel backwards", "weights not copied", "bias missing", "weights changed"


def lost(name: str, cause: str, side: str = "keras", **changes: Change) -> Fault:
    """Parameters of one layer, its name before two underscores, come through a change each."""
    named = {parameter.replace("__", "."): change for parameter, change in changes.items()}

    def change(values: Values) -> Values:
        return {parameter: change(values[parameter]) for parameter, change in named.items()}

    where = next(iter(named)).partition(".")[0]
    return _fault(name, side, change, where, cause)


def swapped(one: str, other: str, where: str, side: str = "keras") -> Fault:
    """Two parameters, or all of two layers, are loaded in each other's place; `where` is what must be blamed."""
    return _fault(f"{one} and {other} exchanged as loaded", side, exchanged(one, other), where, "weights swapped")


def _fault(name: str, side: str, change: Change, where: str, cause: str) -> Fault:
    planted: dict[str, Any] = {side: loading(side, change)}
    return Fault(name, "carried", **planted, check="conversion", where=where, cause=cause)


def to_bfloat16(x: Array) -> Array:
    """Rounded to the nearest bfloat16, of two as near to the even one, and back."""
    return round_to(x, "bfloat16")


def cut_to_bfloat16(x: Array) -> Array:
    """The upper half of a float32's bits, which cuts off where bfloat16 rounds."""
    return (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def fresh(x: Array) -> Array:
    """As an initializer draws it, other numbers each time."""
    return np.random.default_rng().standard_normal(x.shape).astype(x.dtype)


def ones(x: Array) -> Array:
    return np.ones_like(x)


def times(factor: float) -> Change:
    """Times a number, in float64 and then rounded."""
    return lambda x: (x * np.float64(factor)).astype(x.dtype)


def plus(number: float) -> Change:
    return lambda x: x + np.float32(number)


def split(axis: int, *sizes: int) -> Change:
    """An axis as several of these sizes, of which the last two stand the other way round."""

    def change(x: Array) -> Array:
        parts = x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])
        last = axis + len(sizes) - 1
        return parts.swapaxes(last - 1, last).reshape(x.shape)

    return change


def heads_apart(axis: int) -> Change:
    """Heads and their width, two axes, read as one of the other order."""

    def change(x: Array) -> Array:
        heads, width = x.shape[axis : axis + 2]
        return x.reshape(*x.shape[:axis], width, heads, *x.shape[axis + 2 :]).swapaxes(axis, axis + 1).copy()

    return change


def parts(*order: int) -> Change:
    """An attention's query, key and value, which stand along the first axis, in another order."""
    return lambda x: x[[*order]]


def down(x: Array) -> Array:
    """Each row one further down, and a new one in the first place."""
    return np.concatenate([np.full_like(x[:1], 0.125), x[:-1]])


def up(x: Array) -> Array:
    """The first row is left out, and a new one stands last."""
    return np.concatenate([x[1:], np.full_like(x[:1], 0.25)])


def summed(bias: Array) -> Array:
    """A GRU's two biases as one."""
    return np.stack([bias.sum(0), 0 * bias[1]])


def reshaped(*order: int) -> Change:
    """The target's shape is reshaped to, where the axes have to be put in its order.

    `order` has the canonical axes as the target's variable has them.
    """

    def change(x: Array) -> Array:
        return x.reshape([x.shape[axis] for axis in order]).transpose(np.argsort(order)).copy()

    return change


def of_query(change: Change) -> Change:
    """A change of the first of three kernels that are stacked."""
    return lambda x: np.concatenate([change(x[0])[None], x[1:]])


def _in_float64(change: Change) -> Change:
    """A function computed in float64, its values rounded to what was given."""

    def changed(x: Array) -> Array:
        values: Array = change(x.astype(np.float64)).astype(x.dtype)
        return values

    return changed


def length_along(axis: int) -> Change:
    """Divided by its length along an axis and not by that along the other, as of a weight norm's v."""

    def change(x: Array) -> Array:
        lengths = [np.sqrt(np.square(x).sum(of, keepdims=True)) for of in (axis, 1 - axis)]
        scaled: Array = x * lengths[1] / lengths[0]
        return scaled

    return _in_float64(change)


def folded(*axes: int) -> Change:
    """The factors of a norm that is folded into a kernel: along the last axis given, and taken back along the first.

    A kernel that is folded right on the other side has its factors along its outputs alone.
    """

    def change(x: Array) -> Array:
        factors = np.random.default_rng(len(axes)).uniform(0.5, 2, x.shape[axes[-1]])
        for axis in axes:
            by = factors if axis == axes[-1] else 1 / factors
            x = x * np.expand_dims(by, tuple(place for place in range(x.ndim) if place != axis))
        return x

    return _in_float64(change)


def off(x: Array) -> Array:
    """One number, in the middle, off by 1e-6."""
    x = x.copy()
    x.reshape(-1)[x.size // 2] += 1e-6
    return x


FAULTS: tuple[Fault, ...] = (
    # A checkpoint that was saved in half for its size, or on its way through a framework that loads in half.
    lost("head as float16", "weights rounded", head__kernel=to_float16),
    lost("table as float16, torch", "weights rounded", "torch", embedding__table=to_float16),
    lost("table as bfloat16", "weights rounded", embedding__table=to_bfloat16),
    lost("convolution as bfloat16", "weights rounded", conv__kernel=to_bfloat16, conv__bias=to_bfloat16),
    lost("attention as float16", "weights rounded", attention__input_kernel=to_float16),
    lost("LSTM cut off to bfloat16", "weights rounded", lstm__input_kernel=cut_to_bfloat16),
    lost("statistics as float16", "weights rounded", bn__mean=to_float16, bn__variance=to_float16),
    # Parameters of one shape, paired by their order in a list: torch has gain, bias, mean, variance, others the
    # alphabet.
    swapped("query", "key", "query and key"),
    swapped("query.kernel", "key.kernel", "query and key", "torch"),
    swapped("bn.mean", "bn.variance", "bn"),
    swapped("bn.gain", "bn.bias", "bn"),
    swapped("norm.gain", "norm.bias", "norm", "torch"),
    # torch has the gates i, f, g, o, as Keras has; TensorFlow 1 has i, j, f, o. A GRU's are r, z, n and z, r, h.
    # https://github.com/tensorflow/tensorflow/issues/29308, https://github.com/keras-team/keras/issues/8720 (the bias
    # alone), https://github.com/keras-team/keras/issues/15915
    lost("gates i and f as loaded", "gate order", lstm__input_kernel=INPUT_FORGET, lstm__recurrent_kernel=INPUT_FORGET),
    lost("gates i and f of the bias", "gate order", lstm__bias=INPUT_FORGET),
    lost("gates i, f, o, g", "gate order", lstm__recurrent_kernel=ordered(0, 1, 3, 2)),
    lost("gates i and f as loaded, torch", "gate order", "torch", lstm__input_kernel=INPUT_FORGET),
    lost("gates r and z as loaded", "gate order", gru__input_kernel=ordered(1, 0, 2)),
    lost("gates r and z of the state", "gate order", "torch", gru__recurrent_kernel=ordered(1, 0, 2)),
    # What is square is transposed without an error, or not: a matrix, each gate's block, a kernel of as many channels.
    lost("square matrix transposed", "transposed", square__kernel=lambda x: x.T.copy()),
    lost("square matrix transposed, torch", "transposed", "torch", square__kernel=lambda x: x.T.copy()),
    lost("kernel's channels exchanged", "transposed", conv__kernel=lambda x: x.swapaxes(0, 1).copy()),
    lost("each gate's block transposed", "transposed", lstm__recurrent_kernel=turned_blocks),
    lost("corner of the head transposed", "transposed", head__kernel=corner_transposed),
    lost("kernel loaded backwards", BACKWARDS, conv__kernel=lambda x: x[..., ::-1].copy()),
    # The numbers of heads are reshaped by the wrong two axes; rotary pairs are neighbours in the paper's code, halves
    # in Hugging Face's, and their converter permutes the kernels:
    # https://github.com/huggingface/transformers/issues/25199
    lost("heads split otherwise", "head split", attention__input_kernel=heads_apart(1)),
    lost("heads split otherwise on the way out", "head split", attention__output_kernel=heads_apart(1)),
    lost("rows of the queries split otherwise", "head split", query__kernel=split(0, 2, 6)),
    lost("rows of the keys split otherwise, torch", "head split", "torch", key__kernel=split(0, 6, 2)),
    lost("halves interleaved", "rotary halves", query__kernel=split(0, 2, 2, 3)),
    lost("what is interleaved as halves", "rotary halves", key__kernel=split(0, 2, 3, 2)),
    lost(
        "halves interleaved, kernel and bias",
        "rotary halves",
        key__kernel=split(0, 2, 2, 3),
        key__bias=split(0, 2, 2, 3),
    ),
    lost("keys before queries", "query key value", attention__input_kernel=parts(1, 0, 2)),
    lost("values before keys, torch", "query key value", "torch", attention__input_kernel=parts(0, 2, 1)),
    # Reshaped to the shape of the target where it should be transposed: no shape tells, and nothing fails.
    # https://discuss.pytorch.org/t/difference-between-view-reshape-and-permute/54157
    lost("head reshaped", "transposed", head__kernel=reshaped(1, 0)),
    lost("queries reshaped, torch", "transposed", "torch", query__kernel=reshaped(1, 0)),
    lost("convolution reshaped", "transposed", conv__kernel=reshaped(2, 1, 0)),
    lost("convolution's time and inputs reshaped", "transposed", conv__kernel=reshaped(0, 2, 1)),
    lost("gates' kernel reshaped", "transposed", lstm__input_kernel=reshaped(1, 0)),
    lost("query, key and value reshaped to heads", "transposed", attention__input_kernel=reshaped(0, 3, 1, 2)),
    lost("query reshaped to heads", "transposed", attention__input_kernel=of_query(reshaped(2, 0, 1))),
    lost("heads reshaped on the way out", "transposed", attention__output_kernel=reshaped(1, 2, 0)),
    # A flatten lays a picture's channels last or first, and so the rows of what follows it.
    # https://henrysky.github.io/blog/2023-10-23-keras-torch/
    lost("channels of a flatten", "flatten order", query__kernel=split(1, 2, 4)),
    lost("channels of a flatten, torch", "flatten order", "torch", head__kernel=split(1, 3, 4)),
    # One side has a special piece more, in front: https://github.com/facebookresearch/fairseq/issues/2094
    lost("vocabulary one further", CHANGED, embedding__table=down),
    lost("vocabulary one before", CHANGED, embedding__table=up),
    lost("vocabulary one further, head", CHANGED, head__kernel=down),
    lost("vocabulary turned round by one", CHANGED, "torch", embedding__table=lambda x: np.roll(x, 1, 0)),
    lost("row of padding lost", CHANGED, embedding__table=row(0, zero)),
    lost("row of the last id twice", CHANGED, embedding__table=row(-1, twice)),
    lost("two rows of the head exchanged", CHANGED, head__kernel=rows_exchanged),
    lost("two rows of the table exchanged, torch", CHANGED, "torch", embedding__table=rows_exchanged),
    # load_state_dict(strict=False), by_name=True, skip_mismatch=True: what has no partner keeps what it was built with.
    lost("head not loaded", NOT_COPIED, head__kernel=fresh),
    lost("recurrence not loaded", NOT_COPIED, gru__recurrent_kernel=fresh),
    lost("convolution not loaded, torch", NOT_COPIED, "torch", conv__kernel=fresh),
    lost("statistics not loaded", NOT_COPIED, bn__mean=lambda x: 0 * x, bn__variance=ones),
    lost("gain not loaded", NOT_COPIED, norm__gain=ones),
    # torch's recurrences have two biases, whose sum alone acts in an LSTM, and not in a GRU, where the second new
    # gate's is inside the reset: https://github.com/apple/coremltools/issues/1124. Keras's LSTM draws its forget gate's
    # as 1.
    lost("head's bias not loaded", MISSING, head__bias=zero),
    lost("convolution's bias not loaded", MISSING, conv__bias=zero),
    lost("LSTM's bias not loaded", MISSING, "torch", lstm__bias=zero),
    lost("attention's bias not loaded", MISSING, attention__input_bias=zero),
    lost("norm's bias not loaded", MISSING, norm__bias=zero),
    lost("GRU's second bias not loaded", MISSING, gru__bias=lambda x: np.stack([x[0], 0 * x[1]])),
    lost("GRU's biases summed as loaded", "biases summed", gru__bias=summed),
    lost("bias loaded twice", "bias doubled", square__bias=twice),
    lost("1 added to the forget gate as loaded", "offset", lstm__bias=forget_one),
    # A norm's gain that is stored as what is added to 1, as Gemma's; a scale that one code has in its weights, one
    # beside.
    lost("gain from 1 as loaded", "offset", norm__gain=plus(1)),
    lost("table times the root of its width", "scale", embedding__table=times(10**0.5)),
    lost("queries scaled", "scale", query__kernel=times(6**-0.5)),
    # What one framework stores is the root, the reciprocal or the logarithm of what the other does.
    lost("deviation for variance", "weights transformed", bn__variance=_in_float64(np.sqrt)),
    lost("variance for deviation", "weights transformed", "torch", bn__variance=_in_float64(np.square)),
    lost("inverse deviation", "weights transformed", bn__variance=_in_float64(lambda x: (x + 1e-3) ** -0.5)),
    lost("reciprocal of the gain", "weights transformed", norm__gain=_in_float64(np.reciprocal)),
    lost("gain as its logarithm", "weights transformed", bn__gain=_in_float64(np.log)),
    lost("gain as an exponential, torch", "weights transformed", "torch", norm__gain=_in_float64(np.exp)),
    lost("epsilon in the variance", "offset", bn__variance=_in_float64(lambda x: x + 1e-3)),
    # A norm is folded into the kernel before it along the inputs, not the outputs; a weight norm has its lengths along
    # the other axis.
    lost("a norm folded into the inputs", "scale", conv__kernel=folded(0, 1)),
    lost("a norm folded in twice", "scale", square__kernel=folded(0)),
    lost("a factor for each input, torch", "scale", "torch", head__kernel=folded(1)),
    lost("weight norm along the other axis", "scale", query__kernel=length_along(0)),
    lost("one number off by 1e-6", CHANGED, square__kernel=off),
)
