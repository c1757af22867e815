"""What differs before a Fourier transform, whose complex numbers no run shows, and how it is scaled."""

import numpy as np
import pytest
import tensorflow as tf
import torch

from tests.helpers.between import found, pair

HAMMING = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(6) / 6)  # which no argument of torch's hann_window makes


def spectrum(x):
    return torch.fft.rfft(x * torch.hann_window(6, dtype=x.dtype)[:, None], dim=2).abs()


def spectrum_there(x):
    windowed = tf.transpose(x, (0, 3, 2, 1)) * tf.constant(HAMMING, x.dtype)
    return tf.transpose(tf.abs(tf.signal.rfft(windowed)), (0, 3, 2, 1))


def scaled(norm, x):
    return torch.fft.fft(x, dim=3, norm=norm).real


def unscaled_there(factor, x):
    turned = tf.transpose(x, (0, 3, 1, 2))
    wide = tf.complex64 if x.dtype == tf.float32 else tf.complex128
    return factor * tf.transpose(tf.math.real(tf.signal.fft(tf.cast(turned, wide))), (0, 2, 3, 1))


def test_another_window_before_a_transform_is_an_operand():
    places, [cause] = found(pair(spectrum, spectrum_there))

    assert places
    assert cause.name == "operand"
    assert "hann_window" in cause.told
    assert "tensorflow's Mul" in cause.told


@pytest.mark.parametrize(("norm", "factor", "other"), [("ortho", 1, "backward"), (None, 0.5, "ortho")])
def test_another_scale_of_a_transform_is_its_argument(norm, factor, other):
    places, [cause] = found(pair(lambda x: scaled(norm, x), lambda x: unscaled_there(factor, x)))

    assert places
    assert (cause.name, cause.after < 1e-9 * cause.before) == ("argument", True)
    assert f"norm={other}" in cause.told
