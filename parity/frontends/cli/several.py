"""Several pairs, one after another: one that cannot be run ends none of the others, and loses none of their reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from parity.errors import ERRORS, ParityError, reason
from parity.frontends.cli.console import pressed

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
        told = "; ".join(f"{target}: {why}" for target, why in self.unchecked.items())
        if isinstance(self.error, ParityError):
            raise ParityError(told) from self.error
        if self.error is not None:
            self.error.add_note(told)
            raise self.error


def run(
    targets: Sequence[str],
    work: Callable[[str], Result],
    write: Callable[[Several[Result]], None],
    show: Callable[[Result], None],
) -> Several[Result]:
    """`work(target)` of each. All that there is so far is written behind each, then the new result is shown.

    An error ends none of the others; of one target alone, it is raised.
    """
    runs: Several[Result] = Several(unchecked=dict.fromkeys(targets, WAITING))
    for target in targets:
        try:
            runs.results.append(work(target))
            del runs.unchecked[target]
        except ERRORS as error:
            if len(targets) == 1:
                raise
            if runs.error is None or not isinstance(error, ParityError):
                runs.error = error
            runs.unchecked[target] = str(error) if isinstance(error, ParityError) else reason(error)
        if pressed:  # what Ctrl-C hits may raise something else, which must not be taken for a result
            raise KeyboardInterrupt
        if runs.results:
            write(runs)
        if target not in runs.unchecked:
            show(runs.results[-1])
    return runs
