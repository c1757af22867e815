"""Two processes that train from one seed come to identical bits, on each side.

Losses, weights and optimizer state, in float32; the other process has never run an operation before. Both begin with
drawn weights, or with those that the models have. What differs from process to process is an order (of a set, of
threads, of a dict keyed by identity) or a generator that nobody seeded: a training that cannot be repeated cannot be
compared.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis.strategies import SearchStrategy

from parity import backends, strategies
from parity.backends import process
from parity.backends.protocol import Backend, Trainable
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import OWN, Weights, draw
from parity.checks.stage import Stage
from parity.compare.judge import Verdict, judge_exact
from parity.dtypes import Array
from parity.pair import transfer
from parity.pair.models import PairModels

NEEDS = (Trainable,)
STAGE = Stage.PROCESSES
FAILED = "two processes train differently"
COST = 25
STEPS = 3
# Three steps with decay, clipping and a change of rate: all that a step may do, at least once.
RECIPE = Recipe("adamw", rate=0.001, decay=0.01, clip=0.1, drop=2)


def examples(corners: PairModels) -> SearchStrategy[strategies.Example]:
    return strategies.examples(corners)


def verify(corners: PairModels, example: strategies.Example) -> list[Verdict]:
    """Train here and in a fresh process; every array must be equal bit for bit."""
    batch = corners.batch(example)
    models = {side: corners.models[side, "float32"] for side in corners.builds}
    corners.ensure(example.weights)
    first = {side: model.read() for side, model in models.items()} if example.weights == OWN else example.weights
    arguments = corners.builds, corners.pad, first, (batch.ids, batch.targets)
    here, there = trained(corners.backends, *arguments), process.fresh(elsewhere, *arguments)
    return [judge_exact(name, array, there[name], ("this process", "another")) for name, array in here.items()]


def elsewhere(builds: Mapping[str, Callable[[], Any]], *arguments: Any) -> dict[str, Array]:
    """Train in the fresh process, where the frameworks have yet to be loaded; the same arguments as `trained`."""
    return trained(backends.of(builds), builds, *arguments)


def trained(
    loaded: Mapping[str, Backend],
    builds: Mapping[str, Callable[[], Any]],
    pad: int | None,
    first: Weights | Mapping[str, dict[str, Array]],
    batch: tuple[Any, Any],
) -> dict[str, Array]:
    """Train each side for `STEPS` steps on one batch, in float32, in either process.

    `first` are drawn weights, or a side's own, side -> parameter -> array; `batch` is (inputs, targets), and `pad` the
    id of padding, if there is one. Gives "side losses" (steps,), and every parameter and array of the optimizer's
    state at the end, by what it is.
    """
    arrays = {}
    for side, build in builds.items():
        model = loaded[side].Model(build, "float32", pad)
        before = model.read()
        model.write(draw(transfer.layout(side, model), first) if isinstance(first, Weights) else first[side])
        trainer = model.trainer(RECIPE)
        arrays[f"{side} losses"] = np.array([trainer.step([batch]) for _ in range(STEPS)])
        state = {"value": model.read(), **trainer.state()}
        arrays |= {f"{side} {what} of {name}": array for what, of in state.items() for name, array in of.items()}
        # A builder may give the same model each time: nothing of a check may be left in one that the user holds.
        model.write(before)
    return arrays
