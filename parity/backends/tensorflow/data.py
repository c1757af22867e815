"""Rows of ids through TensorFlow's own data path.

Line for line beside `parity/backends/torch/data.py`.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from parity.backends.protocol import Plan
from parity.dtypes import Array


def feed(rows: Sequence[Sequence[int]], plan: Plan, pad: int) -> list[tuple[Array, Array]]:
    """As `Backend`, by a tf.data.Dataset: ids and targets (batch, time), padded to the longest row of the batch."""

    def pair(row: Any) -> tuple[Any, Any]:
        row = row[: plan.limit] if plan.side == "right" else row[-plan.limit :]
        return row[:-1], row[1:]

    places = tf.constant([place for place in plan.order if len(rows[place]) >= 2], tf.int64)
    ordered = tf.gather(tf.ragged.constant(rows, dtype=tf.int64, ragged_rank=1), places)
    pairs = tf.data.Dataset.from_tensor_slices(ordered).map(pair)
    batches = pairs.padded_batch(plan.size, padding_values=tf.constant(pad, tf.int64))
    return list(batches.as_numpy_iterator())
