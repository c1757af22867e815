"""Training that is saved and goes on in a fresh process comes to the bits it would have come to.

After two steps or three, by a drawn recipe whose optimizer has a state and whose rate changes at the
third, so that their count matters, the model and the optimizer are saved. The next step's loss, the
weights and the state behind it are identical to those of the training that went on, on each side, in
float32.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity import backends, strategies
from parity.backends import process
from parity.backends.protocol import Backend, BackendModel, Savable, Trainable, Trainer
from parity.canonical.optimizers import MOMENTS, Recipe
from parity.canonical.weights import Weights, drawn
from parity.checks.stage import Stage
from parity.compare.judge import Verdict, judge_exact
from parity.dtypes import Array
from parity.errors import ParityError
from parity.inputs.batch import batch
from parity.pair import memory, transfer
from parity.pair.models import PairModels
from parity.pair.resting import resting
from parity.pair.shelf import Filed
from parity.pair.training import reached
from parity.scratch import scratch

NEEDS = (Savable, Trainable)
STAGE = Stage.FILES
FAILED = "resumed training differs"
COST = 25


@dataclass(frozen=True)
class Training:
    """From these weights, by this recipe, a step by each of these rows; before the last it is saved."""

    weights: Weights
    recipe: Recipe
    steps: tuple[tuple[tuple[int, ...], ...], ...]

    def batches(self, corners: PairModels) -> list[tuple[Any, Any]]:
        """Each step's (inputs, targets); of a pair without a tokenizer a row's first number is that of its inputs."""
        if corners.pad is None:
            return [corners.given(rows[0][0]) for rows in self.steps]
        batches = [batch(rows, corners.pad) for rows in self.steps]
        return [(drawn.ids, drawn.targets) for drawn in batches]


def examples(corners: PairModels) -> SearchStrategy[Training]:
    return st.builds(
        Training,
        strategies.weights(),
        strategies.recipes().filter(lambda recipe: bool(MOMENTS[recipe.optimizer])).map(_changing),
        st.lists(_rows(corners), min_size=3, max_size=4).map(tuple),
    )


def _rows(corners: PairModels) -> SearchStrategy[tuple[tuple[int, ...], ...]]:
    """One step's rows: of ids, or of a pair without a tokenizer the number of one of its specimens."""
    if corners.pad is None:
        return st.tuples(st.tuples(st.integers(0, len(corners.pair.specimens) - 1)))
    return strategies.rows(corners.tokenizer)


def _changing(recipe: Recipe) -> Recipe:
    """A recipe whose rate changes at the third step."""
    # The third step is the one behind the break: a count of steps that is lost shows in its rate.
    return replace(recipe, drop=3)


def verify(corners: PairModels, example: Training) -> list[Verdict]:
    """Train with a break in a fresh process, and without one; every array must be equal bit for bit."""
    with scratch() as directory:
        arguments = corners.builds, corners.pad, example, example.batches(corners), directory, corners.lean
        with resting(corners):
            here = Filed(directory / "here", trained(corners.backends, *arguments))
            there = process.fresh(resumed, *arguments)
        if isinstance(there, str):
            message = f"a fresh process cannot go on: {there.removeprefix(f'{directory}/')}"
            return [Verdict("training resumed", "different", len(here), np.inf, 0.0, "equal bits", message)]
        return [judge_exact(name, array, there[name], ("uninterrupted", "resumed")) for name, array in here.items()]


def trained(
    loaded: Mapping[str, Backend],
    builds: Mapping[str, Callable[[], Any]],
    pad: int | None,
    example: Training,
    steps: Sequence[tuple[Any, Any]],
    place: Path,
    lean: bool,
) -> Iterator[tuple[str, Array]]:
    """Train each side in this process, saving it before the last step: what that step comes to, by what it is.

    `steps` are each one's (inputs, targets), and the files are written to `place`. A `lean` one gives memory back
    before the other side takes its own.
    """
    *first, last = steps
    for side, build in builds.items():
        model = loaded[side].Model(build, "float32", pad)
        layout = transfer.layout(side, model)
        transfer.write(model, drawn(layout, example.weights), layout)
        trainer = model.trainer(example.recipe)
        for step in first:
            trainer.step([step])
        model.save(place / f"{side}{model.formats()[0]}")
        trainer.save(place / f"{side}.state.safetensors")
        yield from _another(side, model, trainer, last)
        del model, trainer
        if lean:
            memory.give_back()


def resumed(
    builds: Mapping[str, Callable[[], Any]],
    pad: int | None,
    example: Training,
    steps: Sequence[tuple[Any, Any]],
    place: Path,
    lean: bool,
) -> Filed | str:
    """Load what `trained` saved, in the fresh process, and take the last step alone: as that, or why a file is refused.

    The arguments are those of `trained`, but for the backends, which are loaded here.
    """
    try:
        return Filed(place / "there", _resumed(builds, pad, example, steps[-1], place, lean))
    except ParityError as error:
        return str(error)


def _resumed(
    builds: Mapping[str, Callable[[], Any]],
    pad: int | None,
    example: Training,
    step: tuple[Any, Any],
    place: Path,
    lean: bool,
) -> Iterator[tuple[str, Array]]:
    """Each side's saved model and optimizer, a step further. Raises ParityError where a file is refused."""
    loaded = backends.of(builds)
    for side, build in builds.items():
        suffix = next(suffix for suffix in loaded[side].FORMATS if any(place.glob(f"{side}{suffix}*")))
        model = loaded[side].load(build, "float32", pad, place / f"{side}{suffix}")
        trainer = model.trainer(example.recipe)
        trainer.restore(place / f"{side}.state.safetensors")
        yield from _another(side, model, trainer, step)
        del model, trainer
        if lean:
            memory.give_back()


def _another(side: str, model: BackendModel, trainer: Trainer, step: tuple[Any, Any]) -> Iterator[tuple[str, Array]]:
    """One more step by this trainer: its loss, and the weights and the state behind it."""
    model.retrace()
    yield f"{side} loss of the next step", trainer.step([step])
    yield from reached(side, model, trainer)
