"""A Keras network beside the LiteRT file that is shipped in its place; needs `parity[litert]`."""

from pathlib import Path
from tempfile import mkdtemp

import keras
import pytest
import tensorflow as tf

from parity import Pair, backends, parametrize, strategies

backends.load(["tensorflow"])  # which settles its threads, before the conversion runs anything
FILE = Path(mkdtemp()) / "signals.tflite"


def build():
    keras.utils.set_random_seed(0)  # in the place of a checkpoint that is loaded
    return keras.Sequential(
        [
            keras.Input((16, 3)),
            keras.layers.Conv1D(7, 3, padding="same", activation="gelu"),
            keras.layers.LayerNormalization(),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(5),
        ]
    )


@pytest.fixture(scope="module", autouse=True)
def converted():
    FILE.write_bytes(tf.lite.TFLiteConverter.from_keras_model(build()).convert())


pair = Pair("signals", tensorflow=build, litert=FILE, inputs=strategies.arrays(16, 3))


@parametrize(pair, examples=5)
def test_the_file_is_its_source(check):
    check()
