"""What parity does, as functions: every check on one pair, and where a difference comes from and why.

This is the floor between the rooms that know how and the front ends: it builds a pair's models, runs its checks in
order (`checks.runner`), asks `diagnose` about the first finding, and gives a `Report`. The command line and the pytest
plugin do nothing that is not here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from parity import backends, strategies
from parity.backends import process
from parity.checks import FOLLOWS, FRESH_PROCESS, OWN, checks_of, chosen, conversion, forward, lacking, name_of
from parity.checks.results import FOLLOWING, STOPPED, UNASKED, Outcome, Report
from parity.checks.runner import EXAMPLES, Tick, apart, attempt, prepare, report
from parity.diagnose.explain import diagnose
from parity.diagnose.place import Place, find, prepared
from parity.diagnose.wording import why
from parity.dtypes import PRECISIONS
from parity.errors import ERRORS, Mismatch, ParityError, reason
from parity.inputs import sampling
from parity.pair import counterpart, dumped, memory, stored
from parity.pair.models import PairModels
from parity.pair.one_side import OneSide, example_of
from parity.pair.pair import Pair


@dataclass(frozen=True)
class Asked:
    """What is asked of a pair: the checks of these names, or all; what they draw; and when to leave checks out.

    `fail_fast` ends with the first that fails, `run_all` runs what only follows from a failed forward as well,
    `steered` seeks the examples that come nearest to the limit, and `low_memory` keeps arrays in temporary files.
    `target` is what the pair is called on the command line, behind `verb`, empty where it has no name there.
    """

    seed: int = 0
    examples: int = EXAMPLES
    checks: Sequence[str] | None = None
    fail_fast: bool = False
    run_all: bool = False
    steered: bool = False
    target: str = ""
    verb: str = "check"
    low_memory: bool = False

    def command(self, corners: PairModels, check: str = "") -> str:
        """The command that runs the checks again, or this one; a line of Python, of a pair without a name there."""
        if not self.target:
            lower = f", dtypes={corners.dtypes}" if corners.dtypes != PRECISIONS else ""
            names = ([check] if check else self.checks) or ()
            some = f", checks={[*names]}" if names else ""
            steered = ", steered=True" if self.steered else ""
            return f"parity.check(pair, seed={self.seed}, examples={self.examples}{lower}{some}{steered})"
        command = f"parity {self.verb} {self.target} --seed {self.seed} --examples {self.examples}"
        if corners.dtypes != PRECISIONS:
            command += f" --dtypes {','.join(corners.dtypes)}"
        command += " --steered" * self.steered
        return command + "".join(f" --check {name}" for name in ([check] if check else self.checks or ()))

    def modules(self, corners: PairModels) -> tuple[ModuleType, ...]:
        """The checks that are run, if nothing fails, in order: that of a conversion only where there was one, or it is
        asked for.

        Raises ParityError for a name that no check of the pair has.
        """
        modules = chosen(corners.pair, self.checks)
        if self.checks or corners.carried is not None:
            return modules
        return tuple(module for module in modules if module is not conversion)

    def skips(self, module: ModuleType, before: Sequence[Outcome]) -> str:
        """Why a check is not run behind these outcomes; empty if it is."""
        if self.fail_fast and any(outcome.findings or outcome.error for outcome in before):
            return STOPPED
        if not self.run_all and module in FOLLOWS and any(map(outputs_differ, before)):
            return FOLLOWING
        return ""


def outputs_differ(outcome: Outcome) -> bool:
    """Whether this is the forward check, and the two models do not compute the same."""
    return outcome.name == name_of(forward) and bool(outcome.findings) and outcome.verdict == "different"


class Watch:
    """Whoever follows a run, told of each part as soon as it is known. This one does nothing."""

    def tick(self, check: str) -> None:
        """A check goes on to its next example."""

    def begun(self, report: Report) -> None:
        """The models are built; nothing is checked yet."""

    def ended(self, outcome: Outcome) -> None:
        """A check has ended; where its findings come from is not known yet."""

    def settled(self, outcome: Outcome) -> None:
        """All is known of a check that has ended."""


class Ticking(Watch):
    """Calls a function at each example."""

    def __init__(self, tick: Tick) -> None:
        self._tick = tick

    def tick(self, check: str) -> None:
        """Call the function with the check's name."""
        self._tick(check)


def check(
    pair: Pair,
    *,
    seed: int = 0,
    examples: int = EXAMPLES,
    dtypes: Sequence[str] = PRECISIONS,
    checks: Sequence[str] | None = None,
    fail_fast: bool = False,
    run_all: bool = False,
    steered: bool = False,
    target: str = "",
    tick: Tick | None = None,
    low_memory: bool = False,
) -> Report:
    """Run every check on `pair`, or those named by `checks`, in every precision of `dtypes`, and report.

    `forward` runs first. `fail_fast` ends with the first check that fails. What only follows from a failed
    `forward` is not run unless `run_all` asks for it; the report's `not_run` says so. `steered` has Hypothesis
    vary the examples that came nearest to the limit, for half of them. `target` is the pair's name
    on the command line, for the command that reproduces a finding; `tick` is called with a check's name at
    each of its examples. `low_memory` keeps what is as large as the models in temporary files, which parity does by
    itself where memory is scarce; it saves most where no framework has been imported yet. Raises ParityError when
    the pair cannot be checked at all, and for a name that no check of it has; whatever a check raises is that
    check's `error`, and the others run.
    """
    asked = Asked(seed, examples, checks, fail_fast, run_all, steered, target, low_memory=low_memory)
    return run(pair, dtypes, asked, Ticking(tick) if tick else Watch())


def assert_parity(pair: Pair, **options: Any) -> Report:
    """Check `pair`, with the options of `check`, and return the report. Raises Mismatch unless all checks pass.

    The message has all findings, and what kept checks from their end. Raises ParityError as `check`.
    """
    report = check(pair, **options)
    if not report.holds:
        raise Mismatch("\n".join(f"{outcome.name}: {outcome.text()}" for outcome in report.failed))
    return report


def locate(pair: Pair, *, seed: int = 0, text: str | None = None) -> Place:
    """Run both models of `pair` side by side, and say which layers introduce a difference, and why.

    On inputs and weights drawn from the seed, or on this text. Raises ParityError as `check`, and where a side cannot
    be traced.
    """
    return find(prepared(pair), seed, text, operators=True)


def dump(pair: Pair, side: str, path: Path, *, seed: int = 0, examples: int = 5, weights: Path | None = None) -> str:
    """Write what one side of `pair` gives, in float32 and float64, to a .safetensors or .npz file; in words, what.

    Only that side's framework is needed. Inputs and weights are drawn as `check` does for its forward check; or they
    are those of `weights`, a file that was written so of the other side. Raises ParityError where the side cannot be
    run, and where a layer of it has no counterpart in that file.
    """
    file = dumped.of(weights, stored.read(weights)) if weights else None
    if weights and file is None:
        raise ParityError(f"{weights}: was not written by parity dump")
    one = OneSide(pair, side)
    if file is None:
        drawn = sampling.examples(strategies.examples(one), examples, seed)
        chosen, read, doubt = [example_of(example, one.pad) for example in drawn], None, ""
    elif (file.document["weights"] == "own") != pair.own_weights:
        raise ParityError(f'{weights}: only one of both keeps its own weights; say Pair(weights="given") for both')
    else:
        chosen, (read, doubt) = file.examples, counterpart.reading(one, file)
    runs = [one.gives(example, read(example.weights) if read else None) for example in chosen]
    about = one.described() | {"seed": seed, "pair": pair.name}
    about["weights"] = file.document["weights"] if file else dumped.weights_digest(one.layout, chosen)
    dumped.write(path, about, chosen, runs)
    count = sum(array.size for run in runs for array in run.runs["float32"].values())
    documents = [
        f"{side}, {len(chosen)} example{'s' * (len(chosen) != 1)}, {count:,} elements in {' and '.join(runs[0].runs)}"
    ]
    return "; ".join(documents + list(filter(None, [doubt, one.weaker.get(side, "")])))


def run(pair: Pair, dtypes: Sequence[str], asked: Asked, watch: Watch) -> Report:
    """Build a pair's models and run what is asked of it, telling `watch`. Raises ParityError as `check`."""
    try:
        return run_checks(prepare(pair, dtypes, chosen(pair, asked.checks), asked.low_memory), asked, watch)
    finally:
        backends.discard_compiled()
        memory.trim()  # a notebook goes on, and so may a session of pytest


def run_checks(corners: PairModels, asked: Asked, watch: Watch | None = None) -> Report:
    """Run what is asked of models that are built already, and explain what is found. Raises ParityError as `check`."""
    watch, (modules, not_run) = watch or Watch(), planned(corners, asked)
    drawn = asked.seed, asked.examples, asked.command(corners)
    outcomes: list[Outcome] = []
    watch.begun(report(corners, *drawn, outcomes))
    for place, module in enumerate(modules):
        name = name_of(module)
        if why_not := asked.skips(module, outcomes):
            not_run[name] = why_not
            continue
        if forward not in modules[place:] and any(later in FRESH_PROCESS for later in modules[place:]):
            process.warm()  # now that forward is through, which nothing should slow down
        command = asked.command(corners, name)
        outcome = attempt(module, corners, asked.seed, asked.examples, command, watch.tick, steered=asked.steered)
        outcomes.append(outcome)
        watch.ended(outcome)  # before the cause is looked for, which may take longer than the check
        outcome.error = outcome.error and outcome.error.told()
        if explains(module, outcomes[:-1]):
            explain(corners, [outcome])
        watch.settled(outcome)
    return report(corners, *drawn, outcomes, not_run)


def planned(corners: PairModels, asked: Asked) -> tuple[tuple[ModuleType, ...], dict[str, str]]:
    """The checks that are run, if nothing fails, and the names of all others with the reasons.

    Raises ParityError where one would not find the memory that it takes.
    """
    modules, not_run = asked.modules(corners), lacking(corners.pair)
    not_run |= {name_of(module): UNASKED for module in checks_of(corners.pair) if module not in modules}
    first = corners.models[corners.sides[0], "float32"]
    # Before anything runs: a process that the system kills for its memory says nothing.
    memory.ask(corners.pair.name, first, [*map(name_of, modules)], corners.lean)
    alone = apart(corners.builds) if any(module in FRESH_PROCESS for module in modules) else ""
    if alone:
        not_run |= {name_of(module): alone for module in modules if module in FRESH_PROCESS}
        modules = tuple(module for module in modules if module not in FRESH_PROCESS)
    return modules, not_run


def explains(module: ModuleType, before: Sequence[Outcome]) -> bool:
    """Whether a cause is looked for behind these outcomes: what a check finds may follow from what failed before.

    The checks in `OWN` see nothing of what the others run, so that what they find is their own.
    """
    return module in OWN or not any(outcome.findings for outcome in before)


def explain(corners: PairModels, outcomes: Sequence[Outcome]) -> None:
    """Say of the first finding where it comes from, and why: later ones may follow from it. Raises nothing."""
    first = next((outcome for outcome in outcomes if outcome.findings and outcome.findings[0].given is not None), None)
    if first is not None:
        finding, diagnosis = first.findings[0], diagnose(corners, first)
        try:
            reasons = why(corners, diagnosis, first.worst)
        except ERRORS as error:  # no error on the way to a cause may take the finding from the report
            diagnosis = replace(diagnosis, errors=(*diagnosis.errors, reason(error)))
            reasons = diagnosis.unsearched
        first.findings[0] = replace(finding, why=(*reasons, *finding.why), diagnosis=diagnosis)
