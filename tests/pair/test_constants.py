"""Constants: what a model saves and nothing trains needs no twin; what both sides have is compared."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from parity import strategies
from parity.canonical.weights import HELD, Weights
from parity.checks.results import Diagnosis
from parity.compare.judge import judge
from parity.diagnose.wording import why
from parity.inputs.batch import Batch
from parity.pair import constants
from parity.pair.exercised import Exercised
from parity.pair.link_table import survey
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.report import links

PIXELS = np.array([[0, 0, 2], [2, 4, 4]], np.float32)  # mean 1, 2, 3 and variance 1, 4, 1
X = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)


def in_torch(mean=(1, 2, 3)):
    import torch
    from torch import nn

    class Picked(nn.Module):
        """A layer of one's own, which keeps the order of its columns."""

        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.zeros(4, 3))
            self.register_buffer("order", torch.tensor([2, 0, 1]))

        def forward(self, x):
            return x @ self.kernel.T[self.order]

    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.tensor([mean], dtype=torch.get_default_dtype()))
            self.register_buffer("variance", torch.tensor([[1.0, 4.0, 1.0]], dtype=torch.get_default_dtype()))
            self.picked, self.head = Picked(), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.picked((x - self.mean) / self.variance.sqrt()))

    return Normed()


def in_keras():
    import keras
    import tensorflow as tf

    class Picked(keras.layers.Layer):
        def build(self, shape):  # noqa: ARG002
            self.kernel = self.add_weight(name="kernel", shape=(4, 3))

        def call(self, x):
            return tf.matmul(x, tf.gather(tf.transpose(self.kernel), [2, 0, 1]))

    norm = keras.layers.Normalization(name="norm")
    norm.adapt(PIXELS)
    return keras.Sequential([keras.Input((3,)), norm, Picked(name="picked"), keras.layers.Dense(2, name="head")])


def kernel(layer):
    return {"kernel": layer.kernel}


class Named(type):
    """A class that stands for each of one name, which its builder makes anew."""

    def __instancecheck__(cls, other):
        return type(other).__name__ == "Picked"


class Picked(metaclass=Named):
    pass


def pair_of(build=in_torch):
    return Pair("normed", build, in_keras, inputs=strategies.arrays(3), custom={Picked: kernel})


def test_constants_need_no_twin_and_those_that_have_one_are_compared():
    corners = PairModels(pair_of())
    corners.load(Weights(0, 1.0))

    assert judge("output", corners.outputs(Batch(X, None, None))["output"]).word == "rounding"
    assert corners.constants.twins == {("mean", "norm/mean"): "", ("variance", "norm/variance"): ""}
    assert corners.constants.unequal == ""
    assert corners.constants.unshared.startswith(
        "constants that only one side has: torch picked.order int64 (3); tensorflow norm/count int"
    )


def test_constants_that_differ_are_told_beside_a_finding_and_by_links():
    other = pair_of(partial(in_torch, (1.0, 2.5, 3.0)))
    corners = PairModels(other)
    corners.load(Weights(0, 1.0))
    told = "constants differ: mean and norm/mean by 5.0e-01 at (1): torch 2.5, tensorflow 2.0"

    assert judge("output", corners.outputs(Batch(X, None, None))["output"]).word == "different"
    assert told in why(corners, Diagnosis())
    found = survey(other)
    assert found.constants.unequal == told
    assert found.holds
    assert links.document(found)["constants"]["twins"][1] == ["variance", "norm/variance", ""]


def test_twins_have_one_last_name_and_one_shape():
    ours = {"a.mean": np.zeros((1, 3, 1)), "b.mean": np.ones(2), "scale": np.ones(4)}
    theirs = {"x/mean": np.zeros(3), "y/mean": np.zeros(4), "scale": np.ones((4, 1))}
    found = constants.compare({"torch": ours, "tensorflow": theirs})

    assert found.twins == {("a.mean", "x/mean"): "", ("scale", "scale"): ""}
    assert found.alone == {"torch": ("b.mean float64 (2)",), "tensorflow": ("y/mean float64 (4)",)}


def test_twins_may_have_their_axes_in_another_order():
    kernel = np.arange(15, dtype=np.float32).reshape(3, 1, 5)
    turned, other = kernel.transpose(2, 0, 1), kernel.transpose(2, 0, 1).copy()
    other[4, 1] = 0.5

    alike, differ = (constants.compare({"torch": {"blur": kernel}, "keras": {"k/blur": of}}) for of in (turned, other))
    assert (alike.unequal, alike.unshared) == ("", "")
    assert differ.unequal == "constants differ: blur and k/blur by 8.5e+00 at (1, 4): torch 9.0, keras 0.5"
    # What has one shape is compared so, and is no candidate for anything else.
    both = {
        "torch": {"a.t": kernel[:, 0], "b.t": turned[..., 0]},
        "keras": {"c/t": turned[..., 0], "d/t": kernel[:, 0]},
    }
    assert constants.compare(both).twins == {("a.t", "d/t"): "", ("b.t", "c/t"): ""}


def loose():
    import torch

    net = in_torch()
    net.loose = torch.nn.Parameter(torch.zeros(2), requires_grad=False)
    return net


def test_what_is_frozen_and_used_by_nothing_is_left_out_and_named():
    told = "parameters of torch's loose, which the other side has not: never called"
    assert told in PairModels(pair_of(loose)).exercised.missing(())


def tabled(base=100.0):
    import torch
    from torch import nn

    class Tabled(nn.Module):
        def __init__(self):
            super().__init__()
            angles = torch.arange(5.0)[:, None] * base ** (-torch.arange(3.0) / 3)
            self.register_buffer("table", torch.sin(angles), persistent=False)
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(x[:, None] + self.table)

    return Tabled()


def tabled_in_keras():
    import keras

    class Tabled(keras.Model):
        def __init__(self):
            super().__init__()
            angles = np.arange(5)[:, None] * 100.0 ** (-np.arange(3) / 3)
            self.angles = np.sin(angles.astype("float32"))  # NumPy's float32, whatever Keras has
            self.head = keras.layers.Dense(2)

        def call(self, x):
            return self.head(x[:, None] + keras.ops.cast(self.angles, x.dtype))

    return Tabled()


def written_in_keras():
    import keras

    class Written(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = keras.layers.Dense(2)

        def call(self, x):  # a constant that no attribute holds
            angles = np.arange(5)[:, None] * 100.0 ** (-np.arange(3) / 3)
            return self.head(x[:, None] + np.sin(angles.astype("float32")))

    return Written()


@pytest.mark.parametrize(("base", "word"), [(100.0, "rounding"), (100.01, "different")])
def test_a_table_that_code_writes_down_in_float32_is_the_same_on_both_sides(base, word):
    corners = PairModels(Pair("written", partial(tabled, base), written_in_keras, inputs=strategies.arrays(3)))
    corners.load(Weights(0, 1.0))

    assert judge("output", corners.outputs(Batch(X, None, None))["output"]).word == word
    assert [name for name, _ in corners.constants.settled] == ["table"] * (word == "rounding")


@pytest.mark.parametrize(("base", "word"), [(100.0, "rounding"), (100.01, "different")])
def test_a_table_that_float32_rounds_is_the_same_on_both_sides_and_another_is_not(base, word):
    corners = PairModels(Pair("tabled", partial(tabled, base), tabled_in_keras, inputs=strategies.arrays(3)))
    corners.load(Weights(0, 1.0))
    settled = corners.constants.settled

    assert judge("output", corners.outputs(Batch(X, None, None))["output"]).word == word
    assert [*settled] == [("table", "angles")] * (word == "rounding")
    assert all("torch's table was given angles's numbers" in told for told in settled.values())


def test_parameters_that_one_side_lacks_are_told_together():
    exercised = Exercised(SimpleNamespace(inputs=None), {})
    layout = {f"c{at}.bias": (HELD, (3,)) for at in range(6)} | {"norm.gain": (HELD, (3,))}
    exercised.leave_layers_out({}, layout)

    assert exercised.missing(()) == (
        "c0.bias, c1.bias, c2.bias and 3 more, which one side lacks: held at 0",
        "norm.gain, which one side lacks: held at 1",
    )
