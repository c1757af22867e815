"""The pair that a command line names, and how a wrong name is answered."""

import contextlib
import importlib
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from parity import backends
from parity.errors import ParityError, unknown, visible
from parity.frontends.modules import looked_up, suggested

OR = ", or module:attribute"
LOGGED = re.compile(rb"^(WARNING: All log messages before absl::|[IW]0000 ).*\n", re.MULTILINE)  # by TensorFlow's C++


def resolve(target: str, directory: Path, needed: Collection[str] | None = None) -> Any:
    """The Pair that a command line names. Raises ParityError for anything else, without importing where that is clear.

    Its module is looked for in the current directory, then in `directory`, the project's. The frameworks that are
    `needed` are imported before it, or all that are installed.
    """
    from parity import reference
    from parity.pair.pair import Pair

    if target in (*reference.PAIRS, reference.demo.NAME):
        return reference.pair(target)
    module_name, colon, attribute = target.partition(":")
    sys.path[:0] = ["", str(directory)]
    if not colon or module_name.endswith(".py"):
        hint = suggested(module_name, attribute)
        raise ParityError(
            f"unknown pair {target!r}{hint}" if hint else unknown("pair", target, list(reference.PAIRS)) + OR
        )
    looked_up(module_name, attribute)
    named = backends.installed() if needed is None else needed
    backends.load(named)  # before the user's module imports them in another order, or noisily
    # What is not needed the module may import by itself, and TensorFlow says something then.
    quiet = contextlib.nullcontext() if needed is None else backends.quiet_import(lambda text: LOGGED.sub(b"", text))
    try:
        with quiet:
            value = getattr(importlib.import_module(module_name), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever importing the user's module raises, sys.exit() and a skip too
        if isinstance(error, ModuleNotFoundError):  # of a framework, perhaps: it is said how to install it
            backends.load([name for name, entry in backends.BACKENDS.items() if entry.package == error.name])
        raise ParityError(f"{target}: cannot be imported ({type(error).__name__}: {one_line(error)})") from error
    if not isinstance(value, Pair):
        raise ParityError(f"{target}: is a {type(value).__name__}, but should be a parity.Pair")
    if needed is None:
        backends.settle_keras(role.backend for role in value.roles.values())
    return value


def one_line(message: object) -> str:
    """A message on one line, of characters that can be seen."""
    return visible(" ".join(str(message).split()))
