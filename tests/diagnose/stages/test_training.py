"""Why a training differs: every cause proved on the side that has it, none on a clean pair or of an unknown fault."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import torch

from parity import Pair, strategies
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import Weights
from parity.checks import training as check
from parity.compare.judge import MAX_FLOAT64_ULPS, Verdict
from parity.diagnose import CAUSES
from parity.diagnose.stages import optimizer
from parity.dtypes import EPS
from parity.pair.models import PairModels
from parity.selftest.faults.pairs import pair as reference
from tests.helpers.learners import (
    as_if,
    behind,
    bias_twice,
    by_themselves,
    by_value,
    decaying,
    in_bfloat16,
    instead_of_clipping,
    learner_with,
    millionth,
    one_step_ahead,
    option,
    rows_squared_first,
    stock,
    summed,
    through,
)

ROWS = ((5, 6, 7, 7, 7, 5, 9), (8, 3, 7, 7), (9, 9, 9, 12, 13, 14))
PLAIN = check.Training(Weights(5, 1.0), ROWS, Recipe("sgd", 0.01), 3, 1)
# The verdict only lends its subject to what is said: the failing is the business of tests/checks/test_training.py.
FAILED = Verdict("change of head.bias after 3 steps", "different", 1, 1.0, 0.0, "")


@pytest.fixture(scope="module")
def corners(small):
    """The LSTM pair of few ids: what a fault does to a step, it does to any number of them."""
    few = type(small)(small.data)
    few.vocab = 50
    return PairModels(reference("lstm", few))


@pytest.fixture
def planted(corners, monkeypatch):
    """The pair, in which a side's learners pass through `alter(made, recipe)`."""

    def plant(side, alter):
        for (of, _), model in corners.models.items():
            if of == side:
                monkeypatch.setattr(model, "trainer", lambda recipe, made=model.trainer: alter(made, recipe))
        return corners

    return plant


SGD, CLIP = Recipe("sgd", 0.01), Recipe("sgd", 0.01, clip=0.1)
MOMENTUM, NESTEROV = Recipe("momentum", 0.01), Recipe("nesterov", 0.01)
ADAM, ADAMW = Recipe("adam", 0.001), Recipe("adamw", 0.001, decay=0.01)
RMSPROP, DROP = Recipe("rmsprop", 0.001, memory=0.99), Recipe("sgd", 0.01, drop=2)
DOUBLED = through(lambda _, gradients: [g * 2 for g in gradients])

FAULTS = {
    "epsilon": ("epsilon", "epsilon 1e-07, not 1e-08", "tensorflow", ADAM, as_if(epsilon=1e-7)),
    "an unusual epsilon": ("epsilon", "epsilon 3.3e-06", "torch", RMSPROP, as_if(epsilon=3.3e-6)),
    "keras's Adam": (
        "epsilon placement",
        "before the bias correction, and it is 1e-07",
        "tensorflow",
        ADAM,
        stock("Adam"),
    ),
    "keras's RMSprop": ("epsilon placement", "inside", "tensorflow", RMSPROP, stock("RMSprop", rho=0.99, epsilon=1e-8)),
    "momentum": ("momentum", "momentum 0.8, not 0.9", "tensorflow", MOMENTUM, as_if(momentum=0.8)),
    "first beta": ("momentum", "momentum 0.95, not 0.9", "torch", ADAM, as_if(momentum=0.95)),
    "nesterov missing": ("momentum", "plain momentum", "torch", NESTEROV, as_if(optimizer="momentum")),
    "nesterov": ("momentum", "Nesterov's form", "tensorflow", MOMENTUM, as_if(optimizer="nesterov")),
    "dampening": ("momentum", "dampening 0.9", "torch", MOMENTUM, option(dampening=0.9)),
    "second beta": ("memory", "memory 0.99, not 0.999", "tensorflow", ADAM, as_if(memory=0.99)),
    "centered": ("memory", "squared mean off", "torch", RMSPROP, option(centered=True)),
    "amsgrad": ("memory", "largest second moment", "torch", ADAM, option(amsgrad=True)),
    "step counter": ("step count", "first step as 2", "tensorflow", ADAM, learner_with(one_step_ahead)),
    "decay coupled": ("decay form", "adds decay to the gradient", "torch", ADAMW, as_if(optimizer="adam")),
    "decay decoupled": (
        "decay form",
        "beside the gradient",
        "tensorflow",
        replace(ADAM, decay=0.01),
        as_if(optimizer="adamw"),
    ),
    "decay missing": ("decay form", "does not decay", "tensorflow", replace(SGD, decay=0.01), as_if(decay=0.0)),
    "another decay": ("decay form", "decays by 0.004", "torch", ADAMW, decaying(0.4)),
    "clip missing": ("clipping", "does not clip", "torch", CLIP, as_if(clip=None)),
    "another clip": ("clipping", "a norm of 0.2", "tensorflow", CLIP, as_if(clip=0.2)),
    "clip with a millionth": ("clipping", "adds 1e-06 to the norm", "torch", CLIP, instead_of_clipping(millionth)),
    "clip per variable": ("clipping", "by its own norm", "tensorflow", CLIP, instead_of_clipping(by_themselves)),
    "clip by value": (
        "clipping",
        "by its value",
        "tensorflow",
        replace(CLIP, clip=0.01),
        instead_of_clipping(by_value),
    ),
    "clip counts a bias twice": ("clipping", "lstm.bias twice", "torch", CLIP, instead_of_clipping(bias_twice)),
    "accumulation": ("accumulation", "sums", "torch", SGD, summed),
    "gradient doubled": ("gradient scaled", "2 times", "torch", SGD, DOUBLED),
    "gradient doubled, hidden by AdamW": ("gradient scaled", "2 times", "tensorflow", ADAMW, DOUBLED),
    "rate": ("rate", "1.5 times", "tensorflow", ADAM, as_if(rate=0.0015)),
    "rate a millionth higher": ("rate", "1.000001 times", "torch", RMSPROP, as_if(rate=0.001 * (1 + 1e-6))),
    "rate does not change": ("rate", "does not change the rate", "torch", DROP, as_if(drop=None)),
    "rate a step late": ("rate", "a step late", "torch", DROP, as_if(drop=3)),
    "keras's SGD": ("rate", "in the velocity", "tensorflow", replace(MOMENTUM, drop=2), stock("SGD", momentum=0.9)),
    "a bias stays": (
        "weights not copied",
        "does not move head.bias",
        "tensorflow",
        SGD,
        behind(lambda before, after: [*after[:-1], before[-1]]),
    ),
    "weights in bfloat16": ("weights rounded", "to bfloat16", "tensorflow", ADAM, behind(in_bfloat16)),
    "rows squared first": ("sparse rows", "before it sums them", "tensorflow", ADAM, rows_squared_first),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_proved(fault, planted):
    name, told, side, recipe, alter = FAULTS[fault]
    (cause,), ruled = optimizer.explain(planted(side, alter), replace(PLAIN, recipe=recipe), FAILED)

    assert (cause.name, cause.where) == (name, "optimizer")
    assert cause.told.startswith(side)
    assert told in cause.told
    assert name in CAUSES
    assert cause.fix
    assert cause.after <= MAX_FLOAT64_ULPS * EPS["float64"] * 2 < cause.before  # no weight is larger
    assert len(ruled) == 1
    assert ruled[0].endswith("'s steps are those of the recipe")


@pytest.mark.parametrize("recipe", [SGD, replace(ADAM, decay=0.01)])
def test_two_trained_biases_are_proved(recipe, corners):
    biases = [corners.models["torch", dtype].module.lstm.bias_hh_l0 for dtype in corners.dtypes]
    for bias in biases:
        bias.requires_grad_(True)
    try:
        (cause,), _ = optimizer.explain(corners, replace(PLAIN, recipe=recipe), FAILED)
    finally:
        for bias in biases:
            bias.requires_grad_(False)

    assert (cause.name, cause.told) == ("two biases", "torch trains two biases whose sum is lstm.bias")
    assert cause.after <= MAX_FLOAT64_ULPS * EPS["float64"] * 2 < cause.before


def test_every_pair_of_trained_biases_is_named_at_once():
    def build():
        return torch.nn.Sequential(torch.nn.LSTM(3, 2, batch_first=True, bidirectional=True))

    def build_keras():
        layer = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True))
        return keras.Sequential([keras.Input((4, 3)), layer])

    call = {"torch": lambda model, inputs, training: model(inputs)[0]}
    corners = PairModels(Pair("two-way", build, build_keras, inputs=strategies.arrays(4, 3), call=call))
    (cause,), ruled = optimizer.explain(corners, PLAIN, FAILED)

    assert (cause.name, ruled) == ("two biases", ["tensorflow's steps are those of the recipe"])
    assert cause.told == "torch trains two biases whose sum is 0.forward.bias, 0.backward.bias"
    assert cause.after <= MAX_FLOAT64_ULPS * EPS["float64"] * 2 < cause.before


@pytest.mark.parametrize(
    ("recipe", "name"), [(replace(MOMENTUM, decay=0.01, clip=0.1, drop=2), "lstm"), (ADAM, "transformer")]
)
def test_clean_sides_have_no_cause(recipe, name, references):
    causes, ruled = optimizer.explain(references(name), replace(PLAIN, recipe=recipe), FAILED)

    assert causes == []
    assert ruled == ["torch's steps are those of the recipe", "tensorflow's steps are those of the recipe"]


def test_of_an_unknown_fault_it_is_said_what_was_tried(planted):
    corners = planted("tensorflow", through(lambda _, gradients: [g + 1e-6 for g in gradients]))
    causes, ruled = optimizer.explain(corners, replace(PLAIN, recipe=ADAM), FAILED)

    assert causes == []
    assert ruled[1].startswith(f"tensorflow: {FAILED.subject} is explained by none of another epsilon")


def test_the_step_and_the_parameters_that_it_begins_with_are_told(planted):
    late = through(lambda made, gradients: [*gradients[:-1], gradients[-1] + (1e-6 if made.steps else 0.0)])
    _, ruled = optimizer.explain(planted("tensorflow", late), replace(PLAIN, recipe=ADAM), FAILED)

    assert ruled[1].endswith(", in head.bias, from step 2 on")


def test_the_weights_are_the_drawn_ones_again(corners):
    corners.load(PLAIN.weights)
    before = corners.models["torch", "float64"].read()
    optimizer.explain(corners, PLAIN, FAILED)
    corners.ensure(PLAIN.weights)

    for name, array in corners.models["torch", "float64"].read().items():
        np.testing.assert_array_equal(array, before[name])
