"""Other rules of an optimizer's step: denominators, decays, clippings, and Keras's own optimizers in parity's place.

parity's trainers have torch's formulas on both sides (`parity.canonical.optimizers`), since no constants make stock
ones agree. A rule changes a variable and its moments in place, once a step.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from parity.canonical.optimizers import Recipe
from parity.dtypes import Array, Tensor, Variable
from parity.selftest.faults.inject_stages import Alter, replaced, trainer

Gradients = Sequence[Any]  # of one step, a tensor each variable
Rule = Callable[..., None]  # changes a variable and its moments in place: see `by_rule`


def by_rule(rule: Rule, *optimizers: str) -> Alter:
    """Keras's step by another rule: (recipe, rate, step, variable, gradient, *moments)."""

    def plant(trainer: Any) -> None:
        if trainer.recipe.optimizer in optimizers:
            trainer.apply = partial(_applied, trainer, rule)

    return trainer("keras", plant)


def _applied(trainer: Any, rule: Rule, gradients: Gradients) -> None:
    """One step of a trainer by another rule: counted, clipped, and applied to each variable with its moments."""
    from parity.backends.keras.training import clipped

    trainer.steps += 1
    recipe = trainer.recipe
    gradients_used = gradients if recipe.clip is None else clipped([*gradients], recipe.clip)
    for variable, gradient, *moments in zip(trainer.variables, gradients_used, *trainer.moments, strict=True):
        rule(recipe, recipe.rate_at(trainer.steps), trainer.steps, variable, gradient, *moments)


def adam(root: Callable[[Recipe, Any, int], Any], correct: bool = True) -> Rule:
    """Adam, and AdamW, with another denominator `root(recipe, second moment, step)`."""

    def rule(
        recipe: Recipe, rate: float, step: int, variable: Variable, gradient: Tensor, mean: Tensor, square: Tensor
    ) -> None:
        if recipe.optimizer == "adamw":
            variable.assign((1 - rate * recipe.decay) * variable)
        elif recipe.decay:
            gradient = gradient + recipe.decay * variable
        mean.assign(recipe.momentum * mean + (1 - recipe.momentum) * gradient)
        square.assign(recipe.memory * square + (1 - recipe.memory) * gradient * gradient)
        first = 1 - recipe.momentum**step if correct else 1.0
        variable.assign_sub(rate / first * (mean / root(recipe, square, step)))

    return rule


def inside(recipe: Recipe, square: Tensor, step: int) -> Tensor:
    """Adam's denominator with epsilon's square under the root."""
    return (square / (1 - recipe.memory**step) + recipe.epsilon**2) ** 0.5


def hat(recipe: Recipe, square: Tensor, step: int) -> Tensor:
    """As Keras: epsilon is added before the correction."""
    return (square**0.5 + recipe.epsilon) / (1 - recipe.memory**step) ** 0.5


def uncorrected(recipe: Recipe, square: Tensor, _: int) -> Tensor:
    """Adam's denominator without the correction of the second moment."""
    return square**0.5 + recipe.epsilon


def rmsprop(root: Callable[[Recipe, Any], Any]) -> Rule:
    """RMSprop with another denominator `root(recipe, second moment)`."""

    def rule(recipe: Recipe, rate: float, _: int, variable: Variable, gradient: Tensor, square: Tensor) -> None:
        gradient = gradient + recipe.decay * variable
        square.assign(recipe.memory * square + (1 - recipe.memory) * gradient * gradient)
        variable.assign_sub(rate * gradient / root(recipe, square))

    return rule


def undecayed(recipe: Recipe, rate: float, step: int, variable: Variable, *state: Any) -> None:
    """AdamW whose decay is not scaled by the rate."""
    variable.assign((1 - recipe.decay) * variable)
    adam(lambda r, v, t: (v / (1 - r.memory**t)) ** 0.5 + r.epsilon)(
        replace(recipe, decay=0.0), rate, step, variable, *state
    )


def rate_in_the_velocity(
    recipe: Recipe, rate: float, step: int, variable: Variable, gradient: Tensor, velocity: Tensor
) -> None:
    """As Keras: what the velocity gathered at the old rate still moves by it."""
    gradient = gradient + recipe.decay * variable
    before = recipe.rate_at(step - 1) / rate
    velocity.assign(recipe.momentum * before * velocity + gradient)
    variable.assign_sub(rate * velocity)


def clipped_by(side: str, clipped: Callable[[Gradients, float], Gradients]) -> Alter:
    """Gradients are clipped by `clipped(gradients, clip)`, and not once more."""

    def plant(trainer: Any) -> None:
        clip = trainer.recipe.clip
        if clip is not None:
            trainer.recipe = replace(trainer.recipe, clip=None)
            replaced(trainer, "apply", lambda apply, gradients: apply(clipped(gradients, clip)))

    return trainer(side, plant)


def to_norm(added: float = 0.0, twice: Sequence[int] = ()) -> Callable[[Gradients, float], Gradients]:
    """By the norm of all gradients, something added to it, or some gradients counted twice."""

    def clipped(gradients: Gradients, clip: float) -> Gradients:
        counted = [*gradients, *(gradients[place] for place in twice)]
        norm = sum((gradient**2).sum() for gradient in counted) ** 0.5 + added
        return [gradient * (clip / norm.clamp(min=clip)) for gradient in gradients]

    return clipped


def each_alone(gradients: Gradients, clip: float) -> Gradients:
    """By each gradient's own norm, as Keras's clipnorm=."""
    from keras import ops

    return [gradient * (clip / ops.maximum(ops.norm(ops.reshape(gradient, -1)), clip)) for gradient in gradients]


def by_value(gradients: Gradients, clip: float) -> Gradients:
    """Each element to between -clip and clip, as Keras's clipvalue= and torch's clip_grad_value_."""
    return [gradient.clamp(-clip, clip) for gradient in gradients]


def decayed_first(trainer: Any) -> None:
    """The gradient that is clipped has the decay in it."""
    recipe = trainer.recipe
    if recipe.optimizer != "adamw":
        trainer.optimizer.param_groups[0]["weight_decay"] = 0.0

        def decayed(apply: Callable[..., Any], gradients: Gradients) -> None:
            apply([g + recipe.decay * v.detach() for g, v in zip(gradients, trainer.variables, strict=True)])

        replaced(trainer, "apply", decayed)


def stock(name: str, options: Callable[[Recipe], dict[str, Any]], *optimizers: str) -> Alter:
    """One of Keras's own optimizers, with the recipe's constants and the frameworks' own clipping.

    It steps copies of the variables, and both are set to the same behind each step: the trainer's are compared, and its
    moments too.
    """

    def plant(trainer: Any) -> None:
        if trainer.recipe.optimizer in optimizers:
            import keras

            from parity.backends.keras.training import clipped

            stock = getattr(keras.optimizers, name)(trainer.recipe.rate, **options(trainer.recipe))
            ours = [
                keras.Variable(variable, dtype=keras.backend.standardize_dtype(variable.dtype))
                for variable in trainer.variables
            ]

            def apply(gradients: Gradients) -> None:
                trainer.steps += 1
                recipe = trainer.recipe
                gradients_used = gradients if recipe.clip is None else clipped([*gradients], recipe.clip)
                if recipe.optimizer != "adamw":  # Keras has every decay beside the gradient, torch that of AdamW alone
                    gradients_used = [
                        g + recipe.decay * v for g, v in zip(gradients_used, trainer.variables, strict=True)
                    ]
                stock.learning_rate = recipe.rate_at(trainer.steps)
                stock.apply(list(gradients_used), ours)
                for variable, our in zip(trainer.variables, ours, strict=True):
                    variable.assign(our.value)
                for moment, of in zip(trainer.moments, _moments(stock, len(ours)), strict=True):
                    for slot, value in zip(moment, of, strict=True):
                        slot.assign(value.value)

            trainer.apply = apply

    return trainer("keras", plant)


def _moments(stock: Any, count: int) -> list[Any]:
    """The arrays of Keras's optimizer by moment; its first two variables are the count of steps and the rate."""
    slots = stock.variables[2:]
    if type(stock).__name__ in ("Adam", "AdamW"):
        return [slots[0::2], slots[1::2]]
    return [slots[:count]]


def rows_first(trainer: Any) -> None:
    """As Keras: an embedding's gradient is squared row by row, before the rows of a repeated token are summed.

    Each second moment has, beforehand, what its rule will multiply by `memory`, so that it comes to that. Where decay
    is in the gradient nothing is altered: Keras has it beside, and with it the moment would come to less than nothing.
    """
    recipe, model, descend = trainer.recipe, trainer.loss_and_gradients.__self__, trainer.loss_and_gradients
    if recipe.optimizer not in ("adam", "adamw", "rmsprop") or (recipe.decay and recipe.optimizer != "adamw"):
        return
    table, squares = model.module.trainable_weights.index(model.module.embedding.embeddings), [0.0]

    def descended(ids: Array, targets: Array) -> Any:
        import tensorflow as tf

        from parity.backends.tensorflow.precision import precision

        with precision(model.dtype), tf.GradientTape() as tape:
            loss = model._loss(ids, targets)
        rows = tape.gradient(loss, trainer.variables[table])
        squares[0] = tf.math.unsorted_segment_sum(rows.values**2, rows.indices, rows.dense_shape[0])
        return descend(ids, targets)

    def applied(apply: Callable[..., Any], gradients: Gradients) -> None:
        excess = squares[0] - gradients[table] ** 2
        if recipe.clip is not None:  # the rule squares what is clipped
            norm = float(sum((gradient.numpy() ** 2).sum() for gradient in gradients)) ** 0.5
            excess = excess * (recipe.clip / max(norm, recipe.clip)) ** 2
        trainer.moments[-1][table].assign_add((1 - recipe.memory) / recipe.memory * excess)
        apply(gradients)

    trainer.loss_and_gradients = descended
    replaced(trainer, "apply", applied)
