"""An optimizer's steps in NumPy: the formulas of `parity.canonical.optimizers`, and each of them done otherwise.

Weights and gradients are those that a side had at each step; only the state is carried along. So a
step that was wrong does not lead the next one astray.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity.canonical.faulty_recipe import Clipping, Constant, Decay, Epsilon, FaultyRecipe
from parity.canonical.optimizers import MOMENTS, Recipe
from parity.dtypes import Array, round_to


@dataclass(frozen=True, eq=False)
class Trace:
    """A training as a side went through it, every parameter in one row of n numbers.

    `places` says which of the n numbers are each parameter's; `weights` (steps + 1, n) has those before the first step
    and after each, `parts` (steps, micro, n) the gradients of each step's micro-batches, and `state` the optimizer's
    state at the end, moment -> (n,). `sums` names the parameters that the side keeps as two variables which act as
    their sum, as torch keeps a recurrent layer's bias.
    """

    recipe: Recipe
    places: Mapping[str, slice]
    weights: Array
    parts: Array
    state: Mapping[str, Array]
    sums: tuple[str, ...] = ()
    _last: dict[Any, Array] = field(default_factory=dict, init=False, repr=False)  # many rules get the same gradients

    @property
    def changes(self) -> Array:
        """What each step added to the weights, (steps, n)."""
        return np.diff(self.weights, axis=0)

    @property
    def scale(self) -> float:
        """The largest magnitude that any weight has at any step."""
        return float(np.abs(self.weights).max())

    def after(self, faulty: FaultyRecipe, at: Any = slice(None)) -> Array:
        """What each step should have changed by a recipe, (steps, n), or only at some places of the n, which `at`
        indexes: most rules act on each number alone, and a few numbers are enough to rule one out.
        """
        twins = [place for name in faulty.twins for place in range(self.places[name].start, self.places[name].stop)]
        gradients = self.given(faulty, twins)
        if twins:
            # A sum of two variables needs all numbers: the second ones are appended, and are found by their places.
            return _stepped(faulty, self.weights, gradients, np.array(twins))[0][:, at]
        changes, _ = _stepped(faulty, self.weights[:, at], gradients[:, at], None)
        for name in faulty.still:
            changes[:, _chosen(self.places[name], at, self.weights.shape[1])] = 0.0
        return changes

    def after_each(self, of: Mapping[str, FaultyRecipe]) -> Array:
        """As `after`, (steps, n), where every parameter has a recipe of its own: name -> recipe."""
        values = np.empty_like(self.changes)
        for faulty in dict.fromkeys(of.values()):
            at = np.concatenate([np.arange(self.weights.shape[1])[self.places[n]] for n in of if of[n] == faulty])
            values[:, at] = self.after(faulty, at)
        return values

    def alone(self, place: int) -> "Trace":
        """One number's training, with the gradients as they were clipped: a trace of n = 1, without a state."""
        gradients = self.given(FaultyRecipe(self.recipe))[:, None, [place]]
        return Trace(replace(self.recipe, clip=None), {}, self.weights[:, [place]], gradients, {})

    def moments(self, faulty: FaultyRecipe) -> dict[str, Array]:
        """What the state at the end should have been by a recipe: moment -> (n,)."""
        return _stepped(faulty, self.weights, self.given(faulty), None)[1]

    def given(self, faulty: FaultyRecipe, twins: Sequence[int] = ()) -> Array:
        """Each step's gradient, as the rule gets it: averaged and clipped, (steps, n).

        `twins` are places of numbers that are kept twice, whose gradients the norm counts twice.
        """
        # All that the result depends on. Only the last result is held: proposals that share it come one after another.
        rule = faulty.clipping, faulty.slack, faulty.counted, faulty.times, faulty.summed, faulty.recipe.clip
        key = *rule, faulty.decay is Decay.BEFORE_CLIPPING and faulty.recipe.decay, tuple(twins)
        if key not in self._last:
            self._last.clear()
            self._last[key] = _clipped(faulty, self, twins)
        return self._last[key]


def _chosen(place: slice, at: Any, size: int) -> Array:
    """Which of the chosen places are a parameter's: a mask over what `at` selects of `size` numbers."""
    chosen = np.arange(size)[at]
    mask: Array = (chosen >= place.start) & (chosen < place.stop)
    return mask


def _clipped(faulty: FaultyRecipe, trace: Trace, twins: Sequence[int]) -> Array:
    """Each step's gradient (steps, n) as the rule gets it: micro-batches averaged and clipped as the recipe, or its
    fault, has it.
    """
    parts, clip = trace.parts * faulty.times, faulty.recipe.clip
    if faulty.summed:
        parts = parts * parts.shape[1]
    if clip is not None and faulty.clipping is Clipping.EACH_MICRO_BATCH:
        parts = parts * (clip / np.maximum(np.sqrt((parts**2).sum(-1, keepdims=True)), clip))
    gradients: Array = parts.mean(1)
    if faulty.decay is Decay.BEFORE_CLIPPING:
        gradients = gradients + faulty.recipe.decay * trace.weights[:-1]
    if clip is None or faulty.clipping is Clipping.EACH_MICRO_BATCH:
        return gradients
    if faulty.clipping is Clipping.EACH_ELEMENT:
        return np.clip(gradients, -clip, clip)
    if faulty.clipping is Clipping.EACH_VARIABLE:
        return np.concatenate([_scaled(gradients[:, place], clip) for place in trace.places.values()], 1)
    squares = (gradients**2).sum(1) + (gradients[:, list(twins)] ** 2).sum(1)
    squares = squares + sum((gradients[:, trace.places[name]] ** 2).sum(1) for name in faulty.counted)
    norm = np.sqrt(squares)[:, None] + faulty.slack
    result: Array = gradients * (clip / (norm if faulty.clipping is Clipping.ALWAYS else np.maximum(norm, clip)))
    return result


def _scaled(gradients: Array, clip: float) -> Array:
    """Each step's gradient (steps, n) of one variable, scaled to a norm of `clip` where its own is larger."""
    result: Array = gradients * (clip / np.maximum(np.sqrt((gradients**2).sum(1, keepdims=True)), clip))
    return result


def _stepped(
    faulty: FaultyRecipe, weights: Array, gradients: Array, twins: Array | None
) -> tuple[Array, dict[str, Array]]:
    """Each step's changes (steps, n), and the moments behind the last: name -> (n,).

    `weights` (steps + 1, n) and `gradients` (steps, n) are those that the side had. The numbers at `twins` are a sum of
    two variables, each trained by the same gradient: the second ones, which start at 0, stand behind the n, and their
    changes are added to those of the first.
    """
    n, extra = weights.shape[1], 0 if twins is None else len(twins)
    state = _State(n + extra)
    carried, changes = np.zeros(extra), []
    for step, (w, g) in enumerate(zip(weights, gradients, strict=False), 1):
        if twins is not None:
            w, g = np.concatenate([w, carried]), np.concatenate([g, g[twins]])
            w[twins] -= carried  # what the side shows is the sum
        change = _moved(faulty, step, w, g, state)
        if twins is not None:
            carried = carried + change[n:]
            change[twins] += change[n:]
        if faulty.rounded:
            change[:n] = round_to(weights[step - 1] + change[:n], faulty.rounded) - weights[step - 1]
        changes.append(change[:n])
    moments = {"velocity": state.velocity, "first moment": state.mean, "second moment": state.square}
    return np.array(changes), {moment: moments[moment][:n] for moment in MOMENTS[faulty.recipe.optimizer]}


class _State:
    """What an optimizer carries along for `size` numbers, and the rate of the step before."""

    def __init__(self, size: int) -> None:
        self.velocity, self.mean, self.square, self.average, self.largest = (np.zeros(size) for _ in range(5))
        self.rate, self.product = 0.0, 1.0  # the product is of Nadam's momenta


def _moved(faulty: FaultyRecipe, step: int, w: Array, g: Array, state: _State) -> Array:
    """What one step changes in the weights w (n,), where the gradient is g (n,): decay, direction and rate.

    `step` counts from 1. Updates `state`.
    """
    recipe = faulty.recipe
    rate = _constant(faulty, Constant.RATE, faulty.faster * recipe.rate_at(max(1, step - faulty.late)))
    form = faulty.decay
    if form is Decay.BY_OPTIMIZER:
        form = Decay.DECOUPLED if recipe.optimizer == "adamw" else Decay.COUPLED
    moved: Array = np.zeros_like(w)
    if form is Decay.COUPLED:
        g = g + recipe.decay * w
    elif form in (Decay.DECOUPLED, Decay.UNSCALED):
        moved = -(rate if form is Decay.DECOUPLED else 1.0) * recipe.decay * w
    moved = moved - rate * _direction(faulty, step, rate, g, state)
    state.rate = rate
    return moved - rate * recipe.decay * (w + moved) if form is Decay.AFTER_STEP else moved


def _direction(faulty: FaultyRecipe, step: int, rate: float, g: Array, state: _State) -> Array:
    """What a step subtracts from the weights, but for the rate: the formula of the recipe's optimizer, with its faults.

    Updates `state`. Formulas and their sources are in `parity.canonical.optimizers`.
    """
    recipe, momentum, memory = faulty.recipe, faulty.recipe.momentum, faulty.recipe.memory
    if recipe.optimizer == "sgd":
        return g
    if recipe.optimizer in ("momentum", "nesterov"):
        momentum = _constant(faulty, Constant.MOMENTUM, momentum)
        velocity = momentum * (state.rate / rate if faulty.inside else 1.0)
        # torch's dampening leaves the first step's gradient whole: the velocity starts as it.
        share = 1 - momentum if faulty.averaging else 1.0 if step == 1 else 1 - faulty.dampening
        state.velocity = velocity * state.velocity + share * g
        return g + momentum * state.velocity if recipe.optimizer == "nesterov" else state.velocity
    state.square = memory * state.square + (1 - memory) * g**2
    if recipe.optimizer == "rmsprop":
        state.average = memory * state.average + (1 - memory) * g
        return g / _root(faulty, state.square - faulty.centered * state.average**2, 1.0)
    state.mean = momentum * state.mean + (1 - momentum) * g
    # The first step is number 1: by 0 the bias correction would divide by zero.
    count = step + faulty.ahead
    first, second = (1 - _constant(faulty, Constant.POWERS, beta) ** count for beta in (momentum, memory))
    mean = state.mean / (first if faulty.corrected[0] else 1.0)
    if recipe.optimizer == "nadam":
        now, ahead = (momentum * (1 - 0.96 ** (at * recipe.momentum_decay) / 2) for at in (step, step + 1))
        state.product *= now
        mean = ahead * state.mean / (1 - state.product * ahead) + (1 - now) * g / (1 - state.product)
    state.largest = np.maximum(state.largest, state.square)
    square = state.largest if faulty.largest else state.square
    return mean / _root(faulty, square, second if faulty.corrected[1] else 1.0)


def _constant(faulty: FaultyRecipe, name: Constant, value: float) -> float:
    """A constant of the recipe, in float32 where the fault says so, as Keras keeps its learning rate."""
    return float(np.float32(value)) if name in faulty.single else value


def _root(faulty: FaultyRecipe, square: Array, correction: float) -> Array:
    """The denominator: the root of the second moment, with epsilon where the fault has it.

    `correction` is what the second moment is divided by against its start at zero, 1 - memory^t; 1 for none.
    """
    epsilon = faulty.recipe.epsilon
    match faulty.epsilon:
        case Epsilon.INSIDE:
            root = np.sqrt(square / correction + epsilon)
        case Epsilon.SQUARED:
            root = np.sqrt(square / correction + epsilon**2)
        case Epsilon.UNCORRECTED:
            root = (np.sqrt(square) + epsilon) / np.sqrt(correction)
        case Epsilon.UNCORRECTED_INSIDE:
            root = np.sqrt(square + epsilon) / np.sqrt(correction)
        case _:
            root = np.sqrt(square / correction) + epsilon
    result: Array = root
    return result
