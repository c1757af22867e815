"""What the command line prints to, what its verbs write beside it, and how an unknown verb is answered."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from parity.errors import ParityError
from parity.files import check_place, replacing
from parity.targets import unknown

pressed: list[int] = []  # Ctrl-C, by its signal's number: an import that it hits may raise something else, or nothing


class Pipe(Console):
    """A console whose closed reader is told apart from a finding: Rich would exit 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


# A log has no width of its own; 80 columns would cut the report's table.
tty = sys.stdout is not None and sys.stdout.isatty()
out = Pipe(highlight=False, markup=False, width=None if tty else 100)
err = Pipe(highlight=False, markup=False, stderr=True)


class Verbs(click.Group):
    """A group whose unknown verbs are answered with the known ones."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(unknown("verb", args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


@dataclass(frozen=True)
class Output:
    """How much a verb prints, and the files that it writes. Raises ParityError for one that cannot be written."""

    quiet: bool
    json: Path | None
    html: Path | None = None

    def __post_init__(self) -> None:
        for path in filter(None, (self.json, self.html)):
            check_place(path)
        if self.json and self.html and self.json.resolve() == self.html.resolve():
            raise ParityError(f"{self.html}: is named by --json too; give another name")

    def write(self, document: Mapping[str, Any], page: Callable[[Mapping[str, Any]], str] | None = None) -> None:
        """Write the document as JSON, and as what `page` makes of it, where they were asked for."""
        from parity.report import text

        for path, render in ((self.json, text), (self.html, page)):
            if path and render:
                with replacing(path) as temporary:
                    temporary.write_text(render(document), encoding="utf-8")


def output(what: str, html: bool = True) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a verb the options for what it prints and writes; it gets an `Output` for them."""

    def decorate(verb: Callable[..., int]) -> Callable[..., int]:
        @wraps(verb)
        def run(*args: Any, quiet: bool, json: Path | None, html: Path | None = None, **given: Any) -> int:
            return verb(*args, output=Output(quiet, json, html), **given)

        place: Any = click.Path(path_type=Path)
        run = click.option("--quiet", is_flag=True, help="Print the last line only.")(run)
        if html:
            run = click.option("--html", type=place, help=f"Also write {what} as one HTML page.")(run)
        return click.option("--json", type=place, help=f"Also write {what} as JSON.")(run)

    return decorate


def interruptible(tick: Callable[..., None]) -> Callable[..., None]:
    """At each tick, interrupt what an earlier Ctrl-C did not: one in a finalizer is swallowed."""

    def ticking(*args: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        tick(*args)

    return ticking
