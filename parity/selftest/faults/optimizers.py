"""Faults of training: of an optimizer's formula, of clipping, of the rate, of what is trained; and of seeds.

Each alters the learners of one side: what they are given, what they are built with, or what a step
leaves behind.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity.canonical.optimizers import Recipe
from parity.dtypes import Array, Module
from parity.selftest.faults.fault import Fault
from parity.selftest.faults.inject_stages import Alter, built, corner, replaced, trainer
from parity.selftest.faults.optimizer_rules import (
    adam,
    by_rule,
    hat,
    inside,
    rate_in_the_velocity,
    rmsprop,
    rows_first,
    stock,
    uncorrected,
    undecayed,
)

Gradients = Sequence[Any]
Change = Callable[[Any, Gradients], Gradients]


def _fault(name: str, cause: str, alter: Alter, check: str = "training", only: str = "") -> Fault:
    return Fault(name, "conv", corners=alter, only=only, check=check, where="optimizer", cause=cause)


def _recipe(side: str, *optimizers: str, **changes: Any) -> Alter:
    """The trainer of another recipe, where the optimizer is one of these, or of any."""

    def altered(make: Any, recipe: Recipe) -> Any:
        return make(replace(recipe, **changes) if recipe.optimizer in optimizers or not optimizers else recipe)

    return corner(side, "trainer", altered)


def _scaled(side: str, what: str, factor: float) -> Alter:
    """The trainer of a recipe in which a number is another one, where it is there at all."""

    def altered(make: Any, recipe: Recipe) -> Any:
        value = getattr(recipe, what)
        return make(replace(recipe, **{what: value and value * factor}))

    return corner(side, "trainer", altered)


def _gradients(side: str, change: Change) -> Alter:
    """What a trainer applies passes through `change(trainer, gradients)`."""

    def plant(trainer: Any) -> None:
        replaced(trainer, "apply", lambda apply, gradients: apply(change(trainer, gradients)))

    return trainer(side, plant)


def _behind(side: str, change: Callable[[Any], None]) -> Alter:
    """Behind each step, `change(trainer)`."""

    def plant(trainer: Any) -> None:
        def altered(apply: Callable[..., Any], gradients: Gradients) -> None:
            apply(gradients)
            change(trainer)

        replaced(trainer, "apply", altered)

    return trainer(side, plant)


def _option(*optimizers: str, **options: Any) -> Alter:
    """torch's optimizer with other options."""

    def plant(trainer: Any) -> None:
        if trainer.recipe.optimizer in optimizers:
            for group in trainer.optimizer.param_groups:
                group.update(options)

    return trainer("torch", plant)


def _ahead(trainer: Any) -> None:
    """The first step is taken for the second, by the moments' corrections and by the rate."""
    trainer.steps = 1


def _clipped(side: str, clipped: Callable[[Gradients, float], Gradients]) -> Alter:
    """Gradients are clipped by `clipped(gradients, clip)`, and not once more."""

    def plant(trainer: Any) -> None:
        clip = trainer.recipe.clip
        if clip is not None:
            trainer.recipe = replace(trainer.recipe, clip=None)
            replaced(trainer, "apply", lambda apply, gradients: apply(clipped(gradients, clip)))

    return trainer(side, plant)


def _to_norm(added: float = 0.0, twice: Sequence[int] = ()) -> Callable[[Gradients, float], Gradients]:
    """By the norm of all gradients, something added to it, or some gradients counted twice."""

    def clipped(gradients: Gradients, clip: float) -> Gradients:
        counted = [*gradients, *(gradients[place] for place in twice)]
        norm = sum((gradient**2).sum() for gradient in counted) ** 0.5 + added
        return [gradient * (clip / norm.clamp(min=clip)) for gradient in gradients]

    return clipped


def _each_alone(gradients: Gradients, clip: float) -> Gradients:
    from keras import ops

    return [gradient * (clip / ops.maximum(ops.norm(ops.reshape(gradient, -1)), clip)) for gradient in gradients]


def _by_value(gradients: Gradients, clip: float) -> Gradients:
    return [gradient.clamp(-clip, clip) for gradient in gradients]


def _decayed_first(trainer: Any) -> None:
    """The gradient that is clipped has the decay in it."""
    recipe = trainer.recipe
    if recipe.optimizer != "adamw":
        trainer.optimizer.param_groups[0]["weight_decay"] = 0.0

        def decayed(apply: Callable[..., Any], gradients: Gradients) -> None:
            apply([g + recipe.decay * v.detach() for g, v in zip(gradients, trainer.variables, strict=True)])

        replaced(trainer, "apply", decayed)


def _summed(trainer: Any) -> None:
    """Micro-batches are summed."""

    def summed(step: Any, batches: Sequence[Any]) -> Array:
        trainer.micro = len(batches)
        losses: Array = step(batches)
        return losses

    replaced(trainer, "step", summed)
    replaced(trainer, "apply", lambda apply, gradients: apply([gradient * trainer.micro for gradient in gradients]))


def _unmoved(trainer: Any) -> None:
    """The last parameter's update is lost."""

    def altered(apply: Callable[..., Any], gradients: Gradients) -> None:
        before = trainer.variables[-1].detach().clone()
        apply(gradients)
        trainer.variables[-1].detach().copy_(before)

    replaced(trainer, "apply", altered)


def _rounded(dtype: str) -> Callable[[Any], None]:
    """Weights pass through a lower precision behind each step."""

    def change(trainer: Any) -> None:
        import torch

        for variable in trainer.variables:
            variable.detach().copy_(variable.detach().to(getattr(torch, dtype)).to(variable.dtype))

    return change


def _late(trainer: Any) -> None:
    """The rate changes a step late."""
    if trainer.recipe.drop is not None:
        trainer.recipe = replace(trainer.recipe, drop=trainer.recipe.drop + 1)


def _two_biases(model: Module) -> None:
    """As torch's LSTM comes: each bias has the right gradient, and their sum moves twice as fast."""
    model.lstm.bias_hh_l0.requires_grad_(True)


def _by_the_process(change: Callable[[Any, np.random.Generator], None]) -> Alter:
    """The learners of the models built in this process draw by its own number, which no seed decides."""

    def plant(model: Module) -> None:
        random = np.random.default_rng(os.getpid())
        replaced(model, "trainer", lambda make, recipe: _with(make(recipe), random))

    def _with(trainer: Any, random: np.random.Generator) -> Any:
        change(trainer, random)
        return trainer

    return built("torch", plant)


def _noise(trainer: Any, random: np.random.Generator) -> None:
    replaced(trainer, "apply", lambda apply, gradients: apply([g * (1 + 1e-6 * random.normal()) for g in gradients]))


def _bits(trainer: Any, random: np.random.Generator) -> None:
    """The last bit of a loss, as of a sum in no fixed order."""
    replaced(trainer, "step", lambda step, batches: np.nextafter(step(batches), np.float32(random.choice([0, 99]))))


ADAMS = ("adam", "adamw")

FAULTS: tuple[Fault, ...] = (
    # epsilon
    _fault("epsilon ten times as large", "epsilon", _scaled("keras", "epsilon", 10.0)),
    _fault("rmsprop's epsilon 1e-3", "epsilon", _recipe("torch", "rmsprop", epsilon=1e-3)),
    _fault("adam's epsilon inside the root", "epsilon placement", by_rule(adam(inside), *ADAMS)),
    _fault("adam's epsilon before the correction", "epsilon placement", by_rule(adam(hat), *ADAMS)),
    _fault(
        "rmsprop's epsilon inside the root",
        "epsilon placement",
        by_rule(rmsprop(lambda recipe, square: (square + recipe.epsilon) ** 0.5), "rmsprop"),
    ),
    # step count
    _fault("adam without correction", "step count", by_rule(adam(uncorrected, correct=False), *ADAMS)),
    _fault("steps counted from 2", "step count", trainer("keras", _ahead)),
    # memory and momentum
    _fault("adam's second beta 0.99", "memory", _recipe("keras", *ADAMS, memory=0.99)),
    _fault("rmsprop's memory 0.95", "memory", _recipe("keras", "rmsprop", memory=0.95)),
    _fault("amsgrad", "memory", _option(*ADAMS, amsgrad=True)),
    _fault("rmsprop centered", "memory", _option("rmsprop", centered=True)),
    _fault("adam's first beta 0.8", "momentum", _recipe("keras", *ADAMS, momentum=0.8)),
    _fault("momentum 0.95", "momentum", _recipe("torch", "momentum", "nesterov", momentum=0.95)),
    _fault("nesterov missing", "momentum", _recipe("torch", "nesterov", optimizer="momentum")),
    _fault("nesterov unasked", "momentum", _recipe("keras", "momentum", optimizer="nesterov")),
    _fault("dampening", "momentum", _option("momentum", dampening=0.9)),
    # decay
    _fault("adamw's decay in the gradient", "decay form", _recipe("torch", "adamw", optimizer="adam")),
    _fault("adam's decay beside the gradient", "decay form", _recipe("keras", "adam", optimizer="adamw")),
    _fault("decay missing", "decay form", _recipe("keras", decay=0.0)),
    _fault("decay of 0.4 times", "decay form", _scaled("keras", "decay", 0.4)),
    _fault("decay doubled", "decay form", _scaled("torch", "decay", 2.0)),
    _fault("decay before clipping", "decay form", trainer("torch", _decayed_first)),
    _fault("adamw's decay not scaled by the rate", "decay form", by_rule(undecayed, "adamw")),
    # clipping
    _fault("clipping missing", "clipping", _recipe("torch", clip=None)),
    _fault("a millionth added to the norm that clips", "clipping", _clipped("torch", _to_norm(added=1e-6))),
    _fault("each gradient clipped by itself", "clipping", _clipped("keras", _each_alone)),
    _fault("gradients clipped by value", "clipping", _clipped("torch", _by_value)),
    _fault("a bias twice in the norm that clips", "clipping", _clipped("torch", _to_norm(twice=(3,)))),
    # gradients
    _fault("micro-batches summed", "accumulation", trainer("torch", _summed)),
    _fault("gradients times 8", "gradient scaled", _gradients("torch", lambda _, grads: [g * 8 for g in grads])),
    # rate
    _fault("the rate a millionth higher", "rate", _scaled("torch", "rate", 1 + 1e-6)),
    _fault("the rate changes a step late", "rate", trainer("torch", _late)),
    _fault("the rate does not change", "rate", _recipe("keras", drop=None)),
    _fault("the rate in the velocity", "rate", by_rule(rate_in_the_velocity, "momentum")),
    # what moves
    _fault("repeated rows squared first", "sparse rows", trainer("keras", rows_first), only="tensorflow"),
    Fault(
        "both of torch's biases trained",
        "lstm",
        torch=_two_biases,
        check="training",
        where="optimizer",
        cause="two biases",
    ),
    _fault("a parameter left behind", "weights not copied", trainer("torch", _unmoved)),
    _fault("weights rounded to float32", "weights rounded", _behind("torch", _rounded("float32"))),
    _fault("weights rounded to bfloat16", "weights rounded", _behind("torch", _rounded("bfloat16"))),
    # Keras's own
    _fault(
        "Keras's own Adam",
        "epsilon placement",
        stock("Adam", lambda r: {"beta_1": r.momentum, "beta_2": r.memory, "epsilon": r.epsilon}, "adam"),
    ),
    _fault(
        "Keras's own AdamW",
        "epsilon placement",
        stock(
            "AdamW",
            lambda r: {
                "beta_1": r.momentum,
                "beta_2": r.memory,
                "epsilon": r.epsilon,
                "weight_decay": r.decay,
            },
            "adamw",
        ),
    ),
    _fault(
        "Keras's own RMSprop",
        "epsilon placement",
        stock("RMSprop", lambda r: {"rho": r.memory, "epsilon": r.epsilon}, "rmsprop"),
    ),
    _fault("Keras's own SGD", "rate", stock("SGD", lambda r: {"momentum": r.momentum}, "momentum")),
    # seeds
    _fault("noise in the gradients that no seed decides", "seed", _by_the_process(_noise), "determinism"),
    _fault("a bit of the loss that no seed decides", "seed", _by_the_process(_bits), "determinism"),
)
