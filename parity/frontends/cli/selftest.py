"""`parity selftest`: known bugs, injected."""

import click

from parity.frontends.cli.console import Output, err, interruptible, out, output

EPILOG = """
Exit status: 0 all as expected, 1 not, 2 wrong usage.

\b
Examples:
  parity selftest --family layers
  parity selftest --html selftest.html
"""


@click.command(epilog=EPILOG)
@click.option("--family", metavar="NAME", help="One family of bugs alone, or benign for the equivalent mutants.")
@output("the figures")
def selftest(family: str | None, output: Output) -> int:
    """Inject known bugs, and see whether parity finds them.

    Each is planted in a reference pair or one of two others: is it detected, in the right place, for the right cause?
    """
    from parity import selftest as test
    from parity.frontends.cli.progress import progress
    from parity.report import html
    from parity.report import selftest as report

    subjects = test.chosen(family)
    with progress(err, test.count(*subjects), counted=not output.quiet) as tick:
        document = test.run(*subjects, interruptible(tick))
    output.write(document, html.tried)
    if output.quiet:
        out.print(report.last_line(document), soft_wrap=True)
    else:
        report.show(document, out)
    return 0 if document["holds"] else 1
