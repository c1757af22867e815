"""A saved model, reloaded in a fresh process, gives identical bits: with its tokenizer, for raw text.

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
and its eager run round differently. So may a trace for inputs of any shape and one for a single shape: both processes
trace for the inputs' own shape alone. A model that a framework refuses to export has no program, and one
that Keras cannot make anew from its own configuration no .keras; nothing is promised of these.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity import backends
from parity.backends import process
from parity.backends.build import Build
from parity.backends.protocol import BackendModel, Savable
from parity.canonical.weights import Weights
from parity.checks.stage import Stage
from parity.compare.judge import Verdict, judge_exact
from parity.dtypes import Array
from parity.errors import ParityError
from parity.inputs.batch import batch, rows_of
from parity.inputs.tokenizer import Tokenizer
from parity.pair import checkpoint
from parity.pair.models import PairModels
from parity.pair.resting import resting
from parity.scratch import scratch
from parity.strategies import LENGTH, ROWS, inputs, texts, weights

NEEDS = (Savable,)
STAGE = Stage.FILES
FAILED = "the reloaded model differs"
COST = 10


def examples(corners: PairModels) -> SearchStrategy[tuple[Weights, Any]]:
    """Weights, and raw texts, or inputs of a pair that takes no texts."""
    if corners.pair.inputs is not None:
        return st.tuples(weights(corners), inputs(corners))

    def predicts(lines: list[str]) -> bool:
        return bool(rows_of(lines, corners.tokenizer, LENGTH))

    return st.tuples(weights(corners), st.lists(texts(), min_size=1, max_size=ROWS).filter(predicts))


def verify(corners: PairModels, example: tuple[Weights, Any]) -> list[Verdict]:
    """Save every format, reopen all of them in one fresh process, and compare the outputs bit for bit."""
    drawn, raw = example
    corners.ensure(drawn)
    models = {side: corners.models[side, "float32"] for side in corners.builds}
    # A framework that refuses a format promises nothing of it; the report says what was left out.
    refused = {side: model.refusals() for side, model in models.items()}
    for side, reasons in refused.items():
        for suffix, why in reasons.items():
            corners.exercised.leave_out(f"reload of {side}{suffix}", why)
    formats = {side: tuple(s for s in corners.backends[side].FORMATS if s not in refused[side]) for side in models}
    inputs = raw if corners.pad is None else ids(raw, corners.tokenizer)
    wanted = [f"{side}{suffix}" for side in formats for suffix in formats[side]]
    with scratch() as directory:
        programs = {}
        for side, model in models.items():
            path = directory / f"{side}{corners.backends[side].PROGRAM}"
            # The program is asked for on this very input: what exports for one shape may not for another.
            with contextlib.suppress(ParityError):  # no such format for this model
                model.export(inputs, path)
                programs[side] = path
                wanted.append(path.name)
        place = directory / "pair"
        with _written(place, corners, models, formats) as written, resting(corners):
            reloaded = process.fresh(reopen, written, corners.builds, formats, programs, raw)
    if isinstance(reloaded, str):
        message = f"a fresh process cannot reload {reloaded.removeprefix(f'{written}/')}"
        return [Verdict("files reloaded", "different", len(wanted), np.inf, 0.0, "equal bits", message)]
    verdicts = []
    name = "output" if corners.pad is None else "logits"
    for model in models.values():
        model.retrace()
    saved = {side: model.outputs(inputs) for side, model in models.items()}
    for file, (side, outputs) in reloaded.items():
        for at, array in saved[side].items():
            subject = f"{name}{at} of the reloaded {file}"
            verdicts.append(judge_exact(subject, array, outputs.get(at, np.empty(0)), ("saved", "reloaded")))
    files = np.array(sorted(wanted)), np.array(sorted(reloaded))
    verdicts.append(judge_exact("files reloaded", *files, ("saved", "reloaded")))
    return verdicts


def ids(lines: list[str], tokenizer: Tokenizer) -> Array:
    """The padded ids (batch, time) of raw texts: both processes make them, each by its own copy of the tokenizer."""
    ids: Array = batch(rows_of(lines, tokenizer, LENGTH), tokenizer.pad).ids
    return ids


@contextlib.contextmanager
def _written(
    place: Path, corners: PairModels, models: Mapping[str, BackendModel], formats: Mapping[str, tuple[str, ...]]
) -> Iterator[Path]:
    """Where every format of both models stands; with the tokenizer, where there is one."""
    if corners.pad is not None:
        with checkpoint.writing(place, corners.pair.name, corners.tokenizer, models, formats) as written:
            yield written
        return
    place.mkdir()
    for side, model in models.items():
        for suffix in formats[side]:
            model.save(place / f"{side}{suffix}")
    yield place


def reopen(
    place: Path,
    builds: Mapping[str, Build],
    formats: Mapping[str, tuple[str, ...]],
    programs: Mapping[str, Path],
    raw: Any,
) -> dict[str, tuple[str, dict[str, Array]]] | str:
    """Load every file in the fresh process and run it: file name -> (side, outputs); or why a file is refused.

    `place` has the files of `formats`, `programs` side -> exported program; `raw` are texts or inputs.
    """
    loaded = backends.of(builds)
    arrays = {}
    try:
        if (place / checkpoint.MANIFEST).exists():
            saved = checkpoint.load(place, builds)
            pad, inputs = saved.tokenizer.pad, ids(raw, saved.tokenizer)
        else:
            pad, inputs = None, raw
        for side, build in builds.items():
            model = loaded[side].Model(build, "float32", pad)  # takes one file after the other
            model.retrace()
            for path in (place / f"{side}{suffix}" for suffix in formats[side]):
                # What a file does not bring back is NaN afterwards, not the value that happened to be there.
                model.fill_nan()
                again = loaded[side].reload(model, path)  # another model of a format that holds the code as well
                if again is not model:
                    again.retrace()
                arrays[path.name] = side, again.outputs(inputs)
    except ParityError as error:
        return str(error)
    return arrays | {path.name: (side, loaded[side].program(path)(inputs)) for side, path in programs.items()}
