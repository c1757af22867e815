"""What several calls of one model come to: a training, a stream.

These are generators and plain functions of one model; `PairModels` runs them in every corner and makes the squares.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.backends.protocol import BackendModel, Trainer
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import Each
from parity.compare.square import PrecisionSquare
from parity.dtypes import Array, transport_dtype

# What a training came to, and of which parameter: the "losses" (steps,) before each step (of none, ""), each
# weight's "change", and the optimizer's state by `optimizers.MOMENTS`.
Came = tuple[str, str]


@dataclass(frozen=True)
class Trained:
    """A training in every corner; and how far all that moves in float64 from weights one representable number away."""

    squares: dict[str, Mapping[str, PrecisionSquare]]
    moved: Mapping[Came, float]


def progress(
    model: BackendModel, start: Mapping[str, Array], recipe: Recipe, steps: Sequence[Sequence[tuple[Any, Any]]]
) -> Iterator[tuple[Came, Array]]:
    """Train a model from canonical weights, each step by its micro-batches of inputs and targets.

    Gives what the training came to, one array after the other, so that no two need exist at once: the losses (steps,),
    what each weight changed by, and the optimizer's state.
    """
    trainer = model.trainer(recipe)
    # A user's own loss may be of another dtype than the model.
    losses = np.array([trainer.step(batches) for batches in steps], transport_dtype(model.dtype))
    yield ("losses", ""), losses
    for name, value in model.parameters().items():
        yield ("change", name), value - start[name]
    for moment, arrays in trainer.state().items():
        for name, array in arrays.items():
            yield (moment, name), array


def reached(side: str, model: BackendModel, trainer: Trainer) -> Iterator[tuple[str, Array]]:
    """Yield a side's weights and its optimizer's state after a training, one by one: ("side what of name", array)."""
    for what, arrays in {"value": model.parameters(), **trainer.state()}.items():
        for name, array in arrays.items():
            yield f"{side} {what} of {name}", array


def by_parameter(run: Mapping[Came, Array], what: str) -> Mapping[str, Array]:
    """A run's arrays of one kind, by parameter: `what` is "losses", "change" or one of the optimizer's moments."""
    return Each([name for which, name in run if which == what], lambda name: run[what, name])


def streamed(model: BackendModel, ids: Array, start: int) -> Array:
    """Logits (steps, vocab) of one text (1, time) from position `start` on, its ids fed one by one from there."""
    fed, state, logits = ids[:, : start + 1], None, []
    for position in range(start, ids.shape[1]):
        steps, state = model.advance(fed, state)
        logits.append(steps[0, -1:])
        fed = ids[:, position + 1 : position + 2]
    return np.concatenate(logits)
