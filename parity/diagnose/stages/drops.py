"""What a run drops at random: which operation, at which rate, of which value, and along which axes as one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from parity.backends.operations import DRAWING, Operation, Trace
from parity.backends.protocol import BackendModel
from parity.dtypes import Inputs

DRAWS = 8  # of a graph: one in which few channels are drawn for may drop none
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d")  # torch's functions: but for the first, whole channels


@dataclass(frozen=True)
class Drop:
    """A dropout of one side: the operation that drops, at which rate, and the value's place in the evaluation run.

    `whole` are the axes along which a number is dropped with all others.
    """

    operation: Operation
    rate: float
    value: int
    whole: tuple[int, ...] = ()


def stated(trace: Trace) -> Iterator[Drop]:
    """The dropouts of a run of torch's, which stand there in evaluation mode, too."""
    for one in trace.operations:
        if one.name in DROPOUTS and one.takes:
            taken = one.takes[0][1]
            channels = one.name != DROPOUTS[0]  # each of the axis behind the batch's is dropped as one
            whole = tuple(range(2, len(trace.values[taken].shape))) if channels else ()
            yield Drop(one, float(one.settings.get("p", 0.5)), taken, whole)


def drawn_by(model: BackendModel, inputs: Inputs, still: Trace) -> list[Drop]:
    """The dropouts of a graph in training mode, by several draws: one may drop nothing, or by chance whole axes."""
    drops: dict[tuple[int, str], Drop] = {}
    for _ in range(DRAWS):
        for one in _dropped_once(model.record(inputs, form=DRAWING).trace, still):
            known = drops.setdefault((one.value, one.operation.layer), one)
            whole = tuple(axis for axis in known.whole if axis in one.whole)
            drops[one.value, one.operation.layer] = replace(known, whole=whole)
    return [*drops.values()]


def _dropped_once(trace: Trace, still: Trace) -> Iterator[Drop]:
    """The dropouts of a graph in training mode, by the values of one in evaluation mode (`still`).

    What is made of random numbers alone is a mask; what takes one, and an array of the model's, drops.
    """
    noise, data, makers = set[int](), set[int](), trace.makers()
    for place, value in enumerate(trace.values):
        if value.leaf and not value.leaf.startswith("constant"):
            data.add(place)
    for one in trace.operations:
        taken = [place for _, place in one.takes]
        masked, model = not noise.isdisjoint(taken), [place for place in taken if place in data]
        if "Random" in one.name or (masked and not model):
            noise |= {*one.makes}
            continue
        if masked:
            known = _in_evaluation(trace, still, makers, model[0])
            rate, whole = (None, ()) if known is None else _rate(trace, known[0], one.makes[0])
            if known is not None and rate:
                yield Drop(one, rate, known[1], whole)
        if masked or model:
            data |= {*one.makes}


def _in_evaluation(trace: Trace, still: Trace, makers: Mapping[int, Operation], place: int) -> tuple[int, int] | None:
    """A value, or what it was scaled from, in both runs: its place in training mode, and in evaluation mode."""
    while True:
        maker = makers.get(place)
        if maker is None:
            leaves = {value.leaf: at for at, value in enumerate(still.values) if value.leaf}
            there = leaves.get(trace.values[place].leaf)
            return None if there is None else (place, there)
        try:
            there = trace.like(maker, still).makes[maker.makes.index(place)]
        except LookupError:
            shape = trace.values[place].shape
            before = [taken for _, taken in maker.takes if trace.values[taken].shape == shape]
            if not before:
                return None
            place = before[0]
            continue
        return (place, there) if still.values[there].shape == trace.values[place].shape else None


def _rate(trace: Trace, value: int, result: int) -> tuple[float | None, tuple[int, ...]]:
    """At which rate a value was dropped, and along which axes as one: what is left of it is scaled by 1 / (1 - rate).

    The rate is None where nothing was dropped.
    """
    before, after = trace.values[value].array, trace.values[result].array
    if before is None or after is None or before.shape != after.shape or after.dtype.kind != "f":
        return None, ()
    left, dropped = (before != 0) & (after != 0), (before != 0) & (after == 0)
    if not left.any() or not dropped.any():
        return None, ()
    whole = tuple[int, ...]()
    for axis in range(1, before.ndim):  # along the first, rows of a small batch are dropped together by chance
        axes = (*whole, axis)
        if before.shape[axis] > 1 and not (left.any(axes) & dropped.any(axes)).any():
            whole = axes
    scale = float(np.median(after[left] / before[left]))
    return float(f"{1 - 1 / scale:.6g}") if scale > 1 else None, whole
