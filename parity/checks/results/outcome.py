"""What one check comes to, as data: its counts, its worst verdict, its findings."""

from dataclasses import dataclass, field, replace
from textwrap import indent
from typing import Any

from parity.checks.results.diagnosis import Diagnosis
from parity.compare.verdict import ORDER, Curve, PrecisionResult, Verdict
from parity.errors import ParityError, origin, reason

ERROR = "error"  # the verdict of a check that did not come to its end

LONG = 160  # characters of an example, about two lines


def short(example: str) -> str:
    """An example as far as a person reads it; what runs it again has all of it, and so has --json."""
    return example if len(example) <= LONG else f"{example[:LONG].rstrip()}..."


@dataclass(frozen=True)
class KnownDivergence:
    """A known divergence, tried again: what the formula gives and what the framework does, where they differ most.

    `side` is the framework, `date` since when it is known here, `link` where it is described, and `occurs` whether the
    two still differ by more than rounding.
    """

    side: str
    name: str
    cause: str
    link: str
    date: str
    defined: float
    found: float
    occurs: bool

    def __str__(self) -> str:
        return f"{self.side} {self.name}"

    @property
    def message(self) -> str:
        """What is to be told where it no longer occurs, in one line."""
        return (
            f"{self}: known since {self.date}, but no longer occurs: {self.found!r} is as "
            f"defined; take it off the list in parity/checks/known_divergences.py ({self.link})"
        )


@dataclass(frozen=True)
class Finding:
    """One failure, as a person reads it: the message, the shrunk example, the command to see it again.

    `given` is that example itself, for whoever looks for the cause, `diagnosis` what was found of it, and
    `why` that in words; `brief` is the message for whoever knows the cause, where it is less. `expired` names the known
    divergence that no longer occurs, where that is the failure.
    """

    check: str
    message: str
    example: str
    command: str
    given: Any = None
    why: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None
    expired: str = ""
    brief: str = ""

    def text(self) -> str:
        """What differs, where it comes from and why, the example, the command.

        Where every cause is proved, without what helps to find one: the arrays at length, operations, the example.
        """
        rerun, diagnosis = f"rerun: {self.command}", self.diagnosis or Diagnosis()
        why = [line for line in self.why if line not in diagnosis.repeated]
        if diagnosis.settled:
            return "\n".join((self.brief or self.message, *why, rerun))
        return "\n".join((self.message, *why, f"example: {short(self.example)}", rerun))


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
        """Make a failure of an error that a check raised: of one that is not ParityError, with its type and place."""
        message = str(error) if isinstance(error, ParityError) else reason(error)
        return cls(type(error).__name__, message, origin(error), example, command, error)

    def told(self) -> "Failure":
        """The same without the error itself, so that its frames, and with them the models, can go."""
        return replace(self, raised=None)

    @property
    def headline(self) -> str:
        """What happened, on one line."""
        return f"did not finish: {self.message}"

    def text(self) -> str:
        """All of it: what was raised, where, the example, the command."""
        where = (self.traceback,) if self.traceback else ()
        return "\n".join((self.headline, *where, f"example: {short(self.example)}", f"rerun: {self.command}"))


@dataclass(repr=False)
class Outcome:
    """One check's result over all of its examples: counts, the worst verdict, and what it found.

    `rows` has the worst of each precision; `weaker` is why some verdict stood on three corners;
    `nonfinite` counts places with the same NaN or infinity on both sides, `ties` choices between
    logits that only rounding tells apart; `known` are divergences of the frameworks themselves,
    which are shown and do not fail; `curve` has the losses of the longest training. `error` is what kept
    it from its end: it has then proved nothing, whatever it compared before. `failed` is what a finding means.
    """

    name: str
    claim: str
    examples: int = 0
    elements: int = 0
    worst: Verdict | None = None
    rows: dict[str, PrecisionResult] = field(default_factory=dict)
    weaker: str = ""
    nonfinite: int = 0
    ties: int = 0
    findings: list[Finding] = field(default_factory=list)
    known: list[KnownDivergence] = field(default_factory=list)
    curve: Curve | None = None
    seconds: float = 0.0
    error: Failure | None = None
    failed: str = "the sides differ"

    def __repr__(self) -> str:
        return f"<{self.name}: {self.verdict}{f', {self.headline}' if self.headline else ''}>"

    @property
    def max_abs_diff(self) -> float | None:
        """The difference nearest to its limit, or beyond it; None where bits are compared, or nothing was."""
        return None if self.worst is None or self.worst.limit == 0 else self.worst.figure

    @property
    def limit(self) -> float | None:
        """The most that rounding error accounts for there; None where `max_abs_diff` is."""
        return None if self.max_abs_diff is None or self.worst is None else self.worst.limit

    @property
    def headline(self) -> str:
        """What happened, on one line: what differs, by how much, where first; what was raised; else nothing."""
        if not self.findings:
            return self.error.headline if self.error else ""
        finding, verdict = self.findings[0], self.worst
        if finding.given is None or verdict is None or not verdict.fails:
            return finding.message.partition("\n")[0].removeprefix(f"{self.name}: ")
        return f"{verdict.summary(self.failed)}{finding.diagnosis.place if finding.diagnosis else ''}"

    def text(self) -> str:
        """All of what speaks against the check, the headline first; empty where nothing does."""
        failures = (*self.findings, *([self.error] if self.error else ()))
        if not failures:
            return ""
        whole = "\n".join(failure.text() for failure in failures).removeprefix(f"{self.headline}\n")
        return f"{self.headline}\n{indent(whole, '  ')}"

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
        rank = ORDER.index(verdict.word), verdict.limit_ratio
        if self.worst is None or rank > (ORDER.index(self.worst.word), self.worst.limit_ratio):
            self.worst = verdict


def _loudness(row: PrecisionResult) -> tuple[int, float, float]:
    """What ranks results of one precision: the word, then the ratio of the errors, then the difference."""
    return ORDER.index(row.word), row.ratio, row.apart
