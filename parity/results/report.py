"""Every check on one pair, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.results.outcome import Failure, Finding, Outcome

# Why a check is not run.
STOPPED, FOLLOWING, UNASKED = "a check before it failed", "forward failed", "not asked for"


@dataclass(frozen=True)
class Report:
    """Every check on one pair; `left_out` are those that it cannot be asked, for want of a tokenizer or drawn weights.

    `weights` are "drawn"; of a pair that was "converted", those that its builders loaded too; or "given", these alone.
    `command` runs them again. `not_exercised` says what none of them tried, a line each. `not_run` are checks that
    were not run, and why.
    """

    pair: str
    seed: int
    examples: int
    environment: dict[str, str]
    tokenizer: dict[str, Any] | None
    checks: list[Outcome]
    left_out: tuple[str, ...] = ()
    command: str = ""
    not_exercised: tuple[str, ...] = ()
    weights: str = "drawn"
    not_run: Mapping[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every check came to its end, compared something and found nothing."""
        return bool(self.checks) and not self.failed

    @property
    def weaker(self) -> str:
        """Why some verdicts stand on three corners; empty if none does."""
        return next((check.weaker for check in self.checks if check.weaker), "")

    @property
    def failed(self) -> list[Outcome]:
        """The checks that found something, compared nothing or ended in an error."""
        return [check for check in self.checks if check.findings or check.error or not check.elements]

    @property
    def errors(self) -> list[Failure]:
        """What kept checks from their end, in the order of the checks."""
        return [check.error for check in self.checks if check.error]

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of the checks."""
        return [finding for check in self.checks for finding in check.findings]

    def to_json(self) -> str:
        """The report as JSON, schema 1. It holds no times: the same seed gives the same text."""
        from parity.report.document import text  # a report is drawn by what knows of results

        return text(self.document())

    def to_html(self) -> str:
        """The report as one HTML page that needs nothing beside it. It holds no times either."""
        from parity.report import html  # jinja2 is loaded only where there is something to render

        return html.checked(self.document())

    def document(self) -> dict[str, Any]:
        """What is written as JSON, and what a page is made of."""
        from parity.report.document import document

        return document(self)


def status(reports: Sequence[Report]) -> int:
    """The exit status: 3 where a check ended in an error, for then something is not known; else 1 where one fails."""
    return 3 if any(report.errors for report in reports) else 0 if all(report.holds for report in reports) else 1


def reasons(not_run: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Why checks were not run, each reason once, with the names of those checks."""
    return [(why, [name for name in not_run if not_run[name] == why]) for why in dict.fromkeys(not_run.values())]
