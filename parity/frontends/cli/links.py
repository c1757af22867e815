"""`parity links`: which layers of a pair match."""

import click

from parity.frontends.cli.console import Output, err, out, output
from parity.frontends.config import load
from parity.frontends.targets import resolve

EPILOG = """
Exit status: 0 all match, 1 some do not, 2 wrong usage.

\b
Example:
  parity links acme.models:pair
"""


@click.command(epilog=EPILOG)
@click.argument("target", metavar="PAIR")
@output("the links", html=False)
def links(target: str, output: Output) -> int:
    """Show which layers match, and how their parameters do.

    PAIR is module:attribute, or a reference name. What has no counterpart is listed below the table.
    """
    from parity.pair.link_table import survey
    from parity.report import links as report

    pair = resolve(target, load().directory)
    with err.status("building the models"):
        table = survey(pair)
    output.write(report.document(table))
    if output.quiet:
        out.print(report.last_line(table), soft_wrap=True)
    else:
        report.show(table, out)
    return 0 if table.holds else 1
