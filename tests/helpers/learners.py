"""Learners with a fault: each is an `alter(made, recipe)` of the trainer that `made` makes of a recipe."""

from dataclasses import replace


def as_if(**changes):
    """The trainer of another recipe."""
    return lambda made, recipe: made(replace(recipe, **changes))


def decaying(factor):
    return lambda made, recipe: made(replace(recipe, decay=recipe.decay * factor))


def learner_with(alter):
    def made_with(made, recipe):
        trainer = made(recipe)
        alter(trainer)
        return trainer

    return made_with


def option(**options):
    return learner_with(lambda trainer: trainer.optimizer.param_groups[0].update(options))


def through(change):
    """A trainer whose gradients pass through `change(trainer, gradients)`."""

    def alter(trainer):
        apply = trainer.apply
        trainer.apply = lambda gradients: apply(change(trainer, gradients))

    return learner_with(alter)


def instead_of_clipping(change):
    """The same, but for a recipe's own clipping."""

    def alter(made, recipe):
        return through(lambda _, gradients: change(recipe.clip, gradients))(made, replace(recipe, clip=None))

    return alter


def behind(change):
    """A trainer whose variables are `change(variables before, after)` behind each step."""

    def alter(trainer):
        apply = trainer.apply

        def changed(gradients):
            before = [variable.numpy() for variable in trainer.variables]
            apply(gradients)
            for variable, array in zip(trainer.variables, change(before, trainer.variables), strict=True):
                variable.assign(array)

        trainer.apply = changed

    return learner_with(alter)


def in_bfloat16(_, after):
    import tensorflow as tf

    return [tf.cast(tf.cast(variable, tf.bfloat16), variable.dtype) for variable in after]


def one_step_ahead(trainer):
    trainer.steps = 1


def millionth(clip, gradients):
    import torch

    norm = torch.cat([g.flatten() for g in gradients]).norm()
    return [g * torch.clamp(clip / (norm + 1e-6), max=1.0) for g in gradients]


def by_themselves(clip, gradients):
    import tensorflow as tf

    return [tf.clip_by_norm(g, clip) for g in gradients]


def by_value(clip, gradients):
    import tensorflow as tf

    return [tf.clip_by_value(g, -clip, clip) for g in gradients]


def bias_twice(clip, gradients):
    """The norm of a model whose second bias is trained, too, in which it is not."""
    import torch

    (bias,) = (g for g in gradients if g.shape == (512,))
    norm = torch.cat([g.flatten() for g in (*gradients, bias)]).norm()
    return [g * (clip / norm.clamp(min=clip)) for g in gradients]


def summed(made, recipe):
    trainer = made(recipe)
    step, apply = trainer.step, trainer.apply

    def counting(batches):
        trainer.apply = lambda gradients: apply([g * len(batches) for g in gradients])
        return step(batches)

    trainer.step = counting
    return trainer


def stock(name, **constants):
    """One of Keras's own optimizers, as it comes."""

    def alter(made, recipe):
        import keras

        from parity.backends.keras.training import clipped
        from parity.backends.tensorflow import precision

        trainer = made(recipe)
        optimizer = getattr(keras.optimizers, name)(recipe.rate, **constants)
        ours = [keras.Variable(variable.numpy(), dtype=variable.dtype.name) for variable in trainer.variables]

        def apply(gradients):
            trainer.steps += 1
            given = gradients if recipe.clip is None else clipped([*gradients], recipe.clip)
            given = [g + recipe.decay * v for g, v in zip(given, trainer.variables, strict=True)]
            with precision(ours[0].dtype):
                optimizer.learning_rate = recipe.rate_at(trainer.steps)
                optimizer.apply(given, ours)
            for variable, our in zip(trainer.variables, ours, strict=True):
                variable.assign(our.value)

        trainer.apply = apply
        return trainer

    return alter


def rows_squared_first(made, recipe):
    """As Keras: an embedding's gradient is squared row by row, before the rows of a repeated token are summed."""
    import tensorflow as tf

    from parity.backends.tensorflow import precision

    trainer, model = made(recipe), made.__self__
    apply, table = trainer.apply, model.module.trainable_weights.index(model.module.embedding.embeddings)

    def descend(ids, targets):
        with precision(model.dtype), tf.GradientTape() as tape:
            loss = model._loss(ids, targets)
        found = tape.gradient(loss, trainer.variables)
        rows = found[table]
        trainer.squares = tf.math.unsorted_segment_sum(rows.values**2, rows.indices, rows.dense_shape[0])
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]

    def wrong(gradients):
        # What the rule will multiply by `memory`, so that it comes to the squares of the rows.
        excess = trainer.squares - gradients[table] ** 2
        trainer.moments[1][table].assign_add((1 - recipe.memory) / recipe.memory * excess)
        apply(gradients)

    trainer.loss_and_gradients, trainer.apply = descend, wrong
    return trainer
