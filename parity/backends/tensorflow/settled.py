"""What TensorFlow has settled before any operation."""

from functools import partial

import tensorflow as tf


def prepare() -> str:
    """As `Backend.prepare`."""
    threading, notes = tf.config.threading, []
    for what, change in {
        "devices": partial(tf.config.set_visible_devices, [], "GPU"),  # torch is on the CPU; one elsewhere is no twin
        "threads": partial(threading.set_intra_op_parallelism_threads, 1),
        "parallel operations": partial(threading.set_inter_op_parallelism_threads, 1),
    }.items():
        try:
            change()
        except RuntimeError:  # an operation has run, and fixed it
            notes.append(what)
    return f"TensorFlow has run an operation before parity, and keeps its {' and '.join(notes)}" if notes else ""
