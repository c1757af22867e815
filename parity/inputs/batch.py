"""Texts -> Batch(ids, targets, mask), once, as the reference that both frameworks' feeds must meet.

A row is the ids of one text. Its inputs are all but the last, its targets all but the first. A text
of fewer than two tokens holds nothing to predict and is dropped, on both sides alike, because it is
dropped here. Padding is on the right, with the tokenizer's pad id, in inputs and targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.dtypes import Array, Inputs
from parity.inputs.tokenizer import Tokenizer


@dataclass(frozen=True)
class Batch:
    """Next-token batch: `ids` and `targets` (batch, time) int64, `mask` (batch, time) bool.

    The mask is true where a token stands, whatever its id; false where padding stands. In a batch of other inputs than
    texts, `ids` are the inputs in any nesting, `mask` is None, and so are `targets` where they are not asked for.
    """

    ids: Inputs
    targets: Inputs
    mask: Any


def rows_of(
    texts: Sequence[str], tokenizer: Tokenizer, limit: int | None = None, side: str = "right"
) -> list[list[int]]:
    """The ids of every text that has at least two, each cut to `limit` ids on its right or left side.

    With "right" the first ids are kept, with "left" the last. Raises ParityError for what is no text.
    """
    rows = [tokenizer.encode(text) for text in texts]
    first = [0 if side == "right" or limit is None else max(len(row) - limit, 0) for row in rows]
    cut = (row[start:][:limit] for row, start in zip(rows, first, strict=True))
    return [row for row in cut if len(row) >= 2]


def batch(rows: Sequence[Sequence[int]], pad: int) -> Batch:
    """Stack rows of at least two ids to (rows, longest - 1), padded on the right with the id `pad`."""
    time = max(map(len, rows)) - 1
    ids, targets = (np.full((len(rows), time), pad, np.int64) for _ in range(2))
    mask = np.zeros((len(rows), time), bool)
    for line, row in enumerate(rows):
        ids[line, : len(row) - 1] = row[:-1]
        targets[line, : len(row) - 1] = row[1:]
        mask[line, : len(row) - 1] = True
    return Batch(ids, targets, mask)


def batches(rows: Sequence[Sequence[int]], size: int, pad: int) -> list[Batch]:
    """Consecutive batches of `size` rows; the last one may be shorter."""
    return [batch(rows[start : start + size], pad) for start in range(0, len(rows), size)]


def unpad(ids: Array, targets: Array, pad: int) -> list[list[int]]:
    """Undo `batch`: the rows of ids (batch, time) and targets (batch, time), of any lengths.

    Padding is known by its id, which no text has. A row of nothing but padding comes back empty.
    """
    rows = [[*line[:1].tolist(), *target.tolist()] for line, target in zip(ids, targets, strict=True)]
    for row in rows:
        while row and row[-1] == pad:
            row.pop()
    return rows
