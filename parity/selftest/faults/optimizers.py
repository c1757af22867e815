"""Faults of training: of an optimizer's formula, of clipping, of the rate, of what is trained; and of seeds.

Each alters the trainers of one side: what they are given, what they are built with, or what a step
leaves behind. Losses and gradients are right, so that nothing shows before the first step, and some not before the
second, a change of rate, or a token that comes twice.
"""

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
    by_value,
    clipped_by,
    decayed_first,
    each_alone,
    hat,
    inside,
    rate_in_the_velocity,
    rmsprop,
    rows_first,
    stock,
    to_norm,
    uncorrected,
    undecayed,
)

Gradients = Sequence[Any]
Change = Callable[[Any, Gradients], Gradients]


def _fault(name: str, cause: str, alter: Alter, check: str = "training", only: str = "") -> Fault:
    """In the pair whose trials are the quickest: what an optimizer does is the same for every model."""
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


def _by_no_seed(change: Callable[[Any, np.random.Generator], None]) -> Alter:
    """The learners of the models built in this process draw what no seed decides."""

    def plant(model: Module) -> None:
        random = np.random.default_rng()
        replaced(model, "trainer", lambda make, recipe: _with(make(recipe), random))

    def _with(trainer: Any, random: np.random.Generator) -> Any:
        change(trainer, random)
        return trainer

    return built("torch", plant)


def _noise(trainer: Any, random: np.random.Generator) -> None:
    """Each gradient off by a millionth of itself, as by sums of many threads in float32."""
    replaced(trainer, "apply", lambda apply, gradients: apply([g * (1 + 1e-6 * random.normal()) for g in gradients]))


def _bits(trainer: Any, random: np.random.Generator) -> None:
    """The last bit of a loss, as of a sum in no fixed order."""
    replaced(trainer, "step", lambda step, batches: np.nextafter(step(batches), np.float32(random.choice([0, 99]))))


ADAMS = ("adam", "adamw")

FAULTS: tuple[Fault, ...] = (
    # torch and Keras default to 1e-8 and 1e-7, and add it behind and before the correction: no constant makes them
    # agree. https://github.com/google-deepmind/optax/issues/571, https://github.com/HorizonRobotics/alf/pull/466
    _fault("epsilon ten times as large", "epsilon", _scaled("keras", "epsilon", 10.0)),
    _fault("rmsprop's epsilon 1e-3", "epsilon", _recipe("torch", "rmsprop", epsilon=1e-3)),
    _fault("adam's epsilon inside the root", "epsilon placement", by_rule(adam(inside), *ADAMS)),
    _fault("adam's epsilon before the correction", "epsilon placement", by_rule(adam(hat), *ADAMS)),
    _fault(
        "rmsprop's epsilon inside the root",
        "epsilon placement",
        by_rule(rmsprop(lambda recipe, square: (square + recipe.epsilon) ** 0.5), "rmsprop"),
    ),
    # The moments start at zero, which the first steps are corrected for by their count: left out, or counted one ahead.
    _fault("adam without correction", "step count", by_rule(adam(uncorrected, correct=False), *ADAMS)),
    _fault("steps counted from 2", "step count", trainer("keras", _ahead)),
    # Defaults: RMSprop remembers 0.99 in torch and 0.9 in Keras (https://github.com/pytorch/pytorch/issues/23796). What
    # a second step shows first: beta_2 and dampening.
    _fault("adam's second beta 0.99", "memory", _recipe("keras", *ADAMS, memory=0.99)),
    _fault("rmsprop's memory 0.95", "memory", _recipe("keras", "rmsprop", memory=0.95)),
    _fault("amsgrad", "memory", _option(*ADAMS, amsgrad=True)),
    _fault("rmsprop centered", "memory", _option("rmsprop", centered=True)),
    _fault("adam's first beta 0.8", "momentum", _recipe("keras", *ADAMS, momentum=0.8)),
    _fault("momentum 0.95", "momentum", _recipe("torch", "momentum", "nesterov", momentum=0.95)),
    _fault("nesterov missing", "momentum", _recipe("torch", "nesterov", optimizer="momentum")),
    _fault("nesterov unasked", "momentum", _recipe("keras", "momentum", optimizer="nesterov")),
    _fault("dampening", "momentum", _option("momentum", dampening=0.9)),
    # weight_decay= is in the gradient of torch's Adam, beside it in Keras's and in AdamW, whose defaults are 0.01 and
    # 0.004. https://github.com/pytorch/pytorch/issues/38767, https://github.com/keras-team/keras/issues/19051
    _fault("adamw's decay in the gradient", "decay form", _recipe("torch", "adamw", optimizer="adam")),
    _fault("adam's decay beside the gradient", "decay form", _recipe("keras", "adam", optimizer="adamw")),
    _fault("decay missing", "decay form", _recipe("keras", decay=0.0)),
    _fault("decay of 0.4 times", "decay form", _scaled("keras", "decay", 0.4)),
    _fault("decay doubled", "decay form", _scaled("torch", "decay", 2.0)),
    _fault("decay before clipping", "decay form", trainer("torch", decayed_first)),
    _fault("adamw's decay not scaled by the rate", "decay form", by_rule(undecayed, "adamw")),
    # clip_grad_norm_ adds 1e-6 to the norm (https://github.com/goodfire-ai/spd/issues/643); clipnorm= of Keras clips
    # each variable by itself (https://github.com/tensorflow/tensorflow/issues/36001); a tied weight is counted twice.
    _fault("clipping missing", "clipping", _recipe("torch", clip=None)),
    _fault("a millionth added to the norm that clips", "clipping", clipped_by("torch", to_norm(added=1e-6))),
    _fault("each gradient clipped by itself", "clipping", clipped_by("keras", each_alone)),
    _fault("gradients clipped by value", "clipping", clipped_by("torch", by_value)),
    _fault("a bias twice in the norm that clips", "clipping", clipped_by("torch", to_norm(twice=(3,)))),
    # backward() adds gradients up over micro-batches, Keras's gradient_accumulation_steps= takes their mean. A sum for
    # a mean does not show behind Adam, which divides by it.
    _fault("micro-batches summed", "accumulation", trainer("torch", _summed)),
    _fault("gradients times 8", "gradient scaled", _gradients("torch", lambda _, grads: [g * 8 for g in grads])),
    # Schedules are stepped in front or behind; Keras's SGD has the rate in its velocity, torch's has not.
    # https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/sgd.py
    _fault("the rate a millionth higher", "rate", _scaled("torch", "rate", 1 + 1e-6)),
    _fault("the rate changes a step late", "rate", trainer("torch", _late)),
    _fault("the rate does not change", "rate", _recipe("keras", drop=None)),
    _fault("the rate in the velocity", "rate", by_rule(rate_in_the_velocity, "momentum")),
    # Keras squares the rows of an embedding's sparse gradient before it sums those of one token
    # (https://github.com/keras-team/keras/pull/18692); torch's LSTM trains two biases
    # (https://github.com/onnx/onnx/issues/1127); a parameter group that lacks one; weights that are kept in half while
    # they are trained.
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
    # The stock optimizers by the constants of torch's, as a port has them.
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
    # Sums in no fixed order, as of atomic additions on a GPU: two runs of one seed differ, in one process or the next.
    _fault("noise in the gradients that no seed decides", "seed", _by_no_seed(_noise), "determinism"),
    _fault("a bit of the loss that no seed decides", "seed", _by_no_seed(_bits), "determinism"),
)
