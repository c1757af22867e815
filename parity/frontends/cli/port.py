"""`parity port`: a converted checkpoint and what it was converted from, without a Python file."""

import shlex
from collections.abc import Sequence
from typing import Any

import click

from parity.frontends.cli.console import Output, Whole, err, out, output
from parity.frontends.config import load

EPILOG = """
Exit status: 0 all checks pass, 1 one fails, 2 wrong usage, 3 an error in a check.

\b
Examples:
  parity port ./llama keras_hub.models:Backbone.from_preset --settings
  parity port acme:build_torch@acme.safetensors acme.keras
  parity port acme:original acme:converted --inputs 7,11
"""


@click.command(epilog=EPILOG)
@click.argument("source", metavar="SOURCE")
@click.argument("port", metavar="PORT")
@click.option("--inputs", metavar="INPUTS", help="Sizes of an array, 7,11; ids, 12<1000; a file; or module:attribute.")
@click.option("--seed", type=Whole(min=0), default=0, metavar="N", help="Random seed; 0 by default.")
@click.option("--examples", type=Whole(min=1), default=25, metavar="N", help="Examples per check; 25 by default.")
@click.option("--check", "checks", multiple=True, metavar="NAME", help="Run this check only; may be given again.")
@click.option("-x", "--fail-fast", is_flag=True, help="End with the first check that fails.")
@click.option("--all", "run_all", is_flag=True, help="Run every check, also where forward has failed.")
@click.option("--settings", is_flag=True, help="Also change each field of SOURCE's config.json; PORT has to follow.")
@output("the report")
def port(
    source: str, port: str, output: Output, inputs: str | None, examples: int, settings: bool, **options: Any
) -> int:
    """Check that a converted PORT computes what SOURCE does.

    Each is module:builder, a Hugging Face or KerasHub folder, a .keras file, a SavedModel, or
    module:builder@FILE for weights in a .safetensors, .pth, .weights.h5 or .ckpt. A PORT that takes an argument is a
    converter, and gets SOURCE's folder. Nothing is fetched. Prints what each parameter was made from, then the checks.
    """
    from parity.api import Asked, run_checks
    from parity.checks import chosen, known
    from parity.checks.runner import count, prepare
    from parity.diagnose.relations import related
    from parity.diagnose.stages.folds import with_biases
    from parity.frontends.cli.progress import progress
    from parity.frontends.cli.rows import Rows
    from parity.frontends.ported import paired, taken
    from parity.frontends.settings import survey
    from parity.report import relations, terminal

    known(options["checks"])
    directory = load().directory
    with err.status("building the models"):
        pair, sides = paired(source, port, directory, taken(inputs, directory))
        modules = chosen(pair, options["checks"] or None)
        corners = prepare(pair, ("float64", "float32"), modules)
    values = [corners.models[side, "float32"].read() for side in sides]  # before a check draws others
    origins, printed = with_biases(related(*values), *values), None if output.quiet else terminal.Printed(out)
    if printed:
        relations.show(origins, values[0], (source, port), out)
    target = " ".join(map(shlex.quote, (source, port))) + (f" --inputs {shlex.quote(inputs)}" if inputs else "")
    with progress(err, sum(count(module, examples) for module in modules)) as bar:
        asked = Asked(examples=examples, target=target, verb="port", **options)
        report = run_checks(corners, asked, Rows(bar, printed))
    # Last: each field that is changed builds both models anew.
    with err.status("changing settings"):
        fields = survey(pair, sides) if settings else []
    return _concluded(output, printed, report, relations.document(origins, values[0], fields), fields)


def _concluded(output: Output, printed: Any, report: Any, parameters: dict[str, Any], fields: Sequence[Any]) -> int:
    """Write and print what was found; the exit status, which is 1 as well where a setting is dropped."""
    from parity.checks.results import status
    from parity.report import html, relations, terminal
    from parity.report.document import documents

    output.write(documents([report]) | parameters, html.checked)
    if printed is None:
        out.print(terminal.last_line(report), soft_wrap=True)
    else:
        printed.concluded(report)
        relations.show_settings(fields, out)
    return status([report]) or int(any(field.fails for field in fields))
