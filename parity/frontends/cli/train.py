"""`parity train`: the language models, trained side by side and saved."""

from pathlib import Path

import click

from parity.files import read_texts
from parity.frontends.cli.console import Whole, interruptible, out

EPILOG = """
\b
Example:
  parity train --text corpus.txt --out models --steps 100
"""


@click.command(epilog=EPILOG)
@click.option(
    "--text", type=click.Path(path_type=Path), required=True, help="A UTF-8 text file, or a directory of them."
)
@click.option(
    "--out", "directory", type=click.Path(path_type=Path), required=True, help="Where models and tokenizer go."
)
@click.option("--steps", type=Whole(min=1), default=100, metavar="N", help="Batches to train on; 100 by default.")
@click.option(
    "--side", type=click.Choice(["torch", "tensorflow", "jax", "both"]), default="both", help="Both by default."
)
@click.option("--tokenizer", type=click.Path(path_type=Path), help="Use this tokenizer instead of training one.")
@click.option("--seed", type=Whole(min=0), default=0, metavar="N", help="Random seed; 0 by default.")
def train(text: Path, directory: Path, steps: int, side: str, tokenizer: Path | None, seed: int) -> int:
    """Train the reference language models side by side.

    Both are saved, and their reload is verified in a fresh process.
    """
    from parity import backends, reference
    from parity.frontends.cli.progress import losses
    from parity.pair import checkpoint
    from parity.reference import train as training

    checkpoint.check_place(directory)
    vocabulary, source = training.find_tokenizer(directory, tokenizer, read_texts(text))
    out.print(f"tokenizer   {vocabulary.vocab:,} pieces, sha256 {vocabulary.fingerprint[:16]}, {source}")
    rows = training.read_rows(text, vocabulary)
    out.print(f"text        {len(rows):,} lines to train on")
    # Before anything imports Keras, which takes its backend then: "jax" is asked for by that side's name.
    backends.settle_keras({side} & {*backends.BACKENDS})
    pair = reference.pair("lstm", vocabulary)
    with losses(out, steps) as tick:
        sides = pair.sides if side == "both" else (side,)
        models = training.train(pair, rows, sides, steps, seed, interruptible(tick))
    verdicts = training.save(directory, pair, models, rows)
    out.print(f"saved       {directory}: {', '.join(sorted(p.name for p in directory.iterdir()))}", soft_wrap=True)
    elements = sum(verdict.elements for verdict in verdicts)
    out.print(f"reloaded    in a fresh process: identical bits in {elements:,} logits", style="bold green")
    return 0
