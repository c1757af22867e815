"""Rows of ids through torch's own data path.

Line for line beside `parity/backends/tensorflow/data.py`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from parity.backends.protocol import Plan
from parity.dtypes import Array


class _Rows:
    """A dataset of (ids, targets), each row cut to the plan's limit; a target is the next id."""

    def __init__(self, rows: Sequence[Sequence[int]], plan: Plan) -> None:
        self.rows = [torch.tensor(row, dtype=torch.int64) for row in rows]
        self.cut = slice(plan.limit) if plan.side == "right" else slice(-plan.limit, None)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        row = self.rows[index][self.cut]
        return row[:-1], row[1:]


def feed(rows: Sequence[Sequence[int]], plan: Plan, pad: int) -> list[tuple[Array, Array]]:
    """As `Backend`, by a DataLoader: ids and targets (batch, time), padded to the longest row of the batch."""

    def collate(pairs: list[tuple[Any, Any]]) -> tuple[Any, ...]:
        columns = zip(*pairs, strict=True)
        return tuple(pad_sequence(list(c), batch_first=True, padding_value=pad) for c in columns)

    places = [place for place in plan.order if len(rows[place]) >= 2]
    batches = DataLoader(_Rows(rows, plan), plan.size, sampler=places, collate_fn=collate)
    return [(ids.numpy(), targets.numpy()) for ids, targets in batches]
