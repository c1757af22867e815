"""The rows of `parity check`: each is printed when its check ends, in a pipe and beside a bar alike.

The bar is on standard error and the rows are on standard output, which a pipe may take.
"""

from parity.api import Watch
from parity.checks.results import Outcome, Report
from parity.frontends.cli.console import interruptible
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
        """Print the row of a check that has ended."""
        if self._printed:
            with self._bar.aside():
                self._printed.ended(outcome)

    def settled(self, outcome: Outcome) -> None:
        """Print a finding, once its place and cause are known."""
        if self._printed and outcome.headline:
            with self._bar.aside():
                self._printed.settled(outcome)
