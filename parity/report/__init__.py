"""A Report: what every check came to on one pair. Rendered by terminal.py; as JSON here."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from parity.square import ORDER, Verdict

SCHEMA = 1


@dataclass(frozen=True)
class Finding:
    """One failure, as a person reads it: the message, the shrunk example, the command to see it again."""

    check: str
    message: str
    example: str
    command: str


@dataclass
class Outcome:
    """One check's result over all of its examples: counts, the worst verdict, and what it found."""

    name: str
    claim: str
    examples: int = 0
    elements: int = 0
    worst: Verdict | None = None
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """The worst word of any comparison. Nothing compared is `different`: it proves nothing."""
        if self.findings or self.worst is None or self.elements == 0:
            return self.worst.word if self.worst and self.worst.fails else "different"
        return self.worst.word

    def see(self, verdict: Verdict) -> None:
        """Count one comparison, and keep it if it is the worst so far."""
        self.elements += verdict.elements
        rank = ORDER.index(verdict.word), verdict.headroom
        if self.worst is None or rank > (ORDER.index(self.worst.word), self.worst.headroom):
            self.worst = verdict


@dataclass(frozen=True)
class Report:
    """Every check on one pair."""

    pair: str
    seed: int
    examples: int
    environment: dict[str, str]
    tokenizer: dict[str, Any]
    checks: list[Outcome]

    @property
    def holds(self) -> bool:
        """Whether every check compared something and found nothing."""
        return bool(self.checks) and all(not check.findings and check.elements > 0 for check in self.checks)

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of the checks."""
        return [finding for check in self.checks for finding in check.findings]

    def to_json(self) -> str:
        """The report as JSON, schema 1. It holds no times: the same seed gives the same text."""
        document = {
            "schema": SCHEMA,
            "holds": self.holds,
            "pair": self.pair,
            "seed": self.seed,
            "environment": self.environment,
            "tokenizer": self.tokenizer,
            "checks": [_entry(check) for check in self.checks],
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _entry(check: Outcome) -> dict[str, Any]:
    worst = check.worst
    figures = {}
    if worst is not None:
        figures = {
            "subject": worst.subject,
            "worst": _number(worst.figure),
            "limit": _number(worst.limit),
            "basis": worst.basis,
        }
    return {
        "name": check.name,
        "verdict": check.verdict,
        "examples": check.examples,
        "elements": check.elements,
        "figures": figures,
        "findings": [vars(finding) for finding in check.findings],
    }


def _number(value: float) -> float | str:
    # JSON has no infinity and no NaN, and a reader that accepts one is not to be relied on.
    return value if math.isfinite(value) else str(value)
