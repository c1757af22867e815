"""The command line: `parity VERB`. Exit 0 all checks pass, 1 one fails, 2 misuse, 3 an unexpected error."""

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
    with contextlib.suppress(KeyboardInterrupt), streams() as printed:  # unhandled, it would be a death by signal
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
