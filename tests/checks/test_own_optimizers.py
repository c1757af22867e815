"""A pair's own optimizers: equal ones pass, whatever their libraries do otherwise; a setting that differs is told."""

from dataclasses import replace
from functools import partial

import keras
import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR, ReduceLROnPlateau

from parity import Pair, strategies
from parity.backends.torch.optimizers import Own
from parity.checks import training
from parity.diagnose.stages import optimizer
from parity.errors import ParityError
from parity.pair.models import PairModels

EPS = 1e-7
adam, adamw = (partial(of, lr=1e-2, eps=EPS) for of in (torch.optim.Adam, torch.optim.AdamW))
sgd, rmsprop = partial(torch.optim.SGD, lr=1e-2), partial(torch.optim.RMSprop, lr=1e-2, eps=EPS)
nadam = partial(torch.optim.NAdam, lr=1e-2, eps=EPS)
Adam, AdamW, SGD, RMSprop, Nadam = (
    partial(getattr(keras.optimizers, name), 1e-2) for name in ("Adam", "AdamW", "SGD", "RMSprop", "Nadam")
)


def in_torch():
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


def in_keras():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)])


def clipping(parameters, clip=clip_grad_norm_, bound=0.05):
    return sgd(parameters), lambda given: clip(given, bound)


def warming(parameters, steps=10, late=0):
    made = sgd(parameters)
    return made, LambdaLR(made, lambda step: min(1.0, (step + late) / steps))


def warmed(steps=10):
    return keras.optimizers.SGD(keras.optimizers.schedules.PolynomialDecay(0.0, steps, 1e-2))


def falling(parameters, steps):
    made = sgd(parameters)
    return made, MultiStepLR(made, steps)


def fallen(boundaries, rates=(1e-2, 1e-3, 1e-4)):
    return keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, [*rates]))


def waiting(parameters, kind=ReduceLROnPlateau):
    made = sgd(parameters)
    return made, kind(made, patience=10)


def by_group(parameters):
    groups = [{"params": [p for p in parameters if p.ndim > 1]}, {"params": [p for p in parameters if p.ndim == 1]}]
    groups[1]["weight_decay"] = 0.0
    return adamw(groups, weight_decay=0.01)


def excluding():
    made = AdamW(weight_decay=0.01)
    made.exclude_from_weight_decay(var_names=["bias"])
    return made


def late():
    return keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay([200], [1e-2, 1e-3]))


class Halved(torch.optim.SGD):
    """Of which no setting says what it does."""

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad.mul_(0.5)
        return super().step(closure)


class Outside(keras.optimizers.RMSprop):
    """RMSprop with epsilon added to the root, as torch has it, or elsewhere."""

    def root(self, square):
        return keras.ops.sqrt(square) + self.epsilon

    def update_step(self, gradient, variable, learning_rate):
        square = self._velocities[self._get_variable_index(variable)]
        rate, gradient = (keras.ops.cast(of, variable.dtype) for of in (learning_rate, gradient))
        self.assign(square, self.rho * square + (1 - self.rho) * keras.ops.square(gradient))
        self.assign_sub(variable, rate * gradient / self.root(square))


class Squared(Outside):
    def root(self, square):
        return keras.ops.sqrt(square + self.epsilon**2)


class DecayedInTheGradient(keras.optimizers.SGD):
    """SGD whose decay is a term of the gradient, as in torch."""

    def _apply_weight_decay(self, variables):
        pass

    def update_step(self, gradient, variable, learning_rate):
        decayed = gradient + self.weight_decay * keras.ops.cast(variable, gradient.dtype)
        super().update_step(decayed, variable, learning_rate)


outside, squared = (partial(of, 1e-2, epsilon=1e-3) for of in (Outside, Squared))
EQUAL = {
    "a class with torch's epsilon": (partial(rmsprop, eps=1e-3), partial(outside, rho=0.99)),
    "a class with torch's decay": (
        partial(sgd, weight_decay=0.1),
        partial(DecayedInTheGradient, 1e-2, weight_decay=0.1),
    ),
    "stock Adam": (adam, Adam),
    "amsgrad": (partial(adam, amsgrad=True), partial(Adam, amsgrad=True)),
    "AdamW": (partial(adamw, weight_decay=0.004), AdamW),
    "AdamW by group": (by_group, excluding),
    "SGD": (partial(sgd, momentum=0.9, nesterov=True), partial(SGD, momentum=0.9, nesterov=True)),
    "RMSprop": (partial(rmsprop, alpha=0.9), RMSprop),
    "NAdam": (partial(nadam, momentum_decay=1.0), Nadam),
    "clipping": (clipping, partial(SGD, global_clipnorm=0.05)),
    "schedule": (warming, warmed),
    "a schedule that falls later": (partial(falling, steps=[60, 80]), partial(fallen, [59, 79])),
    "a schedule that goes by the loss": (waiting, SGD),
}
FAULTS = {
    "memory of a class of one's own": (partial(rmsprop, eps=1e-3), outside, "memory", "has memory 0.99, tensorflow's"),
    "epsilon of a class of one's own": (
        partial(rmsprop, eps=1e-3),
        partial(squared, rho=0.99),
        "epsilon placement",
        "has epsilon added to the root, tensorflow's epsilon's square under the root",
    ),
    "epsilon": (partial(torch.optim.Adam, lr=1e-2), Adam, "epsilon", "epsilon 1e-08, tensorflow's epsilon 1e-07"),
    "memory": (rmsprop, RMSprop, "memory", "has memory 0.99, tensorflow's memory 0.9"),
    "amsgrad": (partial(adam, amsgrad=True), Adam, "memory", "the largest so far"),
    "momentum": (partial(sgd, momentum=0.9), partial(SGD, momentum=0.95), "momentum", "momentum 0.9, tensorflow's"),
    "nesterov": (partial(sgd, momentum=0.9, nesterov=True), partial(SGD, momentum=0.9), "momentum", "Nesterov's form"),
    "stock NAdam": (
        nadam,
        Nadam,
        "momentum",
        "momentum decay of 0.004, tensorflow's momentum 0.9 with a momentum decay",
    ),
    "decay form": (
        partial(adam, weight_decay=0.1),
        partial(Adam, weight_decay=0.1),
        "decay form",
        "decay 0.1 in the gradient, tensorflow's decay 0.1 beside the gradient (decoupled)",
    ),
    "decay of a group": (
        by_group,
        partial(AdamW, weight_decay=0.01),
        "decay form",
        "no decay, tensorflow's decay 0.01 beside the gradient (decoupled), for 0.bias, 2.bias",
    ),
    "clipping each": (clipping, partial(SGD, clipnorm=0.05), "clipping", "each variable's gradient clipped to a norm"),
    "clipping values": (
        partial(clipping, clip=clip_grad_value_, bound=0.01),
        partial(SGD, global_clipnorm=0.05),
        "clipping",
        "each element of a gradient clipped to 0.01, tensorflow's all gradients together",
    ),
    "no clipping": (sgd, partial(SGD, clipnorm=0.05), "clipping", "torch's optimizer has no clipping"),
    "a step early": (partial(warming, late=1), warmed, "rate", "tensorflow's rate of each step is torch's of the step"),
    "a fall a step late": (
        partial(falling, steps=[60, 80]),
        partial(fallen, [60, 80]),
        "rate",
        "tensorflow's rate of each step is torch's of the step before",
    ),
    "a fall elsewhere": (
        partial(falling, steps=[60, 85]),
        partial(fallen, [59, 79]),
        "rate",
        "the rate of step 81 is 0.001 in torch, 0.0001 in tensorflow",
    ),
    "a rate that is another for a while": (
        sgd,
        partial(fallen, [40, 45], (1e-2, 1e-3, 1e-2)),
        "rate",
        "the rate of step 42 is 0.01 in torch, 0.001 in tensorflow",
    ),
    "another rate": (partial(torch.optim.SGD, lr=2e-2), SGD, "rate", "tensorflow's rate is 0.5 times torch's"),
    "a rate much later": (sgd, late, "rate", "the rate of step 202 is 0.01 in torch, 0.001 in tensorflow"),
    "another kind": (adam, SGD, "optimizer", "torch trains by adam, tensorflow by SGD"),
}


@pytest.fixture(scope="module")
def corners():
    pair = Pair("own", in_torch, in_keras, inputs=strategies.arrays(5), optimizer={"torch": sgd, "tensorflow": SGD})
    return PairModels(pair)


def trained(corners, ours, theirs):
    """The example, and what the check finds of it with these optimizers."""
    for side, build in zip(corners.sides, (ours, theirs), strict=True):
        for dtype in corners.dtypes:
            model = corners.models[side, dtype]
            model._build = replace(model._build, optimizer=build)
    [example] = training.own(corners)
    return example, training.verify(corners, example)


@pytest.mark.parametrize("name", EQUAL)
def test_equal_optimizers_pass_whatever_their_libraries_do_otherwise(corners, name):
    _, verdicts = trained(corners, *EQUAL[name])

    assert len(verdicts) == 4  # of each parameter's steps
    assert not [verdict.message for verdict in verdicts if verdict.fails]


@pytest.mark.parametrize("name", FAULTS)
def test_a_setting_that_differs_is_the_cause(corners, name):
    *optimizers, cause, words = FAULTS[name]
    example, verdicts = trained(corners, *optimizers)
    failing = [verdict for verdict in verdicts if verdict.fails]
    [found], ruled_out = optimizer.explain(corners, example, failing[0])

    assert (found.name, found.where, ruled_out) == (cause, "optimizer", [])
    assert words in found.told
    assert found.before > 1e4 * found.after


def test_two_settings_are_two_causes(corners):
    example, verdicts = trained(corners, partial(adam, betas=(0.8, 0.999)), partial(Adam, beta_2=0.99))
    causes, _ = optimizer.explain(corners, example, verdicts[0])

    assert [cause.name for cause in causes] == ["memory", "momentum"]


def test_what_no_setting_says_is_compared_by_the_weights_that_it_comes_to(corners):
    example, verdicts = trained(corners, partial(Halved, lr=1e-2), SGD)
    failing = [verdict for verdict in verdicts if verdict.fails]

    assert "after 6 steps of own" in failing[-1].subject
    assert optimizer.explain(corners, example, failing[0]) == (
        [],
        ["torch: the steps of its own optimizer are not what its settings say by a formula"],
    )
    assert not any(verdict.fails for verdict in trained(corners, partial(Halved, lr=2e-2), SGD)[1])


def test_a_schedule_that_goes_by_the_loss_is_given_that_of_each_step(corners, monkeypatch):
    given, losses, step = [], [], Own.step

    class Watched(ReduceLROnPlateau):
        def step(self, metrics, epoch=None):
            given.append(metrics)
            super().step(metrics, epoch)

    def stepping(trainer, batches):
        loss = step(trainer, batches)
        losses.append(float(loss))
        return loss

    monkeypatch.setattr(Own, "step", stepping)
    trained(corners, partial(waiting, kind=Watched), SGD)

    assert given == losses
    assert len({*losses}) > 3


def test_a_pair_without_them_has_no_such_example_and_one_side_alone_is_refused(corners):
    pair = replace(corners.pair, optimizer=None)

    with pytest.raises(ParityError, match="give the optimizer of both sides, or of none"):
        replace(pair, optimizer={"torch": sgd})
    with pytest.raises(ParityError, match="the optimizer of tensorflow is a str; give a function that returns"):
        trained(corners, sgd, lambda: "adam")
    corners.pair, before = pair, corners.pair
    assert training.own(corners) == ()
    corners.pair = before
