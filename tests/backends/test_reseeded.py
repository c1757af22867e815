"""Whatever draws from a fixed seed draws other numbers where seeds are others."""

import numpy as np


def test_a_seed_of_tensorflow_s_own_draws_other_numbers_inside_and_goes_on_behind():
    import tensorflow as tf

    from parity.backends.tensorflow.engine import reseeded

    def drawn():
        tf.random.set_seed(7)
        return [tf.random.uniform((3,), seed=own).numpy() for own in (None, 5)]

    before, last = drawn(), tf.random.uniform((3,)).numpy()
    drawn()
    with reseeded():
        inside = drawn()

    assert not any(map(np.array_equal, before, inside))
    np.testing.assert_array_equal(tf.random.uniform((3,)).numpy(), last)
