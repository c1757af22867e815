"""The command line: `parity VERB`. Exit 0 all checks pass, 1 one fails, 2 misuse, 3 an unexpected error.

A verb is a file, named below in `cli`: its options, what it asks of `parity.api` or of a room, what it prints by
`parity.report`. It returns its exit status and raises ParityError for misuse, which is told in one line; it says what
is wrong with its options before anything is built. What loads a framework, or takes long to import, is imported inside
the verb, so that `parity --help` and a wrong option are answered at once.

    check, port, sweep, watch     checks of pairs: once, of a converted checkpoint, at many seeds, at each change
    compare, dump                 arrays of two environments, and what writes them
    locate, links                 where two models part; which of their layers match
    gate                          `gate` and `bless`: a run beside an accepted one
    train, generate, tokenizer, demo, selftest    the reference models, a tokenizer, a show, the known bugs
    files, several, spread        files in the place of sides; several pairs; one pair's checks in several processes
    console, progress, rows       streams and options of every verb; bars; rows as they come about
"""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import click

from parity import scratch
from parity.backends.interrupt import interrupt
from parity.errors import KerasTaken, Mismatch, ParityError, visible
from parity.frontends.cli import (
    check,
    compare,
    demo,
    dump,
    gate,
    generate,
    links,
    locate,
    port,
    selftest,
    sweep,
    tokenizer,
    train,
    watch,
)
from parity.frontends.cli.console import Verbs, streams
from parity.frontends.targets import one_line


@click.group(cls=Verbs, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parity", message="parity %(version)s")
def cli() -> None:
    """Test whether a PyTorch and a TensorFlow/Keras model compute the same, and say where they do not."""


for verb in (check.check, watch.watch, locate.locate, links.links, train.train, generate.generate, selftest.selftest):
    cli.add_command(verb)
for verb in (port.port, compare.compare, demo.demo, dump.dump, sweep.sweep, tokenizer.tokenizer, gate.gate, gate.bless):
    cli.add_command(verb)


def main() -> None:
    """The `parity` command."""
    interrupt.listen(signal.SIGINT)
    status = 130
    # A death by the signal would lose what a verb has written so far, and the status 130 that shells know.
    with contextlib.suppress(KeyboardInterrupt), streams() as printed:
        status = _status()
        printed.flush()
        if printed.error is not None and not isinstance(printed.error, BrokenPipeError):  # that reader has read enough
            status = status or _misuse(f"standard output: cannot be written ({printed.error.strerror})")
    # Where Ctrl-C went through an exec of a text, `python -m` would die by it at the end, handled as it was.
    exec("")  # it resets CPython's _Py_UnhandledKeyboardInterrupt
    sys.exit(130 if interrupt else status)


def _status() -> int:
    """Run the verb of the command line; whatever it raises is told on standard error, and by the exit status."""
    environment = dict(os.environ)  # as it was, for a run that begins anew: a verb sets variables
    try:
        _settle()
        return cli.main(prog_name="parity", standalone_mode=False) or 0
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "parity"
        return _misuse(f"{error.format_message()} (see {path} --help)")
    except KerasTaken as error:
        return _misuse(str(error)) if error.settled else _again(error.wanted, environment)
    except ParityError as error:
        return _misuse(str(error))
    except Mismatch as finding:
        print(f"parity: {visible(str(finding))}", file=sys.stderr)
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BaseException as error:  # noqa: BLE001 sys.exit() in a user's code too: only parity says 0 or 1
        if not interrupt:
            print(visible("".join(traceback.format_exception(error))), file=sys.stderr)
        return 3


def _again(backend: str, environment: Mapping[str, str]) -> int:
    """Begin anew, in this very process, with Keras on another backend: what the pair needs is known only now.

    Never returns. Keras takes its backend when it is imported, and cannot change it.
    """
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**environment, "KERAS_BACKEND": backend})


def _settle() -> None:
    """Keep this run's temporary files together. Raises ParityError where they have no place.

    And where the current directory is gone: nearly every path begins there.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise ParityError(f"the current directory cannot be read ({error.strerror}); change to another") from error
    try:
        scratch.contain(scratch.of_process())
    except OSError as error:
        raise ParityError(f"no directory for temporary files can be made ({error.strerror}); set TMPDIR") from error


def _misuse(message: str) -> int:
    """Say on one line of standard error what was wrong; the exit status 2."""
    print(f"parity: {one_line(message)}", file=sys.stderr)
    return 2
