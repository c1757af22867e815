"""What parity does, as functions: every check on one pair, and where a difference comes from and why."""

from collections.abc import Sequence
from dataclasses import replace

from parity.checks import checks_of
from parity.checks.runner import EXAMPLES, Tick, attempt, prepare, report
from parity.diagnose.explain import diagnose, why
from parity.dtypes import PRECISIONS
from parity.errors import ERRORS, reason
from parity.pair.models import Corners
from parity.pair.pair import Pair
from parity.results import Outcome, Report


def check(
    pair: Pair,
    *,
    seed: int = 0,
    examples: int = EXAMPLES,
    dtypes: Sequence[str] = PRECISIONS,
    target: str = "",
    tick: Tick | None = None,
) -> Report:
    """Run every check on `pair`, in every precision of `dtypes`, and report.

    `target` is the pair's name on the command line, for the command that reproduces a finding;
    `tick` is called with a check's name at each of its examples. Raises ParityError when the pair
    cannot be checked at all; whatever a check raises is that check's `error`, and the others run.
    """
    return examine(prepare(pair, dtypes), seed, examples, target, tick)


def examine(corners: Corners, seed: int, examples: int, target: str, tick: Tick | None) -> Report:
    """As `check`, of models that there are."""
    pair = corners.pair
    command = f"parity check {target or pair.name} --seed {seed} --examples {examples}"
    if corners.dtypes != PRECISIONS:
        command += f" --dtypes {','.join(corners.dtypes)}"
    outcomes = [attempt(module, corners, seed, examples, command, tick) for module in checks_of(pair)]
    for outcome in outcomes:
        outcome.error = outcome.error and outcome.error.told()
    explain(corners, outcomes)
    return report(corners, seed, examples, command, outcomes)


def explain(corners: Corners, outcomes: Sequence[Outcome]) -> None:
    """Say of the first finding where it comes from, and why: later ones may follow from it. Raises nothing."""
    first = next((outcome for outcome in outcomes if outcome.findings and outcome.findings[0].given is not None), None)
    if first is not None:
        finding, found = first.findings[0], diagnose(corners, first)
        try:
            told = why(corners, found)
        except ERRORS as error:
            found = replace(found, errors=(*found.errors, reason(error)))
            told = found.unsearched
        first.findings[0] = replace(finding, why=(*told, *finding.why), diagnosis=found)
