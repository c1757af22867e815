"""`parity demo`: a port with a typical mistake, and how it is found."""

from pathlib import Path
from types import ModuleType

import click
from rich.text import Text

from parity.frontends.cli.console import Output, err, out, output

FILES = ("torch.py", "tensorflow.py")
EPILOG = """
Exit status: 0 the bug was found, as it should be; 1 it was not.

\b
Examples:
  parity demo
  parity demo --html report.html
"""


@click.command(epilog=EPILOG)
@output("the report")
def demo(output: Output) -> int:
    """Find a planted bug in a small model.

    Shows a PyTorch classifier and its Keras port, in which one setting is forgotten, checks them, and says which layer
    differs, at which line, and why. It takes about ten seconds.
    """
    from parity.api import Asked, run
    from parity.dtypes import PRECISIONS
    from parity.frontends.cli.progress import progress
    from parity.frontends.cli.rows import Rows
    from parity.reference import demo as planted
    from parity.report import html, terminal

    printed = None if output.quiet else terminal.Printed(out)
    if printed:
        _show(planted)
    with progress(err, 1) as bar:
        report = run(planted.pair(), PRECISIONS, Asked(fail_fast=True, target=planted.NAME), Rows(bar, printed))
    output.write(report.document(), html.checked)
    # A demonstration that fails is one that does not find the bug: its report fails as it should.
    causes = [cause for of in report.findings if of.diagnosis for cause in of.diagnosis.causes]
    located = any(cause.where == planted.WHERE for cause in causes)
    if printed:
        printed.concluded(report)
    verdict = f"the planted bug was found: {causes[0].fix}" if located else "the planted bug was not found"
    out.print(Text(verdict, style="bold green" if located else "bold red"), soft_wrap=True)
    if printed:
        out.print("for models of your own: parity check MODULE:PAIR, where PAIR = parity.Pair(...) in MODULE")
    return 0 if located else 1


def _show(planted: ModuleType) -> None:
    """Both files, with the numbers of their lines."""
    folder = Path(planted.__path__[0])
    for file in FILES:
        out.print(Text(f"{planted.__name__.replace('.', '/')}/{file}", style="bold"), soft_wrap=True)
        for number, line in enumerate((folder / file).read_text(encoding="utf-8").splitlines(), 1):
            out.print(f"{number:>4}  {line}".rstrip(), soft_wrap=True)
        out.print("")
