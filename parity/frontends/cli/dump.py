"""`parity dump`: what one side of a pair gives, as a file, where the other framework is not installed."""

from pathlib import Path

import click

from parity.frontends.cli.console import Whole, err, out
from parity.frontends.config import load
from parity.frontends.targets import resolve

PLACE = click.Path(path_type=Path)
EPILOG = """
The pair's module must be importable with this side's framework alone: import the other inside its builder.

\b
Examples, in one environment, in the other, and in either:
  parity dump acme:pair --side torch -o t.safetensors
  parity dump acme:pair --side tensorflow --weights t.safetensors -o k.safetensors
  parity compare t.safetensors k.safetensors
"""


@click.command(epilog=EPILOG)
@click.argument("target", metavar="PAIR")
@click.option("--side", required=True, metavar="NAME", help="The model to run: torch or tensorflow, as a rule.")
@click.option("-o", "--output", type=PLACE, required=True, help="The .safetensors or .npz file to write.")
@click.option("--weights", type=PLACE, metavar="FILE", help="Use weights and inputs of the other side's file.")
@click.option("--seed", type=Whole(min=0), default=0, metavar="N", help="Random seed; 0 by default.")
@click.option("--examples", type=Whole(min=1), default=5, metavar="N", help="Inputs to draw; 5 by default.")
def dump(target: str, side: str, output: Path, weights: Path | None, seed: int, examples: int) -> int:
    """Write what one side of PAIR gives, for parity compare.

    Needs this side's framework alone. Inputs and weights are drawn from the seed; the second side takes them from the
    first side's file, by --weights.
    """
    from parity import api
    from parity.backends import BACKENDS
    from parity.files import check_place, suffix
    from parity.pair.stored import SEVERAL

    suffix(output, SEVERAL)  # before a model is built: an ending that cannot hold several arrays
    check_place(output)
    # Of a side that is named by its backend that backend alone is loaded: the other need not be installed.
    pair = resolve(target, load().directory, (side,) if side in BACKENDS else None)
    with err.status("running the model"):
        summary = api.dump(pair, side, output, seed=seed, examples=examples, weights=weights)
    out.print(f"{output}: {summary}", soft_wrap=True)
    return 0
