"""Training in Keras, by twins of torch's optimizers.

Keras's own are none: see `parity.checks.known_divergences`.

Line for line beside `parity/backends/torch/training.py`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from parity.backends import optimizer_state
from parity.backends.keras.engine import engine
from parity.canonical.optimizers import MOMENTS, Recipe
from parity.dtypes import Array, Tensor, transport_dtype

Number = Any  # the engine's, which computes; of a variable it is `Held`, and can be assigned


class Trainer:
    """Trains a model's `variables`, name -> variable, by a recipe, as `protocol.Trainer`.

    `descend(ids, targets)` gives the loss and every variable's gradient; `named` takes one tensor for each variable,
    in their order, to arrays by canonical parameter.
    """

    def __init__(
        self,
        recipe: Recipe,
        variables: Mapping[str, Any],
        descend: Callable[[Array, Array], tuple[Any, Sequence[Any]]],
        named: Callable[[Sequence[Any]], dict[str, Array]],
    ) -> None:
        self.recipe, self.loss_and_gradients, self.named = recipe, descend, named
        self.names, self.variables = list(variables), list(variables.values())
        self.steps = 0
        self.moments = [[engine.state(v) for v in self.variables] for _ in MOMENTS[recipe.optimizer]]

    def step(self, batches: Sequence[tuple[Array, Array]]) -> Array:
        losses, total = [], list[Any]()
        for ids, targets in batches:
            loss, gradients = self.loss_and_gradients(ids, targets)
            losses.append(loss)
            total = _added(total, list(gradients))
            del gradients  # of all that is as large as the model no more is held than is needed
        self.apply([_mean(total.pop(0), len(losses)) for _ in range(len(total))])
        return engine.array(sum(losses) / len(losses))

    def apply(self, gradients: list[Any]) -> None:
        """Take one step by these gradients, one for each variable: clip, then the recipe's rule."""
        self.steps += 1
        if self.recipe.clip is not None:
            gradients = clipped(gradients, self.recipe.clip)
        rule, rate = RULES[self.recipe.optimizer], self.recipe.rate_at(self.steps)
        # The largest last, which take most on the way, when there are no other gradients any more.
        for place in sorted(range(len(gradients)), key=lambda place: math.prod(self.variables[place].shape)):
            variable, moments = self.variables[place], (of[place] for of in self.moments)
            numbers = engine.Held(variable), engine.Number(gradients[place]), *map(engine.Held, moments)
            gradients[place] = None
            rule(self.recipe, rate, self.steps, *numbers)

    def state(self) -> dict[str, dict[str, Array]]:
        return {moment: self.named(tensors) for moment, tensors in self._moments().items()}

    def save(self, path: Path) -> None:
        moments = {moment: [_array(tensor) for tensor in tensors] for moment, tensors in self._moments().items()}
        optimizer_state.save(path, self.steps, self.names, moments)

    def restore(self, path: Path) -> None:
        expected = {name: (tuple(v.shape), _carrier(v)) for name, v in zip(self.names, self.variables, strict=True)}
        moments = MOMENTS[self.recipe.optimizer]
        self.steps, arrays = optimizer_state.load(path, moments, expected)
        for moment, variables in zip(moments, self.moments, strict=True):
            for variable, array in zip(variables, arrays[moment], strict=True):
                engine.assign(variable, engine.cast(array, variable.dtype))

    def _moments(self) -> dict[str, list[Any]]:
        tensors = [[engine.value(variable) for variable in of] for of in self.moments]
        return dict(zip(MOMENTS[self.recipe.optimizer], tensors, strict=True))


def _added(total: list[Any], gradients: list[Any]) -> list[Any]:
    """Sums of both, place by place; each replaces what it was made from, so that few exist at once."""
    for place in range(len(total)):
        gradients[place] = (engine.Number(total[place]) + engine.Number(gradients[place])).tensor
        total[place] = None
    return gradients


def _mean(total: Tensor, count: int) -> Tensor:
    return (engine.Number(total) / count).tensor if count > 1 else total


def clipped(gradients: list[Any], clip: float) -> list[Any]:
    """As tf.clip_by_global_norm, each gradient times clip / max(norm of all, clip); the list is emptied."""
    return engine.clipped(gradients, clip)


def _array(tensor: Tensor) -> Array:
    return engine.array(engine.cast(tensor, _carrier(tensor)))


def _carrier(tensor: Tensor) -> str:
    return transport_dtype(keras.backend.standardize_dtype(tensor.dtype))


def _sgd(recipe: Recipe, rate: float, _: int, variable: Number, gradient: Number) -> None:
    """w -= rate * g. As torch.optim.SGD: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html"""
    variable.assign_sub(rate * _decayed(recipe, variable, gradient))


def _momentum(recipe: Recipe, rate: float, _: int, variable: Number, gradient: Number, velocity: Number) -> None:
    """u = momentum * u + g; w -= rate * u, so that the rate is no part of u. As torch.optim.SGD."""
    velocity.assign(recipe.momentum * velocity + _decayed(recipe, variable, gradient))
    variable.assign_sub(rate * velocity)


def _nesterov(recipe: Recipe, rate: float, _: int, variable: Number, gradient: Number, velocity: Number) -> None:
    """u = momentum * u + g; w -= rate * (g + momentum * u). As torch.optim.SGD."""
    gradient = _decayed(recipe, variable, gradient)
    velocity.assign(recipe.momentum * velocity + gradient)
    variable.assign_sub(rate * (gradient + recipe.momentum * velocity))


def _rmsprop(recipe: Recipe, rate: float, _: int, variable: Number, gradient: Number, square: Number) -> None:
    """v = memory * v + (1 - memory) * g^2; w -= rate * g / (sqrt(v) + epsilon).

    As torch.optim.RMSprop: https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html
    """
    gradient = _decayed(recipe, variable, gradient)
    square.assign(recipe.memory * square + (1 - recipe.memory) * gradient * gradient)
    variable.assign_sub(rate * (gradient / (square.sqrt() + recipe.epsilon)))


def _adam(
    recipe: Recipe, rate: float, step: int, variable: Number, gradient: Number, mean: Number, square: Number
) -> None:
    """w -= rate / (1 - momentum^t) * m / (sqrt(v / (1 - memory^t)) + epsilon), t being the step, from 1.

    Before it m = momentum * m + (1 - momentum) * g and v = memory * v + (1 - memory) * g^2.
    As torch.optim.Adam: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html
    """
    gradient = _decayed(recipe, variable, gradient)
    mean.assign(recipe.momentum * mean + (1 - recipe.momentum) * gradient)
    square.assign(recipe.memory * square + (1 - recipe.memory) * gradient * gradient)
    root = square.sqrt() / (1 - recipe.memory**step) ** 0.5 + recipe.epsilon
    variable.assign_sub(rate / (1 - recipe.momentum**step) * (mean / root))


def _adamw(
    recipe: Recipe, rate: float, step: int, variable: Number, gradient: Number, mean: Number, square: Number
) -> None:
    """w -= rate * decay * w, then Adam.

    As torch.optim.AdamW: https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html
    """
    variable.assign((1 - rate * recipe.decay) * variable)
    _adam(replace(recipe, decay=0.0), rate, step, variable, gradient, mean, square)


def _decayed(recipe: Recipe, variable: Number, gradient: Number) -> Number:
    """g + decay * w: weight decay as a part of the gradient, as torch's optimizers but AdamW have it."""
    return gradient + recipe.decay * variable if recipe.decay else gradient


RULES: dict[str, Callable[..., None]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}


def divergences() -> dict[str, tuple[Array, Array]]:
    """Measure where Keras's own optimizers part from the recipe: name -> (as defined, as found), float64."""
    adam, rmsprop = Recipe("adam", 0.1), Recipe("rmsprop", 0.1, memory=0.9)
    momentum = Recipe("momentum", 0.1, drop=2)
    small = engine.tensor([[1e-6]], "float64")
    with engine.precision("float64"):
        return {
            "Adam's epsilon": _beside(adam, keras.optimizers.Adam(0.1, epsilon=1e-8), small),
            "RMSprop's epsilon": _beside(rmsprop, keras.optimizers.RMSprop(0.1, epsilon=1e-8), small),
            "rate in the velocity": _beside(momentum, keras.optimizers.SGD(0.1, momentum=0.9), small, small),
            **{
                name: _beside(adam, keras.optimizers.Adam(0.1, epsilon=1e-8), rows)
                for name, rows in engine.repeated().items()
            },
        }


def _beside(recipe: Recipe, optimizer: keras.optimizers.Optimizer, *gradients: Any) -> tuple[Array, Array]:
    """One weight (1, 1), from 0, after these gradients: by a recipe, and by Keras's own optimizer."""
    ours, theirs = (keras.Variable(np.zeros((1, 1)), dtype="float64") for _ in range(2))
    trainer = Trainer(recipe, {"weight": engine.raw(ours)}, lambda *_: (0.0, []), lambda _: {})
    for step, gradient in enumerate(gradients, 1):
        trainer.apply([keras.ops.convert_to_tensor(gradient)])
        optimizer.learning_rate = recipe.rate_at(step)
        optimizer.apply([gradient], [theirs])
    return engine.array(ours), engine.array(theirs)
