"""Rows of ids through Keras's own data path: JAX has none.

Line for line beside `parity/backends/torch/data.py`.
"""

from collections.abc import Sequence
from typing import Any

import keras

from parity.backends.protocol import Plan
from parity.dtypes import Array


class _Batches(keras.utils.PyDataset):
    """Batches of padded ids and the targets that follow each."""

    def __init__(self, rows: Sequence[Sequence[int]], plan: Plan, pad: int) -> None:
        super().__init__()
        self._rows = [rows[place] for place in plan.order if len(rows[place]) >= 2]
        self._plan, self._pad = plan, pad

    def __len__(self) -> int:
        return -(-len(self._rows) // self._plan.size)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        plan, rows = self._plan, self._rows[number * self._plan.size : (number + 1) * self._plan.size]
        longest = min(plan.limit, max(map(len, rows)))
        # Padded by -1, which is no id, so that what is padding is known whatever `pad` is.
        cut = keras.utils.pad_sequences(
            rows, longest, "int64", padding="post", truncating={"right": "post", "left": "pre"}[plan.side], value=-1
        )
        ids, targets = cut[:, :-1].copy(), cut[:, 1:].copy()
        ids[targets < 0] = self._pad  # the last id of a row has no target
        targets[targets < 0] = self._pad
        return ids, targets


def feed(rows: Sequence[Sequence[int]], plan: Plan, pad: int) -> list[tuple[Array, Array]]:
    """As `Backend`, by a PyDataset: ids and targets (batch, time), padded to the longest row of the batch."""
    batches = _Batches(rows, plan, pad)
    return [batches[number] for number in range(len(batches))]
