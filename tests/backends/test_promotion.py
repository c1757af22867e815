"""What both sides compute in float32 on purpose is judged by four corners: in float64 it computes in float64, too."""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import forward, gradients
from parity.checks.runner import run_check
from parity.diagnose.locate import locate
from parity.errors import ParityError
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.strategies import arrays

WIDTH = 5


def torch_islands(epsilon=1e-3):
    """Positions, a norm and a softmax in float32, as models of language have them."""
    import torch
    from torch.nn import functional

    class Islands(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = torch.nn.Linear(3, WIDTH)
            self.norm = torch.nn.LayerNorm(WIDTH)
            self.head = torch.nn.Linear(WIDTH, 2)
            turns = torch.arange(WIDTH, dtype=torch.float) * torch.tensor([0.3], dtype=torch.float32)
            self.register_buffer("places", torch.sin(turns), persistent=False)

        def forward(self, x):
            x = self.dense(x) + self.places
            gain, bias = self.norm.weight.float(), self.norm.bias.float()
            x = functional.layer_norm(x.float(), (WIDTH,), gain, bias, epsilon).to(x.dtype)
            return self.head(functional.softmax(x, -1, dtype=torch.float32).to(x.dtype))

    return Islands()


def keras_islands():
    import keras
    import tensorflow as tf

    class Islands(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(WIDTH, name="dense")
            self.norm = keras.layers.LayerNormalization(dtype="float32", name="norm")
            self.head = keras.layers.Dense(2, name="head")
            self.places = tf.cast(np.sin(np.arange(WIDTH) * 0.3), tf.float32)

        def call(self, x):
            x = self.norm(self.dense(x) + keras.ops.cast(self.places, self.compute_dtype))
            return self.head(keras.ops.cast(keras.ops.softmax(tf.cast(x, tf.float32)), self.compute_dtype))

    return Islands()


def torch_alike():
    import torch

    steps = torch.nn.Unflatten(1, (WIDTH, 1)), torch.nn.LocalResponseNorm(3), torch.nn.Flatten()
    return torch.nn.Sequential(torch.nn.Linear(3, WIDTH), *steps)


def keras_only_in_float32():
    import keras
    import tensorflow as tf

    def normalized(x):
        return tf.cast(
            tf.nn.local_response_normalization(tf.cast(x, tf.float32)[:, None, None], 1, 1.0, 1e-4 / 3), x.dtype
        )

    return keras.Sequential(
        [keras.layers.Dense(WIDTH), keras.layers.Lambda(lambda x: normalized(x)[:, 0, 0], output_shape=(WIDTH,))]
    )


ISLANDS = Pair("islands", torch_islands, keras_islands, inputs=arrays(3))


@pytest.fixture(scope="module")
def whole():
    return PairModels(ISLANDS)


@pytest.mark.parametrize("check", [forward, gradients], ids=lambda module: module.__name__)
def test_islands_of_float32_on_both_sides_are_judged_by_four_corners(whole, check):
    outcome = run_check(check, whole, 0, 4, "")

    assert (whole.reason, len(whole.models), outcome.findings) == ("", 4, [])
    assert outcome.rows["float64"].apart < 1e-13


def test_each_of_two_runs_side_by_side_makes_tensors_of_its_own_precision(references):
    """Where torch's float32 run follows its float64 run; and a call that is run again asks for float32 as before."""
    clean = references("sentence")
    clean.ensure(Weights(0, 1.0))
    found = locate(clean, clean.given(0)[0])

    assert ([piece.place for piece in found.pieces if piece.fails], found.clean, found.errors) == ([], True, ())


def test_a_fault_inside_an_island_is_seen_though_float32_would_hide_it():
    corners = PairModels(replace(ISLANDS, torch=partial(torch_islands, 1.000001e-3)))

    assert run_check(forward, corners, 0, 4, "").verdict == "different"


def test_whoever_asks_for_it_has_float32_left_what_it_is():
    with pytest.raises(ParityError, match=r"torch cannot run in float64: .*; tensorflow cannot run in float64: "):
        PairModels(replace(ISLANDS, promote=False))


def test_an_operation_that_has_no_float64_leaves_three_corners():
    corners = PairModels(Pair("lrn", torch_alike, keras_only_in_float32, inputs=arrays(3)))

    assert set(corners.weaker) == {"tensorflow"}
    assert "it computes in float32 inside" in corners.reason


def test_a_function_that_never_asks_for_float32_is_run_plainly_after_the_first_time():
    import torch

    from parity.backends.torch.promotion import Promoting

    promoting, tensor = Promoting(True), torch.tensor

    def ask(what, dtype=torch.float32):
        with promoting(what):
            return torch.zeros(1, dtype=dtype).dtype

    assert ask("narrow") == ask("narrow") == torch.float64
    assert ask("plain", torch.float64) == torch.float64
    assert ask("plain") == torch.float32
    assert torch.tensor is tensor


def test_numbers_and_weights_are_not_rounded_on_the_way():
    import torch

    from parity.backends.torch.promotion import Promotion, widen

    module = torch.nn.Linear(1, 1, dtype=torch.float32)
    widen(module)
    with Promotion():
        assert float(torch.tensor([0.1], dtype=torch.float32)) == 0.1
        assert torch.from_numpy(np.float32([0.1])).dtype == torch.float64
        assert torch.zeros(1, dtype=torch.float64).view(torch.float32).dtype == torch.float32
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float64}


def test_what_tensorflow_is_asked_for_is_read_everywhere_and_put_back():
    import keras
    import tensorflow as tf

    from parity.backends.tensorflow.precision import PROMOTION, precision

    def asked():
        x = tf.constant([[0.1]], tf.float64)
        yield tf.cast(x, tf.float32)
        yield keras.ops.convert_to_tensor(np.float32([0.1]), "float32")
        yield tf.convert_to_tensor(x, tf.float32)
        yield tf.zeros((1, 1))
        yield tf.random.stateless_uniform((1, 1), (1, 2), dtype=tf.float32)

    before = [getattr(owner, name) for owner, name, _ in PROMOTION]
    with precision("float64", promote=True):
        assert {tensor.dtype for tensor in asked()} == {tf.float64}
        assert {tensor.dtype for tensor in tf.function(lambda: tuple(asked()))()} == {tf.float64}
        assert keras.layers.Dense(1, dtype="float32")(np.ones((1, 1))).dtype == tf.float64
        assert tf.Variable([0.1], dtype=tf.float32).dtype == tf.float64
        assert tf.bitcast(tf.constant([1]), tf.float32).dtype == tf.float32
    assert [getattr(owner, name) for owner, name, _ in PROMOTION] == before


def test_torchs_compiler_is_loaded_by_a_model_that_is_compiled_alone(monkeypatch):
    """The first operation would import it, which takes longer than building a small pair."""
    import torch

    from parity.backends.torch.promotion import Promotion

    seen = []
    monkeypatch.setattr(torch, "_disable_dynamo", lambda raw, recursive: seen.append(raw) or raw)
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    with Promotion() as mode:
        assert torch.ones(2, dtype=torch.float32).dtype == torch.float64
    assert (type(mode), seen) == (Promotion, [])
    monkeypatch.setitem(sys.modules, "torch._dynamo", torch)
    with Promotion() as mode:
        assert torch.ones(2, dtype=torch.float32).dtype == torch.float64
    assert type(mode) is not Promotion
    assert mode.asked
    assert seen in ([], [Promotion.__torch_dispatch__])  # made once, in an earlier test perhaps


def torch_spectrum(part="real"):
    """A share of a spectrum, of what is cast to complex64, filtered by complex numbers that are trained."""
    import torch

    class Spectrum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.filter = torch.nn.Parameter(torch.randn(4, 3, dtype=torch.cfloat))
            self.head = torch.nn.Linear(3, 2)

        def forward(self, x):
            parts = torch.zeros(len(x), 4, 3, dtype=torch.complex64)
            parts[:, :4] = torch.fft.fft(x.to(torch.complex64), dim=1)[:, :4] * self.filter
            return self.head(getattr(parts, part))

    return Spectrum()


def keras_spectrum(sign=1):
    import keras
    import tensorflow as tf

    class Spectrum(keras.layers.Layer):
        def build(self, shape):  # noqa: ARG002 Keras passes it
            self.re, self.im = (self.add_weight(name=name, shape=(4, 3)) for name in ("re", "im"))

        def call(self, x):
            spectrum = tf.signal.fft(tf.transpose(tf.cast(x, tf.complex64), (0, 2, 1)))
            spectrum = tf.transpose(spectrum, (0, 2, 1))[:, :4]
            return tf.math.real(spectrum * tf.complex(self.re, sign * self.im))

    return keras.Sequential([keras.Input((6, 3)), Spectrum(), keras.layers.Dense(2)])


def test_complex_numbers_are_parameters_and_as_wide_as_the_others():
    from parity.checks import training, weights

    corners = PairModels(Pair("complex", torch_spectrum, keras_spectrum, inputs=arrays(6, 3)))
    outcomes = [run_check(check, corners, 0, 2, "") for check in (weights, forward, gradients, training)]

    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []
    assert corners.layout["filter.value"][1] == (4, 3, 2)
    assert not corners.weaker


def test_a_complex_difference_is_seen_and_no_operation_is_said_to_differ_of_what_is_not_compared():
    from parity import check

    report = check(Pair("c", torch_spectrum, partial(keras_spectrum, -1), inputs=arrays(6, 3)), examples=2)

    assert not report.holds
    assert [cause.name for finding in report.findings for cause in finding.diagnosis.causes] == []
