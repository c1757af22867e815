"""What a search for a cause runs the models on: weights and inputs in which faults show, and others that confirm."""

from typing import Any

import numpy as np

from parity.canonical.weights import Weights
from parity.errors import ParityError
from parity.inputs.batch import batch
from parity.pair.models import PairModels
from parity.strategies import LENGTH, SCALES


def specimen(corners: PairModels, seed: int, text: str | None = None) -> tuple[Weights, Any]:
    """Weights from a seed, and a text's ids, or rows of unequal length with every kind of id in them.

    Of a pair without a tokenizer, inputs of it. Raises ParityError for a text of no ids, or of more than
    the models take.
    """
    weights = Weights(seed, 1.0)
    if corners.pad is None:
        if text is not None:
            raise ParityError(f"{corners.pair.name} has no tokenizer and takes no text; leave --text out")
        return weights, corners.given(seed)[0]
    if text is not None:
        ids = corners.tokenizer.encode(text)
        if not ids or len(ids) > (corners.pair.length or len(ids)):
            limit = f"1 to {corners.pair.length}" if corners.pair.length else "1 and more"
            raise ParityError(f"the text is {len(ids)} ids long, but the models take {limit}")
        return weights, np.array([ids], np.int64)
    random = np.random.default_rng(seed)
    rows = [random.integers(0, corners.tokenizer.vocab, size) for size in (LENGTH, *random.integers(3, LENGTH, 3))]
    rows[3][1:] = rows[3][0]  # one id repeated
    rows[0][LENGTH // 2] = rows[1][1] = corners.tokenizer.pad  # inside a text
    return weights, batch(tuple(tuple(row.tolist()) for row in rows), corners.tokenizer.pad).ids


def elsewhere(corners: PairModels) -> list[tuple[Weights, Any]]:
    """Weights of every size and inputs on which a cause has to hold too: no check and no search has seen them."""
    return [(Weights(seed, scale), specimen(corners, seed)[1]) for seed, scale in enumerate(SCALES, 1)]
