"""Training: every optimizer agrees on the clean pair, and what is wrong with one side's trainer is caught."""

from dataclasses import replace

import pytest

from benchmarks import training as measured
from parity import strategies
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import Weights
from parity.checks import gradients, runner, training
from parity.compare.judge import MAX_NOISE_RATIO
from parity.strategies import Case
from tests.helpers.learners import rows_squared_first

PLAIN = training.Training(
    Weights(5, 1.0),
    rows=((5, 6, 7, 7, 7, 5, 9), (8, 3, 7, 7), (9, 9, 9, 12, 13, 14)),
    recipe=Recipe("sgd", 0.1),
    steps=3,
    micro=2,
)


def failing(corners, recipe, **changes):
    """The messages of what the check finds in one training."""
    verdicts = training.verify(corners, replace(PLAIN, recipe=recipe, **changes))
    assert sum(verdict.elements for verdict in verdicts) > 10**5
    return [verdict.message for verdict in verdicts if verdict.fails]


@pytest.mark.parametrize("optimizer", strategies.RATES)
def test_every_optimizer_agrees_on_the_clean_pair(optimizer, corners):
    """Everything on at once, over steps that follow one another."""
    recipe = Recipe(optimizer, strategies.RATES[optimizer][1], decay=0.01, clip=0.5, drop=2)

    assert failing(corners, recipe, steps=10) == []


def test_a_training_judges_losses_weights_and_state(corners):
    verdicts = training.verify(corners, replace(PLAIN, recipe=Recipe("adam", 0.01)))
    subjects = [verdict.subject for verdict in verdicts]

    assert subjects[0] == "losses before 3 steps of adam"
    for what in ("change", "first moment", "second moment"):
        assert f"{what} of embedding.table after 3 steps of adam" in subjects
    assert len(subjects) == 1 + 3 * len(corners.layout)
    assert verdicts[0].elements == 3


def test_the_next_check_starts_from_its_own_weights(corners):
    corners.load(PLAIN.weights)
    model = corners.models["tensorflow", "float32"]
    before = model.read()
    training.verify(corners, PLAIN)
    corners.ensure(PLAIN.weights)

    assert all((array == before[name]).all() for name, array in model.read().items())


def test_a_lower_precision_takes_no_part(corners):
    square = corners.train(PLAIN.weights, PLAIN.recipe, PLAIN.batches(corners)).squares["losses"][""]

    assert list(square.rows) == ["float64", "float32"]


# Faults: each is planted in one side's trainer, and nothing but the check of trained weights sees it.


@pytest.fixture
def planted(corners):
    """Let a side's learners pass through `alter`; undone behind the test."""
    with pytest.MonkeyPatch.context() as patch:

        def plant(side, alter):
            for corner, model in corners.models.items():
                if corner[0] == side:
                    patch.setattr(model, "trainer", lambda recipe, made=model.trainer: alter(made, recipe))
            return corners

        yield plant


def as_if(**changes):
    """The trainer of another recipe."""
    return lambda made, recipe: made(replace(recipe, **changes))


def dampened(made, recipe):
    trainer = made(recipe)
    trainer.optimizer.param_groups[0]["dampening"] = 0.9
    return trainer


def one_step_ahead(made, recipe):
    trainer = made(recipe)
    trainer.steps = 1
    return trainer


def through(change):
    """A trainer whose mean gradients pass through `change(trainer, gradients)`."""

    def alter(made, recipe):
        trainer = made(recipe)
        apply = trainer.apply
        trainer.apply = lambda gradients: apply(change(trainer, gradients))
        return trainer

    return alter


def each_by_itself(trainer, gradients):
    import tensorflow as tf

    return [tf.clip_by_norm(g, trainer.recipe.clip) for g in gradients]


def with_a_millionth(trainer, gradients):
    """torch's own clipping, before which ours has nothing left to do."""
    import torch

    norm = torch.cat([g.flatten() for g in gradients]).norm()
    return [g * (trainer.recipe.clip / (norm + 1e-6)) for g in gradients]


def rate_in_the_velocity(made, recipe):
    """As Keras: what the velocity gathered at the old rate still moves by it."""
    trainer = made(recipe)
    apply = trainer.apply

    def late(gradients):
        if trainer.steps + 1 == recipe.drop:
            for velocity in trainer.moments[0]:
                velocity.assign(velocity * 10)
        apply(gradients)

    trainer.apply = late
    return trainer


FAULTS = {
    "nesterov missing": ("torch", Recipe("nesterov", 0.01), as_if(optimizer="momentum")),
    "dampening": ("torch", Recipe("momentum", 0.01), dampened),
    "second beta": ("tensorflow", Recipe("adam", 0.001), as_if(memory=0.99)),
    "RMSprop's memory": ("tensorflow", Recipe("rmsprop", 0.001, memory=0.99), as_if(memory=0.9)),
    "epsilon": ("tensorflow", Recipe("adam", 0.001), as_if(epsilon=1e-7)),
    "decay in the gradient": ("torch", Recipe("adamw", 0.001, decay=0.01), as_if(optimizer="adam")),
    "decay beside the gradient": ("tensorflow", Recipe("adam", 0.001, decay=0.01), as_if(optimizer="adamw")),
    "decay missing": ("tensorflow", Recipe("sgd", 0.01, decay=0.01), as_if(decay=0.0)),
    "step counter off by one": ("tensorflow", Recipe("adam", 0.001), one_step_ahead),
    "clip missing": ("torch", Recipe("sgd", 0.01, clip=0.1), as_if(clip=None)),
    "clip per variable": ("tensorflow", Recipe("sgd", 0.01, clip=0.1), through(each_by_itself)),
    "clip with a millionth": ("torch", Recipe("sgd", 0.01, clip=0.1), through(with_a_millionth)),
    "sum for mean": ("torch", Recipe("sgd", 0.01), through(lambda _, gradients: [g * 2 for g in gradients])),
    "sum for mean, hidden by Adam": (
        "tensorflow",
        Recipe("adam", 0.001),
        through(lambda _, gradients: [g * 2 for g in gradients]),
    ),
    "rows squared before they are summed": ("tensorflow", Recipe("adam", 0.001), rows_squared_first),
    "rate does not change": ("torch", Recipe("sgd", 0.01, drop=2), as_if(drop=None)),
    "rate in the velocity": ("tensorflow", Recipe("momentum", 0.01, drop=2), rate_in_the_velocity),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault, planted):
    side, recipe, alter = FAULTS[fault]

    assert failing(planted(side, alter), recipe, micro=1)


def test_accumulation_summed_for_averaged_is_caught(planted):
    def summed(made, recipe):
        trainer = made(recipe)
        apply = trainer.apply
        trainer.apply = lambda gradients: apply([g * PLAIN.micro for g in gradients])
        return trainer

    assert failing(planted("torch", summed), PLAIN.recipe)


def test_two_trained_biases_are_caught(corners):
    """torch's own LSTM, unless its second bias is frozen. Each bias has the right gradient."""
    biases = [corners.models["torch", dtype].module.lstm.bias_hh_l0 for dtype in corners.dtypes]
    for bias in biases:
        bias.requires_grad_(True)
    try:
        corners.ensure(PLAIN.weights)
        seen = gradients.verify(corners, Case(PLAIN.weights, PLAIN.rows))
        messages = failing(corners, PLAIN.recipe)
    finally:
        for bias in biases:
            bias.requires_grad_(False)

    assert not any(verdict.fails for verdict in seen)
    assert any(message.startswith("change of lstm.bias") for message in messages)


def test_a_fault_is_told_with_its_example(planted):
    corners = planted("tensorflow", as_if(rate=0.02))
    (finding,) = runner.run_check(training, corners, 0, 8, "parity check").findings

    assert "2 steps of sgd" in finding.message
    assert "Recipe(optimizer='sgd'" in finding.example


# The measurement behind the check's docstring


def test_clean_trainings_keep_away_from_the_limits(corners):
    found = measured.clean(corners, 3, 7, lambda _: None)

    assert found["trainings"] == 3
    assert found["largest"] < 1 / 16
    assert found["ratio"] < MAX_NOISE_RATIO["float32"] / 4


@pytest.mark.parametrize("fault", measured.FAULTS)
def test_every_training_that_a_planted_fault_concerns_shows_it(fault, corners):
    assert min(measured.faulty(corners, fault, 2, 7, lambda _: None)) > 16
