"""A Report: what every check came to on one pair. Rendered by terminal.py and page.py; as JSON here.

The JSON of every verb is described by `schema.json`, beside this file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from parity.compare.judge import ORDER, Curve, Row, Verdict
from parity.diagnosis import Diagnosis
from parity.divergences import Shown
from parity.errors import ParityError, origin, reason
from parity.report.entries import finite, layer_entry, number, text

SCHEMA = 1
FINDING = ("check", "message", "example", "command", "why")  # what of a finding is text
FAILURE = ("type", "message", "traceback", "example", "command")  # and of an error
ERROR = "error"  # the verdict of a check that did not come to its end


@dataclass(frozen=True)
class Finding:
    """One failure, as a person reads it: the message, the shrunk example, the command to see it again.

    `given` is that example itself, for whoever looks for the cause, `diagnosis` what was found of it, and
    `why` that in words.
    """

    check: str
    message: str
    example: str
    command: str
    given: Any = None
    why: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None

    def text(self) -> str:
        """All of it: what differs, where it comes from and why, the example, the command."""
        return "\n".join((self.message, *self.why, f"example: {self.example}", f"rerun: {self.command}"))


@dataclass(frozen=True)
class Failure:
    """What kept a check from its end: the error's type, what it says on one line, and where it was raised.

    `example` is the one that it was raised at, `command` runs the check again, and `raised` is the error itself,
    whose frames hold the models.
    """

    type: str
    message: str
    traceback: str
    example: str
    command: str
    raised: BaseException | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, error: BaseException, example: str, command: str) -> "Failure":
        """What an error that a check raised comes to."""
        message = str(error) if isinstance(error, ParityError) else reason(error)
        return cls(type(error).__name__, message, origin(error), example, command, error)

    def told(self) -> "Failure":
        """The same without the error itself."""
        return replace(self, raised=None)

    def text(self) -> str:
        """All of it: what was raised, where, the example, the command."""
        where = (self.traceback,) if self.traceback else ()
        head = f"did not finish: {self.message}"
        return "\n".join((head, *where, f"example: {self.example}", f"rerun: {self.command}"))


@dataclass
class Outcome:
    """One check's result over all of its examples: counts, the worst verdict, and what it found.

    `rows` has the worst of each precision; `weaker` is why some verdict stood on three corners;
    `nonfinite` counts places with the same NaN or infinity on both sides, `ties` choices between
    logits that only rounding tells apart; `known` are divergences of the frameworks themselves,
    which are shown and do not fail; `curve` has the losses of the longest training. `error` is what kept
    it from its end: it has then proved nothing, whatever it compared before.
    """

    name: str
    claim: str
    examples: int = 0
    elements: int = 0
    worst: Verdict | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    weaker: str = ""
    nonfinite: int = 0
    ties: int = 0
    findings: list[Finding] = field(default_factory=list)
    known: list[Shown] = field(default_factory=list)
    curve: Curve | None = None
    seconds: float = 0.0
    error: Failure | None = None

    @property
    def verdict(self) -> str:
        """The worst word of any comparison, or `error`. Nothing compared is `different`: it proves nothing."""
        if self.error is not None and not self.findings:
            return ERROR
        if self.findings or self.worst is None or self.elements == 0:
            return self.worst.word if self.worst and self.worst.fails else "different"
        return self.worst.word

    def see(self, verdict: Verdict) -> None:
        """Count one comparison, and keep it if it is the worst so far; one of nothing finite counts for nothing."""
        if verdict.empty:
            self.nonfinite += verdict.elements
            return
        self.elements += verdict.elements
        self.nonfinite += verdict.nonfinite
        self.ties += verdict.ties
        self.weaker = self.weaker or verdict.weaker
        if verdict.curve and (self.curve is None or verdict.curve.steps >= self.curve.steps):
            self.curve = verdict.curve  # of several the last: what fails is not followed by others
        for row in verdict.rows:
            if row.dtype not in self.rows or _loudness(row) > _loudness(self.rows[row.dtype]):
                self.rows[row.dtype] = row
        rank = ORDER.index(verdict.word), verdict.headroom
        if self.worst is None or rank > (ORDER.index(self.worst.word), self.worst.headroom):
            self.worst = verdict


def _loudness(row: Row) -> tuple[int, float, float]:
    return ORDER.index(row.word), row.ratio, row.apart


@dataclass(frozen=True)
class Report:
    """Every check on one pair; `left_out` are those that it cannot be asked for want of a tokenizer.

    `command` runs them again. `not_exercised` says what none of them tried, a line each.
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
        return text(self.document())

    def to_html(self) -> str:
        """The report as one HTML page that needs nothing beside it. It holds no times either."""
        from parity.report import page  # jinja2 is loaded only where there is something to render

        return page.checked(self.document())

    def document(self) -> dict[str, Any]:
        """What is written as JSON, and what a page is made of."""
        return {
            "schema": SCHEMA,
            "holds": self.holds,
            "weaker": self.weaker,
            "pair": self.pair,
            "seed": self.seed,
            "examples": self.examples,
            "command": self.command,
            "environment": self.environment,
            "tokenizer": self.tokenizer,
            "checks": [_entry(check) for check in self.checks],
            "left_out": list(self.left_out),
            "not_exercised": list(self.not_exercised),
        }


def documents(reports: Sequence[Report], unchecked: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One report's document; of several, one that holds if each does, with `reports`.

    `unchecked` are pairs that have no report, by name, and why.
    """
    found = [report.document() for report in reports]
    if len(found) == 1 and not unchecked:
        return found[0]
    holds = not unchecked and all(document["holds"] for document in found)
    return {"schema": SCHEMA, "holds": holds, "reports": found, "unchecked": dict(unchecked or {})}


def status(reports: Sequence[Report]) -> int:
    """The exit status: 3 where a check ended in an error, for then something is not known; else 1 where one fails."""
    return 3 if any(report.errors for report in reports) else 0 if all(report.holds for report in reports) else 1


def _entry(check: Outcome) -> dict[str, Any]:
    worst = check.worst
    figures = {}
    if worst is not None:
        figures = {
            "subject": worst.subject,
            "worst": number(worst.figure),
            "limit": number(worst.limit),
            "basis": worst.basis,
            "corners": 3 if check.weaker else 4,
            "nonfinite": check.nonfinite,
            "ties": check.ties,
            "rows": [_row(row) for row in check.rows.values()],
            "square": {"sides": list(worst.sides), "rows": [_row(row) for row in worst.rows]} if worst.rows else None,
            "apart": _apart(worst),
        }
    return {
        "name": check.name,
        "claim": check.claim,
        "verdict": check.verdict,
        "examples": check.examples,
        "elements": check.elements,
        "figures": figures,
        "findings": [_finding(finding) for finding in check.findings],
        "known": [finite(vars(shown)) for shown in check.known],
        "curve": _curve(check.curve) if check.curve else None,
        "error": {name: getattr(check.error, name) for name in FAILURE} if check.error else None,
    }


def _apart(worst: Verdict) -> dict[str, Any] | None:
    if worst.values is None:
        return None
    return {"sides": list(worst.sides), "place": list(worst.place), "values": list(worst.values)}


def _finding(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {name: getattr(finding, name) for name in FINDING}
    told["why"] = list(finding.why)
    return told | {"diagnosis": _diagnosis(finding.diagnosis) if finding.diagnosis else None}


def _diagnosis(found: Diagnosis) -> dict[str, Any]:
    return {
        "where": list(found.where),
        "causes": [finite(asdict(cause)) for cause in found.causes],
        "ruled_out": list(found.ruled_out),
        "layers": [layer_entry(layer) for layer in found.layers],
        "errors": list(found.errors),
        "weaker": found.weaker,
    }


def _curve(curve: Curve) -> dict[str, Any]:
    losses = {corner: [number(loss) for loss in losses] for corner, losses in curve.losses.items()}
    return {"subject": curve.subject, "losses": losses}


def _row(row: Row) -> dict[str, Any]:
    return {
        "dtype": row.dtype,
        "verdict": row.word,
        "apart": number(row.apart),
        "errors": [number(error) for error in row.errors],
        "ratio": number(row.ratio),
    }
