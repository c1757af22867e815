"""An optimizer's steps in NumPy: the formulas of `parity.canonical.optimizers`, and each of them with a fault in it.

Weights and gradients are those that a side had at each step; only the state is carried along. So a
step that was wrong does not lead the next one astray.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity.backends.protocol import Corner
from parity.canonical.optimizers import MOMENTS, Recipe
from parity.canonical.transforms import SUMMED
from parity.checks.training import Training
from parity.dtypes import Array, round_to
from parity.pair.models import Corners


@dataclass(frozen=True)
class Knobs:
    """A recipe, and what a faulty optimizer does otherwise. The defaults are the recipe's formulas."""

    recipe: Recipe
    epsilon: str = "outside"  # the root; or "inside", "squared" inside, "hat", "inside hat": before the correction
    ahead: int = 0  # of the step counter
    corrected: tuple[bool, bool] = (True, True)  # which moments of Adam
    centered: bool = False
    largest: bool = False  # the second moment divides by its largest value so far
    dampening: float = 0.0  # from the second step on
    averaging: bool = False  # the velocity is a running mean
    decaying: str = (
        ""  # "coupled", "decoupled", "unscaled" by the rate, "first": before clipping, "last": after the step
    )
    faster: float = 1.0  # the rate
    late: int = 0  # how many steps the rate is behind
    inside: bool = False  # the rate is in the velocity
    clipping: str = ""  # "each" variable, by "value", "always", each of the "parts"
    slack: float = 0.0  # added to the norm
    counted: tuple[str, ...] = ()  # parameters that the norm counts twice
    times: float = 1.0  # the gradient
    summed: bool = False  # over micro-batches
    single: tuple[str, ...] = ()  # constants in float32: "rate", "momentum", the "powers" of an Adam's correction
    rounded: str = ""  # the dtype that weights go through
    still: tuple[str, ...] = ()  # parameters that do not move
    twins: tuple[str, ...] = ()  # parameters that are a sum of two, each trained


@dataclass(frozen=True, eq=False)
class Trace:
    """A training as a side went through it, every parameter in one row of n numbers.

    `weights` (steps + 1, n), the gradients of each step's micro-batches (steps, micro, n), and the
    optimizer's state at the end, by moment. `sums` names the parameters that the side keeps as two
    variables which act as their sum, as torch keeps a recurrent layer's bias.
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

    def after(self, knobs: Knobs, at: Any = slice(None)) -> Array:
        """What each step should have changed (steps, n), or only at some places of it."""
        twins = [place for name in knobs.twins for place in range(self.places[name].start, self.places[name].stop)]
        gradients = self.given(knobs, twins)
        if twins:
            return _stepped(knobs, self.weights, gradients, np.array(twins))[0][:, at]
        changes, _ = _stepped(knobs, self.weights[:, at], gradients[:, at], None)
        for name in knobs.still:
            changes[:, _chosen(self.places[name], at, self.weights.shape[1])] = 0.0
        return changes

    def alone(self, place: int) -> "Trace":
        """One number's training, with the gradients as they were clipped."""
        gradients = self.given(Knobs(self.recipe))[:, None, [place]]
        return Trace(replace(self.recipe, clip=None), {}, self.weights[:, [place]], gradients, {})

    def moments(self, knobs: Knobs) -> dict[str, Array]:
        """What the state at the end should have been."""
        return _stepped(knobs, self.weights, self.given(knobs), None)[1]

    def given(self, knobs: Knobs, twins: Sequence[int] = ()) -> Array:
        """Each step's gradient, as the rule gets it: (steps, n)."""
        told = knobs.clipping, knobs.slack, knobs.counted, knobs.times, knobs.summed, knobs.recipe.clip
        key = *told, knobs.decaying == "first" and knobs.recipe.decay, tuple(twins)
        if key not in self._last:
            self._last.clear()
            self._last[key] = _clipped(knobs, self, twins)
        return self._last[key]


def record(corners: Corners, model: Corner, training: Training) -> Trace:
    """Train one corner, and note what it starts each step from. Its weights are the drawn ones again behind it."""
    corners.load(training.weights)
    learner, read = model.learner(training.recipe), model.read()
    weights, parts, places = [], [], dict[str, slice]()
    for batches in training.batches(corners):
        found = [model.gradients(*fed) for fed in batches]
        end = 0
        for name, array in found[0].items():
            places[name], end = slice(end, end + array.size), end + array.size
        weights.append(_row(read, places))
        parts.append(np.array([_row(gradients, places) for gradients in found]))
        learner.step(batches)
        read = model.read()
    state = {moment: _row(arrays, places) for moment, arrays in learner.state().items()}
    weights.append(_row(read, places))
    sums = tuple(
        f"{layer.path}.{part.parameter}" for layer in model.layers for part in layer.parts if part.transform is SUMMED
    )
    trace = Trace(training.recipe, places, np.array(weights), np.array(parts), state, sums)
    corners.load(training.weights)
    return trace


def _row(arrays: Mapping[str, Array], places: Mapping[str, slice]) -> Array:
    return np.concatenate([arrays[name].ravel() for name in places])


def _chosen(place: slice, at: Any, size: int) -> Array:
    """Which of the chosen places are a parameter's."""
    chosen = np.arange(size)[at]
    found: Array = (chosen >= place.start) & (chosen < place.stop)
    return found


def _clipped(knobs: Knobs, trace: Trace, twins: Sequence[int]) -> Array:
    parts, clip = trace.parts * knobs.times, knobs.recipe.clip
    if knobs.summed:
        parts = parts * parts.shape[1]
    if clip is not None and knobs.clipping == "parts":
        parts = parts * (clip / np.maximum(np.sqrt((parts**2).sum(-1, keepdims=True)), clip))
    found: Array = parts.mean(1)
    if knobs.decaying == "first":
        found = found + knobs.recipe.decay * trace.weights[:-1]
    if clip is None or knobs.clipping == "parts":
        return found
    if knobs.clipping == "value":
        return np.clip(found, -clip, clip)
    if knobs.clipping == "each":
        return np.concatenate([_scaled(found[:, place], clip) for place in trace.places.values()], 1)
    squares = (found**2).sum(1) + (found[:, list(twins)] ** 2).sum(1)
    squares = squares + sum((found[:, trace.places[name]] ** 2).sum(1) for name in knobs.counted)
    norm = np.sqrt(squares)[:, None] + knobs.slack
    result: Array = found * (clip / (norm if knobs.clipping == "always" else np.maximum(norm, clip)))
    return result


def _scaled(found: Array, clip: float) -> Array:
    result: Array = found * (clip / np.maximum(np.sqrt((found**2).sum(1, keepdims=True)), clip))
    return result


def _stepped(knobs: Knobs, weights: Array, gradients: Array, twins: Array | None) -> tuple[Array, dict[str, Array]]:
    """Each step's changes (steps, n), and the moments behind the last."""
    n, extra = weights.shape[1], 0 if twins is None else len(twins)
    state = _State(n + extra)
    carried, changes = np.zeros(extra), []
    for step, (w, g) in enumerate(zip(weights, gradients, strict=False), 1):
        if twins is not None:
            w, g = np.concatenate([w, carried]), np.concatenate([g, g[twins]])
            w[twins] -= carried
        change = _moved(knobs, step, w, g, state)
        if twins is not None:
            carried = carried + change[n:]
            change[twins] += change[n:]
        if knobs.rounded:
            change[:n] = round_to(weights[step - 1] + change[:n], knobs.rounded) - weights[step - 1]
        changes.append(change[:n])
    kept = {"velocity": state.velocity, "first moment": state.mean, "second moment": state.square}
    return np.array(changes), {moment: kept[moment][:n] for moment in MOMENTS[knobs.recipe.optimizer]}


class _State:
    """What an optimizer carries along, and the rate of the step before."""

    def __init__(self, size: int) -> None:
        self.velocity, self.mean, self.square, self.average, self.largest = (np.zeros(size) for _ in range(5))
        self.rate = 0.0


def _moved(knobs: Knobs, step: int, w: Array, g: Array, state: _State) -> Array:
    recipe = knobs.recipe
    rate = _constant(knobs, "rate", knobs.faster * recipe.rate_at(max(1, step - knobs.late)))
    form = knobs.decaying or ("decoupled" if recipe.optimizer == "adamw" else "coupled")
    moved: Array = np.zeros_like(w)
    if form == "coupled":
        g = g + recipe.decay * w
    elif form in ("decoupled", "unscaled"):
        moved = -(rate if form == "decoupled" else 1.0) * recipe.decay * w
    moved = moved - rate * _direction(knobs, step, rate, g, state)
    state.rate = rate
    return moved - rate * recipe.decay * (w + moved) if form == "last" else moved


def _direction(knobs: Knobs, step: int, rate: float, g: Array, state: _State) -> Array:
    recipe, momentum, memory = knobs.recipe, knobs.recipe.momentum, knobs.recipe.memory
    if recipe.optimizer == "sgd":
        return g
    if recipe.optimizer in ("momentum", "nesterov"):
        momentum = _constant(knobs, "momentum", momentum)
        kept = momentum * (state.rate / rate if knobs.inside else 1.0)
        share = 1 - momentum if knobs.averaging else 1.0 if step == 1 else 1 - knobs.dampening
        state.velocity = kept * state.velocity + share * g
        return g + momentum * state.velocity if recipe.optimizer == "nesterov" else state.velocity
    state.square = memory * state.square + (1 - memory) * g**2
    if recipe.optimizer == "rmsprop":
        state.average = memory * state.average + (1 - memory) * g
        return g / _root(knobs, state.square - knobs.centered * state.average**2, 1.0)
    state.mean = momentum * state.mean + (1 - momentum) * g
    count = step + knobs.ahead
    first, second = (1 - _constant(knobs, "powers", beta) ** count for beta in (momentum, memory))
    mean = state.mean / (first if knobs.corrected[0] else 1.0)
    state.largest = np.maximum(state.largest, state.square)
    square = state.largest if knobs.largest else state.square
    return mean / _root(knobs, square, second if knobs.corrected[1] else 1.0)


def _constant(knobs: Knobs, name: str, value: float) -> float:
    return float(np.float32(value)) if name in knobs.single else value


def _root(knobs: Knobs, square: Array, correction: float) -> Array:
    epsilon = knobs.recipe.epsilon
    match knobs.epsilon:
        case "inside":
            found = np.sqrt(square / correction + epsilon)
        case "squared":
            found = np.sqrt(square / correction + epsilon**2)
        case "hat":
            found = (np.sqrt(square) + epsilon) / np.sqrt(correction)
        case "inside hat":
            found = np.sqrt(square + epsilon) / np.sqrt(correction)
        case _:
            found = np.sqrt(square / correction) + epsilon
    result: Array = found
    return result
