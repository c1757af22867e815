"""A network in PyTorch beside its port to Keras that runs on JAX; needs `parity[jax]`, and no TensorFlow."""

from torch import nn

from parity import Pair, parametrize, strategies


def build():
    return nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.LayerNorm(7), nn.Linear(7, 3))


def build_keras():
    import keras  # here, or before anything imports it: KERAS_BACKEND=jax

    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(7, activation="gelu", name="0"),
            keras.layers.LayerNormalization(epsilon=1e-5, name="2"),
            keras.layers.Dense(3, name="3"),
        ]
    )


pair = Pair("ported", torch=build, jax=build_keras, inputs=strategies.arrays(5))


@parametrize(pair, examples=2)
def test_the_port_is_its_source(check):
    check()
