"""What parity computes in place of a library: each is needed still, is exact, and is gone behind the context."""

import numpy as np
import pytest

from parity import backends
from parity.backends import SIDES
from parity.checks.runner import run_check
from parity.dtypes import EPS
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.strategies import arrays


@pytest.fixture(scope="module", autouse=True)
def loaded():
    backends.load()


def patches(side):
    import importlib

    return importlib.import_module(f"parity.backends.{side}.precision").PATCHES


def precise(side, dtype):
    import importlib

    return importlib.import_module(f"parity.backends.{side}.precision").precision(dtype)


POINTS = np.linspace(-2.9, 2.9, 30)


def slopes(call):
    """The derivative of a torch function at `POINTS`."""
    import torch

    x = torch.tensor(POINTS, requires_grad=True)
    return torch.autograd.grad(call(x.clone()).sum(), x)[0].numpy()


def torch_hard_sigmoid(inplace):
    import torch

    return slopes(lambda x: torch.nn.functional.hardsigmoid(x, inplace=inplace))


def keras_normalization():
    import keras

    layer = keras.layers.Normalization(mean=[0.1], variance=[0.3], dtype="float64")
    return layer(POINTS[:, None]).numpy()[:, 0]


def keras_leaky_relu():
    import keras

    return keras.layers.LeakyReLU(negative_slope=0.3, dtype="float64")(POINTS).numpy()


def tensorflow_log():
    import tensorflow as tf

    return tf.math.log(0.3).numpy()


def bfloat16_qr():
    import tensorflow as tf

    try:
        q, _ = tf.linalg.qr(tf.cast(np.diag([1.0, 2.0]), tf.bfloat16))
    except tf.errors.InvalidArgumentError:
        return np.zeros((2, 2))
    return np.abs(tf.cast(q, tf.float64).numpy())


PICTURE = np.random.default_rng(0).standard_normal((2, 5, 7, 3))


def tensorflow_resize(method, antialias, size=(4, 9)):
    import tensorflow as tf

    return np.asarray(tf.image.resize(PICTURE, size, method, antialias=antialias), np.float64)


def torch_resize(mode, antialias, size=(4, 9)):
    import torch

    picture = torch.tensor(PICTURE).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(picture, size=size, mode=mode, antialias=antialias)
    return resized.permute(0, 2, 3, 1).numpy()


# (side, dtype, what is replaced) -> what goes through it, and what that gives if it is exact.
DEMONSTRATIONS = {
    ("torch", "float64", "hardsigmoid"): (lambda: torch_hard_sigmoid(False), np.full(30, 1 / 6)),
    ("torch", "float64", "hardsigmoid_"): (lambda: torch_hard_sigmoid(True), np.full(30, 1 / 6)),
    ("tensorflow", "float64", "_constant_impl"): (keras_normalization, (POINTS - 0.1) / 0.3**0.5),
    ("tensorflow", "float64", "leaky_relu"): (keras_leaky_relu, np.where(POINTS > 0, POINTS, 0.3 * POINTS)),
    ("tensorflow", "float64", "TFE_Py_FastPathExecute"): (tensorflow_log, np.log(0.3)),
    ("tensorflow", "float64", "resize_bilinear"): (
        lambda: tensorflow_resize("bilinear", False),
        torch_resize("bilinear", False),
    ),
    ("tensorflow", "float64", "scale_and_translate"): (
        lambda: tensorflow_resize("bicubic", True),
        torch_resize("bicubic", True),
    ),
    ("tensorflow", "bfloat16", "qr"): (bfloat16_qr, np.eye(2)),
}


def test_every_patch_is_demonstrated():
    entries = {(side, dtype, name) for side in SIDES for dtype, of in patches(side).items() for _, name, _ in of}

    assert entries == set(DEMONSTRATIONS)


@pytest.mark.parametrize(("side", "dtype", "name"), DEMONSTRATIONS)
def test_a_patch_is_needed_and_exact_and_put_back(side, dtype, name):
    """Where the first line fails, the library has come round: take the patch off the list."""
    run, exact = DEMONSTRATIONS[side, dtype, name]
    assert np.abs(run() - exact).max() > 1e-10, f"{name} is exact by itself"

    (kept,) = [(owner, getattr(owner, attribute)) for owner, attribute, _ in patches(side)[dtype] if attribute == name]
    with precise(side, dtype):
        assert np.abs(run() - exact).max() < 16 * EPS["float64"]
    assert getattr(kept[0], name) is kept[1]


@pytest.mark.parametrize("promote", [False, True])
@pytest.mark.parametrize("size", [(9, 4), (3, 3), (1, 20)], ids=str)
@pytest.mark.parametrize(("mode", "antialias"), [("bilinear", False), ("bilinear", True), ("bicubic", True)])
def test_pictures_are_resized_in_float64_whatever_is_known_of_their_sizes(mode, antialias, size, promote):
    import tensorflow as tf

    from parity.backends.tensorflow.precision import precision

    spec = tf.TensorSpec((None, None, None, 3), tf.float64)
    with precision("float64", promote):
        traced = tf.function(
            lambda x, to: tf.image.resize(x, to, mode, antialias=antialias),
            input_signature=[spec, tf.TensorSpec(2, tf.int32)],
        )
        resized = traced(PICTURE, size).numpy()
        eager = tf.image.resize(PICTURE, size, mode, antialias=antialias).numpy()

    for array in (resized, eager):
        assert np.abs(array - torch_resize(mode, antialias, size)).max() < 32 * EPS["float64"]


@pytest.mark.parametrize(("aligned", "halves"), [(True, False), (False, False), (False, True)])
def test_what_a_picture_is_counted_from_is_as_the_kernel_has_it(aligned, halves):
    from tensorflow.python.ops import gen_image_ops

    def resized(picture):
        options = {"align_corners": aligned, "half_pixel_centers": halves}
        return np.asarray(gen_image_ops.resize_bilinear(picture, (9, 4), **options))

    in_float32 = resized(PICTURE.astype(np.float32))
    with precise("tensorflow", "float64"):
        import tensorflow as tf

        assert np.abs(resized(tf.constant(PICTURE)) - in_float32).max() < 16 * EPS["float32"]


def test_numbers_without_a_dtype_stay_exact_and_others_stay_what_they_are():
    import tensorflow as tf

    with precise("tensorflow", "float64"):
        assert tf.constant(0.1).dtype == tf.convert_to_tensor([1, [0.1]][1]).dtype == tf.float64
        assert tf.constant([1, 2]).dtype == tf.int32
        assert tf.constant(0.1, tf.float32).dtype == tf.constant(np.float32([0.1])).dtype == tf.float32
        assert float(tf.cast(0.1, tf.float64)) == 0.1
        assert tf.where(tf.constant(True), 0.1, 0.2).dtype == tf.float64
        assert (tf.constant([0.1], tf.float32) * 0.1).dtype == tf.float32
        assert tf.multiply(2, 3).dtype == tf.int32


class Net:
    """A sigmoid by parts, normalized by constants, behind a leaky ReLU; its twins are written as users write them."""

    @staticmethod
    def torch():
        import torch

        class Torch(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.dense = torch.nn.Linear(3, 5)
                self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.7]), persistent=False)

            def forward(self, x):
                start = torch.zeros(len(x), 5)
                x = self.dense((x - self.mean) / 0.3**0.5)
                return torch.nn.functional.hardsigmoid(torch.nn.functional.leaky_relu(x, 0.3)) + start @ torch.eye(5)

        return Torch()

    @staticmethod
    def keras():
        import keras

        return keras.Sequential(
            [
                keras.layers.Normalization(mean=[0.1, 0.2, 0.7], variance=[0.3] * 3),
                keras.layers.Dense(5, name="dense"),
                keras.layers.LeakyReLU(0.3),
                keras.layers.Activation("hard_sigmoid"),
            ]
        )


def test_constants_that_a_library_holds_in_float32_are_no_difference():
    """A tensor that the model makes while it runs is of its precision, too: start @ eye would not run."""
    from parity.checks import forward, gradients

    corners = PairModels(Pair("constants", Net.torch, Net.keras, inputs=arrays(3)))

    assert corners.reason == ""
    assert [f.message for check in (forward, gradients) for f in run_check(check, corners, 0, 4, "").findings] == []
