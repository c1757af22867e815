"""Fixtures of these tests alone; those that users' examples need too are in the root."""

import pytest


@pytest.fixture
def eagerly():
    """Run TensorFlow without graphs: for few examples of a small model, tracing takes most of the time."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
