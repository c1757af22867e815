"""`parity watch`: the checks of one pair, again at each change of a file that it is made of.

Each round runs in a process of its own, forked from one that has both frameworks imported and nothing of the user's:
modules are imported afresh without a reload, and it can be ended at once where a file changes in the middle.
"""

import contextlib
import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parity import backends
from parity.backends import workers
from parity.errors import KerasTaken, ParityError
from parity.frontends.cli.console import Whole, err, out
from parity.frontends.config import Config, load
from parity.frontends.modules import looked_up, suggested
from parity.frontends.targets import resolve

if TYPE_CHECKING:
    from parity.api import Asked
    from parity.pair.pair import Pair

PAUSE = 0.1  # seconds between two looks at the files
IMPORT, CHECK = "import", "check"
EPILOG = """
Exit status: 130 when Ctrl-C ends it, 2 wrong usage.

\b
Examples:
  parity watch acme.models:pair
  parity watch acme.models:pair --check forward --check gradients
"""

Stamps = dict[Path, tuple[int, int] | None]  # a file -> when it was written last, in ns, and its size in bytes


@click.command(epilog=EPILOG)
@click.argument("pair", metavar="PAIR")
@click.option("--seed", type=Whole(min=0), metavar="N", help="Random seed; 0 by default.")
@click.option("--examples", type=Whole(min=1), metavar="N", help="Examples per check; 25 by default.")
@click.option("--check", "checks", multiple=True, metavar="NAME", help="Run this check only; may be given again.")
@click.option("--all", "run_all", is_flag=True, help="Go on after a check that fails.")
@click.option("--quiet", is_flag=True, help="Print the last line of each report only.")
def watch(pair: str, checks: tuple[str, ...], run_all: bool, quiet: bool, **options: Any) -> None:
    """Check PAIR again whenever one of its files changes.

    PAIR is module:attribute. Both frameworks are imported once. Each run ends with the first check that fails, and at
    once where a file changes meanwhile.
    """
    from parity.api import Asked
    from parity.checks import known

    known(checks)
    config = load().but(**options)
    asked = Asked(config.seed, config.examples, checks or None, fail_fast=not run_all, run_all=run_all, target=pair)
    for line in rounds(pair, partial(Desk, asked, config, quiet), config.directory):
        if quiet:
            out.print(line, soft_wrap=True)


def rounds(target: str, make: "Callable[[], Desk]", directory: Path) -> Iterator[str]:
    """The last line of each report, or why there is none; the next one comes when a file has changed.

    Raises ParityError for a target that is no module:attribute, and for a module that there is not.
    """
    module, colon, attribute = target.partition(":")
    sys.path[:0] = ["", str(directory)]
    if not colon or module.endswith(".py"):
        raise ParityError(f"{target}: should be module:attribute{suggested(module, attribute)}")
    looked_up(module, attribute)
    path = Path(*module.split("."))
    places: Collection[Path] = [
        root / name for root in {Path.cwd(), directory} for name in (path.with_suffix(".py"), path / "__init__.py")
    ]
    stamps: Stamps = {}
    while True:
        with workers.one(make) as desk, contextlib.suppress(_Changed):  # it gets ready while nothing changes
            while (now := _stamps(places)) == stamps:
                time.sleep(PAUSE)
            stamps = now
            places, problem = _asked(desk, IMPORT, places, stamps)
            stamps = _stamps(places)  # of the files that the pair turns out to be made of
            yield problem or _asked(desk, CHECK, places, stamps)


class _Changed(Exception):
    """A file is not what it was."""


def _asked(desk: Any, job: str, places: Collection[Path], stamps: Stamps) -> Any:
    """What becomes of a job. Raises _Changed where a file does before."""
    desk.give(job)
    while not desk.pipe.poll(PAUSE):
        if any(now != stamps[place] for place, now in _stamps(places).items()):
            raise _Changed
    return desk.take()


def _stamps(places: Collection[Path]) -> Stamps:
    """When each file was written last, and its size; None where there is none."""
    stamps: Stamps = {}
    for place in places:
        stamps[place] = None
        with contextlib.suppress(OSError):
            info = place.stat()
            stamps[place] = info.st_mtime_ns, info.st_size
    return stamps


@dataclass
class Desk:
    """What does the jobs of a round, in a process of its own, which has imported nothing of the user's before."""

    asked: "Asked"
    config: Config
    quiet: bool = True
    subjects: "dict[str, Pair]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        for module in ("parity.api", "parity.report.terminal"):  # what takes a while, before there is anything to do
            importlib.import_module(module)
        backends.load(backends.installed())

    def __call__(self, job: str) -> Any:
        """The files that the pair is made of, and what is wrong with them; or the last line of its report."""
        return self._imported() if job == IMPORT else self._checked()

    def _imported(self) -> tuple[list[Path], str]:
        """Import the pair: the user's files that are loaded then, or that an error went through, and the error."""
        sys.dont_write_bytecode = True  # of two edits within a second the second would not be seen
        problem, named = "", set[str]()
        try:
            self.subjects[self.asked.target] = resolve(self.asked.target, self.config.directory)
        except KerasTaken:
            raise  # to begin anew, with Keras on what the pair needs, if that can be
        except ParityError as error:
            problem, named = f"parity: {error}", _files_of(error)
            if not self.quiet:
                err.print(problem, soft_wrap=True)
        loaded = {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
        roots = {str(Path.cwd()), str(self.config.directory.resolve())}
        own = {file for file in loaded if any(file.startswith(f"{root}{os.sep}") for root in roots)}
        return [Path(file) for file in sorted(own | named) if "site-packages" not in file], problem

    def _checked(self) -> str:
        """Check the pair that was imported, and print its report; the last line of that."""
        from parity.frontends.cli.check import checked
        from parity.report import terminal

        printed = None if self.quiet else terminal.Printed(out)
        _, report = checked(self.asked, self.config, self.subjects, printed, self.asked.target)
        if printed:
            printed.concluded(report)
        return str(terminal.last_line(report))


def _files_of(error: BaseException) -> set[str]:
    """The user's files that an error's causes went through, and that of a syntax error: a change may correct any."""
    files, cause = set[str](), error.__cause__
    while cause is not None:
        files |= {frame.filename for frame in traceback.extract_tb(cause.__traceback__)}
        files |= {cause.filename} if isinstance(cause, SyntaxError) and cause.filename else set()
        cause = cause.__cause__
    return {file for file in files if Path(file).is_file() and not file.startswith(sys.prefix)}
