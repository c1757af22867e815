"""Why what is reloaded differs: the values that were saved beside those that came back, parameter by parameter.

A side's model is saved in each of its formats and loaded again; and a training's model and optimizer likewise. A fault
is proved if it gives every value that came back, bit for bit. What is counted is the values that differ. Where none
does, the settings of the model's layers are compared instead.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice
from typing import Any

import numpy as np

from parity import backends
from parity.backends import optimizer_state
from parity.backends.build import Build
from parity.backends.protocol import Backend, BackendModel, Trainer
from parity.canonical import weights
from parity.canonical.weights import Weights
from parity.checks import resume
from parity.checks.reload import ids
from parity.compare.judge import Verdict
from parity.compare.messages import few
from parity.diagnose import Cause
from parity.diagnose.search import Candidate, Explained, proved, unlike
from parity.diagnose.stages import configuration
from parity.diagnose.stages.configuration import WHERE
from parity.diagnose.stages.processes import hashed
from parity.dtypes import Array, round_to
from parity.errors import ParityError
from parity.pair import transfer
from parity.pair.models import PairModels
from parity.scratch import scratch

OLDER, NEWER = Weights(1, 1.0), Weights(2, 1.0)
COUNT = "save the count of steps behind the last one, and go on from it"
TRIED = "values rounded, zero, initial, of before, in each other's place, or off by one representable number"

Values = Mapping[str, Array]


def explain(corners: PairModels, example: Any, verdict: Verdict) -> Explained:
    """The causes that are proved, and what was ruled out. `example` is that of a check of files."""
    causes: dict[tuple[str, str, str], Cause] = {}
    ruled = []
    for side in corners.sides:
        trips = _resumed(corners, side, example) if isinstance(example, resume.Training) else _reloaded(corners, side)
        wrong, lost = False, list[str]()
        for trip in trips:
            proofs = list(islice(proved(WHERE, f"{side}'s {trip.what}", [trip], _forms(trip)), 1))
            wrong |= bool(trip.before)
            if not trip.before and trip.models is not None:
                proofs, reasons = configuration.explain(corners, side, trip.suffix, *trip.models)
                lost += reasons
            for cause in proofs:
                causes.setdefault((side, cause.name, cause.fix), cause)
        if not any(of == side for of, *_ in causes) and isinstance(example, resume.Training):
            causes.update(((side, cause.name, cause.fix), cause) for cause in _counted(corners, side, example))
        if any(of == side for of, *_ in causes):
            continue
        if not wrong and isinstance(example, tuple) and (of := _by_hash(corners, side, example)):
            causes[side, of.name, of.fix] = of
            continue
        if wrong:
            ruled.append(f"{side}: {verdict.subject} is explained by none of {TRIED}")
        ruled += lost if lost or wrong else [f"{side}: every value that was saved comes back"]
    return list(causes.values()), ruled


@dataclass(frozen=True, eq=False)
class Trip:
    """What was saved and what came back, values by name, and what else the model has held (`others`).

    `models` are the saved and the reloaded one, where a file of a model was read.
    """

    what: str
    saved: Values
    found: Values
    others: Mapping[str, Values]
    suffix: str = ""
    models: tuple[BackendModel, BackendModel] | None = None
    limit: float = 0.0

    @cached_property
    def before(self) -> float:
        """How many values differ from those that were saved."""
        return unlike(self.saved, self.found)

    def apart(self, values: Values) -> float:
        """How many values that came back are not these."""
        return unlike(values, self.found) if set(values) == set(self.found) else np.inf


def _reloaded(corners: PairModels, side: str) -> Iterator[Trip]:
    """Each format: what it is, what was saved, what came back, and what else the model has been.

    Weights are loaded twice before, so that a file with those of before is told from one with the initial ones.
    """
    backend, build, pad = corners.backends[side], corners.builds[side], corners.pad
    model = corners.models[side, "float32"]
    corners.load(OLDER)
    older = model.read()
    corners.load(NEWER)
    other = backend.Model(build, "float32", pad)
    others = {"of before": older, "initial": other.read()}
    with scratch() as directory:
        for ending in model.formats():
            path = directory / f"model{ending}"
            model.save(path)
            other.write(others["initial"])  # so that what a file does not bring back is seen as initial
            try:
                again = backend.reload(other, path)
            except ParityError:
                yield Trip(f"file {ending}", model.read(), {}, others)
            else:
                yield Trip(f"file {ending}", model.read(), again.read(), others, ending, (model, again))


def _by_hash(corners: PairModels, side: str, example: tuple[Weights, Any]) -> Cause | None:
    """The cause that a side's outputs go by an order that another process has otherwise."""
    drawn, raw = example
    corners.ensure(drawn)
    values, inputs = corners.models[side, "float32"].read(), raw if corners.pad is None else ids(raw, corners.tokenizer)
    return hashed(side, WHERE, _outputs, {side: corners.builds[side]}, corners.pad, values, inputs)


def _outputs(builds: Mapping[str, Build], pad: int | None, values: Values, inputs: Any) -> Values:
    """What the model of one side gives in a process in which the frameworks have yet to be loaded."""
    [(side, backend)], [build] = backends.of(builds).items(), builds.values()
    model = backend.Model(build, "float32", pad)
    model.write(values)
    return {f"{side}{place}": array for place, array in model.outputs(inputs).items()}


def _begun(corners: PairModels, side: str, example: resume.Training) -> tuple[BackendModel, Trainer]:
    """A side's model with the example's weights, and what trains it."""
    model = corners.backends[side].Model(corners.builds[side], "float32", corners.pad)
    layout = transfer.layout(side, model)
    transfer.write(model, weights.draw(layout, example.weights), layout)
    return model, model.trainer(example.recipe)


def _resumed(corners: PairModels, side: str, example: resume.Training) -> Iterator[Trip]:
    """The model and the optimizer of a training: what was saved, what came back, and what it has been."""
    backend: Backend = corners.backends[side]
    build, pad = corners.builds[side], corners.pad
    model, trainer = _begun(corners, side, example)
    before, state = model.read(), dict[str, Array]()
    earlier = state
    for step in example.batches(corners)[:-1]:
        before, earlier = model.read(), state
        trainer.step([step])
        state = _flat(trainer.state())
    with scratch() as directory:
        ending = model.formats()[0]
        file, state_file = directory / f"model{ending}", directory / "state.safetensors"
        model.save(file)
        trainer.save(state_file)
        try:
            again = backend.load(build, "float32", pad, file)
            yield Trip("model", model.read(), again.read(), {"of before": before}, ending, (model, again))
            resumed = again.trainer(example.recipe)
            resumed.restore(state_file)
            values = _flat(resumed.state())
        except (ParityError, KeyError):  # a state that was never restored is none
            values = {}
    yield Trip("optimizer's state", state, values, {"of before": earlier})


def _counted(corners: PairModels, side: str, example: resume.Training) -> list[Cause]:
    """Why a training goes on otherwise from the values that it had: by the count of its steps in the optimizer's file.

    With another count there, the next step gives the bits of the training that went on.
    """
    model, trainer = _begun(corners, side, example)
    *first, last = example.batches(corners)
    for step in first:
        trainer.step([step])
    with scratch() as directory:
        model_file, state_file = directory / f"model{model.formats()[0]}", directory / "state.safetensors"
        model.save(model_file)
        trainer.save(state_file)

        def next_step() -> Values:
            again = corners.backends[side].load(corners.builds[side], "float32", corners.pad, model_file)
            resumed = again.trainer(example.recipe)
            resumed.restore(state_file)
            return {"loss": resumed.step([last]), **again.read()}

        try:
            went_on, count = next_step(), optimizer_state.count(state_file)
            wanted = {"loss": trainer.step([last]), **model.read()}
            for other in range(1, len(first) + 2) if (before := unlike(wanted, went_on)) else ():
                optimizer_state.recount(state_file, other)
                if not (after := unlike(wanted, next_step())):
                    description = f"{side}'s optimizer is saved after {len(first)} steps, with {count} as their count; "
                    description += f"with {other} there it goes on as the training did"
                    return [Cause("saved incompletely", WHERE, description, COUNT, before, after)]
        except (ParityError, KeyError):  # a state that cannot be read says nothing of its count
            return []
    return []


def _flat(state: Mapping[str, Values]) -> dict[str, Array]:
    """An optimizer's state, moment -> parameter -> array, by "moment of parameter"."""
    return {f"{moment} of {name}": array for moment, of in state.items() for name, array in of.items()}


def _forms(trip: Trip) -> Iterator[Candidate[Values]]:
    """Candidates for what becomes of values on their way through a file, in the order in which it is likely."""

    def form(name: str, description: str, fix: str, values: Values) -> Candidate[Values]:
        return Candidate(name, description, fix, [{**saved, **values}])

    saved, loaded = trip.saved, trip.found
    whole = "save the model's whole state, behind the last step, and check that every name is restored"
    # What is not there cannot be compared: nothing else is said of such a file.
    lacking = [name for name in saved if name not in loaded]
    if lacking:
        description = "cannot be read again" if not loaded else f"lacks {', '.join(lacking)}"
        present = {name: array for name, array in saved.items() if name in loaded}
        yield Candidate("saved incompletely", description, whole, [present])
        return
    off = [name for name in saved if not np.array_equal(saved[name], loaded[name])]
    for dtype in ("float16", "bfloat16"):
        rounded = {name: round_to(saved[name], dtype) for name in off}
        yield form("saved precision", f"holds values rounded to {dtype}", "save values in their own dtype", rounded)
    zero = {name: np.zeros_like(saved[name]) for name in off}
    yield form("saved incompletely", f"has zeros for {few(off)}", whole, zero)
    for which, values in trip.others.items():
        if all(name in values for name in off):
            former = {name: values[name] for name in off}
            yield form("saved incompletely", f"has values {which} for {few(off)}", whole, former)
    swapped = dict[str, Array]()
    for first, second in combinations(off, 2):
        if np.array_equal(loaded[first], saved[second]) and np.array_equal(loaded[second], saved[first]):
            swapped |= {first: saved[second], second: saved[first]}
    description, fix = f"has {few(off)} in each other's place", "give each parameter its own name in the file"
    yield form("weights swapped", description, fix, swapped)
    # Last: any file but for a bit is one whose values are one number off.
    near = {n: np.where(loaded[n] == saved[n], saved[n], np.nextafter(saved[n], loaded[n])) for n in off}
    description = "holds values that are one representable number off"
    yield form("saved precision", description, "save values as they are, not as text or through arithmetic", near)
