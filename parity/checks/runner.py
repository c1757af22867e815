"""A check on one pair -> Outcome, and the outcomes of all -> Report.

Hypothesis draws each check's examples from one seed and shrinks what fails. The same seed, number
of examples and versions give the same report.
"""

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from types import ModuleType
from typing import Any

import hypothesis
from hypothesis import given

from parity import backends
from parity.backends import process
from parity.backends.build import Build
from parity.checks import FRESH_PROCESS, agreed, left_out, name_of
from parity.checks.results import SCRIPT, Failure, Finding, Outcome, Report
from parity.compare.judge import Verdict
from parity.errors import ERRORS, Mismatch, ParityError, reason
from parity.inputs.arrays import Sample
from parity.inputs.sampling import profile, without_constants_of_modules
from parity.pair.models import PairModels
from parity.pair.pair import Pair

EXAMPLES = 25  # per check, if nobody says how many; a check draws this over its `COST`
# After a first failure, how many more examples may be tried to make it smaller.
SHRINKS = 60

Tick = Callable[[str], None]  # is called with a check's name at each of its examples


def prepare(pair: Pair, dtypes: Sequence[str], modules: Sequence[ModuleType], low_memory: bool = False) -> PairModels:
    """Build the models of a pair, for these checks. Raises ParityError when it cannot be checked."""
    if any(module in FRESH_PROCESS for module in modules) and not apart(pair.builds):
        # A builder that another process cannot import would fail at the last checks only: say so before the first.
        process.crossing(pair.builds)
    return PairModels(pair, dtypes, low_memory)


def apart(builds: Mapping[str, Build]) -> str:
    """Why a side cannot be compared with itself in a fresh process, where nothing is wrong with the pair; or empty.

    Such a process cannot import what a script or a notebook defines; and has one thread, which may be others here.
    """
    own = [part for of in builds.values() for part in (of.make, of.call, of.loss, *of.custom)]
    if any(getattr(part, "__module__", "") == "__main__" for part in own):
        return SCRIPT
    try:
        process.crossing(builds)
    except ParityError as error:
        if "__main__" in str(error):
            return SCRIPT
    return f"{backends.UNSETTLED[0]}, as no fresh process does" if backends.UNSETTLED else ""


def report(
    corners: PairModels,
    seed: int,
    examples: int,
    command: str,
    outcomes: list[Outcome],
    not_run: Mapping[str, str] | None = None,
) -> Report:
    """Put the outcomes of a pair's checks together, in the order of a report, with all that they may depend on.

    Raises nothing where what was not exercised cannot be told: the report says that instead.
    """
    pair, tokenizer = corners.pair, None
    if pair.inputs is None:
        tokenizer = {"sha256": corners.tokenizer.fingerprint, **corners.tokenizer.settings}
    drawn = (pair.name, seed, examples, environment(corners))
    try:
        notes = *filter(None, [corners.constants.unshared]), *corners.constants.settled.values()
        weaker = *corners.weaker.values(), *corners.weaker_loss.values(), *notes
        missing = corners.exercised.missing(weaker)
    except ERRORS as error:
        missing = (f"what was not exercised is not known: {reason(error)}",)
    outcomes = sorted(outcomes, key=lambda outcome: agreed().index(outcome.name))
    sides = {side: backend.NAME for side, backend in corners.backends.items()}
    weights = "converted" if corners.carried is not None else pair.weights
    return Report(*drawn, tokenizer, outcomes, left_out(pair), command, missing, weights, not_run or {}, sides)


def count(module: ModuleType, examples: int) -> int:
    """How many of `examples` a check tries: those of every run, and what it draws, given its share."""
    return len(getattr(module, "FIXED_EXAMPLES", ())) + drawn(module, examples)


def drawn(module: ModuleType, examples: int) -> int:
    """How many of `examples` a check draws, given its share."""
    return max(1, examples // getattr(module, "COST", 1))


def run_check(
    module: ModuleType,
    corners: PairModels,
    seed: int,
    examples: int,
    command: str,
    tick: Tick | None = None,
    shrink: bool = True,
) -> Outcome:
    """Run one check as `attempt` does, but raise what the check raises, with a note that names check and example."""
    outcome = attempt(module, corners, seed, examples, command, tick, shrink)
    if outcome.error is not None and outcome.error.raised is not None:
        raise outcome.error.raised
    return outcome


def attempt(
    module: ModuleType,
    corners: PairModels,
    seed: int,
    examples: int,
    command: str,
    tick: Tick | None = None,
    shrink: bool = True,
    steered: bool = False,
) -> Outcome:
    """Run one check over its drawn examples. A failure becomes a Finding with the smallest example found.

    Without `shrink`, as where nobody reads the example, the first one will do. `steered`, half of the examples vary
    those that came nearest to the limit. Whatever is raised is the outcome's `error`; behind a finding, a line of it.
    """
    outcome = Outcome(name_of(module), (module.__doc__ or "").partition("\n")[0])
    outcome.failed = getattr(module, "FAILED", outcome.failed)
    begun = time.perf_counter()
    search, corners.decided = _Search(module, corners, outcome, tick, shrink, steered), {}
    try:
        _draw(module, corners, seed, examples, search)
    except Mismatch:
        assert search.smallest is not None  # every Mismatch is raised beside it
    except ERRORS as error:
        search.error = search.error or (error, "none")
    finally:
        corners.decided = None
    if search.smallest is not None:
        outcome.worst, example = search.shown(*search.smallest)
        stopped = (f"the example was not made smaller: {reason(search.error[0])}",) if search.error else ()
        outcome.findings.append(_finding(outcome.name, outcome.worst, example, command, stopped))
    elif search.error is not None:
        outcome.error = Failure.of(*search.error, command)
    if outcome.error is None:
        _try_known(module, corners, outcome, command)
    if outcome.elements == 0 and outcome.error is None:
        message = f"{outcome.name}: compared nothing in {outcome.examples} examples; it proves nothing"
        outcome.findings.append(Finding(outcome.name, message, "none", command))
    outcome.seconds = time.perf_counter() - begun
    return outcome


def _finding(check: str, verdict: Verdict, example: Any, command: str, why: tuple[str, ...]) -> Finding:
    return Finding(check, verdict.message, repr(example), command, example, why, brief=verdict.brief)


def _draw(module: ModuleType, corners: PairModels, seed: int, examples: int, search: "_Search") -> None:
    """Give the search every example. Raises Mismatch if one fails, and whatever drawing raises."""

    def body(example: Any) -> None:
        search(example)

    settled: Any = profile(drawn(module, examples), search.shrink, search.steered)
    decorate: Any = given(module.examples(corners))
    seeded: Any = hypothesis.seed(seed)
    own = module.own(corners) if hasattr(module, "own") else ()
    for example in (*getattr(module, "FIXED_EXAMPLES", ()), *own):
        search(example)
    search.drawing = True
    with without_constants_of_modules():
        seeded(settled(decorate(body)))()
    search.shrink = False  # one row of them may come beyond less than all do
    for example in module.beyond(corners) if hasattr(module, "beyond") else ():
        search(example)


def _try_known(module: ModuleType, corners: PairModels, outcome: Outcome, command: str) -> None:
    """Try the divergences that a check knows of, once a run; one that no longer occurs is a finding."""
    try:
        for shown in module.known(corners) if hasattr(module, "known") else ():
            if shown.occurs:
                outcome.known.append(shown)
            else:
                outcome.findings.append(Finding(outcome.name, shown.message, "none", command, expired=str(shown)))
    except ERRORS as error:
        outcome.error = Failure.of(error, "none", command)


class _Search:
    """Runs examples for Hypothesis, and keeps shrinking affordable. Called with an example, it raises Mismatch if one
    fails.

    After the first failure it tries `SHRINKS` more examples (by the check's share) and lets every
    further new one pass untried, so that the shrinker settles on the smallest failure known.
    Failures are remembered by the example's repr, not run again: Hypothesis replays them. Behind an error no further
    example is tried.
    """

    def __init__(
        self,
        module: ModuleType,
        corners: PairModels,
        outcome: Outcome,
        tick: Tick | None,
        shrink: bool,
        steered: bool,
    ) -> None:
        self._module, self._corners, self._outcome, self._tick = module, corners, outcome, tick
        self.steered, self.drawing = steered, False
        self._failures: dict[str, Verdict] = {}
        self._left = drawn(module, SHRINKS) if shrink else 0
        self.shrink = shrink
        self.smallest: tuple[Verdict, Any] | None = None
        self.error: tuple[BaseException, str] | None = None  # beside its example

    def __call__(self, example: Any) -> None:
        key = repr(example)
        if key not in self._failures:
            if self.error is not None or not self._allowed():
                return
            failure = self._try(example)
            if failure is None:
                return
            self._failures[key] = failure
            # Hypothesis counts choices; a person counts what there is to read.
            if self.smallest is None or len(key) <= len(repr(self.smallest[1])):
                self.smallest = failure, example
        raise Mismatch(self._failures[key].message)

    def shown(self, failure: Verdict, example: Any) -> tuple[Verdict, Any]:
        """A failure and its example; of arrays, which do not shrink to it, the first row that fails alone."""
        error, rows = self.error, example.rows if self.shrink and isinstance(example, Sample) else ()
        for alone in (example.chosen((place,)) for place in rows if len(rows) > 1):
            verdicts, self.error = self._try(alone), error  # a single row may be none that the models take
            if verdicts is not None:
                return verdicts, alone
        return failure, example

    def _allowed(self) -> bool:
        """Whether one more example may be tried; counts it. What shrinking tries is no example of the check's."""
        if self._failures:
            self._left -= 1
            return self._left >= 0
        self._outcome.examples += 1
        if self._tick:
            self._tick(self._outcome.name)
        return True

    def _try(self, example: Any) -> Verdict | None:
        """Verify one example: the first verdict that fails, None if none does or an error ended it (`self.error`)."""
        try:
            verdicts = self._module.verify(self._corners, example)
        except ERRORS as error:  # told after the search, which would try to shrink it
            error.add_note(f"in check {self._outcome.name} of {self._corners.pair.name}, example {example!r}")
            self.error = error, repr(example)
            return None
        for verdict in () if self._failures else verdicts:  # what shrinking tries is not counted
            self._outcome.see(verdict)
        if self.steered and self.drawing:
            hypothesis.target(min(max((verdict.limit_ratio for verdict in verdicts), default=0.0), sys.float_info.max))
        return next((verdict for verdict in verdicts if verdict.fails and not verdict.empty), None)


def environment(corners: PairModels) -> dict[str, str]:
    """Name -> version of everything that a figure may depend on."""
    versions = {"parity": metadata.version("parity"), "python": platform.python_version()}
    for backend in corners.backends.values():
        versions |= backend.versions()
    for package in ("numpy", "sentencepiece", "hypothesis"):
        versions[package] = metadata.version(package)
    return versions
