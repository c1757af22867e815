"""Trainings that diverge at a recipe's rate: equal models agree at a lower one, and a fault is still caught there."""

from dataclasses import replace

import numpy as np
import pytest

from parity import Pair, strategies
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import Weights
from parity.checks import training
from parity.pair.models import PairModels

STEEP = 4  # times what an exponential takes, so that a step at a rate of 0.1 makes it overflow
EXAMPLE = training.Training(Weights(0, 1.0), ((0,), (1,)), Recipe("sgd", 0.1), 2, 2)


def torch_boxes():
    import torch
    from torch import nn

    class Boxes(nn.Module):
        def __init__(self):
            super().__init__()
            self.corners = nn.Linear(7, 6)

        def forward(self, x):
            centre, size = self.corners(x).split([3, 3], -1)
            size = torch.exp(STEEP * size)
            low = centre - size / 2
            return torch.cat([low, low + size], -1)  # infinity - infinity, once the size overflows

    return Boxes()


def keras_boxes():
    import keras
    from keras import ops

    class Boxes(keras.Model):
        def __init__(self):
            super().__init__()
            self.corners = keras.layers.Dense(6)

        def call(self, x):
            y = self.corners(x)
            centre, size = y[:, :3], ops.exp(STEEP * y[:, 3:])
            return ops.concatenate([centre - size / 2, centre + size / 2], -1)

    return Boxes()


@pytest.fixture(scope="module")
def boxes():
    return PairModels(Pair("boxes", torch_boxes, keras_boxes, inputs=strategies.arrays(7)))


def test_a_rate_at_which_both_sides_diverge_is_lowered(boxes):
    verdicts = training.verify(boxes, EXAMPLE)
    lowered, trained = training.steady(boxes, EXAMPLE)

    assert not any(verdict.fails for verdict in verdicts)
    assert lowered.recipe.rate < EXAMPLE.recipe.rate
    assert all(np.isfinite(square.reference).all() for square in trained.squares["change"].values())


def test_a_rate_at_which_the_training_stays_is_the_examples(corners):
    example = replace(EXAMPLE, rows=((5, 6, 5), (7, 8, 8)))

    assert training.steady(corners, example)[0] == example


def test_a_fault_shows_at_the_lowered_rate(boxes, monkeypatch):
    model = boxes.models["tensorflow", "float64"]
    trainer = model.trainer

    def scaled(recipe):
        learner = trainer(recipe)
        apply = learner.apply
        learner.apply = lambda gradients: apply([1.01 * gradient for gradient in gradients])
        return learner

    monkeypatch.setattr(model, "trainer", scaled)

    assert any(verdict.fails for verdict in training.verify(boxes, EXAMPLE))


def test_one_side_that_diverges_is_judged_at_the_examples_rate(boxes, monkeypatch):
    model = boxes.models["tensorflow", "float64"]
    example = replace(EXAMPLE, recipe=Recipe("sgd", 1e-6))
    trainer = model.trainer
    monkeypatch.setattr(model, "trainer", lambda recipe: trainer(replace(recipe, rate=recipe.rate * 1e5)))

    assert training.steady(boxes, example)[0] == example
    assert any(verdict.fails for verdict in training.verify(boxes, example))
