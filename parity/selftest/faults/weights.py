"""Weights: values that go astray on their way to one side.

parity writes the same values into both sides and reads them back; here one side is written others, as by a converter
with an error (`conversion` has those of pairs that load a checkpoint themselves). The outputs would show most of them,
but not which parameter it is, and one number off by 1e-6 not at all in float32.
"""

import numpy as np

from parity.dtypes import Array
from parity.selftest.faults.fault import Fault
from parity.selftest.faults.inject_layers import Change, exchanged, fault, ordered, values, writing
from parity.selftest.faults.layout import INPUT_FORGET, forget_one, turned_blocks, twice, zero


def written(side: str, pair: str, name: str, parameter: str, change: Change, cause: str) -> Fault:
    """One parameter has another value on one side."""
    alter = writing(side, values({parameter: change}))
    return fault("corners", pair, f"{name}, {side}", alter, parameter.rpartition(".")[0], cause, "weights")


def swapped(side: str, pair: str, one: str, other: str, where: str) -> Fault:
    """Two parameters, or those of two layers, have each other's value on one side."""
    alter = writing(side, exchanged(one, other))
    name = f"{one} and {other} exchanged, {side}"
    return fault("corners", pair, name, alter, where, "weights swapped", "weights")


def kept(side: str, pair: str, *parameters: str) -> Fault:
    """Parameters that are not written keep what they were built with."""
    alter = writing(
        side, lambda values_read: {name: value for name, value in values_read.items() if name not in parameters}
    )
    name = f"{' and '.join(parameters)} not copied, {side}"
    return fault("corners", pair, name, alter, parameters[0].rpartition(".")[0], "weights not copied", "weights")


def off(amount: float) -> Change:
    """One number, in the middle, off by so much."""

    def change(value: Array) -> Array:
        value.reshape(-1)[value.size // 2] += amount
        return value

    return change


def to_bfloat16(value: Array) -> Array:
    """Cut off, not rounded, to bfloat16: the upper half of a float32's bits."""
    bits = value.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32).astype(value.dtype)


def to_float16(value: Array) -> Array:
    """Rounded to the nearest float16 and back."""
    return value.astype(np.float16).astype(value.dtype)


def row(place: int, change: Change) -> Change:
    """A change of one row of a table."""

    def of(value: Array) -> Array:
        value[place] = change(value[place])
        return value

    return of


def rows_exchanged(value: Array) -> Array:
    """The fourth row and the sixth in each other's place, as where two vocabularies differ in two pieces."""
    value[[3, 5]] = value[[5, 3]]
    return value


def corner_transposed(value: Array) -> Array:
    """The square part of a kernel transposed: what is right in shape and wrong in all but the diagonal."""
    size = min(value.shape)
    value[:size, :size] = value[:size, :size].T.copy()
    return value


QUERY, KEY = "blocks.0.attention.query", "blocks.0.attention.key"
FAULTS: tuple[Fault, ...] = (
    written("keras", "lstm", "one weight off by 1e-6", "head.kernel", off(1e-6), "weights changed"),
    written("torch", "lstm", "one recurrent weight off by 1e-6", "lstm.recurrent_kernel", off(1e-6), "weights changed"),
    written("torch", "gru", "one bias off by 1e-3", "head.bias", off(1e-3), "weights changed"),
    written("keras", "conv", "the row of the last id", "embedding.table", row(-1, twice), "weights changed"),
    written("torch", "transformer", "the row of padding zeroed", "embedding.table", row(0, zero), "weights changed"),
    written("keras", "gru", "two rows exchanged", "head.kernel", rows_exchanged, "weights changed"),
    written("keras", "lstm", "a bias of zeros", "head.bias", zero, "bias missing"),
    written("torch", "conv", "a bias of zeros", "convs.0.bias", zero, "bias missing"),
    written("keras", "lstm", "a bias twice", "lstm.bias", twice, "bias doubled"),
    written("keras", "lstm", "forget gate and 1", "lstm.bias", forget_one, "offset"),
    written("torch", "lstm", "through bfloat16", "head.kernel", to_bfloat16, "weights rounded"),
    written("keras", "transformer", "through float16", "blocks.0.expand.kernel", to_float16, "weights rounded"),
    written("torch", "transformer", "table through float16", "positions.table", to_float16, "weights rounded"),
    written("keras", "lstm", "gates i and f exchanged", "lstm.input_kernel", INPUT_FORGET, "gate order"),
    written("torch", "gru", "gates r and z exchanged", "gru.recurrent_kernel", ordered(1, 0, 2), "gate order"),
    written("torch", "lstm", "blocks not transposed", "lstm.recurrent_kernel", turned_blocks, "transposed"),
    written("keras", "transformer", "corner transposed", "head.kernel", corner_transposed, "transposed"),
    written("keras", "conv", "kernel backwards", "convs.1.kernel", lambda x: x[..., ::-1].copy(), "kernel backwards"),
    kept("keras", "lstm", "lstm.bias"),
    kept("torch", "gru", "gru.bias"),
    kept("keras", "transformer", "norm.gain", "norm.bias"),
    swapped("torch", "transformer", "norm.gain", "norm.bias", "norm"),
    swapped("keras", "transformer", QUERY, KEY, f"{QUERY} and {KEY}"),
    swapped("torch", "transformer", "blocks.0.expand", "blocks.1.expand", "blocks.0.expand and blocks.1.expand"),
)
