"""A saved model, reloaded in a fresh process with its tokenizer, gives identical bits for raw text.

Every format of both frameworks, each compared with the same kind of execution. Measured on the four
reference pairs with drawn weights, gains and biases too, float32 and float64:

    format                  what comes back             against the saved model, run     logits
    .pth  .safetensors      the module's values         eagerly                          identical
    .pt2 (torch.export)     a program, for one shape    eagerly                          identical
    .keras  .weights.h5     the model or its values     as a tf.function                 identical
    .ckpt (tf.train)        the model's values          as a tf.function                 identical
    SavedModel (export)     a program, a graph          as a tf.function                 identical
                                                        eagerly (graph against eager)    rounding

The last line is why like is compared with like: with gains that are not one, a transformer's graph
and its eager run round differently. A model that a framework refuses to export has no program, and
nothing is promised of it.
"""

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity import backends, bundle, process
from parity.batch import batch, rows_of
from parity.errors import ParityError
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
    ids = batch(rows_of(lines, corners.tokenizer, LENGTH), corners.tokenizer.pad).ids
    wanted = [f"{side}{suffix}" for side in formats for suffix in formats[side]]
    with tempfile.TemporaryDirectory() as scratch:
        programs = {}
        for side, backend in corners.backends.items():
            path = Path(scratch) / f"{side}{backend.PROGRAM}"
            with contextlib.suppress(ParityError):  # no such format for this model
                models[side].export(ids, path)
                programs[side] = path
                wanted.append(path.name)
        place = Path(scratch) / "pair"
        with bundle.writing(place, corners.pair.name, corners.tokenizer, models, formats) as written:
            reloaded = process.fresh(reopen, written, corners.pair.builds, programs, lines)
    if isinstance(reloaded, str):
        message = f"a fresh process cannot reload {reloaded.removeprefix(f'{written}/')}"
        return [Verdict("files reloaded", "different", len(wanted), np.inf, 0.0, "equal bits", message)]
    verdicts = []
    for name, (side, logits) in reloaded.items():
        kept = models[side].logits(ids)
        verdicts.append(exact(f"logits of the reloaded {name}", kept, logits, ("saved", "reloaded")))
    files = np.array(sorted(wanted)), np.array(sorted(reloaded))
    verdicts.append(exact("files reloaded", *files, ("saved", "reloaded")))
    return verdicts


def reopen(
    place: Path, builds: Mapping[str, Callable[[], Any]], programs: Mapping[str, Path], lines: list[str]
) -> dict[str, tuple[str, Array]] | str:
    """In the fresh process: file name -> (side, logits of the lines' batch); or why a file is refused."""
    try:
        saved = bundle.load(place)
        models = saved.models(builds)
    except ParityError as error:
        return str(error)
    ids = batch(rows_of(lines, saved.tokenizer, LENGTH), saved.tokenizer.pad).ids
    found = {path.name: (side, model.logits(ids)) for path, (side, model) in models.items()}
    loaded = backends.load()
    return found | {path.name: (side, loaded[side].program(path)(ids)) for side, path in programs.items()}
