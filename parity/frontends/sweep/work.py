"""What a worker does: one unit, on the models of the pair that it had last where that is the same."""

import math
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from parity.errors import ERRORS, ParityError, reason
from parity.frontends.config import load
from parity.frontends.sweep.units import Unit
from parity.frontends.targets import resolve

if TYPE_CHECKING:
    from parity.checks.results import Outcome, Report
    from parity.pair.models import PairModels


def work(unit: Unit) -> dict[str, Any]:
    """What a unit comes to, as a line of the results file. Raises nothing: an error is a result, and said so."""
    begun = time.perf_counter()
    try:
        result = _examined(unit)
    except ERRORS as error:
        message = str(error) if isinstance(error, ParityError) else reason(error)
        result = {"verdict": "error", "headline": message}
    head = {"unit": unit.number, "pair": unit.pair, "seed": unit.seed, "check": unit.check}
    seconds = round(time.perf_counter() - begun, 3)
    return {**head, "environment": unit.environment, **result, "seconds": seconds}


def _examined(unit: Unit) -> dict[str, Any]:
    """Run a unit's check, and give its figures with the versions. Raises ParityError where the pair cannot be run."""
    from parity.api import Asked, run_checks

    asked = Asked(unit.seed, unit.examples, (unit.check,), run_all=True, steered=True, target=unit.pair)
    report = run_checks(_corners(unit.pair, unit.dtypes), asked)
    outcome = next(iter(report.checks), None)
    if outcome is None:
        return {"verdict": "not run", "headline": report.not_run.get(unit.check, ""), "versions": report.environment}
    return {**_figures(report, outcome), "versions": report.environment}


def _figures(report: "Report", outcome: "Outcome") -> dict[str, Any]:
    """The figures of a check; a ratio that is not finite is None, for JSON has no other word."""
    ratio = outcome.worst.limit_ratio if outcome.worst else 0.0
    result = {
        "verdict": outcome.verdict,
        "headline": outcome.headline,
        "examples": outcome.examples,
        "elements": outcome.elements,
        "ratio": ratio if math.isfinite(ratio) else None,
        "max_abs_diff": _finite(outcome.max_abs_diff),
        "limit": _finite(outcome.limit),
        "rerun": report.command,
    }
    if outcome.findings:
        finding = outcome.findings[0]
        result |= {"example": finding.example, "why": list(finding.why)}
    return result


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


@lru_cache(maxsize=1)
def _corners(target: str, dtypes: tuple[str, ...]) -> "PairModels":
    """The models of a pair, in every precision. Raises ParityError where it cannot be checked.

    Only the last pair's are kept, since units of one pair follow each other.
    """
    from parity.checks import chosen
    from parity.checks.runner import prepare

    pair = resolve(target, load().directory)
    return prepare(pair, dtypes, chosen(pair, None))
