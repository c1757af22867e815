"""The user's own optimizer in Keras: what it does, and what its settings say.

Line for line beside `parity/backends/torch/optimizers.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import optree

from parity.backends.build import Build
from parity.backends.keras.engine import engine
from parity.backends.keras.training import Trainer as Trainer
from parity.canonical.clipping import clipping
from parity.canonical.faulty_recipe import Clipping, Decay, Epsilon, FaultyRecipe
from parity.canonical.optimizers import OWN, Recipe
from parity.dtypes import Array, Variable
from parity.errors import ParityError, users_own

ADVICE = "give a function that returns an optimizer, or it with functions that clip gradients"


class Own(Trainer):
    """Trains a model's variables by what the user's function makes.

    That is an optimizer, or a tuple of it and functions of a list of gradients, which are called before it.
    """

    def __init__(
        self,
        build: Callable[[], Any],
        variables: Mapping[str, Any],
        descend: Callable[[Any, Any], tuple[Any, Sequence[Any]]],
        named: Callable[[Sequence[Any]], dict[str, Array]],
        side: str,
        dtype: str,
    ) -> None:
        super().__init__(OWN, variables, descend, named)
        self._dtype = dtype
        with engine.precision(dtype), users_own(f"the optimizer of {side} cannot be built"):
            optimizer = build()
        parts = optimizer if isinstance(optimizer, tuple) else (optimizer,)
        optimizers = [part for part in parts if hasattr(part, "apply_gradients")]
        if len(optimizers) != 1:
            raise ParityError(f"the optimizer of {side} is a {type(optimizer).__name__}; {ADVICE}")
        self.optimizer = optimizers[0]
        self._clips = [part for part in parts if part is not self.optimizer]
        self._rates: list[float] = []
        self._before: list[list[Array]] = []
        self._after: list[list[Array]] = []

    def apply(self, gradients: Sequence[Any]) -> None:
        """Take one step as the user does: clip, then step; rates and clipped gradients are noted."""
        self.steps += 1
        clipped = [keras.ops.convert_to_tensor(gradient) for gradient in gradients]
        with engine.precision(self._dtype):
            if self._clips:
                self._before.append([engine.array(gradient) for gradient in clipped])
                for clip in self._clips:
                    clipped = list(clip(clipped))
                self._after.append([engine.array(gradient) for gradient in clipped])
            self._rates.append(self._now())
            self.optimizer.apply_gradients(zip(clipped, self.variables, strict=True))

    def state(self) -> dict[str, dict[str, Array]]:
        return {}

    def settings(self) -> dict[str, FaultyRecipe] | None:
        """Canonical parameter -> the settings by which it was trained; None where no formula is known."""
        limits = clipping(self._before, self._after) if self._clips else (Clipping.GLOBAL_NORM, None, 0.0)
        own = _clipping(self.optimizer)
        one = read(self.optimizer)
        if limits is None or one is None or (limits[1] is not None and own[1] is not None):
            return None
        form, bound, added = limits if own[1] is None else (*own, 0.0)
        entries = []
        for variable in self.variables:
            decay = one.recipe.decay if self._decays(variable) else 0.0
            recipe = replace(one.recipe, rates=tuple(self._rates), clip=bound, decay=decay)
            entries.append(replace(one, recipe=recipe, clipping=form, slack=added))
        # `named` alone knows which variables make up a parameter: each variable's settings go through it by number.
        numbers = [
            keras.ops.full(v.shape, entries.index(one), self._dtype)
            for v, one in zip(self.variables, entries, strict=True)
        ]
        return {name: entries[int(array.flat[0])] for name, array in self.named(numbers).items()}

    def bends(self, last: int) -> list[int]:
        """The steps (from 1) up to `last` at which the rate may change otherwise than before: the whole numbers that a
        schedule names, from 0. Of one that is a function of the user's own none.
        """
        schedule: Any = getattr(self.optimizer, "_learning_rate", None)
        named = optree.tree_leaves(schedule.get_config()) if hasattr(schedule, "get_config") else []
        return sorted({int(one) + 1 for one in named if isinstance(one, int | float) and 0 < one == int(one) < last})

    def ahead(self, steps: Sequence[int]) -> tuple[float, ...]:
        """The learning rates of these steps (from 1), in order; the last one again where there is no schedule."""
        schedule = getattr(self.optimizer, "_learning_rate", None)
        if not callable(schedule) or hasattr(schedule, "assign"):
            return tuple([*self._rates, *[self._rates[-1]] * max(steps)][step - 1] for step in steps)
        with engine.precision(self._dtype):
            return tuple(float(np.asarray(schedule(engine.tensor(step - 1, "int64")))) for step in steps)

    def _now(self) -> float:
        return float(np.asarray(self.optimizer.learning_rate))

    def _decays(self, variable: Variable) -> bool:
        decays = getattr(self.optimizer, "_use_weight_decay", None)
        return bool(decays(variable)) if decays else True


def trainer(
    build: Build,
    dtype: str,
    recipe: Recipe,
    variables: Mapping[str, Any],
    descend: Callable[[Any, Any], tuple[Any, Sequence[Any]]],
    named: Callable[[Sequence[Any]], dict[str, Array]],
) -> Trainer:
    """Make the trainer of these variables, by a recipe or, of the recipe OWN, by the user's optimizer."""
    if recipe == OWN and build.optimizer:
        return Own(build.optimizer, variables, descend, named, build.side or engine.NAME, dtype)
    return Trainer(recipe, {name: engine.raw(variable) for name, variable in variables.items()}, descend, named)


def _clipping(optimizer: keras.optimizers.Optimizer) -> tuple[Clipping, float | None]:
    """How the optimizer itself clips gradients, and its bound; None where it does not."""
    forms = {
        "clipnorm": Clipping.EACH_VARIABLE,
        "clipvalue": Clipping.EACH_ELEMENT,
        "global_clipnorm": Clipping.GLOBAL_NORM,
    }
    bounds = [(form, getattr(optimizer, name, None)) for name, form in forms.items()]
    return next(((form, bound) for form, bound in bounds if bound is not None), (Clipping.GLOBAL_NORM, None))


def read(optimizer: keras.optimizers.Optimizer) -> FaultyRecipe | None:
    """Read an optimizer's settings as a formula of parity's; None of an optimizer whose formula is not known.

    Formulas: https://github.com/keras-team/keras/tree/v3.15.1/keras/src/optimizers
    """
    kinds = [kind.__name__ for kind in type(optimizer).__mro__]
    kind = next((name for name in ("SGD", "AdamW", "Adam", "Nadam", "RMSprop") if name in kinds), "")
    own = {"momentum": 0.0, "nesterov": False, "amsgrad": False, "centered": False, **optimizer.get_config()}
    # An average of the weights, or gradients that are gathered over steps, is in no formula of ours.
    if not kind or own.get("use_ema") or own.get("gradient_accumulation_steps"):
        return None
    form = Decay.DECOUPLED
    recipe = Recipe("sgd", 0.0, decay=own.get("weight_decay") or 0.0)
    if kind == "SGD":
        name = "nesterov" if own["nesterov"] else "momentum"
        recipe = replace(recipe, optimizer=name if own["momentum"] else "sgd", momentum=own["momentum"])
        return FaultyRecipe(recipe, decay=form, inside=True)
    if kind == "RMSprop":
        recipe = replace(recipe, optimizer="rmsprop", memory=own["rho"], epsilon=own["epsilon"])
        inside = FaultyRecipe(recipe, decay=form, epsilon=Epsilon.INSIDE, centered=own["centered"])
        return None if own["momentum"] else inside
    recipe = replace(recipe, optimizer="adam", momentum=own["beta_1"], memory=own["beta_2"], epsilon=own["epsilon"])
    if kind == "Nadam":
        return FaultyRecipe(replace(recipe, optimizer="nadam"), decay=form)
    return FaultyRecipe(recipe, Epsilon.UNCORRECTED, decay=form, largest=own["amsgrad"])
