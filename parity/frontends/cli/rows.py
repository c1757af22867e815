"""The rows of `parity check`: each is printed when its check ends, in a pipe and beside a bar alike.

The bar is on standard error and the rows are on standard output, which a pipe may take.
"""

from parity.api import Watch
from parity.checks.results import Outcome, Report
from parity.frontends.cli.console import go_on, interruptible
from parity.frontends.cli.progress import Bar
from parity.report.terminal import Printed


class Rows(Watch):
    """Moves a bar on, and prints each part of a report as it comes about, unless only its last line is wanted."""

    def __init__(self, bar: Bar, printed: Printed | None) -> None:
        self._bar, self._printed, self._tick = bar, printed, interruptible(bar)

    def tick(self, check: str) -> None:
        """Move the bar on by one example of this check."""
        self._tick(check)

    def begun(self, report: Report) -> None:
        """Print what stands above the rows."""
        if self._printed:
            with self._bar.aside():
                self._printed.begun(report)

    def ended(self, outcome: Outcome) -> None:
        """Print the row of a check that has ended, unless Ctrl-C ended it."""
        go_on()
        if self._printed:
            with self._bar.aside():
                self._printed.ended(outcome)

    def settled(self, outcome: Outcome) -> None:
        """Print a finding, once its place and cause are known, unless Ctrl-C ended the search for them."""
        go_on()
        if self._printed and outcome.headline:
            with self._bar.aside():
                self._printed.settled(outcome)


class Lines(Watch):
    """Moves a bar on; where there is no terminal for it, prints a line when a check ends, unless `quiet`."""

    def __init__(self, bar: Bar, target: str, quiet: bool) -> None:
        self._target, self._tick = target, interruptible(bar)
        self._console = None if quiet or bar.progress.console.is_terminal else bar.progress.console

    def tick(self, check: str) -> None:
        """Move the bar on by one example of this check."""
        self._tick(check)

    def ended(self, outcome: Outcome) -> None:
        """Print what a check came to, and how long it took, unless Ctrl-C ended it."""
        go_on()
        if self._console:
            line = f"{self._target}: {outcome.name}: {outcome.verdict}, {outcome.seconds:.1f} s"
            self._console.print(line, soft_wrap=True)
