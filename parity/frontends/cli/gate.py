"""`parity gate` and `parity bless`: a run beside what was blessed, and what is blessed from now on.

Both run every check and compute the golden values (`measure`), and hold them against the baseline
(`parity.gate.differences`). `gate` says how they differ; `bless` writes them down, if nothing speaks against it.
"""

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parity.errors import ParityError
from parity.frontends.cli.check import jobs_option
from parity.frontends.cli.console import Output, Whole, err, out, output
from parity.frontends.cli.several import run as several
from parity.frontends.config import Config, load
from parity.frontends.targets import resolve

if TYPE_CHECKING:
    from parity.api import Watch
    from parity.gate.baseline import Baseline
    from parity.gate.differences import GateResult
    from parity.pair.models import PairModels
    from parity.pair.pair import Pair

PAIRS = click.argument("pairs", metavar="[PAIR]...", nargs=-1)
SEED = click.option("--seed", type=Whole(min=0), metavar="N", help="Random seed; the baseline's by default.")
FEW = "Examples per check; the baseline's by default."
EXAMPLES = click.option("--examples", type=Whole(min=1), metavar="N", help=FEW)
QUIET = click.option("--quiet", is_flag=True, help="Print the last line only.")
GATE = """
Exit status: 0 as the baselines, 1 not, 2 wrong usage.

\b
Examples:
  parity gate acme.models:pair --html gate.html
  parity gate --compare old.json new.json
"""
BLESS = """
\b
Examples:
  parity bless acme.models:pair
  parity bless acme.models:pair --reason "another epsilon, on purpose"
"""
COMPARE = "Run nothing: show two reports of parity check --json, or two baselines, side by side."


@dataclass(frozen=True)
class _Subject:
    """A pair, what the command line calls it, and its baseline, if there is one."""

    target: str
    pair: "Pair"
    path: Path
    old: "Baseline | None"


@click.command(epilog=GATE)
@PAIRS
@SEED
@EXAMPLES
@click.option("--compare", "files", nargs=2, type=click.Path(path_type=Path), metavar="A B", help=COMPARE)
@jobs_option("pairs")
@output("what was found")
def gate(pairs: tuple[str, ...], files: tuple[Path, ...], output: Output, jobs: int, **options: Any) -> int:
    """Compare each PAIR with its accepted baseline.

    Every check is run. Without a PAIR, on those of [tool.parity]. Whatever got worse or is gone fails, and whatever got
    better or is new, too, until parity bless accepts it; changed versions alone do not.
    """
    from parity.report import gate as report
    from parity.report import html

    if files:  # no pair is run: what would go into a report is left out, and not ignored
        if pairs or output.json or output.html or any(value is not None for value in options.values()):
            raise ParityError("--compare shows two files and writes none; leave out everything else but --quiet")
        return report.compare(files[0], files[1], out)
    config = load().but(pairs=pairs)
    subjects = {subject.target: subject for subject in _subjects(config)}

    runs = several(
        list(subjects),
        partial(_gated_apart, config, options)
        if jobs > 1 and len(subjects) > 1
        else partial(_gated, subjects, config, options, output.quiet),
        lambda runs: output.write(report.document(runs.results, runs.unchecked), html.gated),
        lambda result: report.show(result, out, output.quiet),
        jobs,
    )
    runs.settle()
    return max(result.status for result in runs.results)


def _gated(
    subjects: Mapping[str, _Subject],
    config: Config,
    options: dict[str, int | None],
    quiet: bool,
    target: str,
    watched: bool = True,
) -> "GateResult":
    """What a run of a pair finds, beside its baseline; `watched` shows a bar. Raises ParityError as `api.check`."""
    from parity.gate import differences as of

    subject = subjects[target]
    measured = _measure(subject, config, options, quiet, watched)
    if subject.old is None:
        return of.missing(target, subject.path, measured)
    return of.GateResult(target, subject.old, measured, of.differences(subject.old, measured))


def _gated_apart(config: Config, options: dict[str, int | None], target: str) -> "GateResult":
    """The same in a process of its own, which prints nothing."""
    (subject,) = _subjects(replace(config, pairs=(target,)))
    return _gated({target: subject}, config, options, True, target, watched=False)


@click.command(epilog=BLESS)
@PAIRS
@SEED
@EXAMPLES
@click.option("--reason", default="", metavar="TEXT", help="Why; needed where anything is looser than before.")
@QUIET
def bless(pairs: tuple[str, ...], reason: str, quiet: bool, **options: Any) -> int:
    """Accept what parity gate finds as the new baseline.

    It is shown, and written down for each PAIR.

    What is looser than before needs a --reason: a check that fails or is gone, a golden value that
    moved, more noise. Without one nothing is written.
    """
    from parity.gate import baseline
    from parity.gate import differences as of
    from parity.report import gate as report

    config = load().but(pairs=pairs)
    # All are measured before one is written: either every pair has a new baseline, or none has.
    work = []
    for subject in _subjects(config):
        measured = _measure(subject, config, options, quiet)
        result = of.GateResult(subject.target, subject.old, measured, of.differences(subject.old, measured))
        if not quiet:
            report.show_accepted(result, out)
        work.append((subject, result))
    failed = [subject.target for subject, result in work if result.status == of.ERROR]
    if failed:
        out.print(
            f"nothing is accepted: a check ended in an error ({', '.join(failed)})", style="bold red", soft_wrap=True
        )
        return of.ERROR
    loose = [subject.target for subject, result in work if result.loosens]
    if loose and not reason.strip():
        raise ParityError(f"nothing is accepted: this loosens the gate; say why by --reason TEXT ({', '.join(loose)})")
    for subject, result in work:
        baseline.write(subject.path, _blessed(result, reason), subject.old.seal if subject.old else "")
        out.print(f"{subject.target}: accepted, in {subject.path}", style="bold green", soft_wrap=True)
    return 0


def _blessed(result: "GateResult", reason: str) -> "Baseline":
    """What is to be written: what still holds of the old one, and one more entry in its history, if anything is new."""
    from parity.gate import golden_differences
    from parity.report import charts

    old, measured = result.expected, result.found
    history = list(old.document["history"]) if old else []
    accepted = [of.text for of in result.differences]
    if not history or accepted or reason:
        shares = charts.shares(measured.report["checks"])
        entry = {"date": datetime.date.today().isoformat(), "reason": reason, "accepted": accepted, "shares": shares}
        history.append(entry)
    measured = golden_differences.kept(old, measured) if old else measured
    return replace(measured, document={**measured.document, "history": history})


def _subjects(config: Config) -> list[_Subject]:
    """Everything that there is to do; a damaged baseline is refused before anything runs."""
    from parity.gate import baseline

    directory = Path(os.path.relpath(config.directory / config.baselines))
    pairs = {target: resolve(target, config.directory) for target in config.pairs}
    places = {target: baseline.place(directory, target) for target in pairs}
    return [_Subject(target, pair, places[target], _blessed_before(places[target])) for target, pair in pairs.items()]


def _blessed_before(path: Path) -> "Baseline | None":
    """The baseline of a pair, if there is one. Raises ParityError for what is damaged, or none of parity's."""
    from parity.gate.differences import blessed

    return blessed(path) if os.path.exists(path) else None  # noqa: PTH110 Path's own raises for too long a name


def _measure(
    subject: _Subject, config: Config, options: dict[str, int | None], quiet: bool, watched: bool = True
) -> "Baseline":
    """What a run finds, drawn as the baseline was, or as the project or the command line says.

    The command line comes before the baseline, and that before the project: other examples than the accepted ones would
    differ in every figure.
    """
    from parity.api import Watch
    from parity.checks import checks_of
    from parity.checks.runner import count
    from parity.frontends.cli.progress import progress
    from parity.frontends.cli.rows import Lines

    old = subject.old
    drawn = {"seed": config.seed, "examples": config.examples}
    dtypes: Sequence[str] = config.dtypes
    if old:
        drawn = {key: old.report[key] for key in drawn}
        dtypes = old.document["dtypes"]
    drawn |= {key: value for key, value in options.items() if value is not None}
    if not watched:
        return measure(subject.pair, subject.target, **drawn, dtypes=dtypes, old=old, watch=Watch())
    with progress(err, sum(count(module, drawn["examples"]) for module in checks_of(subject.pair))) as bar:
        return measure(
            subject.pair, subject.target, **drawn, dtypes=dtypes, old=old, watch=Lines(bar, subject.target, quiet)
        )


def measure(
    pair: "Pair", target: str, seed: int, examples: int, dtypes: Sequence[str], old: "Baseline | None", watch: "Watch"
) -> "Baseline":
    """Run every check on a pair, and compute its golden values. Raises ParityError as `api.check`.

    `old` is the accepted baseline, on whose inputs golden values are computed again; `watch` is told of each check.
    """
    from parity.checks import checks_of
    from parity.checks.runner import prepare

    return measured(prepare(pair, dtypes, checks_of(pair)), target, seed, examples, old, watch)


def measured(
    corners: "PairModels", target: str, seed: int, examples: int, old: "Baseline | None", watch: "Watch | None" = None
) -> "Baseline":
    """As `measure`, of models that there are. A gate goes by every check, also behind a failed forward."""
    from parity.api import Asked, run_checks
    from parity.gate import golden

    asked = Asked(seed, examples, run_all=True, target=target)
    report = run_checks(corners, asked, watch)
    return golden.compute(corners, target, report.document(), old)
