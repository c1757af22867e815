"""Keras models, whatever Keras runs on: what the backends `tensorflow` and `jax` have in common.

A process has one Keras, and Keras one backend: `engine` is what that adds. A model of either backend is `model.Model`;
file for file and line for line beside torch's.

    engine        what TensorFlow and JAX each add, as a protocol
    model         a corner: the verbs of `BackendModel`, each by one of the files below
    modules       what a builder may return; its variables
    layers        which of them are which canonical parameter, by the classes in `kinds`
    lengths       kernels that are held as g and v, where the other side has them so
    hooks         the calls of layers, seen and replaced
    losses, training, optimizers      the loss of a token; steps by a recipe; the user's own optimizer
    modes, attributes                 what training mode draws and keeps; what else a layer is set to
    policy        Keras's own dtype, and what stands in a library's place meanwhile
    formats       files, read as data
"""

import importlib

import keras

importlib.import_module(f"parity.backends.{keras.backend.backend()}")  # whichever of the two is imported first
