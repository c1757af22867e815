"""The user's own optimizer in torch: what it does, and what its settings say.

Line for line beside `parity/backends/keras/optimizers.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from parity.backends.build import Build
from parity.backends.torch.precision import precision
from parity.backends.torch.training import Trainer as Trainer
from parity.canonical.clipping import clipping
from parity.canonical.faulty_recipe import Clipping, Decay, FaultyRecipe
from parity.canonical.optimizers import OWN, Recipe
from parity.dtypes import Array
from parity.errors import ParityError, users_own

BENDS = 32  # steps whose rates are compared, of all at which a schedule changes otherwise than before
ADVICE = "give a function of the parameters that returns an optimizer, or it with schedules and what clips"


class Own(Trainer):
    """Trains a model's variables by what the user's function makes of them.

    That is an optimizer, or a tuple of it, schedules, which go on behind each step, and functions of the parameters,
    which are called before it. A schedule that goes by the loss is given that of the step.
    """

    def __init__(
        self,
        build: Callable[[Any], Any],
        variables: Mapping[str, Any],
        descend: Callable[[Any, Any], tuple[Any, Sequence[Any]]],
        named: Callable[[Sequence[Any]], dict[str, Array]],
        side: str,
        dtype: str,
    ) -> None:
        super().__init__(OWN, variables, descend, named)
        self._dtype = dtype
        with precision(dtype), users_own(f"the optimizer of {side} cannot be built"):
            optimizer = build(self.variables)
        parts = optimizer if isinstance(optimizer, tuple) else (optimizer,)
        optimizers = [part for part in parts if isinstance(part, torch.optim.Optimizer)]
        if len(optimizers) != 1:
            raise ParityError(f"the optimizer of {side} is a {type(optimizer).__name__}; {ADVICE}")
        self.optimizer = optimizers[0]
        self._schedules = [part for part in parts if hasattr(part, "step") and part is not self.optimizer]
        self._clips = [part for part in parts if not hasattr(part, "step")]
        self._rates: list[list[float]] = []  # of each step, a group's
        self._later: list[float] = []  # of each step and of later ones, the first group's
        self._before: list[list[Array]] = []
        self._after: list[list[Array]] = []

    def apply(self, gradients: Sequence[Any]) -> None:
        """Take one step as the user does: clip, then step; rates and clipped gradients are noted."""
        self.steps += 1
        for variable, gradient in zip(self.variables, gradients, strict=True):
            variable.grad = gradient
        with precision(self._dtype):
            if self._clips:
                self._before.append(self._gradients())
                for clip in self._clips:
                    clip(self.variables)
                self._after.append(self._gradients())
            self._rates.append(self._now())
            self.optimizer.step()
            self.optimizer.zero_grad()

    def state(self) -> dict[str, dict[str, Array]]:
        return {}

    def settings(self) -> dict[str, FaultyRecipe] | None:
        """Canonical parameter -> the settings by which it was trained; None where no formula is known."""
        limits = clipping(self._before, self._after) if self._clips else (Clipping.GLOBAL_NORM, None, 0.0)
        groups = [(read(self.optimizer, group), group["params"]) for group in self.optimizer.param_groups]
        each = {id(v): (n, one) for n, (one, variables) in enumerate(groups) for v in variables}
        if limits is None or any(id(v) not in each or each[id(v)][1] is None for v in self.variables):
            return None
        form, bound, added = limits
        entries = []
        for number, one in (each[id(variable)] for variable in self.variables):
            assert one is not None
            rates = tuple(rates[number] for rates in self._rates)
            entries.append(
                replace(one, recipe=replace(one.recipe, rates=rates, clip=bound), clipping=form, slack=added)
            )
        # `named` alone knows which variables make up a parameter: each variable's settings go through it by number.
        numbers = [
            torch.full_like(v, float(entries.index(one))) for v, one in zip(self.variables, entries, strict=True)
        ]
        return {name: entries[int(array.flat[0])] for name, array in self.named(numbers).items()}

    def bends(self, last: int) -> list[int]:
        """The steps (from 1) up to `last` at which the rate changes otherwise than before, where it does most.

        Of a schedule that is a function of the user's own nobody knows them but by asking for every rate; so this comes
        last, as `ahead` does.
        """
        turns = np.abs(np.diff(self._to(last), 2))  # of steps 1, 2 and 3 first
        return sorted(int(at) + 3 for at in np.argsort(-turns, kind="stable")[:BENDS] if turns[at])

    def ahead(self, steps: Sequence[int]) -> tuple[float, ...]:
        """The learning rates of these steps (from 1), in order, of the first group. Call it last: schedules move on.

        Behind the last step one that goes by the loss stays where it is: what the loss will be nobody knows.
        """
        rates = self._to(max(steps))
        return tuple(rates[step - 1] for step in steps)

    def _to(self, last: int) -> list[float]:
        """The first group's rates of all steps up to this one."""
        rates = self._later = self._later or [rates[0] for rates in self._rates]
        while len(rates) < last:
            rates.append(self._now()[0])
            for schedule in (of for of in self._schedules if not isinstance(of, ReduceLROnPlateau)):
                schedule.step()
        return rates

    def _go_on(self, loss: Array) -> None:
        """Step the schedules, one that goes by the loss with that of this step."""
        with precision(self._dtype):
            for schedule in self._schedules:
                schedule.step(*((float(loss),) if isinstance(schedule, ReduceLROnPlateau) else ()))

    def _now(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def _gradients(self) -> list[Array]:
        return [variable.grad.detach().numpy().copy() for variable in self.variables]


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
        return Own(build.optimizer, variables, descend, named, build.side or "torch", dtype)
    return Trainer(recipe, variables, descend, named)


def read(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> FaultyRecipe | None:
    """Read a parameter group's settings as a formula of parity's; None of an optimizer whose formula is not known.

    Formulas: https://docs.pytorch.org/docs/stable/optim.html#algorithms
    """
    kinds = [kind.__name__ for kind in type(optimizer).__mro__]
    kind = next((name for name in ("SGD", "AdamW", "Adam", "NAdam", "RMSprop") if name in kinds), "")
    if not kind or group.get("maximize"):
        return None
    own = {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "amsgrad": False, "centered": False, **group}
    decoupled = kind == "AdamW" or bool(own.get("decoupled_weight_decay"))
    form = Decay.DECOUPLED if decoupled else Decay.COUPLED
    recipe = Recipe("sgd", 0.0, decay=own["weight_decay"])
    if kind == "SGD":
        name = "nesterov" if own["nesterov"] else "momentum"
        recipe = replace(recipe, optimizer=name if own["momentum"] else "sgd", momentum=own["momentum"])
        return FaultyRecipe(recipe, decay=form, dampening=own["dampening"])
    if kind == "RMSprop":
        recipe = replace(recipe, optimizer="rmsprop", memory=own["alpha"], epsilon=own["eps"])
        return None if own["momentum"] else FaultyRecipe(recipe, decay=form, centered=own["centered"])
    first, second = own["betas"]
    recipe = replace(recipe, optimizer="adam", momentum=first, memory=second, epsilon=own["eps"])
    if kind == "NAdam":
        recipe = replace(recipe, optimizer="nadam", momentum_decay=own["momentum_decay"])
    return FaultyRecipe(recipe, decay=form, largest=own["amsgrad"])
