"""Learners with a fault: each is an `alter(made, recipe)` of the learner that `made` makes of a recipe."""

from dataclasses import replace


def as_if(**changes):
    """The learner of another recipe."""
    return lambda made, recipe: made(replace(recipe, **changes))


def decaying(factor):
    return lambda made, recipe: made(replace(recipe, decay=recipe.decay * factor))


def learner_with(alter):
    def made_with(made, recipe):
        learner = made(recipe)
        alter(learner)
        return learner

    return made_with


def option(**options):
    return learner_with(lambda learner: learner.optimizer.param_groups[0].update(options))


def through(change):
    """A learner whose gradients pass through `change(learner, gradients)`."""

    def alter(learner):
        apply = learner.apply
        learner.apply = lambda gradients: apply(change(learner, gradients))

    return learner_with(alter)


def instead_of_clipping(change):
    """The same, but for a recipe's own clipping."""

    def alter(made, recipe):
        return through(lambda _, gradients: change(recipe.clip, gradients))(made, replace(recipe, clip=None))

    return alter


def behind(change):
    """A learner whose variables are `change(variables before, after)` behind each step."""

    def alter(learner):
        apply = learner.apply

        def changed(gradients):
            before = [variable.numpy() for variable in learner.variables]
            apply(gradients)
            for variable, array in zip(learner.variables, change(before, learner.variables), strict=True):
                variable.assign(array)

        learner.apply = changed

    return learner_with(alter)


def in_bfloat16(_, after):
    import tensorflow as tf

    return [tf.cast(tf.cast(variable, tf.bfloat16), variable.dtype) for variable in after]


def one_step_ahead(learner):
    learner.steps = 1


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
    learner = made(recipe)
    step, apply = learner.step, learner.apply

    def counting(batches):
        learner.apply = lambda gradients: apply([g * len(batches) for g in gradients])
        return step(batches)

    learner.step = counting
    return learner


def stock(name, **constants):
    """One of Keras's own optimizers, as it comes."""

    def alter(made, recipe):
        import keras

        from parity.backends.tensorflow import precision
        from parity.backends.tensorflow.training import clipped

        learner = made(recipe)
        optimizer = getattr(keras.optimizers, name)(recipe.rate, **constants)
        ours = [keras.Variable(variable.numpy(), dtype=variable.dtype.name) for variable in learner.variables]

        def apply(gradients):
            learner.steps += 1
            given = gradients if recipe.clip is None else clipped([*gradients], recipe.clip)
            given = [g + recipe.decay * v for g, v in zip(given, learner.variables, strict=True)]
            with precision(ours[0].dtype):
                optimizer.learning_rate = recipe.rate_at(learner.steps)
                optimizer.apply(given, ours)
            for variable, our in zip(learner.variables, ours, strict=True):
                variable.assign(our.value)

        learner.apply = apply
        return learner

    return alter


def rows_squared_first(made, recipe):
    """As Keras: an embedding's gradient is squared row by row, before the rows of a repeated token are summed."""
    import tensorflow as tf

    from parity.backends.tensorflow import precision

    learner, model = made(recipe), made.__self__
    apply, table = learner.apply, model.module.trainable_weights.index(model.module.embedding.embeddings)

    def descend(ids, targets):
        with precision(model.dtype), tf.GradientTape() as tape:
            loss = model._loss(ids, targets)
        found = tape.gradient(loss, learner.variables)
        rows = found[table]
        learner.squares = tf.math.unsorted_segment_sum(rows.values**2, rows.indices, rows.dense_shape[0])
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]

    def wrong(gradients):
        # What the rule will multiply by `memory`, so that it comes to the squares of the rows.
        excess = learner.squares - gradients[table] ** 2
        learner.moments[1][table].assign_add((1 - recipe.memory) / recipe.memory * excess)
        apply(gradients)

    learner.descend, learner.apply = descend, wrong
    return learner
