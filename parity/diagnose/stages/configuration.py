"""Why a model that is read back computes something else though every value comes back: a setting that no file holds.

The plain attributes of the layers of both are compared. One is proved to be lost if the model that was read back, given
it, computes what the saved one does, on inputs and weights of every size on which it was not found. What is used up by
a constructor cannot be given afterwards: then the runs of both are compared, operation by operation, and what one does
alone is the cause if all else is the same. What is counted is values of outputs.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from parity.backends.attributes import told
from parity.backends.modes import Setting
from parity.backends.operations import Operation, Trace, Value
from parity.backends.protocol import BackendModel
from parity.canonical.weights import Weights, draw
from parity.compare.exact import equal
from parity.compare.messages import few
from parity.diagnose import Cause
from parity.diagnose.operators.align import aligned
from parity.diagnose.operators.proposal import called, cited
from parity.diagnose.search import Explained, needed, unlike
from parity.diagnose.specimens import elsewhere, specimen
from parity.errors import ERRORS
from parity.pair import transfer
from parity.pair.models import PairModels

Example = tuple[Weights, Any]
WHERE = "files"
KEEP = "keep what that goes by where the file holds it: in a weight or a buffer, or in get_config of Keras"
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
        return f"{few(names)} {verb} {_short(self.saved)} in the model and {_short(self.found)}"


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
        # None where a difference is left with all of them.
        ones = [] if left(lost, telling) else needed(lost, lambda fewer: not left(fewer, telling))
        if any(left(ones, example) for example in examples if example is not telling):
            ones = []  # they explain the example on which they were chosen, and no other
        before, after = left((), telling), left(ones, telling)
        done, first = (None, "") if ones else _seen(side, saved, loaded, [telling, *elsewhere(corners)])
    read = f"what is read from {suffix}"
    causes = []
    for one in ones:
        saying, fix = f"{side}: {one.told} in {read}", saved.attributes.remedy(next(iter(one.values)), suffix)
        if fix:  # what goes by another setting goes along with it
            causes.append(Cause("saved incompletely", WHERE, saying, fix, before, after))
    if causes:
        return causes, []
    differing = "; ".join(f"{one.told} there" for one in lost)
    if done is not None:
        saying = f"{side} does {_told(done[0])}; {read} does {_told(done[1])} there, and all else as the model does"
        saying += f"; {differing}" if lost else ""
        return [Cause("saved incompletely", WHERE, saying, KEEP, before, 0.0)], []  # by construction
    tried = f"{differing}: given there, too, a difference is left" if lost else "no plain attribute of a layer differs"
    others = _others(saved, loaded)
    tried += f"; their layers differ: {few(others)}" if others else ""
    tried += first
    return [], [f"{side}: {read} computes something else though every value comes back; {tried}"]


Done = tuple[list[Operation], list[Operation]]  # by the model alone, and by what is read alone


def _seen(side: str, saved: BackendModel, loaded: BackendModel, examples: Sequence[Example]) -> tuple[Done | None, str]:
    """What each of both does alone, if that is the same on all examples; and the first operation that differs."""
    try:
        every = (_written(side, (saved, loaded), example) for example in examples)
        runs = [(saved.record(inputs).trace, loaded.record(inputs).trace) for inputs in every]
    except ERRORS:  # the values that differ are told all the same
        return None, ""
    done = [_alone(traces, saved.dtype) for traces in runs]
    ways = {None if of is None else tuple(tuple(map(called, alone)) for alone in of) for of in done}
    parted = zip(("the model", "what is read"), aligned(*runs[0], saved.dtype).parted, strict=True)
    first = " and ".join(f"in {name} {_told(of[:1])}" for name, of in parted if of)
    return done[0] if len(ways) == 1 else None, first and f"; the first operation that differs is {first}"


def _written(side: str, models: tuple[BackendModel, BackendModel], example: Example) -> Any:
    """Write an example's weights to both models; its inputs."""
    (weights, inputs), layout = example, transfer.layout(side, models[0])
    values = draw(layout, weights)
    for model in models:
        transfer.write(model, values, layout)
    return inputs


def _alone(traces: tuple[Trace, Trace], dtype: str) -> Done | None:
    """What each of two runs of one code does alone, operation by operation, where all else is the same.

    None where a value that nothing makes differs, or the first operation that makes something else is none of these.
    """
    runs = tuple(trace.operations for trace in traces)
    first, second = ([str((called(one), one.layer, len(one.takes))) for one in of] for of in runs)
    both = tuple[set[int], set[int]]((set(), set()))
    for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        for places in zip(range(block.a, block.a + block.size), range(block.b, block.b + block.size), strict=True):
            taken = zip(*(of[place].takes for of, place in zip(runs, places, strict=True)), strict=True)
            if not all(_equal(traces[0].values[one], traces[1].values[other]) for (_, one), (_, other) in taken):
                return None
            for known, place in zip(both, places, strict=True):
                known.add(place)
    here, there = (
        [one for place, one in enumerate(of) if place not in known] for of, known in zip(runs, both, strict=True)
    )
    parted = aligned(*traces, dtype).parted
    explained = all(one in of for ones, of in zip(parted, (here, there), strict=True) for one in ones)
    return (here, there) if any(parted) and explained else None


def _equal(one: Value, other: Value) -> bool:
    """Whether two values are made by operations, or are the same bit for bit; of large ones the sketches."""
    if not (one.leaf or other.leaf):
        return True
    if one.array is None or other.array is None:
        return one.sketch == other.sketch
    return equal(one.array, other.array)


def _told(operations: Sequence[Operation]) -> str:
    """The first operations with their places; "nothing" where there are none."""
    return few([*dict.fromkeys(map(cited, operations))]) or "nothing"


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


def _left(side: str, saved: BackendModel, loaded: BackendModel, lost: Sequence[Lost], example: Example) -> float:
    """How many values of the outputs differ where these settings are given; infinite where they cannot be."""
    inputs = _written(side, (saved, loaded), example)
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
