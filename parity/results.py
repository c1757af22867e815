"""What parity found, as data: a cause and its place, a finding, a check's outcome, a report."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from parity.compare.verdict import ORDER, Curve, Row, Verdict
from parity.errors import ParityError, origin, reason

ERROR = "error"  # the verdict of a check that did not come to its end


@dataclass(frozen=True)
class Layer:
    """A linked layer in the order of calls: how far its outputs are apart, running `freely`, and given the same.

    `alone` and `limit` are None of one that was compared with nothing; `mark` is "introduces", "amplifies",
    "inherits" or "clean".
    """

    path: str
    kind: str
    depth: int
    calls: int
    mark: str
    freely: float
    alone: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Cause:
    """What makes the difference, proved: undoing it takes the difference from `before` to `after`.

    `name` is one of `parity.diagnose.CAUSES`, `where` the linked layer or the stage, `told` what each side does, and
    `fix` what to change, in the user's own terms.
    """

    name: str
    where: str
    told: str
    fix: str
    before: float
    after: float

    @property
    def text(self) -> str:
        """The cause, how it is proved and what to change, as a person reads it."""
        where = self.where or "the model's own code"
        return (
            f"{where}: {self.name}: {self.told}\n"
            f"  undone, the difference falls from {self.before:.1e} to {self.after:.1e}\n"
            f"  {self.fix}"
        )


@dataclass(frozen=True)
class DifferingOperation:
    """The operation of one side whose operands are the other side's too, and whose result is not.

    `call` has its settings, `layer` is the path of its layer, `file`, `line` and `code` are the user's line, if any."""

    side: str
    call: str
    layer: str
    file: str = ""
    line: int = 0
    code: str = ""

    @property
    def text(self) -> str:
        """The operation and its place, as a person reads it."""
        line = f"\n    {self.file}:{self.line}: {self.code}" if self.file else ""
        return f"{self.side} {self.call}{f' in {self.layer}' if self.layer else ''}{line}"


@dataclass(frozen=True)
class Diagnosis:
    """The layers or stages that introduce a difference, the causes that are proved, and what was ruled out.

    `layers` is the tree of linked layers; `errors` is what kept parity from a cause; `weaker` says why it was located
    in float32; `operations` are the first that differ.
    """

    where: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    ruled_out: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    errors: tuple[str, ...] = ()
    weaker: str = ""
    operations: tuple[DifferingOperation, ...] = ()

    @property
    def unsearched(self) -> tuple[str, ...]:
        """What kept parity from looking for a cause, as a person reads it."""
        return tuple(f"the cause was not looked for: {error}" for error in self.errors)


def weaker(reason: str) -> str:
    """What is said of a place that was found in float32."""
    return f"located in float32: {reason}"


@dataclass(frozen=True)
class Shown:
    """A known divergence, tried again: what the formula gives and what was found, where they differ most."""

    side: str
    name: str
    cause: str
    link: str
    date: str
    defined: float
    found: float
    occurs: bool

    @property
    def message(self) -> str:
        """What is to be told where it no longer occurs, in one line."""
        return (
            f"{self.side} {self.name}: known since {self.date}, but no longer occurs: {self.found!r} is as "
            f"defined; take it off the list in parity/checks/known_divergences.py ({self.link})"
        )


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
