"""Several pairs, one by one or side by side: one that cannot be run ends none of the others and loses no report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar

from parity.backends.workers import Workers
from parity.errors import ERRORS, ParityError, reason
from parity.frontends.cli.console import go_on

Result = TypeVar("Result")
WAITING = "not run yet"


@dataclass
class Several(Generic[Result]):
    """What runs of pairs came to: the results in their order, and why the other pairs have none, by name."""

    results: list[Result] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)
    error: BaseException | None = None

    def settle(self) -> None:
        """Raise what kept pairs from being run, if anything did, with all of them: ParityError, if it was misuse."""
        reasons = "; ".join(f"{target}: {why}" for target, why in self.unchecked.items())
        if isinstance(self.error, ParityError):
            raise ParityError(reasons) from self.error
        if self.error is not None:
            self.error.add_note(reasons)
            raise self.error


def run(
    targets: Sequence[str],
    work: Callable[[str], Result],
    write: Callable[[Several[Result]], None],
    show: Callable[[Result], None],
    jobs: int = 1,
) -> Several[Result]:
    """`work(target)` of each. All that there is so far is written behind each, then the new result is shown.

    An error ends none of the others; of one target alone, it is raised. Several `jobs` are processes, to which `work`
    has to cross over; the results come in the order of the targets all the same. `write` gets all that there is so far,
    the pairs that were not run yet among it, so that a run that is killed leaves a report which does not hold.
    """
    runs: Several[Result] = Several(unchecked=dict.fromkeys(targets, WAITING))
    waiting, ended = [*targets], dict[int, Ended]()

    def came(place: int, end: Ended) -> None:
        """Take one result; write and show all that can be, in the order of the targets: a later one waits."""
        ended[place] = end
        while waiting and (following := len(targets) - len(waiting)) in ended:
            target = waiting.pop(0)
            _settled(runs, target, ended.pop(following))
            if runs.results:
                write(runs)
            if target not in runs.unchecked:
                show(runs.results[-1])

    if jobs > 1 and len(targets) > 1:
        with Workers(min(jobs, len(targets)), partial(_Crossing, work)) as workers:
            workers.do(targets, lambda _, left: min(left), came)
        return runs
    for place, target in enumerate(targets):
        end = _ended(work, target)
        if len(targets) == 1 and end.error is not None:
            raise end.error
        go_on()  # what Ctrl-C hits may raise something else, which must not be taken for a result
        came(place, end)
    return runs


@dataclass(frozen=True)
class Ended:
    """What a piece of work gave, or the error that it raised, in words."""

    result: Any
    error: BaseException | None = None
    why: str = ""


def _ended(work: Callable[[str], Any], target: str) -> Ended:
    """Do a piece of work; what it raises is a part of what it gives."""
    try:
        return Ended(work(target))
    except ERRORS as error:
        return Ended(None, error, str(error) if isinstance(error, ParityError) else reason(error))


class _Crossing:
    """A piece of work in another process, from which not every error can cross over; its words can."""

    def __init__(self, work: Callable[[str], Any]) -> None:
        self._work = work

    def __call__(self, target: str) -> Ended:
        end = _ended(self._work, target)
        if end.error is None:
            return end
        kind = ParityError if isinstance(end.error, ParityError) else RuntimeError
        return replace(end, error=kind(end.why))


def _settled(runs: Several[Any], target: str, end: Ended) -> None:
    """Put a result, or why there is none, to the others."""
    if end.error is None:
        runs.results.append(end.result)
        del runs.unchecked[target]
        return
    # The first error stands for all, but one that is no misuse comes before any that is.
    if runs.error is None or not isinstance(end.error, ParityError):
        runs.error = end.error
    runs.unchecked[target] = end.why
