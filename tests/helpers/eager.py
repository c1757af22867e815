"""TensorFlow without graphs: for few examples of a small model, tracing takes most of the time."""

import contextlib


@contextlib.contextmanager
def eagerly():
    """Run every `tf.function` as the Python that it is made of."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
