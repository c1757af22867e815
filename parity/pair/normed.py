"""Weights that one side keeps as a length g and a direction v, as a weight norm does, and the other as one plain array.

The plain side's layer is built as g and v, too: the same function, and every kernel can be had so.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from parity.backends.build import Build
from parity.backends.protocol import BackendModel
from parity.canonical.custom import CUSTOM
from parity.canonical.form import Form
from parity.canonical.kind import KINDS
from parity.canonical.weights import Weights, drawn
from parity.dtypes import Array
from parity.pair import transfer
from parity.pair.carried import Values
from parity.pair.link_proof import LinkProof

# A direction's length moves an output by rounding, or by what keeps its norm from 0; a plain weight's, by half of what
# turning it does.
LESS = 16.0
# A plain weight in front of a saturated activation may grow and change little, but not shrink, too.
LENGTHS = (2.0, 2.0**-10)


def plans(
    linking: LinkProof, models: Mapping[tuple[str, str], BackendModel], builds: Mapping[str, Build]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each side that may be built with g and v in the place of plain kernels, and the paths of the layers of these.

    They are the counterparts of the other side's directions, and, for directions that have none, layers without a
    counterpart of as many numbers.
    """
    sides = list(builds)
    for at, side in enumerate(sides):
        beside, left = sides[1 - at], linking.left_over
        if not left[beside]:  # so there is no g without a counterpart
            continue
        sizes = {
            of.path: max(math.prod(variable.shape) for part in of.parts for variable in part.variables)
            for name in sides
            for of in models[name, "float32"].own
            if of.parts and (of.kind == CUSTOM if name == beside else _plain(of.kind))
        }
        twins = {(link.ours, link.theirs)[1 - at]: (link.ours, link.theirs)[at] for link in linking.links}
        known = {path: twin for path, twin in twins.items() if twin in sizes}
        suspects = [path for path in sizes if path in left[beside] or path in known]
        points = directions(beside, models[beside, "float32"], builds[beside], suspects)
        free = [path for path in left[side] if path in sizes]
        if points and Counter(sizes[path] for path in points - known.keys()) == Counter(sizes[path] for path in free):
            yield side, tuple(sorted({*free, *(known[path] for path in points & known.keys())}))


def _plain(kind: str) -> bool:
    """Whether a kind of layer has one kernel, and a bias at most."""
    return kind in KINDS and KINDS[kind].axes.keys() == {"kernel", "bias"}


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
    """Whether making a parameter longer or shorter moves the outputs far less than turning its sign."""
    runs = []
    for factor in (1, -1, *LENGTHS):
        model.write({**weights, name: np.float32(factor) * weights[name]})
        runs.append(model.outputs(build.sample))
    opposite, *lengths = (max(float(np.max(np.abs(of[at] - runs[0][at]), initial=0)) for at in of) for of in runs[1:])
    return LESS * max(lengths) < opposite


def with_lengths(values: Mapping[str, Values], side: str, groups: Collection[Collection[str]]) -> dict[str, Values]:
    """Each side's values, in which each v is as long as its g says: however long v is, it means the same.

    `side` is the one whose layers were built as g and v, and hold a v of that length; by it g and its axes are known.
    `groups` has the names of each such layer's parameters.
    """
    both = {of: dict(arrays) for of, arrays in values.items()}
    for names in groups:
        of = {name: values[side][name] for name in names}
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
