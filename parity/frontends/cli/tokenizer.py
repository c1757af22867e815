"""`parity tokenizer`: train or inspect a shared tokenizer."""

import os
from pathlib import Path

import click

from parity.errors import ParityError
from parity.files import check_place, read_texts, replacing
from parity.frontends.cli.console import Verbs, Whole, err, out

PIECES = "Pieces; 64,000 by default."


@click.group(cls=Verbs, no_args_is_help=False)
def tokenizer() -> None:
    """Train or inspect a shared SentencePiece tokenizer."""


@tokenizer.command("train", epilog="Example: parity tokenizer train texts/ -o acme.model --vocab-size 8000")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The .model file to write.")
@click.option("--vocab-size", type=Whole(min=1, max=2**31 - 1), default=64_000, metavar="N", help=PIECES)
def tokenizer_train(inputs: tuple[Path, ...], output: Path, vocab_size: int) -> int:
    """Train a tokenizer on INPUTS.

    BPE with byte fallback and NFKC. INPUTS are UTF-8 text files, or directories of them.
    """
    from parity.inputs.tokenizer import Tokenizer
    from parity.inputs.tokenizer import train as train_tokenizer

    check_place(output)
    if os.path.realpath(output) in map(os.path.realpath, inputs):  # it would be replaced by the model
        raise ParityError(f"{output}: is the corpus itself; give another name for the model")
    texts = [line for path in inputs for line in read_texts(path)]
    with err.status("training the tokenizer"):
        data = train_tokenizer(texts, vocab_size)
    with replacing(output) as temporary:
        temporary.write_bytes(data)
    trained = Tokenizer.load(output)
    out.print(f"{output}: {trained.vocab:,} pieces, sha256 {trained.fingerprint}", soft_wrap=True)
    return 0


@tokenizer.command("inspect", epilog="Example: parity tokenizer inspect acme.model")
@click.argument("file", type=click.Path(path_type=Path))
def tokenizer_inspect(file: Path) -> int:
    """Print a tokenizer's settings and its fingerprint."""
    from parity.inputs.tokenizer import Tokenizer

    model = Tokenizer.load(file)
    for name, value in {**model.settings, "fingerprint": f"sha256 {model.fingerprint}"}.items():
        out.print(f"{name:<26}{value}", soft_wrap=True)
    return 0
