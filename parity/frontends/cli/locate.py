"""`parity locate`: which layers of a pair introduce a difference, and why."""

from typing import Any

import click

from parity.frontends.cli import files
from parity.frontends.cli.console import Output, Whole, err, out, output
from parity.frontends.config import load
from parity.frontends.targets import resolve

EPILOG = """
Exit status: 0 no layer differs, 1 one does, 2 wrong usage.

\b
Examples:
  parity locate acme.models:pair
  parity locate acme.models:pair --operators --html place.html
  parity locate acme.models:pair --onnx acme.onnx
"""


@click.command(epilog=EPILOG)
@click.argument("target", metavar="PAIR")
@click.option("--text", help="Run the models on this text, instead of on rows drawn from the seed.")
@click.option("--seed", type=Whole(min=0), default=0, metavar="N", help="Random seed; 0 by default.")
@click.option("--operators", is_flag=True, help="Also show both runs side by side, operation by operation.")
@files.options
@output("what was found")
def locate(target: str, text: str | None, seed: int, operators: bool, output: Output, **named: Any) -> int:
    """Show which layers introduce a difference, and why.

    PAIR is module:attribute, or a reference name. Prints the tree of matched layers and the causes that are verified.
    Of a file it prints the first nodes of its graph behind which the outputs differ.
    """
    from parity.diagnose.place import find, prepared
    from parity.report import html, layer_tree

    [(target, pair)] = files.put({target: resolve(target, load().directory)}, files.taken(named)).items()
    with err.status("building the models"):
        corners = prepared(pair)
    with err.status("running them side by side"):
        place = find(corners, seed, text, operators or bool(output.html), target)  # a page has them
    output.write(place.document(), html.located)
    if output.quiet:
        out.print(layer_tree.last_line(place.located), soft_wrap=True)
    else:
        layer_tree.show(place.located, place.diagnosis, place.heading, out, place.operators if operators else ())
    return 0 if place.holds else 1
