"""Each optimizer follows its formula on both sides, computed anew in NumPy."""

from itertools import chain

import numpy as np
import pytest

from parity import backends
from parity.backends import SIDES
from parity.canonical.optimizers import MOMENTS, Recipe
from parity.dtypes import EPS

RECIPES = {
    "sgd": Recipe("sgd", 0.1),
    "sgd with decay": Recipe("sgd", 0.1, decay=0.03),
    "momentum": Recipe("momentum", 0.05),
    "momentum, a tenth of the rate": Recipe("momentum", 0.05, drop=3),
    "nesterov": Recipe("nesterov", 0.05, decay=0.03, drop=3),
    "rmsprop": Recipe("rmsprop", 0.01, memory=0.9),
    "rmsprop with a large epsilon": Recipe("rmsprop", 0.01, memory=0.99, epsilon=0.1, decay=0.03),
    "adam": Recipe("adam", 0.01),
    "adam with a large epsilon": Recipe("adam", 0.01, momentum=0.8, memory=0.95, epsilon=0.1, decay=0.03, drop=4),
    "adamw": Recipe("adamw", 0.01, decay=0.03),
    "clipped": Recipe("momentum", 0.05, clip=1.0),
    "hardly clipped": Recipe("adam", 0.01, clip=1e6),
}
SHAPES = ((3, 2), (5,))


def by_formula(recipe, weights, steps):
    """The weights and the state after steps of micro-batches of gradients, in NumPy's float64."""
    w = [a.copy() for a in weights]
    u, m, v = ([np.zeros_like(a) for a in weights] for _ in range(3))
    for t, parts in enumerate(steps, 1):
        rate = recipe.rate / 10 if recipe.drop and t >= recipe.drop else recipe.rate
        gradients = [np.mean(column, 0) for column in zip(*parts, strict=True)]
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        for i, g in enumerate(gradients):
            g = g * min(1.0, recipe.clip / norm) if recipe.clip else g
            if recipe.optimizer == "adamw":
                w[i] -= rate * recipe.decay * w[i]
            else:
                g = g + recipe.decay * w[i]
            u[i] = recipe.momentum * u[i] + g
            m[i] = recipe.momentum * m[i] + (1 - recipe.momentum) * g
            v[i] = recipe.memory * v[i] + (1 - recipe.memory) * g**2
            first, second = m[i] / (1 - recipe.momentum**t), v[i] / (1 - recipe.memory**t)
            w[i] -= (
                rate
                * {
                    "sgd": g,
                    "momentum": u[i],
                    "nesterov": g + recipe.momentum * u[i],
                    "rmsprop": g / (np.sqrt(v[i]) + recipe.epsilon),
                    "adam": first / (np.sqrt(second) + recipe.epsilon),
                    "adamw": first / (np.sqrt(second) + recipe.epsilon),
                }[recipe.optimizer]
            )
    kept = {"velocity": u, "first moment": m, "second moment": v}
    return w, {moment: kept[moment] for moment in MOMENTS[recipe.optimizer]}


def learned(side, recipe, weights, steps):
    """The same by a backend's trainer, whose model is just its weights."""
    if side == "torch":
        import torch

        from parity.backends.torch.training import Trainer

        variables = [torch.tensor(a, requires_grad=True) for a in weights]
        tensor = torch.tensor
    else:
        import tensorflow as tf

        from parity.backends.keras.training import Trainer

        variables = [tf.Variable(a) for a in weights]
        tensor = tf.constant

    def named(tensors):
        return {str(i): t.numpy() for i, t in enumerate(tensors)}

    called = {str(i): variable for i, variable in enumerate(variables)}
    trainer = Trainer(recipe, called, lambda ids, _: (tensor(ids[0].sum()), list(map(tensor, ids))), named)
    losses = [trainer.step([(part, None) for part in parts]) for parts in steps]
    state = {moment: list(arrays.values()) for moment, arrays in trainer.state().items()}
    return [v.detach().numpy() if side == "torch" else v.numpy() for v in variables], state, losses


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", RECIPES)
def test_it_follows_the_formula(name, side):
    """Weights, state and losses after 20 steps of two micro-batches, to the last digits of float64."""
    backends.load()
    random = np.random.default_rng(7)
    weights = [random.normal(size=shape) for shape in SHAPES]
    steps = [[[random.normal(size=shape) for shape in SHAPES] for _ in range(2)] for _ in range(20)]
    expected, kept = by_formula(RECIPES[name], weights, steps)
    found, state, losses = learned(side, RECIPES[name], weights, steps)

    assert list(state) == list(kept)
    wanted, given = chain(expected, *kept.values()), chain(found, *state.values())
    for ours, theirs in zip(wanted, given, strict=True):
        assert theirs.dtype == np.float64
        assert np.abs(ours - theirs).max() <= 64 * EPS["float64"] * max(1, np.abs(ours).max())
    means = [np.mean([part[0].sum() for part in parts]) for parts in steps]
    assert np.abs(np.array(losses) - means).max() <= 64 * EPS["float64"] * np.abs(means).max()
