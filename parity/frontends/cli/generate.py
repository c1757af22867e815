"""`parity generate`: go on from a text with saved models."""

from pathlib import Path

import click

from parity.frontends.cli.console import Whole, out

EPILOG = """
\b
Example, after parity train --text corpus.txt --out models:
  parity generate models "def parse(" --tokens 30
"""


@click.command(epilog=EPILOG)
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("text")
@click.option("--tokens", type=Whole(min=1), default=20, metavar="N", help="How many to predict; 20 by default.")
def generate(directory: Path, text: str, tokens: int) -> int:
    """Continue TEXT with both trained models.

    They are those that parity train left in DIRECTORY.
    """
    from parity import reference
    from parity.frontends.cli.progress import speaking
    from parity.pair import checkpoint
    from parity.pair import decoding as generation

    saved = checkpoint.load(directory)
    ids = generation.prompt(saved.tokenizer, text)
    builds = reference.pair(saved.pair, saved.tokenizer).builds
    models = dict(saved.models(builds).values())
    with speaking(out, text) as show:
        for said in generation.stream(models, ids, tokens):
            show({side: generation.readable(saved.tokenizer, ids, one) for side, one in said.items()})
    # Two promises: each side's stream is its own whole run, and both sides say the same.
    status = 0
    for side, model in models.items():
        if generation.again(model, ids, tokens) != said[side]:
            out.print(f"{side}: running the whole text again gives other tokens", style="bold red")
            status = 1
    if len({tuple(one) for one in said.values()}) > 1:
        place = next(i for i, column in enumerate(zip(*said.values(), strict=True)) if len(set(column)) > 1)
        pieces = ", ".join(f"{side} {saved.tokenizer.piece(one[place])!r}" for side, one in said.items())
        gap, scale = generation.gap(models, ids, said, place)
        apart = f"; the logits of the two are at most {gap:.1e} apart, of up to {scale:.1e}"
        out.print(f"the sides part at token {place + 1}: {pieces}{apart}", style="bold red", soft_wrap=True)
        return 1
    if status == 0:
        agreed = "both sides agree, and" if len(models) > 1 else f"{next(iter(models))} alone:"
        out.print(
            f"{agreed} cached (stateful) decoding matches full recomputation for {tokens} tokens",
            style="bold green",
            soft_wrap=True,
        )
    return status
