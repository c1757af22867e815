"""What the command line prints to, what its verbs write beside it, and how an unknown command is answered."""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.segment import Segment

from parity.backends.interrupt import interrupt
from parity.errors import DIGITS, ERRORS, ParityError, unknown, visible
from parity.files import check_place, replacing


class Screen(Console):
    """A console on which no text can steer the terminal, and no line ends in blanks."""

    def render(self, *arguments: Any) -> Iterable[Segment]:
        """Render with control characters made visible."""
        line: list[Segment] = []
        for segment in super().render(*arguments):
            if segment.text == "\n":  # a table fills its lines up with blanks
                while line and not line[-1].control and not line[-1].text.strip(" "):
                    line.pop()
                line[-1:] = [part if part.control else part._replace(text=part.text.rstrip(" ")) for part in line[-1:]]
                yield from line
                line.clear()
                yield segment
            else:
                line.append(segment if segment.control else segment._replace(text=visible(segment.text)))
        yield from line


def _width() -> int:
    """Columns. A log has none of its own, and fewer than 80 would cut tables: a narrower terminal folds their lines."""
    tty = sys.stdout is not None and sys.stdout.isatty()
    return min(max(80, shutil.get_terminal_size().columns), 1000) if tty else 100


# Rich reads both as numbers, whatever they hold: a variable of letters would end every verb in an error.
for name in ("COLUMNS", "LINES"):
    if not re.fullmatch("[0-9]{1,4}", os.environ.get(name, "0")):
        del os.environ[name]
out = Screen(highlight=False, markup=False, width=_width())
err = Screen(highlight=False, markup=False, stderr=True)


class Stream:
    """A stream that raises nothing when it cannot be written: `error` is why, and no report is lost by it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal of few characters

    def write(self, text: str) -> int:
        """Write to the stream, until a write has failed."""
        if self.error is None:
            with self._remembered():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, until a write has failed."""
        if self.error is None:
            with self._remembered():
                self._stream.flush()

    @contextlib.contextmanager
    def _remembered(self) -> Iterator[None]:
        """Keep the error of a write, and let what is still buffered go nowhere: it would raise again at the end."""
        try:
            yield
        except OSError as error:  # a reader that is gone, a disk that is full
            self.error = error
            with contextlib.suppress(OSError):
                number, null = self._stream.fileno(), os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, number)  # for what is still buffered
                os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def streams() -> Iterator[Stream]:
    """Give standard output, which like standard error raises nothing while a verb runs, whoever has closed them."""
    for number in range(3):  # a file of ours must not take the place of a closed one: libraries write there
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    for number, name in enumerate(("stdout", "stderr"), 1):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 it stays open
        setattr(sys, name, Stream(getattr(sys, name)))
    try:
        yield sys.stdout  # type: ignore[misc] # it is a Stream
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


class Whole(click.IntRange):
    """An integer from `min` on, of at most `DIGITS` digits: as many as what draws, counts and prints by it takes."""

    def convert(self, value: Any, *context: Any) -> Any:
        """Convert a number, and refuse one of too many digits."""
        if len(str(value)) > DIGITS:
            self.fail(f"{str(value)[:DIGITS]}… has more than {DIGITS} digits", *context)
        return super().convert(value, *context)


class Verbs(click.Group):
    """A group whose unknown commands are answered with the known ones."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, or suggest those that are spelt like it."""
        if args and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(unknown("command", args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


@dataclass(frozen=True)
class Output:
    """How much a verb prints, and the files that it writes. Raises ParityError for one that cannot be written.

    `unwritten` are the errors of those that could be written when the verb began, and could not at its end.
    """

    quiet: bool
    json: Path | None
    html: Path | None = None
    unwritten: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in filter(None, (self.json, self.html)):
            check_place(path)
        if self.json and self.html and self.json.resolve() == self.html.resolve():
            raise ParityError(f"{self.html}: is named by --json too; give another name")

    def write(self, document: Mapping[str, Any], page: Callable[[Mapping[str, Any]], str] | None = None) -> None:
        """Write the document as JSON, and as what `page` makes of it, where they were asked for.

        What cannot be written is told behind the verb, which prints first.
        """
        from parity.report.document import text

        for path, render in ((self.json, text), (self.html, page)):
            if path and render:
                try:
                    with replacing(path) as temporary:
                        temporary.write_text(render(document), encoding="utf-8")
                except ERRORS as error:
                    self.unwritten.append(error)


def output(what: str, html: bool = True) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a verb the options for what it prints and writes; it gets an `Output` for them."""

    def decorate(verb: Callable[..., int]) -> Callable[..., int]:
        @wraps(verb)
        def run(*args: Any, quiet: bool, json: Path | None, html: Path | None = None, **options: Any) -> int:
            output = Output(quiet, json, html)  # before the verb: no long run ends in a file that cannot be written
            status = verb(*args, output=output, **options)
            for error in output.unwritten:
                raise error
            return status

        place: Any = click.Path(path_type=Path)
        run = click.option("--quiet", is_flag=True, help="Print the last line only.")(run)
        if html:
            run = click.option("--html", type=place, help=f"Also write {what} as one HTML page.")(run)
        return click.option("--json", type=place, help=f"Also write {what} as JSON.")(run)

    return decorate


def go_on() -> None:
    """Raise KeyboardInterrupt once Ctrl-C was pressed: what it hit may have swallowed it, or raised something else."""
    if interrupt:
        raise KeyboardInterrupt


def interruptible(tick: Callable[..., None]) -> Callable[..., None]:
    """Make a tick raise KeyboardInterrupt once Ctrl-C was pressed."""

    def ticking(*args: Any) -> None:
        go_on()
        tick(*args)

    return ticking
