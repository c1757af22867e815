"""Faults of training: of an optimizer's formula, of clipping, of the rate, of what is trained; and of seeds.

Each alters the learners of one side: what they are given, what they are built with, or what a step
leaves behind.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from parity.faults import Fault
from parity.faults.verbs import Alter, built, corner, learner, replaced
from parity.layers import Array
from parity.recipe import Recipe

Gradients = Sequence[Any]
Change = Callable[[Any, Gradients], Gradients]


def _fault(name: str, cause: str, alter: Alter, check: str = "training") -> Fault:
    return Fault(name, "lstm", corners=alter, check=check, where="optimizer", cause=cause)


def _recipe(side: str, *optimizers: str, **changes: Any) -> Alter:
    """The learner of another recipe, where the optimizer is one of these, or of any."""

    def altered(made: Any, recipe: Recipe) -> Any:
        return made(replace(recipe, **changes) if recipe.optimizer in optimizers or not optimizers else recipe)

    return corner(side, "learner", altered)


def _scaled(side: str, what: str, factor: float) -> Alter:
    """The learner of a recipe in which a number is another one, where it is there at all."""

    def altered(made: Any, recipe: Recipe) -> Any:
        value = getattr(recipe, what)
        return made(replace(recipe, **{what: value and value * factor}))

    return corner(side, "learner", altered)


def _gradients(side: str, change: Change) -> Alter:
    """What a learner applies passes through `change(learner, gradients)`."""

    def plant(made: Any) -> None:
        replaced(made, "apply", lambda apply, gradients: apply(change(made, gradients)))

    return learner(side, plant)


def _behind(side: str, change: Callable[[Any], None]) -> Alter:
    """Behind each step, `change(learner)`."""

    def plant(made: Any) -> None:
        def altered(apply: Any, gradients: Gradients) -> None:
            apply(gradients)
            change(made)

        replaced(made, "apply", altered)

    return learner(side, plant)


def _option(*optimizers: str, **options: Any) -> Alter:
    """torch's optimizer with other options."""

    def plant(made: Any) -> None:
        if made.recipe.optimizer in optimizers:
            for group in made.optimizer.param_groups:
                group.update(options)

    return learner("torch", plant)


def _ahead(made: Any) -> None:
    """The first step is taken for the second, by the moments' corrections and by the rate."""
    made.steps = 1


Rule = Callable[..., None]


def _rule(rule: Rule, *optimizers: str) -> Alter:
    """TensorFlow's step by another rule: (recipe, rate, step, variable, gradient, *moments)."""

    def plant(made: Any) -> None:
        if made.recipe.optimizer in optimizers:
            made.apply = partial(_applied, made, rule)

    return learner("tensorflow", plant)


def _applied(made: Any, rule: Rule, gradients: Gradients) -> None:
    from parity.backends.optimizers.tensorflow import clipped

    made.steps += 1
    recipe = made.recipe
    given = gradients if recipe.clip is None else clipped(gradients, recipe.clip)
    for variable, gradient, *moments in zip(made.variables, given, *made.moments, strict=True):
        rule(recipe, recipe.rate_at(made.steps), made.steps, variable, gradient, *moments)


def _adam(root: Callable[[Recipe, Any, int], Any], correct: bool = True) -> Rule:
    """Adam, and AdamW, with another denominator `root(recipe, second moment, step)`."""

    def rule(recipe: Recipe, rate: float, step: int, variable: Any, gradient: Any, mean: Any, square: Any) -> None:
        if recipe.optimizer == "adamw":
            variable.assign((1 - rate * recipe.decay) * variable)
        elif recipe.decay:
            gradient = gradient + recipe.decay * variable
        mean.assign(recipe.momentum * mean + (1 - recipe.momentum) * gradient)
        square.assign(recipe.memory * square + (1 - recipe.memory) * gradient * gradient)
        first = 1 - recipe.momentum**step if correct else 1.0
        variable.assign_sub(rate / first * (mean / root(recipe, square, step)))

    return rule


def _inside(recipe: Recipe, square: Any, step: int) -> Any:
    return (square / (1 - recipe.memory**step) + recipe.epsilon**2) ** 0.5


def _hat(recipe: Recipe, square: Any, step: int) -> Any:
    """As Keras: epsilon is added before the correction."""
    return (square**0.5 + recipe.epsilon) / (1 - recipe.memory**step) ** 0.5


def _uncorrected(recipe: Recipe, square: Any, _: int) -> Any:
    return square**0.5 + recipe.epsilon


def _rmsprop(root: Callable[[Recipe, Any], Any]) -> Rule:
    def rule(recipe: Recipe, rate: float, _: int, variable: Any, gradient: Any, square: Any) -> None:
        gradient = gradient + recipe.decay * variable
        square.assign(recipe.memory * square + (1 - recipe.memory) * gradient * gradient)
        variable.assign_sub(rate * gradient / root(recipe, square))

    return rule


def _undecayed(recipe: Recipe, rate: float, step: int, variable: Any, *given: Any) -> None:
    """AdamW whose decay is not scaled by the rate."""
    variable.assign((1 - recipe.decay) * variable)
    _adam(lambda r, v, t: (v / (1 - r.memory**t)) ** 0.5 + r.epsilon)(
        replace(recipe, decay=0.0), rate, step, variable, *given
    )


def _rate_in_the_velocity(recipe: Recipe, rate: float, step: int, variable: Any, gradient: Any, velocity: Any) -> None:
    """As Keras: what the velocity gathered at the old rate still moves by it."""
    gradient = gradient + recipe.decay * variable
    before = recipe.rate_at(step - 1) / rate
    velocity.assign(recipe.momentum * before * velocity + gradient)
    variable.assign_sub(rate * velocity)


def _stock(name: str, options: Callable[[Recipe], dict[str, Any]], *optimizers: str) -> Alter:
    """One of Keras's own optimizers, with the recipe's constants and the frameworks' own clipping."""

    def plant(made: Any) -> None:
        if made.recipe.optimizer in optimizers:
            import keras

            from parity.backends.optimizers.tensorflow import clipped

            stock = getattr(keras.optimizers, name)(made.recipe.rate, **options(made.recipe))
            ours = [keras.Variable(variable.numpy(), dtype=variable.dtype.name) for variable in made.variables]

            def apply(gradients: Gradients) -> None:
                made.steps += 1
                recipe = made.recipe
                given = gradients if recipe.clip is None else clipped(gradients, recipe.clip)
                if recipe.optimizer != "adamw":
                    given = [g + recipe.decay * v for g, v in zip(given, made.variables, strict=True)]
                stock.learning_rate = recipe.rate_at(made.steps)
                stock.apply(list(given), ours)
                for variable, our in zip(made.variables, ours, strict=True):
                    variable.assign(our.value)
                for moment, of in zip(made.moments, _moments(stock, len(ours)), strict=True):
                    for kept, found in zip(moment, of, strict=True):
                        kept.assign(found.value)

            made.apply = apply

    return learner("tensorflow", plant)


def _moments(stock: Any, count: int) -> list[Any]:
    """The arrays of Keras's optimizer by moment; its first two variables are the count of steps and the rate."""
    slots = stock.variables[2:]
    if type(stock).__name__ in ("Adam", "AdamW"):
        return [slots[0::2], slots[1::2]]
    return [slots[:count]]


def _rows_first(made: Any) -> None:
    """As Keras: an embedding's gradient is squared row by row, before the rows of a repeated token are summed.

    Each second moment has, beforehand, what its rule will multiply by `memory`, so that it comes to that.
    """
    recipe, model, descend = made.recipe, made.descend.__self__, made.descend
    if recipe.optimizer not in ("adam", "adamw", "rmsprop"):
        return
    table, squares = model.module.trainable_weights.index(model.module.embedding.embeddings), [0.0]

    def descended(ids: Array, targets: Array) -> Any:
        import tensorflow as tf

        from parity.backends.precision.tensorflow import precision

        with precision(model.dtype), tf.GradientTape() as tape:
            loss = model._loss(ids, targets)
        rows = tape.gradient(loss, made.variables[table])
        squares[0] = tf.math.unsorted_segment_sum(rows.values**2, rows.indices, rows.dense_shape[0])
        return descend(ids, targets)

    def applied(apply: Any, gradients: Gradients) -> None:
        excess = squares[0] - gradients[table] ** 2
        made.moments[-1][table].assign_add((1 - recipe.memory) / recipe.memory * excess)
        apply(gradients)

    made.descend = descended
    replaced(made, "apply", applied)


def _clipped(side: str, clipped: Callable[[Gradients, float], Gradients]) -> Alter:
    """Gradients are clipped by `clipped(gradients, clip)`, and not once more."""

    def plant(made: Any) -> None:
        clip = made.recipe.clip
        if clip is not None:
            made.recipe = replace(made.recipe, clip=None)
            replaced(made, "apply", lambda apply, gradients: apply(clipped(gradients, clip)))

    return learner(side, plant)


def _to_norm(added: float = 0.0, twice: Sequence[int] = ()) -> Callable[[Gradients, float], Gradients]:
    """By the norm of all gradients, something added to it, or some gradients counted twice."""

    def clipped(gradients: Gradients, clip: float) -> Gradients:
        counted = [*gradients, *(gradients[place] for place in twice)]
        norm = sum((gradient**2).sum() for gradient in counted) ** 0.5 + added
        return [gradient * (clip / norm.clamp(min=clip)) for gradient in gradients]

    return clipped


def _each_alone(gradients: Gradients, clip: float) -> Gradients:
    import tensorflow as tf

    return [tf.clip_by_norm(gradient, clip) for gradient in gradients]


def _by_value(gradients: Gradients, clip: float) -> Gradients:
    return [gradient.clamp(-clip, clip) for gradient in gradients]


def _decayed_first(made: Any) -> None:
    """The gradient that is clipped has the decay in it."""
    recipe = made.recipe
    if recipe.optimizer != "adamw":
        made.optimizer.param_groups[0]["weight_decay"] = 0.0

        def decayed(apply: Any, gradients: Gradients) -> None:
            apply([g + recipe.decay * v.detach() for g, v in zip(gradients, made.variables, strict=True)])

        replaced(made, "apply", decayed)


def _summed(made: Any) -> None:
    """Micro-batches are summed."""

    def summed(step: Any, batches: Sequence[Any]) -> Array:
        made.micro = len(batches)
        found: Array = step(batches)
        return found

    replaced(made, "step", summed)
    replaced(made, "apply", lambda apply, gradients: apply([gradient * made.micro for gradient in gradients]))


def _unmoved(made: Any) -> None:
    """The last parameter's update is lost."""

    def altered(apply: Any, gradients: Gradients) -> None:
        before = made.variables[-1].detach().clone()
        apply(gradients)
        made.variables[-1].detach().copy_(before)

    replaced(made, "apply", altered)


def _rounded(dtype: str) -> Callable[[Any], None]:
    """Weights pass through a lower precision behind each step."""

    def change(made: Any) -> None:
        import torch

        for variable in made.variables:
            variable.detach().copy_(variable.detach().to(getattr(torch, dtype)).to(variable.dtype))

    return change


def _late(made: Any) -> None:
    """The rate changes a step late."""
    if made.recipe.drop is not None:
        made.recipe = replace(made.recipe, drop=made.recipe.drop + 1)


def _two_biases(model: Any) -> None:
    """As torch's LSTM comes: each bias has the right gradient, and their sum moves twice as fast."""
    model.lstm.bias_hh_l0.requires_grad_(True)


def _by_the_process(change: Callable[[Any, np.random.Generator], None]) -> Alter:
    """The learners of the models built in this process draw by its own number, which no seed decides."""

    def plant(model: Any) -> None:
        random = np.random.default_rng(os.getpid())
        replaced(model, "learner", lambda made, recipe: _with(made(recipe), random))

    def _with(made: Any, random: np.random.Generator) -> Any:
        change(made, random)
        return made

    return built("torch", plant)


def _noise(made: Any, random: np.random.Generator) -> None:
    replaced(made, "apply", lambda apply, gradients: apply([g * (1 + 1e-6 * random.normal()) for g in gradients]))


def _bits(made: Any, random: np.random.Generator) -> None:
    """The last bit of a loss, as of a sum in no fixed order."""
    replaced(made, "step", lambda step, batches: np.nextafter(step(batches), np.float32(random.choice([0, 99]))))


ADAMS = ("adam", "adamw")

FAULTS: tuple[Fault, ...] = (
    # epsilon
    _fault("epsilon ten times as large", "epsilon", _scaled("tensorflow", "epsilon", 10.0)),
    _fault("rmsprop's epsilon 1e-3", "epsilon", _recipe("torch", "rmsprop", epsilon=1e-3)),
    _fault("adam's epsilon inside the root", "epsilon placement", _rule(_adam(_inside), *ADAMS)),
    _fault("adam's epsilon before the correction", "epsilon placement", _rule(_adam(_hat), *ADAMS)),
    _fault(
        "rmsprop's epsilon inside the root",
        "epsilon placement",
        _rule(_rmsprop(lambda recipe, square: (square + recipe.epsilon) ** 0.5), "rmsprop"),
    ),
    # step count
    _fault("adam without correction", "step count", _rule(_adam(_uncorrected, correct=False), *ADAMS)),
    _fault("steps counted from 2", "step count", learner("tensorflow", _ahead)),
    # memory and momentum
    _fault("adam's second beta 0.99", "memory", _recipe("tensorflow", *ADAMS, memory=0.99)),
    _fault("rmsprop's memory 0.95", "memory", _recipe("tensorflow", "rmsprop", memory=0.95)),
    _fault("amsgrad", "memory", _option(*ADAMS, amsgrad=True)),
    _fault("rmsprop centered", "memory", _option("rmsprop", centered=True)),
    _fault("adam's first beta 0.8", "momentum", _recipe("tensorflow", *ADAMS, momentum=0.8)),
    _fault("momentum 0.95", "momentum", _recipe("torch", "momentum", "nesterov", momentum=0.95)),
    _fault("nesterov missing", "momentum", _recipe("torch", "nesterov", optimizer="momentum")),
    _fault("nesterov unasked", "momentum", _recipe("tensorflow", "momentum", optimizer="nesterov")),
    _fault("dampening", "momentum", _option("momentum", dampening=0.9)),
    # decay
    _fault("adamw's decay in the gradient", "decay form", _recipe("torch", "adamw", optimizer="adam")),
    _fault("adam's decay beside the gradient", "decay form", _recipe("tensorflow", "adam", optimizer="adamw")),
    _fault("decay missing", "decay form", _recipe("tensorflow", decay=0.0)),
    _fault("decay of 0.4 times", "decay form", _scaled("tensorflow", "decay", 0.4)),
    _fault("decay doubled", "decay form", _scaled("torch", "decay", 2.0)),
    _fault("decay before clipping", "decay form", learner("torch", _decayed_first)),
    _fault("adamw's decay not scaled by the rate", "decay form", _rule(_undecayed, "adamw")),
    # clipping
    _fault("clipping missing", "clipping", _recipe("torch", clip=None)),
    _fault("a millionth added to the norm that clips", "clipping", _clipped("torch", _to_norm(added=1e-6))),
    _fault("each gradient clipped by itself", "clipping", _clipped("tensorflow", _each_alone)),
    _fault("gradients clipped by value", "clipping", _clipped("torch", _by_value)),
    _fault("a bias twice in the norm that clips", "clipping", _clipped("torch", _to_norm(twice=(3,)))),
    # gradients
    _fault("micro-batches summed", "accumulation", learner("torch", _summed)),
    _fault("gradients times 8", "gradient scaled", _gradients("torch", lambda _, given: [g * 8 for g in given])),
    # rate
    _fault("the rate a millionth higher", "rate", _scaled("torch", "rate", 1 + 1e-6)),
    _fault("the rate changes a step late", "rate", learner("torch", _late)),
    _fault("the rate does not change", "rate", _recipe("tensorflow", drop=None)),
    _fault("the rate in the velocity", "rate", _rule(_rate_in_the_velocity, "momentum")),
    # what moves
    _fault("repeated rows squared first", "sparse rows", learner("tensorflow", _rows_first)),
    Fault(
        "both of torch's biases trained",
        "lstm",
        torch=_two_biases,
        check="training",
        where="optimizer",
        cause="two biases",
    ),
    _fault("a parameter left behind", "weights not copied", learner("torch", _unmoved)),
    _fault("weights rounded to float32", "weights rounded", _behind("torch", _rounded("float32"))),
    _fault("weights rounded to bfloat16", "weights rounded", _behind("torch", _rounded("bfloat16"))),
    # Keras's own
    _fault(
        "Keras's own Adam",
        "epsilon placement",
        _stock("Adam", lambda r: {"beta_1": r.momentum, "beta_2": r.memory, "epsilon": r.epsilon}, "adam"),
    ),
    _fault(
        "Keras's own AdamW",
        "epsilon placement",
        _stock(
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
        _stock("RMSprop", lambda r: {"rho": r.memory, "epsilon": r.epsilon}, "rmsprop"),
    ),
    _fault("Keras's own SGD", "rate", _stock("SGD", lambda r: {"momentum": r.momentum}, "momentum")),
    # seeds
    _fault("noise in the gradients that no seed decides", "seed", _by_the_process(_noise), "determinism"),
    _fault("a bit of the loss that no seed decides", "seed", _by_the_process(_bits), "determinism"),
)
