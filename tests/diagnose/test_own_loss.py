"""Losses of a pair's own, given the same outputs: what differs is told of the loss, and the cause if it is proved."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from parity import Pair, ParityError, strategies
from parity.backends.nesting import places, put
from parity.canonical.weights import Weights
from parity.checks import forward, gradients, training
from parity.checks import loss as check
from parity.checks.results import Finding, Outcome
from parity.checks.runner import run_check
from parity.diagnose.explain import diagnose
from parity.frontends import cli
from parity.inputs.arrays import Sample
from parity.pair import criterion
from parity.pair.models import PairModels


def torch_heads():
    import torch
    from torch import nn

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean, self.spread = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return {"mean": self.mean(x), "spread": torch.nn.functional.softplus(self.spread(x))}

    return Heads()


def keras_heads():
    import keras

    x = keras.Input((4,))
    mean, spread = (keras.layers.Dense(3, name=name) for name in ("mean", "spread"))
    return keras.Model(x, {"mean": mean(x), "spread": keras.ops.softplus(spread(x))})


def of_x(model, inputs, training):  # noqa: ARG001
    return model(inputs["x"])


def torch_loss(output, inputs):
    return ((output["mean"] - inputs["y"]).abs() + output["spread"].square()).mean()


def keras_loss(output, inputs):
    import tensorflow as tf

    return tf.reduce_mean(tf.abs(output["mean"] - inputs["y"]) + tf.square(output["spread"]))


PAIR = Pair(
    "heads",
    torch_heads,
    keras_heads,
    inputs=strategies.together(x=strategies.arrays(4), y=strategies.arrays(3)),
    call={"torch": of_x, "tensorflow": of_x},
    loss={"torch": torch_loss, "tensorflow": keras_loss},
)
X, Y = np.random.default_rng(0).standard_normal((2, 2, 4)).astype(np.float32)
GIVEN = Sample(Weights(3, 1.0), {"x": X, "y": Y[:, :3]})


@pytest.fixture(scope="module")
def clean():
    return PairModels(PAIR)


@pytest.fixture
def losing(clean, monkeypatch):
    """The pair with other losses."""

    def changed(**losses):
        for (side, _), model in clean.models.items():
            if side in losses:
                monkeypatch.setattr(model, "_build", replace(model._build, loss=losses[side]))
        return clean

    return changed


def multiplied(output, inputs):
    return 5 * keras_loss(output, inputs)


def summed_over_rows(output, inputs):
    import tensorflow as tf

    return keras_loss(output, inputs) * tf.cast(tf.shape(inputs["y"])[0], inputs["y"].dtype)


def shifted(output, inputs):
    return keras_loss(output, inputs) + 0.5


def weighted_in_part(output, inputs):
    """A pinball loss, of one quantile where torch has another, on one side of the target."""
    import tensorflow as tf

    gap = output["mean"] - inputs["y"]
    return tf.reduce_mean(tf.where(gap > 0, 0.25 * gap, -gap) + tf.square(output["spread"]))


def other(output, inputs):
    import tensorflow as tf

    return keras_loss(output, inputs) + tf.reduce_mean(tf.sin(output["mean"]))


FAULTS = {
    "a factor": (multiplied, "scale", "tensorflow applies Mul(x=5.0) (test_own_loss.py:91) to it first"),
    "a sum over rows": (summed_over_rows, "extra operation", "(test_own_loss.py:97) ... Mul() (test_own_loss.py:97)"),
    "a constant": (shifted, "offset", "tensorflow applies AddV2(y=0.5) (test_own_loss.py:101) to it first"),
    "a part of the elements": (weighted_in_part, "scale", "tensorflow's slope is 0.25 times torch's at "),
    "another formula": (
        other,
        "operation",
        "tensorflow's Sin() (test_own_loss.py:115) ... AddV2() (test_own_loss.py:115)",
    ),
}


@pytest.mark.parametrize(("loss", "name", "told"), FAULTS.values(), ids=FAULTS)
def test_a_wrong_loss_is_told_as_the_losss(losing, loss, name, told):
    corners = losing(tensorflow=loss)
    outcome = run_check(check, corners, 0, 2, "parity check")
    diagnosis = diagnose(corners, outcome)

    assert outcome.findings[0].message.startswith("loss of the same outputs")
    assert diagnosis.where == ("loss",)
    assert [cause.name for cause in diagnosis.causes] == [name]
    assert all(told in cause.told and cause.after < 1e-9 < cause.before for cause in diagnosis.causes)
    assert bool(diagnosis.ruled_out) == ("slope" not in told)  # found by an edit, behind a look at the slopes


def test_of_a_run_that_cannot_be_edited_the_relation_of_the_losses_is_told(losing, monkeypatch):
    corners = losing(tensorflow=multiplied)
    monkeypatch.setattr(corners.backends["torch"], "EDITABLE", False)
    (cause,) = diagnose(corners, run_check(check, corners, 0, 2, "")).causes
    assert (cause.name, cause.told) == ("scale", "tensorflow gives torch's loss multiplied by 5")


def test_parity_locate_names_the_loss(losing, monkeypatch):
    corners = losing(tensorflow=multiplied)
    monkeypatch.setattr(cli.locate, "resolve", lambda *_: PAIR)
    monkeypatch.setattr("parity.diagnose.place.PairModels", lambda _: corners)
    result = CliRunner().invoke(cli.cli, ["locate", "heads"], standalone_mode=False)

    assert (result.return_value, result.exception) == (1, None)
    assert "loss: value of the same outputs is different, given the same" in result.stdout
    assert "loss: scale: torch gives what mean() (test_own_loss.py:51) makes; tensorflow applies Mul" in result.stdout
    assert result.stdout.splitlines()[-1] == "loss introduces a difference"
    losing(tensorflow=keras_loss, torch=one_stopped)
    assert "loss: gradient stopped" in CliRunner().invoke(cli.cli, ["locate", "heads"]).stdout
    losing(torch=torch_loss)
    result = CliRunner().invoke(cli.cli, ["locate", "heads", "--quiet"], standalone_mode=False)
    assert (result.return_value, result.stdout) == (
        0,
        "nothing differs: 3 matched layers, end-to-end, isolated and backward\n",
    )


def test_equal_losses_hold_and_nothing_is_blamed_on_them(clean):
    outcome = run_check(check, clean, 0, 4, "parity check")

    assert not outcome.findings
    assert outcome.elements == 4
    assert diagnosed_gradients(clean).where != ("loss",)


def diagnosed_gradients(corners):
    """What is said of a finding of the check of gradients."""
    return diagnose(corners, Outcome("gradients", "", findings=[Finding("gradients", "", "", "", GIVEN)]))


def one_stopped(output, inputs):
    return torch_loss({**output, "spread": output["spread"].detach()}, inputs)


def one_scaled(output, inputs):
    spread = output["spread"]
    return torch_loss({**output, "spread": spread.detach() + 3 * (spread - spread.detach())}, inputs)


PASSES = "no gradient passes torch's detach() (test_own_loss.py:"
THIRD = "tensorflow's gradient is 0.333333333 times torch's through softplus() ("
SLOPES = {"stopped": (one_stopped, "gradient stopped", PASSES), "scaled": (one_scaled, "gradient scaled", THIRD)}


@pytest.mark.parametrize(("loss", "name", "told"), SLOPES.values(), ids=SLOPES)
def test_a_loss_of_the_same_value_and_other_gradients_is_told_as_the_losss(losing, loss, name, told):
    corners = losing(torch=loss)
    diagnosis = diagnosed_gradients(corners)

    assert not run_check(check, corners, 0, 2, "parity check").findings
    assert diagnosis.where == ("loss",)
    assert [cause.name for cause in diagnosis.causes] == [name]
    assert told in diagnosis.causes[0].told


def test_a_corner_of_a_loss_is_no_difference_of_gradients(losing):
    """Where |x| is 0, torch's slope is 0; another that takes 1 there is as right."""
    corners = losing(torch=lambda output, _: output["mean"].relu().sum(), tensorflow=at_zero_one)
    zeros = {place: 0 * array for place, array in criterion.outputs_of(corners, GIVEN.inputs).items()}
    square = criterion.gradients(corners, GIVEN.inputs, zeros)["['mean']"]

    assert square.float64_difference.max_abs_diff == 1
    assert diagnosed_gradients(corners).where != ("loss",)


def at_zero_one(output, _):
    import tensorflow as tf

    return tf.reduce_sum(tf.maximum(output["mean"], 0))


def narrow(output, inputs):
    """As an operation that has float32 alone."""
    import tensorflow as tf

    small = {name: tf.cast(array, tf.float32) for name, array in output.items()}
    return keras_loss(small, {"y": tf.cast(inputs["y"], tf.float32)})


def torch_narrow(output, inputs):
    return torch_loss({name: tensor.float() for name, tensor in output.items()}, {"y": inputs["y"].float()})


def refusing(output, inputs):
    """As an operation that takes float64 in a graph alone."""
    import tensorflow as tf

    if tf.executing_eagerly():
        tf.debugging.assert_type(output["mean"], tf.float32)
    return keras_loss(output, inputs)


LOSSES = {
    "one side": (torch_loss, narrow, "it computes in float32 inside, since moving"),
    "both sides": (torch_narrow, narrow, "it computes in float32 inside, since moving"),
    "an error": (torch_loss, refusing, "TypeError: "),
}


@pytest.mark.parametrize(("loss", "other", "told"), LOSSES.values(), ids=LOSSES)
def test_a_loss_in_float32_leaves_the_model_its_float64(loss, other, told):
    """On both sides, too, as some compute theirs on purpose."""
    corners = PairModels(replace(PAIR, loss={"torch": loss, "tensorflow": other}, promote=False))
    outcomes = {module: run_check(module, corners, 0, 4, "") for module in (forward, check, gradients, training)}

    assert not any(outcome.findings for outcome in outcomes.values())
    assert [bool(outcome.weaker) for outcome in outcomes.values()] == [False, True, True, True]
    assert f"the loss of tensorflow cannot run in float64: {told}" in outcomes[check].weaker
    assert ("the loss of torch cannot" in outcomes[check].weaker) == (loss is torch_narrow)
    assert (corners.weaker, len(corners.models)) == ({}, 4)


def test_a_loss_that_fails_is_one_line():
    message = (
        r"^the loss of torch cannot be called on the model's output and \{.*\}: ZeroDivisionError: division by zero$"
    )
    with pytest.raises(ParityError, match=message):
        PairModels(replace(PAIR, loss={"torch": lambda *_: 1 / 0, "tensorflow": keras_loss}))


def test_a_wrong_loss_in_float32_is_located(losing, monkeypatch):
    corners = losing(tensorflow=lambda output, inputs: 5 * narrow(output, inputs))
    monkeypatch.setattr(corners, "weaker_loss", {"tensorflow": "it is narrow"})
    outcome = run_check(check, corners, 0, 2, "")
    diagnosis = diagnose(corners, outcome)

    assert "float64 on one side only, less sensitive: it is narrow" in outcome.findings[0].message
    assert (diagnosis.where, [cause.name for cause in diagnosis.causes]) == (("loss",), ["scale"])


def test_an_output_with_other_leaves_is_of_the_same_classes():
    from collections import OrderedDict, namedtuple
    from dataclasses import dataclass

    @dataclass
    class Held:
        pair: tuple
        named: dict
        nothing: None = None

    Named = namedtuple("Named", ["x", "y"])
    output = Held((1, [2, 3]), OrderedDict(b=Named(4, 5), a=6))
    changed = put(output, {place: 10 * leaf for place, leaf in places(output).items()})

    assert changed == Held((10, [20, 30]), OrderedDict(b=Named(40, 50), a=60))
    assert type(changed.named) is OrderedDict
    assert output.pair == (1, [2, 3])
