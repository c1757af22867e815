"""Each framework's own data path gives the reference batches: ids, targets, order, dtype, padding.

DataLoader with pad_sequence, and tf.data with padded_batch; any texts, any batch size, a last batch
that is short. Texts of fewer than two tokens are dropped before either sees them.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.batch import batches, rows_of
from parity.pair import Corners
from parity.square import Verdict, exact
from parity.strategies import LENGTH, texts


def examples(corners: Corners) -> SearchStrategy[tuple[list[str], int]]:
    lines = st.lists(texts(), min_size=1, max_size=7)
    return st.tuples(lines.filter(lambda drawn: rows_of(drawn, corners.tokenizer)), st.integers(1, 4))


def verify(corners: Corners, example: tuple[list[str], int]) -> list[Verdict]:
    lines, size = example
    pad = corners.tokenizer.pad
    rows = rows_of(lines, corners.tokenizer, LENGTH)
    expected = batches(rows, size, pad)
    verdicts = []
    for side, backend in corners.backends.items():
        fed = backend.feed(rows, size, pad)
        sides = ("expected", side)
        verdicts.append(exact(f"{side} number of batches", np.array([len(expected)]), np.array([len(fed)]), sides))
        for reference, (ids, targets) in zip(expected, fed, strict=False):  # their number is judged above
            verdicts.append(exact(f"{side} ids", reference.ids, ids, sides))
            verdicts.append(exact(f"{side} targets", reference.targets, targets, sides))
    return verdicts
