"""What a token sees that it should not, where both sides do: two batches of one check, and the tokens in both."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from parity.diagnose import Cause
from parity.diagnose.locate import one_side
from parity.pair.models import Corners


def hidden(corners: Corners, check: str, given: Any) -> list[Cause]:
    """What a token sees that it should not, where both sides do."""
    views: dict[str, Callable[..., Any]] = {
        "padding": _padded,
        "batching": _rearranged,
        "causality": _later,
        "masking": _scribbled,
    }
    if check not in views:
        return []
    name = "batch mixed" if check == "batching" else "mask missing"
    if corners.pad is None:
        return []
    first, second = views[check](corners.tokenizer, *given)
    return one_side.leaking(corners, name, first, second)


def _padded(tokenizer: Any, case: Any, extra: int, end: str) -> Any:
    batch = case.batch(tokenizer.pad)
    rows, columns = np.nonzero(batch.mask)
    left = extra if end == "left" else 0
    more = np.pad(batch.ids, ((0, 0), (left, extra - left)), constant_values=tokenizer.pad)
    return (batch.ids, (rows, columns)), (more, (rows, columns + left))


def _rearranged(tokenizer: Any, case: Any, order: tuple[int, ...]) -> Any:
    batch = case.batch(tokenizer.pad)
    other = replace(case, rows=tuple(case.rows[place] for place in order)).batch(tokenizer.pad)
    rows, columns = np.nonzero(other.mask)
    return (batch.ids, (np.array(order)[rows], columns)), (other.ids, (rows, columns))


def _later(tokenizer: Any, case: Any, kept: int, shift: int) -> Any:
    batch = case.batch(tokenizer.pad)
    early = batch.mask.copy()
    early[:, kept:] = False
    changed = batch.ids.copy()
    changed[:, kept:] = (changed[:, kept:] + shift) % tokenizer.vocab
    return (batch.ids, np.nonzero(early)), (changed, np.nonzero(early))


def _scribbled(tokenizer: Any, case: Any, filler: int) -> Any:
    batch = case.batch(tokenizer.pad)
    scribbled = np.where(batch.mask, batch.ids, filler)
    return (batch.ids, np.nonzero(batch.mask)), (scribbled, np.nonzero(batch.mask))
