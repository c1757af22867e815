"""Files on the command line, in the place of the sides of a pair: `--onnx acme.onnx`."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from parity.backends import BACKENDS
from parity.errors import ParityError

if TYPE_CHECKING:
    from parity.pair.pair import Pair


def options(command: Any) -> Any:
    """Give a verb an option for each backend that runs files, `--onnx FILE`; what they hold is in its `**options`."""
    for name, entry in BACKENDS.items():
        message = f"A file in the place of a side, held against {entry.origin}'s."
        command = click.option(f"--{name}", metavar="FILE", help=message)(command) if entry.origin else command
    return command


def taken(others: dict[str, Any]) -> dict[str, str]:
    """Backend -> file, of those that were named; taken out of `others`, the verb's options."""
    return {name: path for name in BACKENDS if (path := others.pop(name, None)) is not None}


def put(subjects: "Mapping[str, Pair]", files: Mapping[str, str]) -> "Mapping[str, Pair]":
    """The one pair with these files in the place of sides, and what it is called on the command line then.

    Raises ParityError for files and several pairs.
    """
    if not files:
        return subjects
    # As it is typed: the pair is called so in a report, and in the command that runs it again.
    named = " ".join(f"--{name} {shlex.quote(path)}" for name, path in files.items())
    if len(subjects) > 1:
        raise ParityError(f"{named} goes with one PAIR, but there are {len(subjects)}: {', '.join(subjects)}")
    return {f"{target} {named}": pair.with_files(files) for target, pair in subjects.items()}
