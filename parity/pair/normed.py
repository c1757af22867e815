"""Weights that one side keeps as a length g and a direction v, as a weight norm does, and the other as one plain array.

The plain side's layer is built as g and v, too: the same function, and every kernel can be had so.
"""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from parity.backends.build import Build
from parity.backends.protocol import BackendModel
from parity.canonical.form import Form
from parity.canonical.weights import Weights, drawn
from parity.dtypes import Array
from parity.pair import transfer
from parity.pair.carried import Values

# A direction's length moves an output by rounding, or by what keeps its norm from 0; a plain weight's, by half of what
# turning it does.
LESS = 16.0


def directions(side: str, model: BackendModel, build: Build, paths: Collection[str]) -> set[str]:
    """Which of the layers at these paths hold a matrix whose length does nothing for the output, though its sign does.

    So it is with what is divided by its norm. The model's weights are drawn for that, and put back.
    """
    model.rename(Form(), ())
    before = model.read()
    weights = drawn(transfer.layout(side, model), Weights(0, 1.0))
    try:
        names = [name for name, array in weights.items() if name.rpartition(".")[0] in paths and array.ndim > 1]
        return {name.rpartition(".")[0] for name in names if _points(model, build, weights, name)}
    finally:
        model.write(before)
        model.rename(build.form, build.nodes)


def _points(model: BackendModel, build: Build, weights: Mapping[str, Array], name: str) -> bool:
    """Whether doubling a parameter moves the outputs far less than turning its sign."""
    runs = []
    for factor in (1, 2, -1):
        model.write({**weights, name: factor * weights[name]})
        runs.append(model.outputs(build.sample))
    longer, opposite = (max(float(np.max(np.abs(of[at] - runs[0][at]), initial=0)) for at in of) for of in runs[1:])
    return LESS * longer < opposite


def with_lengths(values: Mapping[str, Values], side: str, paths: Collection[str]) -> dict[str, Values]:
    """Each side's values, in which v of these layers is as long as g says: however long v is, it means the same.

    `side` is the one whose layers were built as g and v, and hold a v of that length; by it g and its axes are known.
    """
    both = {of: dict(arrays) for of, arrays in values.items()}
    for path in paths:
        of = {name: array for name, array in values[side].items() if name.rpartition(".")[0] == path}
        v = max(of, key=lambda name: of[name].size)
        _, g, axis = min(_lengths(of, v))
        for arrays in both.values():
            wide = arrays[v].astype(np.float64)
            norm = np.sqrt(np.sum(wide**2, axis=_others(wide, axis), keepdims=True))
            with np.errstate(all="ignore"):  # a v of zeros points nowhere, on either side
                arrays[v] = (arrays[g].reshape(norm.shape) * wide / norm).astype(arrays[v].dtype)
    return both


def _lengths(of: Mapping[str, Array], v: str) -> Iterator[tuple[float, str, int]]:
    """Each array of a layer that may be the lengths of `v` along an axis: (how far it is from them, its name, axis)."""
    wide = of[v].astype(np.float64)
    for name, axis in ((name, axis) for name in of if name != v for axis in range(wide.ndim)):
        if of[name].size == wide.shape[axis]:
            norm = np.sqrt(np.sum(wide**2, axis=_others(wide, axis)))
            yield float(np.max(np.abs(norm - of[name].reshape(-1)))), name, axis


def _others(array: Array, axis: int) -> tuple[int, ...]:
    return tuple(at for at in range(array.ndim) if at != axis)
