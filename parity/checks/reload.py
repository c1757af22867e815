"""A saved model, reloaded in a fresh process with its tokenizer, gives identical bits for raw text.

Every format of both frameworks: .pth (weights only) and .safetensors; .keras and .weights.h5.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity import bundle, process
from parity.batch import batch, rows_of
from parity.layers import Array, Weights
from parity.pair import Corners
from parity.square import Verdict, exact
from parity.strategies import LENGTH, ROWS, texts, weights

SHARE = 10


def examples(corners: Corners) -> SearchStrategy[tuple[Weights, list[str]]]:
    def predicts(lines: list[str]) -> bool:
        return bool(rows_of(lines, corners.tokenizer, LENGTH))

    return st.tuples(weights(), st.lists(texts(), min_size=1, max_size=ROWS).filter(predicts))


def verify(corners: Corners, example: tuple[Weights, list[str]]) -> list[Verdict]:
    drawn, lines = example
    corners.ensure(drawn)
    models = {side: corners.models[side, "float32"] for side in corners.backends}
    formats = {side: backend.FORMATS for side, backend in corners.backends.items()}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "pair"
        with bundle.writing(place, corners.pair.name, corners.tokenizer, models, formats) as written:
            reloaded = process.fresh(reopen, written, corners.pair.builds, lines)
    ids = batch(rows_of(lines, corners.tokenizer, LENGTH), corners.tokenizer.pad).ids
    verdicts = []
    for name, (side, logits) in reloaded.items():
        kept = models[side].logits(ids)
        verdicts.append(exact(f"logits of the reloaded {name}", kept, logits, ("saved", "reloaded")))
    wanted = np.array(sorted(f"{side}{suffix}" for side in formats for suffix in formats[side]))
    verdicts.append(exact("files reloaded", wanted, np.array(sorted(reloaded)), ("saved", "reloaded")))
    return verdicts


def reopen(place: Path, builds: Mapping[str, Callable[[], Any]], lines: list[str]) -> dict[str, tuple[str, Array]]:
    """In the fresh process: file name -> (side, logits of the lines' batch)."""
    saved = bundle.load(place)
    ids = batch(rows_of(lines, saved.tokenizer, LENGTH), saved.tokenizer.pad).ids
    return {path.name: (side, model.logits(ids)) for path, (side, model) in saved.models(builds).items()}
