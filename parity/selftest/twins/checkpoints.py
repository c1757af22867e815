"""Other ways to load the same checkpoint, for the equivalent mutants: a side may hold other numbers than the other."""

from typing import Any

import numpy as np

from parity.backends import SIDES
from parity.dtypes import Module
from parity.selftest.faults.pairs.loading import Change, Values, loading


def both(change: Change) -> dict[str, Any]:
    """The same change on both sides."""
    return {side: loading(side, change) for side in SIDES}


def to_float16(values: Values) -> Values:
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


def zeros_with_a_sign(values: Values) -> Values:
    return {name: np.where(np.abs(array) < 0.02, -0.0, array) for name, array in values.items()}


def zeros(values: Values) -> Values:
    return {name: np.where(np.abs(array) < 0.02, 0.0, array) for name, array in values.items()}


def second_bias(model: Module) -> None:
    """torch's second bias holds all, and the first nothing."""
    import torch

    with torch.no_grad():
        model.lstm.bias_hh_l0.copy_(model.lstm.bias_ih_l0)
        model.lstm.bias_ih_l0.zero_()
