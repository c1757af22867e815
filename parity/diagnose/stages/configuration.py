"""Why a model that is read back computes something else though every value comes back: a setting that no file holds.

The plain attributes of the layers of both are compared. One is proved to be lost if the model that was read back, given
it, computes what the saved one does, on inputs and weights of every size on which it was not found. What is used up by
a constructor cannot be given afterwards: what differs is said then, and no cause. What is counted is values of outputs.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from parity.backends.attributes import told
from parity.backends.modes import Setting
from parity.backends.protocol import BackendModel
from parity.canonical.weights import Weights, draw
from parity.diagnose import Cause
from parity.diagnose.gaps import unlike
from parity.diagnose.operators.align import aligned
from parity.diagnose.operators.proposal import at, called
from parity.diagnose.search import Explained
from parity.diagnose.specimens import elsewhere, specimen
from parity.errors import ERRORS
from parity.pair import transfer
from parity.pair.models import PairModels

Example = tuple[Weights, Any]
WHERE = "files"
LONGEST = 60  # characters of a value in a message


@dataclass(frozen=True)
class Lost:
    """Settings of one name that have one value, `saved`, in the model and another, `found`, in what was read back."""

    values: dict[Setting, Any]
    saved: str
    found: str

    @property
    def told(self) -> str:
        """How the lost settings are told: their names, and both values."""
        names = [".".join(filter(None, setting)) for setting in self.values]
        verb = "is" if len(names) == 1 else "are"
        return f"{some(names)} {verb} {_short(self.saved)} in the model and {_short(self.found)}"


def explain(corners: PairModels, side: str, suffix: str, saved: BackendModel, loaded: BackendModel) -> Explained:
    """The settings that are proved to be lost in a file; or what differs, if outputs do. Nothing if none does.

    `saved` and `loaded` have the same parameters, and the same values of them; these are there again afterwards.
    """
    # Values of outputs that differ, as a function of the settings that are given to what was loaded, and an example.
    lost, left = _lost(saved, loaded), partial(_left, side, saved, loaded)
    examples = [specimen(corners, 0), *(elsewhere(corners) if lost else ())]
    with _kept(saved), _kept(loaded):
        # The first example on which the two part: what no example shows is none of this check's.
        telling = next((example for example in examples if left((), example)), None)
        if telling is None:
            return [], []
        needed = _needed(lost, lambda settings: left(settings, telling))
        if any(left(needed, example) for example in examples if example is not telling):
            needed = []  # they explain the example on which they were chosen, and no other
        before, after = left((), telling), left(needed, telling)
        first = "" if needed else _first(side, saved, loaded, telling)
    read = f"what is read from {suffix}"
    causes = []
    for one in needed:
        saying, fix = f"{side}: {one.told} in {read}", saved.attributes.remedy(next(iter(one.values)), suffix)
        if fix:  # what goes by another setting goes along with it
            causes.append(Cause("saved incompletely", WHERE, saying, fix, before, after))
    if causes:
        return causes, []
    differing = "; ".join(f"{one.told} there" for one in lost)
    tried = f"{differing}: given there, too, a difference is left" if lost else "no plain attribute of a layer differs"
    others = _others(saved, loaded)
    tried += f"; their layers differ: {some(others)}" if others else ""
    tried += first
    return [], [f"{side}: {read} computes something else though every value comes back; {tried}"]


def _first(side: str, saved: BackendModel, loaded: BackendModel, example: Example) -> str:
    """The first operation that each of both does otherwise, with the line that calls it, if they are seen."""
    (weights, inputs), layout = example, transfer.layout(side, saved)
    values, descriptions = draw(layout, weights), []
    try:
        for model in (saved, loaded):
            transfer.write(model, values, layout)
        traces = saved.record(inputs).trace, loaded.record(inputs).trace
        for name, parted in zip(("the model", "what is read"), aligned(*traces, saved.dtype).parted, strict=True):
            for one in parted[:1]:
                code = f": {one.line.code}" if one.line else ""
                descriptions.append(f"in {name} {called(one)}{at(one)}{code}")
    except ERRORS:  # the values that differ are told all the same
        return ""
    return f"; the first operation that differs is {' and '.join(descriptions)}" if descriptions else ""


def _others(saved: BackendModel, loaded: BackendModel) -> list[str]:
    """The types of layers of which one has more than the other."""
    ours, theirs = (Counter(model.named_modules().values()) for model in (saved, loaded))
    return [f"{ours[kind]} {kind} and {theirs[kind]} there" for kind in ours | theirs if ours[kind] != theirs[kind]]


def _lost(saved: BackendModel, loaded: BackendModel) -> list[Lost]:
    """Settings that both models have with different values, grouped by name and both values, in the order of layers."""
    groups: dict[tuple[str, str, str], Lost] = {}
    there = loaded.attributes.values()
    for setting, value in saved.attributes.values().items():
        ours, theirs = told(value), told(there[setting]) if setting in there else None
        if ours is not None and theirs is not None and ours != theirs:
            groups.setdefault((setting[1], ours, theirs), Lost({}, ours, theirs)).values[setting] = value
    return list(groups.values())


def _needed(lost: list[Lost], left: Callable[[Sequence[Lost]], float]) -> list[Lost]:
    """Those settings of which none can be left out; none if a difference is left with all of them.

    `left` counts what differs where some are given. Each is tried without once: the order may decide which of two that
    do the same is kept.
    """
    if left(lost):
        return []
    for one in lost:
        fewer = [other for other in lost if other is not one]
        lost = lost if left(fewer) else fewer
    return lost


def _left(side: str, saved: BackendModel, loaded: BackendModel, lost: Sequence[Lost], example: Example) -> float:
    """How many values of the outputs differ where these settings are given; infinite where they cannot be."""
    (weights, inputs), layout = example, transfer.layout(side, saved)
    values = draw(layout, weights)
    for model in (saved, loaded):
        transfer.write(model, values, layout)
    wanted = saved.outputs(inputs, eager=True)
    try:
        with loaded.attributes.having(dict(chain.from_iterable(one.values.items() for one in lost))):
            return unlike(wanted, loaded.outputs(inputs, eager=True))
    except ERRORS:  # what goes by the setting goes by others that were made from it
        return np.inf


@contextlib.contextmanager
def _kept(model: BackendModel) -> Iterator[None]:
    """Inside, a model's parameters may be written to; afterwards they are as before."""
    values = model.read()
    try:
        yield
    finally:
        model.write(values)


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}..."


def some(names: list[str]) -> str:
    """Names as a message has them: the first three, where there are more."""
    return ", ".join(names) if len(names) < 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
