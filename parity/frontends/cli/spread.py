"""The checks of one pair in several processes, each with models of its own: the same report as in one.

Each process resolves and builds the pair once (`Process`) and does whatever job it is given. The process of the command
line has no models: it chooses the jobs, and puts what comes back together (`Run`), in three rounds. First the checks,
and an empty report for the head; then the causes of those findings that are to be explained; then the report of all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import ModuleType
from typing import Any

from parity.api import Asked, Watch, explain, explains, planned
from parity.backends.workers import Workers
from parity.checks import CHECKS, FOLLOWS, chosen, forward, name_of
from parity.checks.results import Outcome, Report
from parity.checks.runner import attempt, count, prepare, report
from parity.pair.exercised import Tried
from parity.pair.models import PairModels
from parity.pair.pair import Pair

MODULES = {name_of(module): module for module in CHECKS}


@dataclass
class Job:
    """What a process is given to do, by its fields: a check is run; one with its outcome is explained; without a name,
    a report is made of all outcomes, which at first are none.

    `tried` has what the checks exercised, `skipped` the checks that were not run, and why.
    """

    check: str = ""
    outcomes: tuple[Outcome, ...] = ()
    tried: tuple[Tried, ...] = ()
    skipped: Mapping[str, str] | None = None
    wanted: bool = True  # as long as nothing before it has failed that speaks against it

    def __str__(self) -> str:
        return self.check or "the report"


class Process:
    """What does the jobs in one process, with models of its own, which it builds at the first."""

    def __init__(self, asked: Asked, dtypes: Sequence[str], subjects: Callable[[], Mapping[str, Pair]]) -> None:
        self._asked, self._dtypes, self._subjects = asked, dtypes, subjects

    def __call__(self, job: Job) -> Any:
        """Do a job: an outcome and what it exercised, or None of a check that is not run; or a report.

        Raises ParityError where the pair's models cannot be built.
        """
        if not job.check:
            return self._report(job)
        module = MODULES[job.check]
        if not job.wanted or module not in self._planned[0]:
            return None
        if job.outcomes:
            explain(self._corners, job.outcomes)
            return job.outcomes[0], self._corners.exercised.take()
        drawn = self._asked.seed, self._asked.examples, self._asked.command(self._corners, job.check)
        outcome = attempt(module, self._corners, *drawn, steered=self._asked.steered)
        outcome.error = outcome.error and outcome.error.told()  # its frames hold models, and cannot be pickled
        return outcome, self._corners.exercised.take()

    @cached_property
    def _corners(self) -> PairModels:
        """This process's models, and apart from every check what building and linking them exercised."""
        pair = self._subjects()[self._asked.target]
        corners = prepare(pair, self._dtypes, chosen(pair, self._asked.checks), self._asked.low_memory)
        self._before = corners.exercised.take()
        return corners

    @cached_property
    def _planned(self) -> tuple[tuple[ModuleType, ...], dict[str, str]]:
        """The checks that there are to run, and of the others, by name, why they are not."""
        return planned(self._corners, self._asked)

    def _report(self, job: Job) -> Report:
        """A report of a job's outcomes, with all that any process exercised, and not what this one did alone."""
        (modules, not_run), exercised = self._planned, self._corners.exercised
        exercised.take()
        for tried in (self._before, *job.tried):
            exercised.add(tried)
        skipped = {name: why for name, why in (job.skipped or {}).items() if MODULES[name] in modules}
        drawn = self._asked.seed, self._asked.examples, self._asked.command(self._corners)
        return report(self._corners, *drawn, [*job.outcomes], (not_run | skipped) if job.skipped is not None else {})


class Run:
    """What came back so far from all processes, whom it is told, and what is still to be asked for.

    Checks end in any order. Whether one counts is decided as if they had run in the order of one process: what that
    would not have run is left out again, so that the report does not depend on who was quicker.
    """

    def __init__(self, asked: Asked, modules: Sequence[ModuleType], watch: Watch) -> None:
        self._asked, self._watch = asked, watch
        self._order = [name_of(module) for module in modules]  # as one process runs them
        self._outcomes, self._tried = dict[str, Outcome](), dict[str, list[Tried]]()
        self._begun, self._shown, self._none = False, set[str](), set[str]()
        # The report's head comes first, then forward; then what is dearest, so that no process waits for it at the end.
        dearest = sorted(modules, key=lambda module: (module is not forward, -_cost(module, asked.examples)))
        dearest = [*modules] if asked.fail_fast else dearest
        self.jobs = [Job(), *(Job(name_of(module)) for module in dearest)]
        waits = forward in modules and not asked.run_all
        self._waiting = {place for place, module in enumerate(dearest, 1) if waits and module in FOLLOWS}

    def choose(self, _: int, left: Mapping[int, Any]) -> int | None:
        """The first that can be run: what may follow from a failed forward waits for that."""
        return next((place for place in left if place not in self._waiting), None)

    def came(self, place: int, result: Any) -> None:
        """Tell of what has ended, and give up what is not to be run behind it."""
        if isinstance(result, Report):
            self._watch.begun(result)
            self._begun = True
            self._show()
            return
        name = self.jobs[place].check
        if name == name_of(forward):
            self._waiting.clear()
        if result is None:
            self._none.add(name)
        else:
            self._outcomes[name], tried = result
            self._tried[name] = [tried]
        for job in self.jobs[1:]:
            job.wanted = not self._skipped(job.check)
        self._show()

    def _show(self) -> None:
        """Tell of rows that were not told of; where the first failure ends all, in their order."""
        for name in self._order if self._begun else ():
            if name in self._outcomes and name not in self._shown and not self._skipped(name):
                self._shown.add(name)
                for _ in range(self._outcomes[name].examples):  # all at once: another process has drawn them
                    self._watch.tick(name)
                self._watch.ended(self._outcomes[name])
            if self._asked.fail_fast and name not in self._shown | self._none:
                return

    def _skipped(self, check: str) -> str:
        """Why one process would not have run it, going by the checks before it that have ended; empty if it would."""
        before = self._order[: self._order.index(check)]
        return self._asked.skips(MODULES[check], [self._outcomes[name] for name in before if name in self._outcomes])

    def failed(self) -> list[Job]:
        """The checks whose findings have causes of their own, as jobs that look for these.

        What counts is settled here: no check comes back any more.
        """
        self._skips = {name: why for name in self._order if (why := self._skipped(name))}
        names = [name for name in self._order if name in self._outcomes and name not in self._skips]
        self._outcomes = {name: self._outcomes[name] for name in names}
        ended = [*self._outcomes.values()]
        return [
            Job(outcome.name, (outcome,))
            for place, outcome in enumerate(ended)
            if outcome.findings and explains(MODULES[outcome.name], ended[:place])
        ]

    def whole(self, explained: Sequence[tuple[Outcome, Tried]]) -> Job:
        """What makes the report, check by check as in one process."""
        for outcome, tried in explained:
            self._outcomes[outcome.name] = outcome
            self._tried[outcome.name].append(tried)
        for outcome in self._outcomes.values():
            self._watch.settled(outcome)
        parts = [part for name in self._outcomes for part in self._tried[name]]
        return Job("", (*self._outcomes.values(),), (*parts,), self._skips)


def run(
    pair: Pair,
    dtypes: Sequence[str],
    asked: Asked,
    watch: Watch,
    subjects: Callable[[], Mapping[str, Pair]],
    jobs: int,
) -> Report:
    """As `api.run`, by so many processes. A row is told as its check ends, a finding when all have ended.

    `subjects` gives the pair again in another process, by what it is called on the command line.
    """
    modules = chosen(pair, asked.checks)
    running = Run(asked, modules, watch)
    with Workers(min(jobs, len(modules)), partial(Process, asked, dtypes, subjects)) as workers:
        workers.do(running.jobs, running.choose, running.came)
        explained = workers.do(running.failed(), _first, _ignored)
        report: Report = workers.do([running.whole(explained)], _first, _ignored)[0]
    return report


def _first(_: int, left: Mapping[int, Any]) -> int:
    return min(left)


def _ignored(_: int, __: Any) -> None:
    """For jobs whose results are taken all together."""


def _cost(module: ModuleType, examples: int) -> int:
    """How long a check takes beside others."""
    return count(module, examples) * getattr(module, "COST", 1)
