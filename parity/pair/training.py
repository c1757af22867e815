"""What several calls of one model come to: a training, a stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.backends.protocol import Corner
from parity.canonical.optimizers import Recipe
from parity.compare.square import Square
from parity.dtypes import Array, carrier

# What a training came to -> parameter -> array: the "losses" (steps,) before each step (of no
# parameter: ""), each weight's "change", and the optimizer's state by `recipe.MOMENTS`.
Progress = dict[str, dict[str, Array]]


@dataclass(frozen=True)
class Trained:
    """A training in every corner, and once more in float64 from weights one representable number away."""

    squares: dict[str, dict[str, Square]]
    nudged: Progress


def progress(
    model: Corner, start: Mapping[str, Array], recipe: Recipe, steps: Sequence[Sequence[tuple[Any, Any]]]
) -> Progress:
    """Train a model from canonical weights, each step by its micro-batches of inputs and targets."""
    learner = model.learner(recipe)
    losses = np.array(
        [learner.step(batches) for batches in steps], carrier(model.dtype)
    )  # of which a user's may differ
    weights = model.read()
    changes = {name: weights.pop(name) - start[name] for name in [*weights]}
    return {"losses": {"": losses}, "change": changes, **learner.state()}


def streamed(model: Corner, ids: Array, start: int) -> Array:
    """Logits (steps, vocab) of one text (1, time) from position `start` on, its ids fed one by one from there."""
    fed, state, logits = ids[:, : start + 1], None, []
    for position in range(start, ids.shape[1]):
        found, state = model.advance(fed, state)
        logits.append(found[0, -1:])
        fed = ids[:, position + 1 : position + 2]
    return np.concatenate(logits)
