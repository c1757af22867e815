"""A recurrent layer as the dense layers that somebody writes in its place, and an attention by its own layers.

A port may write `nn.LSTM` out as two dense layers and a loop, or as one dense layer of the input and the state side by
side. Then no layer of its is an LSTM, and the other side's is opened: read as those dense layers, with the same
numbers. What a layer is read as is told by words, of which a `Form` holds those in use. How many gates a parameter
stacks stays known, since what is written out has them in an order of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from parity.canonical.layer import CanonicalParameter
from parity.canonical.transforms import Transform
from parity.dtypes import Array

ATTENTION = "attention"  # by the layers that it is made of
APART, INPUT_FIRST, STATE_FIRST = "apart", "input first", "state first"
RECURRENT = (APART, INPUT_FIRST, STATE_FIRST)  # two dense layers, or one of what is given and the state, joined
# The cells, how many gates each has, and of which kind the layers are that it is written by.
CELLS = {"lstm": (4, "dense"), "gru": (3, "dense"), "rnn": (1, "dense")}
CELLS |= {f"conv_lstm{axes}d": (4, f"conv{axes}d") for axes in (1, 2, 3)}
Entry = tuple[str, str, list[CanonicalParameter]]


def opened(layers: Sequence[Entry], words: Sequence[str]) -> Iterator[Entry]:
    """Each layer, or the dense layers, or convolutions, in its place; `words` are those of `Form.opened`.

    The layer of the state has no bias: the recurrent layer's one bias is the sum of both.
    """
    way = next((word for word in words if word in RECURRENT), None)
    for place, kind, parts_own in layers:
        gates, written = CELLS.get(kind, (0, ""))
        parts = [replace(part, gates=gates) for part in parts_own]
        of = {part.parameter: part for part in parts}
        if way is None or not written or not _one_bias(of.get("bias"), kind):
            yield place, kind, parts
        elif way == APART:
            parameters = {"kernel": of["input_kernel"], "bias": of.get("bias")}
            yield _behind(place, "input"), written, _called(parameters)
            yield _behind(place, "recurrent"), written, _called({"kernel": of["recurrent_kernel"]})
        else:
            both = of["input_kernel"], of["recurrent_kernel"]
            yield place, written, _called({"kernel": _beside(*both, way == STATE_FIRST), "bias": of.get("bias")})


def _one_bias(bias: CanonicalParameter | None, kind: str) -> bool:
    """Whether a cell's bias acts outside its gates: the second one of a GRU acts inside its third gate."""
    return kind != "gru" or bias is None or (len(bias.variables) == 1 and len(bias.variables[0].shape) == 1)


def _behind(place: str, name: str) -> str:
    """A path with one more step, which is the first where the path is empty."""
    return ".".join(filter(None, (place, name)))


def _called(parts: dict[str, CanonicalParameter | None]) -> list[CanonicalParameter]:
    """The parameters by these names, which are a dense layer's; those that there are not are left out."""
    return [replace(of, parameter=name) for name, of in parts.items() if of is not None]


def _beside(inputs: CanonicalParameter, state: CanonicalParameter, turned: bool) -> CanonicalParameter:
    """Join two kernels, (rows, in) and (rows, units), to (rows, in + units); the state's columns first if `turned`."""
    parts = (state, inputs) if turned else (inputs, state)
    shapes = {id(of): tuple(of.variables[0].shape) for of in parts}
    # Canonical columns of the first one: packing an array of any content shows the shape.
    cut = parts[0].transform.pack(np.empty(shapes[id(parts[0])])).shape[1]

    def pack(one: Array, other: Array) -> Array:
        arrays = {id(inputs): one, id(state): other}
        return np.concatenate([of.transform.pack(arrays[id(of)]) for of in parts], 1)

    def unpack(array: Array) -> tuple[Array, ...]:
        halves = dict(zip(map(id, parts), np.split(array, [cut], 1), strict=True))
        return tuple(of.transform.unpack(np.ascontiguousarray(halves[id(of)]))[0] for of in (inputs, state))

    def gradient(one: Array | None, other: Array | None) -> Array:
        known = other if one is None else one
        assert known is not None  # one is trained
        filled = [
            np.zeros(shapes[id(of)], known.dtype) if array is None else array
            for of, array in ((inputs, one), (state, other))
        ]
        return pack(*filled)

    transform = Transform(f"{inputs.transform.name}, joined", pack, unpack, gradient)
    variables, names = inputs.variables + state.variables, inputs.names + state.names
    return replace(inputs, variables=variables, names=names, transform=transform)
