"""Two processes that train from one seed come to identical bits, on each side.

Losses, weights and optimizer state, in float32; the other process has never run an operation before. Both begin with
drawn weights, or with those that the models have. What differs from process to process is an order (of a set, of
threads, of a dict keyed by identity) or a generator that nobody seeded: a training that cannot be repeated cannot be
compared.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis.strategies import SearchStrategy

from parity import backends, strategies
from parity.backends import process
from parity.backends.protocol import Backend, Trainable
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import OWN, Weights, drawn
from parity.checks.stage import Stage
from parity.compare.judge import Verdict, judge_exact
from parity.dtypes import Array
from parity.pair import memory, transfer
from parity.pair.models import PairModels
from parity.pair.resting import resting
from parity.pair.shelf import Filed, Shelf
from parity.pair.training import reached
from parity.scratch import scratch

NEEDS = (Trainable,)
STAGE = Stage.PROCESSES
FAILED = "two processes train differently"
COST = 25
STEPS = 3
# Three steps with decay, clipping and a change of rate: all that a step may do, at least once.
RECIPE = Recipe("adamw", rate=0.001, decay=0.01, clip=0.1, drop=2)

First = Weights | Mapping[str, Array]  # what a side begins with: drawn weights, or its own


def examples(corners: PairModels) -> SearchStrategy[strategies.Example]:
    return strategies.examples(corners)


def verify(corners: PairModels, example: strategies.Example) -> list[Verdict]:
    """Train here and in a fresh process at the same time; every array must be equal bit for bit."""
    batch = corners.batch(example)
    corners.ensure(example.weights)
    with scratch() as place:
        first: dict[str, First] = dict.fromkeys(corners.builds, example.weights)
        if example.weights == OWN:
            models = {side: corners.models[side, "float32"] for side in corners.builds}
            first = {side: Filed(place / side, model.parameters().items()) for side, model in models.items()}
        arguments = corners.builds, corners.pad, first, (batch.ids, batch.targets), corners.lean
        other = partial(elsewhere, place / "there", *arguments)
        with resting(corners), contextlib.ExitStack() as stack:
            # Side by side, but where memory is scarce one behind the other.
            there = partial(process.fresh, other) if corners.lean else stack.enter_context(process.begun(other))
            here, away = Filed(place / "here", trained(corners.backends, *arguments)), there()
        sides = "this process", "another"
        return [judge_exact(name, array, away[name], sides) for name, array in here.items()]


def elsewhere(
    path: Path,
    builds: Mapping[str, Callable[[], Any]],
    pad: int | None,
    first: Mapping[str, First],
    batch: tuple[Any, Any],
    lean: bool,
) -> Filed:
    """Train in the fresh process, where the frameworks have yet to be loaded; its arrays are in a file of this path."""
    return Filed(path, trained(backends.of(builds), builds, pad, first, batch, lean))


def trained(
    loaded: Mapping[str, Backend],
    builds: Mapping[str, Callable[[], Any]],
    pad: int | None,
    first: Mapping[str, First],
    batch: tuple[Any, Any],
    lean: bool,
) -> Iterator[tuple[str, Array]]:
    """Train each side for `STEPS` steps on one batch, in float32, in either process.

    `first` has each side's drawn weights, or its own by parameter; `batch` is (inputs, targets), and `pad` the id of
    padding, if there is one. Gives "side losses" (steps,), and every parameter and array of the optimizer's state at
    the end, by what it is, one after the other. A `lean` one gives memory back before the other side takes its own.
    """
    shelf = Shelf(lean)
    for side, build in builds.items():
        model = loaded[side].Model(build, "float32", pad)
        before, of = shelf.keep(model.parameters().items()), first[side]
        model.write(drawn(transfer.layout(side, model), of) if isinstance(of, Weights) else of)
        trainer = model.trainer(RECIPE)
        yield f"{side} losses", np.array([trainer.step([batch]) for _ in range(STEPS)])
        yield from reached(side, model, trainer)
        # A builder may give the same model each time: nothing of a check may be left in one that the user holds.
        model.write(before)
        del model, trainer
        if lean:
            memory.give_back()
