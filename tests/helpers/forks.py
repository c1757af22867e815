"""What a command does as a user runs it, in a fork of a server that has both frameworks: no import is paid again."""

import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

from parity.backends import process


def run(module, *args, cwd):
    """As `python -m module args` in this directory, in a process that has run nothing before."""
    with tempfile.TemporaryDirectory() as place:
        streams = [Path(place) / name for name in ("out", "err")]
        status = process.fresh(command, module, list(map(str, args)), cwd, dict(os.environ), *streams)
        return subprocess.CompletedProcess(args, status, *(stream.read_text() for stream in streams))


def command(module, args, cwd, environment, *streams):
    """The same in this process, which is lost to anything else: its status; what it prints goes to these files."""
    for number, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment, TMPDIR=tempfile.gettempdir())
    sys.argv, sys.path = [module, *args], ["", *sys.path]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
