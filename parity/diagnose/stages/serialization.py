"""Why what is reloaded differs: the values that were saved beside those that came back, parameter by parameter.

A side's model is saved in each of its formats and loaded again; and a training's model and optimizer
likewise. A fault is proved if it gives every value that came back, bit for bit. What is counted is
the values that differ.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from parity.backends import SIDES, Backend
from parity.canonical import layer
from parity.canonical.layer import Weights
from parity.checks import resume
from parity.compare.judge import Verdict
from parity.diagnose import Cause
from parity.diagnose.search import Explained
from parity.dtypes import Array, round_to
from parity.errors import ParityError
from parity.pair import transfer
from parity.pair.models import Corners
from parity.scratch import scratch

WHERE = "files"
OLDER, NEWER = Weights(1, 1.0), Weights(2, 1.0)
TRIED = "values rounded, zero, initial, of before, in each other's place, or off by one representable number"

Values = Mapping[str, Array]


def explain(corners: Corners, given: Any, verdict: Verdict) -> Explained:
    """The causes that are proved, and what was ruled out. `given` is the example of a check of files."""
    causes: dict[tuple[str, str, str], Cause] = {}
    ruled = []
    for side in SIDES:
        trips = _resumed(corners, side, given) if isinstance(given, resume.Training) else _reloaded(corners, side)
        wrong = False
        for what, saved, found, others in trips:
            if not _unlike(saved, found):
                continue
            wrong = True
            for cause in _proved(f"{side}'s {what}", saved, found, others):
                causes.setdefault((side, cause.name, cause.fix), cause)
        if not wrong:
            ruled.append(f"{side}: every value that was saved comes back")
        elif not any(of == side for of, *_ in causes):
            ruled.append(f"{side}: {verdict.subject} is explained by none of {TRIED}")
    return list(causes.values()), ruled


Trip = tuple[str, Values, Values, Mapping[str, Values]]


def _reloaded(corners: Corners, side: str) -> Iterator[Trip]:
    """Each format: what it is, what was saved, what came back, and what else the model has been."""
    backend, build, pad = corners.backends[side], corners.builds[side], corners.pad
    model = corners.models[side, "float32"]
    corners.load(OLDER)
    older = model.read()
    corners.load(NEWER)
    other = backend.Model(build, "float32", pad)
    others = {"of before": older, "initial": other.read()}
    with scratch() as directory:
        for ending in backend.FORMATS:
            path = directory / f"model{ending}"
            model.save(path)
            other.write(others["initial"])
            try:
                found: Values = backend.reload(other, path).read()
            except ParityError:
                found = {}
            yield f"file {ending}", model.read(), found, others


def _resumed(corners: Corners, side: str, given: resume.Training) -> Iterator[Trip]:
    """The model and the optimizer of a training: what was saved, what came back, and what it has been."""
    backend: Backend = corners.backends[side]
    build, pad = corners.builds[side], corners.pad
    model = backend.Model(build, "float32", pad)
    layout = transfer.layout(side, model)
    transfer.write(model, layer.draw(layout, given.weights), layout)
    learner, before, state = model.learner(given.recipe), model.read(), dict[str, Array]()
    earlier = state
    for step in given.batches(corners)[:-1]:
        before, earlier = model.read(), state
        learner.step([step])
        state = _flat(learner.state())
    with scratch() as directory:
        file, kept = directory / f"model{backend.FORMATS[0]}", directory / "state.safetensors"
        model.save(file)
        learner.save(kept)
        try:
            again = backend.load(build, "float32", pad, file)
            yield "model", model.read(), again.read(), {"of before": before}
            resumed = again.learner(given.recipe)
            resumed.restore(kept)
            found = _flat(resumed.state())
        except (ParityError, KeyError):  # a state that was never restored is none
            found = {}
    yield "optimizer's state", state, found, {"of before": earlier}


def _flat(state: Mapping[str, Values]) -> dict[str, Array]:
    return {f"{moment} of {name}": array for moment, of in state.items() for name, array in of.items()}


def _unlike(first: Values, second: Values) -> float:
    """How many values differ; where one side has none, all of them."""
    lost = [array.size for name, array in first.items() if name not in second]
    both = [(array, second[name]) for name, array in first.items() if name in second]
    return float(sum(lost) + sum(np.count_nonzero(a != b) if a.shape == b.shape else a.size for a, b in both))


def _proved(what: str, saved: Values, found: Values, others: Mapping[str, Values]) -> Iterator[Cause]:
    before = _unlike(saved, found)
    for name, told, fix, values in _forms(saved, found, others):
        after = _unlike(values, found) if set(values) == set(found) else before
        if not after:
            yield Cause(name, WHERE, f"{what} {told}", fix, before, after)
            return


def _forms(saved: Values, found: Values, others: Mapping[str, Values]) -> Iterator[tuple[str, str, str, Values]]:
    whole = "save the model's whole state, behind the last step, and check that every name is restored"
    lacking = [name for name in saved if name not in found]
    if lacking:
        told = "cannot be read again" if not found else f"lacks {', '.join(lacking)}"
        yield "saved incompletely", told, whole, {name: array for name, array in saved.items() if name in found}
        return
    off = [name for name in saved if not np.array_equal(saved[name], found[name])]
    for dtype in ("float16", "bfloat16"):
        rounded = {name: round_to(saved[name], dtype) for name in off}
        yield (
            "saved precision",
            f"holds values rounded to {dtype}",
            "save values in their own dtype",
            {**saved, **rounded},
        )
    zero = {name: np.zeros_like(saved[name]) for name in off}
    yield "saved incompletely", f"has zeros for {_some(off)}", whole, {**saved, **zero}
    for which, values in others.items():
        if all(name in values for name in off):
            told = f"has values {which} for {_some(off)}"
            yield "saved incompletely", told, whole, {**saved, **{name: values[name] for name in off}}
    swapped = dict(saved)
    for first, second in combinations(off, 2):
        if np.array_equal(found[first], saved[second]) and np.array_equal(found[second], saved[first]):
            swapped[first], swapped[second] = saved[second], saved[first]
    told, fix = f"has {_some(off)} in each other's place", "give each parameter its own name in the file"
    yield "weights swapped", told, fix, swapped
    near = {n: np.where(found[n] == saved[n], saved[n], np.nextafter(saved[n], found[n])) for n in off}
    told = "holds values that are one representable number off"
    yield "saved precision", told, "save values as they are, not as text or through arithmetic", {**saved, **near}


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
