"""Every check on one pair, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.checks.results.outcome import Failure, Finding, Outcome
from parity.checks.results.page import Page
from parity.compare.square import NAMES
from parity.errors import unknown

# Why a check is not run.
STOPPED, FOLLOWING, UNASKED = "a check before it failed", "forward failed", "not asked for"
SCRIPT = "they need a fresh process, which cannot import models of a script or notebook; define these in a module"


@dataclass(frozen=True, repr=False)
class Report(Page):
    """Every check on one pair; `left_out` are those that it cannot be asked, for want of a tokenizer or drawn weights.

    `weights` are "drawn"; of a pair that was "converted", those that its builders loaded too; or "given", these alone.
    `command` runs the checks again, with `seed` and as many `examples`. `not_exercised` says what none of them tried, a
    line each. `not_run` has the checks that were not run, name -> why; `sides` the two sides' names -> the name of what
    runs each; `environment` the versions that a figure may depend on, `tokenizer` its settings and fingerprint.
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
    sides: Mapping[str, str] = field(default_factory=lambda: dict(zip(NAMES, NAMES, strict=True)))

    def __repr__(self) -> str:
        return f"<Report of {self.pair}: {self.printed()[-1]}>"

    def __getitem__(self, name: str) -> Outcome:
        """What a check came to. Raises KeyError for one that was not run."""
        by_name = {check.name: check for check in self.checks}
        if name not in by_name:
            why = self.not_run.get(name)
            raise KeyError(f"{name} was not run: {why}" if why else unknown("check", name, list(by_name)))
        return by_name[name]

    def printed(self) -> list[str]:
        """The lines that `parity check` prints."""
        from parity.report.terminal import lines  # a report is drawn by what knows of results

        return lines(self)

    @property
    def named(self) -> Mapping[str, str]:
        """The sides, name -> what runs it, where the pair has given them names of its own; else nothing."""
        return self.sides if any(name != backend for name, backend in self.sides.items()) else {}

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
