"""What the command line prints to, and how an unknown verb is answered."""

import sys
from typing import Any

import click
from rich.console import Console

from parity.targets import unknown


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
