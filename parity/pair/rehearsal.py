"""Calls in training mode: what they give, and what they leave in the parameters.

Evaluation mode shows neither a batch normalization's momentum nor a dropout. Two calls, because what the first leaves
in a running mean shows in the second of a model that reads it.
"""

import contextlib
from collections.abc import Collection, Mapping
from functools import partial

import numpy as np

from parity.backends.protocol import BackendModel
from parity.compare.exact import equal
from parity.dtypes import Array
from parity.inputs.batch import Batch
from parity.pair.answer import Answer
from parity.pair.models import PairModels
from parity.pair.shelf import Shelf

WHAT = ("first", "second", "kept")  # both calls' outputs, and the parameters afterwards


def rehearse(corners: PairModels, batch: Batch, still: bool = False) -> dict[str, dict[str, Answer]]:
    """Run two calls in training mode: "first", "second" or "kept" -> name -> square.

    The first two are the calls' outputs; "kept" are the parameters afterwards, of those that both sides have and that a
    call changes on either side, as running statistics. They are put back. With `still` dropout and noise are off.
    """
    shelf, shared, values = corners.shelf(), corners.layout, corners.models[corners.sides[0], "float32"].parameters()
    # What calls change is told by comparison; most parameters stay, and are not compared in four corners.
    before = shelf.keep((name, values[name]) for name in shared)
    runs = corners.each(partial(_rehearsed, batch, still, shared, shelf), "rehearse", batch.ids, still)
    behind, answers = [runs[side, "float32"]["kept"] for side in corners.sides], {}
    same = {name for name, array in before.items() if all(equal(state[name], array) for state in behind)}
    for what in WHAT:
        arrays = {corner: run[what] for corner, run in runs.items()}
        again = corners.again(partial(_part, batch, still, shared, shelf, what))
        names = dict.fromkeys(name for of in arrays.values() for name in of if what != "kept" or name not in same)
        answers[what] = {name: corners.answer(arrays, name, again) for name in names}
    return answers


def alone(corners: PairModels, batch: Batch) -> dict[str, list[str]]:
    """Side -> its parameters that calls in training mode change and whose numbers the other side holds nowhere.

    Running statistics of a batch normalization that is folded into a kernel on the other side, say.
    """
    models = {side: corners.models[side, "float32"] for side in corners.sides}
    values = {side: model.read() for side, model in models.items()}
    names = dict[str, list[str]]()
    for side, other in (corners.sides, corners.sides[::-1]):
        model, before = models[side], values[side]
        with model.modes.observed():
            model.outputs(batch.ids, eager=True, training=True)
            after = model.read()
        moved = [name for name, array in before.items() if not equal(array, after[name])]
        there = [array.ravel() for array in values[other].values()]
        lone = [name for name in moved if not any(np.array_equal(before[name].ravel(), of) for of in there)]
        names |= {side: lone} if lone else {}
    return names


def _part(
    batch: Batch, still: bool, shared: Collection[str], shelf: Shelf, what: str, model: BackendModel
) -> Mapping[str, Array]:
    """One entry of `WHAT` of a rehearsal, as a function of the model alone that can be run again."""
    return _rehearsed(batch, still, shared, shelf, model)[what]


def _rehearsed(
    batch: Batch, still: bool, shared: Collection[str], shelf: Shelf, model: BackendModel
) -> dict[str, Mapping[str, Array]]:
    """Run both calls on one model: `WHAT` -> name -> array, of parameters those in `shared`."""
    with model.modes.observed(), model.modes.still() if still else contextlib.nullcontext():
        first, second = (model.outputs(batch.ids, eager=True, training=True) for _ in range(2))
        values = shelf.keep((name, array) for name, array in model.parameters().items() if name in shared)
    return {"first": _named(first, batch.mask), "second": _named(second, batch.mask), "kept": values}


def _named(outputs: Mapping[str, Array], mask: Array | None) -> dict[str, Array]:
    """The logits at a mask, or each array of an output."""
    if mask is not None:
        return {"logits": outputs[""][mask]}
    return {f"output{at}": array for at, array in outputs.items()}
