"""Why a reloaded model computes something else though every value comes back: a setting that no file holds."""

from functools import partial
from itertools import count

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair, strategies
from parity.backends import SIDES
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import Weights
from parity.checks import resume
from parity.compare.judge import Verdict
from parity.diagnose.stages import configuration, serialization
from parity.pair.models import PairModels

FAILED = Verdict("output of the reloaded file", "different", 1, 1.0, 0.0, "")
CLEAN = "every value that was saved comes back"


class Gain(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.head, self.scale = nn.Linear(4, 3), scale

    def forward(self, x):
        return self.head(x) * self.scale


class Scaled(keras.Model):
    """As Keras notes a model's arguments down, a file has the scale 1."""

    def __init__(self, scale=1.0, label="none", **kwargs):
        super().__init__(**kwargs)
        self.head, self.scale, self.label = keras.layers.Dense(3, name="head"), scale, label

    def call(self, x):
        return self.head(x) * self.scale


class Forgetful(Scaled):
    def get_config(self):
        return {"name": self.name}


class Within(keras.layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor


class Nested(keras.Model):
    """Its scale is of no use once its layer is made."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.head, self.within, self.scale = keras.layers.Dense(3, name="head"), Within(scale, name="within"), scale

    def call(self, x):
        return self.within(self.head(x))


class UsedUp(Scaled):
    """Its scale is in a function that its constructor makes."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(scale, **kwargs)
        self.turn = lambda x: x * scale

    def call(self, x):
        return self.turn(self.head(x))


class Limited(Scaled):
    """Its limit is used up, too, and small outputs do not come near it."""

    def __init__(self, scale=1.0, limit=1e2, **kwargs):
        super().__init__(scale, **kwargs)
        self.turn = lambda x: keras.ops.clip(x, -limit, limit)

    def call(self, x):
        return self.turn(super().call(x))


class Deep(Scaled):
    """Files have it with one layer of those that have no weights."""

    def __init__(self, depth=1, **kwargs):
        super().__init__(**kwargs)
        self.factors = [Within(2.0, name=f"within{place}") for place in range(depth)]

    def call(self, x):
        x = self.head(x)
        for factor in self.factors:
            x = factor(x)
        return x


def corners_of(build, scale=2.0, ours=None):
    return PairModels(Pair("scaled", ours or partial(Gain, scale), build, inputs=strategies.arrays(4)))


@pytest.mark.parametrize(
    ("build", "at", "fix"),
    [
        (Scaled, "scale", "give Scaled a get_config that hands scale on: Keras {} saves the defaults of a Model's"),
        (Forgetful, "scale", "hand scale on in Forgetful's get_config"),
        (Nested, "within.factor", "give Nested a get_config that hands what its constructor makes factor of on"),
    ],
)
def test_a_setting_that_no_configuration_holds_is_proved(build, at, fix):
    (cause,), ruled = serialization.explain(corners_of(partial(build, scale=2.0)), None, FAILED)

    assert (cause.name, cause.where) == ("saved incompletely", "files")
    assert cause.told == f"tensorflow: {at} is 2.0 in the model and 1.0 in what is read from .keras"
    assert cause.fix.startswith(fix.format(".".join(keras.__version__.split(".")[:2])))
    assert cause.after == 0 < cause.before
    assert ruled == [f"torch: {CLEAN}"]


def test_a_training_that_goes_on_from_such_a_file_has_the_same_cause():
    given = resume.Training(Weights(1, 1.0), Recipe("adam", 0.001), (((0,),), ((1,),), ((2,),)))
    (cause,), _ = serialization.explain(corners_of(partial(Scaled, scale=2.0)), given, FAILED)

    assert cause.told == "tensorflow: scale is 2.0 in the model and 1.0 in what is read from .keras"


@pytest.mark.parametrize(
    ("build", "scale", "here", "there", "more"),
    [
        (
            UsedUp,
            {"scale": 2.0},
            "Mul(y=2.0) (test_configuration.py:",
            "Mul(y=1.0)",
            "scale is 2.0 in the model and 1.0",
        ),
        (partial(Limited, limit=1e30), {"scale": 2.0}, "Mul(y=2.0) (", "Mul(y=1.0)", "Maximum(y=-100.0)"),
        (Deep, {"depth": 2}, "Mul(y=2.0) (", "nothing", ""),
    ],
)
def test_what_is_used_up_by_a_constructor_is_told_by_what_is_done_with_it(build, scale, here, there, more):
    corners = corners_of(partial(build, **scale), scale=4.0 if build is Deep else 2.0)
    [cause], _ = serialization.explain(corners, None, FAILED)

    ours, theirs = (corners.models[side, "float32"].read()["head.bias"] for side in SIDES)
    assert (ours == theirs).all()  # both have the weights that were loaded last
    assert (cause.name, cause.where) == ("saved incompletely", "files")
    assert cause.told.startswith(f"tensorflow does {here}")
    assert f"what is read from .keras does {there}" in cause.told
    assert more in cause.told
    assert cause.before > 0 == cause.after


class Counting(UsedUp):
    """It scales by a number of its class, which goes on, and by an array that no setting shows."""

    scales = count(1)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.turn = partial(self.scaled, [float(next(self.scales)) * place for place in range(30)])

    def scaled(self, scales, x):
        return x * keras.ops.reshape(keras.ops.convert_to_tensor(scales, x.dtype), (10, 3))[4]


def test_constants_that_differ_are_no_operation_that_is_done_by_one_alone():
    pair = Pair("counting", partial(Gain, 4.0), Counting, inputs=strategies.arrays(4))
    causes, (*_, told) = serialization.explain(PairModels(pair), None, FAILED)

    assert causes == []
    assert "computes something else though every value comes back; no plain attribute of a layer differs" in told


def test_of_attributes_without_effect_nothing_is_said():
    corners = corners_of(partial(Scaled, label="other"), scale=1.0)

    assert serialization.explain(corners, None, FAILED) == ([], [f"torch: {CLEAN}", f"tensorflow: {CLEAN}"])


def test_a_torch_model_that_is_built_otherwise_the_next_time():
    corners = corners_of(partial(Forgetful, label="other"), scale=1.0)
    built = count(1)
    corners.builds["torch"] = lambda: Gain(1.0 + next(built))
    (cause,), ruled = serialization.explain(corners, None, FAILED)

    assert cause.told == "torch: scale is 1.0 in the model and 2.0 in what is read from .pth"
    assert (
        cause.fix == "build the model with scale 1.0 every time, or make it a buffer: a state_dict holds tensors alone"
    )
    assert ruled == [f"tensorflow: {CLEAN}"]


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x) + torch.rand(3, dtype=x.dtype)


@pytest.mark.parametrize("build", [partial(nn.Linear, 4, 3), partial(Noisy, 4, 3)], ids=["the same", "at random"])
def test_runs_that_do_the_same_have_no_operation_that_is_done_by_one_alone(build):
    """Not even where one of them makes something else each time."""
    model = PairModels(Pair("one", build, build_dense, inputs=strategies.arrays(4))).models["torch", "float64"]
    runs = [model.record(np.ones((2, 4))).trace for _ in range(2)]

    assert configuration._alone(tuple(runs), "float64") is None


def build_dense():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
