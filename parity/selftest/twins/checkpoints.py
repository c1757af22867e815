"""Other ways to load the same checkpoint, for the equivalent mutants: a side may hold other numbers than the other.

A model does not know the order of its hidden units, and a pair of factors not which has the two: whoever compares
parameters one by one would call these different. What reads a changed parameter is changed to fit, so that the
outputs stay what they were. They stand for converters that lay a model out otherwise, and for trainings that went on.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.dtypes import Array, Module, round_to
from parity.selftest.faults.fault import SIDES
from parity.selftest.faults.pairs.loading import Change, Values, loading

PARTS = ("kernel", "bias")
Along = Callable[[Array], Array]  # a change along an array's first axis


def on(side: str, change: Change) -> dict[str, Any]:
    """A change on one side."""
    return {side: loading(side, change)}


def both(change: Change) -> dict[str, Any]:
    """The same change on both sides."""
    return {side: loading(side, change) for side in SIDES}


def to_float16(values: Values) -> Values:
    """Every value rounded to float16 and back: on both sides the same numbers, with few bits."""
    return {name: array.astype(np.float16).astype(array.dtype) for name, array in values.items()}


def drawn_but_the_table(values: Values) -> Values:
    """Nothing is loaded: both sides compute the table alike, and draw all else."""
    random = np.random.default_rng()
    drawn = {
        name: 0.3 * random.standard_normal(array.shape) for name, array in values.items() if "embedding" not in name
    }
    return {name: np.abs(array) if name.endswith("variance") else array for name, array in drawn.items()}


def heads_in_another_order(values: Values) -> Values:
    """Query, key, value, and what comes out: the same all along."""
    return {
        "attention.input_kernel": values["attention.input_kernel"][:, ::-1],
        "attention.input_bias": values["attention.input_bias"][:, ::-1],
        "attention.output_kernel": values["attention.output_kernel"][:, ::-1],
    }


def units_in_another_order(values: Values) -> Values:
    """Of query and key, and of what reads their product."""
    order = np.random.default_rng(0).permutation(12)
    rows = {name: values[name][order] for of in ("query", "key") for name in (f"{of}.kernel", f"{of}.bias")}
    return {**rows, "square.kernel": values["square.kernel"][:, order]}


def _turned(values: Values, change: Along, **axes: int) -> Values:
    """A change along one axis of each parameter, its layer before two underscores."""
    names = {name.replace("__", "."): axis for name, axis in axes.items()}
    return {name: np.moveaxis(change(np.moveaxis(values[name], axis, 0)), 0, axis) for name, axis in names.items()}


def _gates(count: int, change: Along) -> Along:
    """A change of the units in each of `count` gates, which stand one after another along the first axis."""
    return lambda array: np.concatenate([change(block) for block in np.split(array, count)])


def _ordered(array: Array) -> Array:
    """Along the first axis, in an order that depends on its length alone: arrays of one length keep together."""
    return array[np.random.default_rng(len(array)).permutation(len(array))]


def _signed(array: Array) -> Array:
    """Every second one with the other sign."""
    signs = np.where(np.arange(len(array)) % 2, -1, 1).astype(array.dtype)
    moved: Array = (signs * array.T).T
    return moved


def _times(factor: float) -> Along:
    """Times a power of two, which rounds nothing."""
    return lambda array: array * array.dtype.type(factor)


def lstm_units(change: Along) -> Change:
    """Units of an LSTM in another order or with another sign, and what reads them."""

    def changed(values: Values) -> Values:
        # Canonical gates are i, f, g, o along the first axis; the recurrent kernel reads the units along its second.
        by_gate = {name: values[name] for name in ("lstm.input_kernel", "lstm.recurrent_kernel", "lstm.bias")}
        if change is _ordered:
            rows = {name: _gates(4, change)(array) for name, array in by_gate.items()}
        else:  # of the cell's gate alone: a tanh of what has the other sign has the other sign
            cell = {name: np.split(array, 4) for name, array in by_gate.items()}
            rows = {name: np.concatenate([*of[:2], change(of[2]), of[3]]) for name, of in cell.items()}
        return {**rows, **_turned({**values, **rows}, change, lstm__recurrent_kernel=1, gru__input_kernel=1)}

    return changed


def gru_units(values: Values) -> Values:
    """Units of a GRU in another order, and all that has their width behind it."""
    rows = _turned(values, _gates(3, _ordered), gru__input_kernel=0, gru__recurrent_kernel=0, gru__bias=1)
    width = {"gru__recurrent_kernel": 1, "attention__input_kernel": 3, "attention__output_kernel": 0}
    width |= {"attention__output_bias": 0, "norm__gain": 0, "norm__bias": 0, "query__kernel": 1, "key__kernel": 1}
    return {**rows, **_turned({**values, **rows}, _ordered, **width)}


def gru_biases(values: Values) -> Values:
    """The two biases of a GRU exchanged in the gates that add them up."""
    first, second = values["gru.bias"]
    units = 2 * len(first) // 3
    swapped = [np.concatenate([one[:units], other[units:]]) for one, other in ((second, first), (first, second))]
    return {"gru.bias": np.stack(swapped)}


def along(change: Along, back: Along | None = None, **axes: int) -> Change:
    """A change along an axis of several parameters; the last of them undoes it, where another function does."""

    def changed(values: Values) -> Values:
        names = [*axes]
        before = _turned(values, change, **{name: axes[name] for name in (names if back is None else names[:-1])})
        return before if back is None else {**before, **_turned(values, back, **{names[-1]: axes[names[-1]]})}

    return changed


def projections(*places: int, change: Along, axis: int = 1, out: bool = False) -> Change:
    """Of query, key and value, by their places, units changed in each head; and of what reads the values."""

    def changed(values: Values) -> Values:
        values_changed = {}
        for name in ("attention.input_kernel", "attention.input_bias"):
            values_changed[name] = values[name].copy()
            for place in places:
                part = np.moveaxis(values_changed[name][place], axis, 0)
                values_changed[name][place] = np.moveaxis(change(part), 0, axis)
        return {**values_changed, **(_turned(values, change, attention__output_kernel=1 + axis) if out else {})}

    return changed


def scaled(first: int, factor: float, out: bool) -> Change:
    """The query twice as large and the key half of it; or the value, and what comes out."""

    def changed(values: Values) -> Values:
        scaled_values = {
            name: values[f"attention.{name}"].copy() for name in ("input_kernel", "input_bias", "output_kernel")
        }
        for name in ("input_kernel", "input_bias"):
            scaled_values[name][first] *= factor
            if not out:
                scaled_values[name][first + 1] /= factor
        scaled_values["output_kernel"] /= factor if out else 1
        return {f"attention.{name}": array for name, array in scaled_values.items()}

    return changed


def to_bfloat16(values: Values) -> Values:
    """Every value rounded to bfloat16 and back."""
    return {name: round_to(array, "bfloat16") for name, array in values.items()}


def vocabulary_moved(values: Values) -> Values:
    """Ids count one further, where they are read and where they are predicted."""
    return {name: np.roll(values[name], 1, 0) for name in ("embedding.table", "head.kernel")}


def query_for_key(values: Values) -> Values:
    """The checkpoint has the two under each other's name, for both builders."""
    return {
        f"{one}.{of}": values[f"{other}.{of}"] for one, other in (("query", "key"), ("key", "query")) for of in PARTS
    }


def biases_in_halves(model: Module) -> None:
    """Each of torch's two biases holds half."""
    import torch

    with torch.no_grad():
        model.lstm.bias_ih_l0.mul_(0.5)
        model.lstm.bias_hh_l0.copy_(model.lstm.bias_ih_l0)


def counted(model: Module) -> None:
    """A batch normalization has seen batches, which is no weight."""
    model.bn.num_batches_tracked.add_(1000)


def stored_otherwise(model: Module) -> None:
    """Weights that stand transposed in memory."""
    for layer in (model.query, model.key, model.square, model.head):
        layer.weight.data = layer.weight.data.T.contiguous().T


# What either side may load in the other's place: name -> the change.
LAYOUTS: dict[str, Change] = {
    "LSTM's units in another order": lstm_units(_ordered),
    "LSTM's units with another sign": lstm_units(_signed),
    "GRU's units in another order": gru_units,
    "GRU's biases exchanged where they are added": gru_biases,
    "columns of the table in another order": along(_ordered, embedding__table=1, conv__kernel=1),
    "columns of the table with another sign": along(_signed, embedding__table=1, conv__kernel=1),
    "table twice, kernel half": along(_times(2), _times(0.5), embedding__table=1, conv__kernel=1),
    "channels in another order": along(
        _ordered, conv__kernel=0, conv__bias=0, bn__gain=0, bn__bias=0, bn__mean=0, bn__variance=0, lstm__input_kernel=1
    ),
    "channels with another sign": along(_signed, conv__kernel=0, conv__bias=0, bn__mean=0, bn__gain=0),
    "batch norm twice, what reads it half": along(_times(2), _times(0.5), bn__gain=0, bn__bias=0, lstm__input_kernel=1),
    "units of query and key in another order": projections(0, 1, change=_ordered),
    "units of query and key with another sign": projections(0, 1, change=_signed),
    "units of the value in another order": projections(2, change=_ordered, out=True),
    "units of the value with another sign": projections(2, change=_signed, out=True),
    "heads turned round": projections(0, 1, 2, change=lambda array: array[::-1], axis=0, out=True),
    "query twice, key half": scaled(0, 2, out=False),
    "value twice, output half": scaled(2, 2, out=True),
    "norm with another sign": along(_signed, norm__gain=0, norm__bias=0, query__kernel=1, key__kernel=1),
    "a product of two with another sign": along(_signed, query__kernel=0, query__bias=0, key__kernel=0, key__bias=0),
    "key twice, what reads it half": along(_times(2), _times(0.5), key__kernel=0, key__bias=0, square__kernel=1),
    "square's units in another order": along(_ordered, square__kernel=0, square__bias=0, head__kernel=1),
    "square's units with another sign": along(_signed, square__kernel=0, square__bias=0, head__kernel=1),
}
BOTH: dict[str, Change] = {
    "a checkpoint of bfloat16 on both sides": to_bfloat16,
    "the vocabulary one further on both sides": vocabulary_moved,
    "query for key on both sides": query_for_key,
}
IN_TORCH = {
    "two biases with half each": biases_in_halves,
    "batches counted": counted,
    "weights that stand transposed in memory": stored_otherwise,
}


def zeros_with_a_sign(values: Values) -> Values:
    """Small values are -0, which equals 0 and has other bits."""
    return {name: np.where(np.abs(array) < 0.02, -0.0, array) for name, array in values.items()}


def zeros(values: Values) -> Values:
    """The same are 0."""
    return {name: np.where(np.abs(array) < 0.02, 0.0, array) for name, array in values.items()}


def second_bias(model: Module) -> None:
    """torch's second bias holds all, and the first nothing."""
    import torch

    with torch.no_grad():
        model.lstm.bias_hh_l0.copy_(model.lstm.bias_ih_l0)
        model.lstm.bias_ih_l0.zero_()
