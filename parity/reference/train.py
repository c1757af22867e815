"""Train twins side by side: one tokenizer, the same first weights, the same batches, twins of one Adam.

What comes out is a bundle, reloaded in a fresh process before it is called good.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from parity import backends
from parity.backends import process
from parity.backends.protocol import BackendModel
from parity.canonical import weights
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import Weights
from parity.compare.judge import Verdict, judge_exact
from parity.dtypes import Array
from parity.errors import Mismatch, ParityError
from parity.files import read_texts
from parity.inputs.batch import Batch, batch, rows_of
from parity.inputs.tokenizer import Tokenizer
from parity.inputs.tokenizer import train as train_tokenizer
from parity.pair import checkpoint, transfer
from parity.pair.pair import Pair

ROWS = 16  # texts in a batch
LENGTH = 33  # ids of a text, at most
RECIPE = Recipe("adam", rate=1e-3)
FORMATS = {"torch": (".pth",), "tensorflow": (".keras",), "jax": (".keras",)}

Losses = dict[str, float]


def find_tokenizer(out: Path, file: Path | None, texts: Sequence[str]) -> tuple[Tokenizer, str]:
    """The tokenizer to train with, and where it came from: the given file, the one that a former
    run left in `out`, or a new one of 64,000 pieces trained on the texts."""
    if file is not None:
        return Tokenizer.load(file), str(file)
    if (out / checkpoint.TOKENIZER).exists():
        return Tokenizer.load(out / checkpoint.TOKENIZER), str(out / checkpoint.TOKENIZER)
    try:
        return Tokenizer(train_tokenizer(texts)), "trained on the text"
    except ParityError as error:
        raise ParityError(
            f"{error}; train one with parity tokenizer train --vocab-size and give it as --tokenizer"
        ) from error


def read_rows(text: Path, tokenizer: Tokenizer) -> list[list[int]]:
    """The ids of every line that holds something to predict. Raises ParityError if none does."""
    rows = rows_of(read_texts(text), tokenizer, LENGTH)
    if not rows:
        raise ParityError(f"{text}: no line has two tokens or more; there is nothing to predict")
    return rows


def train(
    pair: Pair,
    rows: Sequence[Sequence[int]],
    sides: Sequence[str],
    steps: int,
    seed: int,
    tick: Callable[[int, Losses], None],
) -> dict[str, BackendModel]:
    """Train the given sides together for `steps` batches; `tick` gets the step and both losses."""
    process.warm()  # for the reload at the end
    tokenizer, loaded = pair.vocabulary(), backends.of(pair.builds)
    models = {side: loaded[side].Model(pair.builds[side], "float32", tokenizer.pad) for side in sides}
    for side, model in models.items():
        layout = transfer.layout(side, model)
        transfer.write(model, weights.draw(layout, Weights(seed, 0.5)), layout)
    learners = {side: model.trainer(RECIPE) for side, model in models.items()}
    random = np.random.default_rng(seed)
    for step in range(1, steps + 1):
        drawn = _draw(rows, random, tokenizer.pad)
        batches = [(drawn.ids, drawn.targets)]
        tick(step, {side: float(trainer.step(batches)) for side, trainer in learners.items()})
    return models


def save(out: Path, pair: Pair, models: dict[str, BackendModel], rows: Sequence[Sequence[int]]) -> list[Verdict]:
    """Write the bundle, once a fresh process has proved that its models give the same bits.

    Raises Mismatch, and leaves what was there before, when they do not.
    """
    tokenizer = pair.vocabulary()
    ids = batch(rows[:ROWS], tokenizer.pad).ids
    with checkpoint.writing(out, pair.name, tokenizer, models, FORMATS) as written:
        reloaded = process.fresh(reopen, written, pair, ids)
        verdicts = [
            judge_exact(f"logits of {name} reloaded", models[side].logits(ids), logits, ("trained", "reloaded"))
            for name, (side, logits) in reloaded.items()
        ]
        for verdict in verdicts:
            if verdict.fails:
                raise Mismatch(verdict.message)
    return verdicts


def reopen(out: Path, pair: Pair, ids: Array) -> dict[str, tuple[str, Array]]:
    """In the fresh process: file name -> (side, logits)."""
    models = checkpoint.load(out).models(pair.builds)
    return {path.name: (side, model.logits(ids)) for path, (side, model) in models.items()}


def _draw(rows: Sequence[Sequence[int]], random: np.random.Generator, pad: int) -> Batch:
    """A batch of up to `ROWS` different rows; both sides get the same."""
    chosen = random.choice(len(rows), size=min(ROWS, len(rows)), replace=False)
    return batch([rows[i] for i in chosen], pad)
