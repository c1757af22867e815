"""Keras models, whatever Keras runs on: what the backends `tensorflow` and `jax` have in common.

A process has one Keras, and Keras one backend: `engine` is what that adds. A model of either backend is `model.Model`;
file for file and line for line beside torch's.
"""

import importlib

import keras

importlib.import_module(f"parity.backends.{keras.backend.backend()}")  # whichever of the two is imported first
