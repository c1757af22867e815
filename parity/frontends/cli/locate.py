"""`parity locate`: which layers of a pair introduce a difference, and why."""

import shlex
from typing import TYPE_CHECKING

import click

from parity.errors import ParityError
from parity.frontends.cli.console import Output, Whole, err, out, output
from parity.frontends.config import load
from parity.frontends.targets import resolve

if TYPE_CHECKING:
    from parity.checks.results import Diagnosis
    from parity.diagnose.locate import Located
    from parity.inputs.arrays import Sample
    from parity.pair.models import Corners

EPILOG = """
Exit status: 0 no layer differs, 1 one does, 2 wrong usage.

\b
Examples:
  parity locate acme.models:pair
  parity locate acme.models:pair --operators --html place.html
"""


@click.command(epilog=EPILOG)
@click.argument("target", metavar="PAIR")
@click.option("--text", help="Run the models on this text, instead of on rows drawn from the seed.")
@click.option("--seed", type=Whole(min=0), default=0, metavar="N", help="Random seed; 0 by default.")
@click.option("--operators", is_flag=True, help="Also show both runs side by side, operation by operation.")
@output("what was found")
def locate(target: str, text: str | None, seed: int, operators: bool, output: Output) -> int:
    """Show which layers introduce a difference, and why.

    PAIR is module:attribute, or a reference name. Prints the tree of matched layers and the causes that are verified.
    """
    from parity.backends.protocol import Traceable
    from parity.checks.runner import environment
    from parity.diagnose import explain, specimens
    from parity.diagnose.naming import named
    from parity.diagnose.operators import side_by_side
    from parity.diagnose.stages import criterion
    from parity.inputs.arrays import Sample, shapes
    from parity.pair.models import Corners
    from parity.report import html, layer_tree

    pair = resolve(target, load().directory)
    if told := pair.lacking((Traceable,)):
        raise ParityError(f"{pair.name} cannot be located: {told}")
    with err.status("building the models"):
        corners = Corners(pair)
    weights, ids = specimens.specimen(corners, seed, text)
    with err.status("running them side by side"):
        corners.load(weights)
        found, diagnosis = explain.located(corners, ids, whole=bool(pair.loss))
        if pair.loss and not found.introduces:
            found, diagnosis = criterion.located(corners, Sample(weights, ids), found)
        elif found.introduces:
            diagnosis = _by_operation(corners, found, diagnosis, Sample(weights, ids))
        diagnosis = named(diagnosis, pair.sides)
        beside = operators or (output.html and found.introduces)  # a page has those around the place
        pairs = side_by_side(corners, weights, ids) if beside else []
    given = shapes(ids) + (f", from seed {seed}" if text is None else f", from {text!r}")
    heading = {"pair": pair.name, "weights": "the models' own" if pair.own_weights else f"seed {seed}", "inputs": given}
    command = f"parity locate {target} --seed {seed}" + (f" --text {shlex.quote(text)}" if text is not None else "")
    more = {"command": command, "environment": environment(corners)}
    output.write(layer_tree.document(found, diagnosis, heading | more, pairs), html.located)
    if output.quiet:
        out.print(layer_tree.last_line(found), soft_wrap=True)
    else:
        layer_tree.show(found, diagnosis, heading, out, pairs if operators else ())
    return 1 if found.introduces else 0


def _by_operation(corners: "Corners", found: "Located", diagnosis: "Diagnosis", given: "Sample") -> "Diagnosis":
    """The same with the operations that differ, of the models or of their gradients alone."""
    from parity.diagnose import explain
    from parity.diagnose.operators import backward

    diagnosis = explain.by_operation(corners, diagnosis, given)
    if diagnosis.operations or not any(piece.fails for piece in found.gradients):
        return diagnosis
    return backward.placed(corners, given, diagnosis)
