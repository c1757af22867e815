"""The workers of a sweep: those that it starts on this machine, or those of a cluster that runs already.

A worker offers its environment as a resource of Dask, one of it, so that it does one unit at a time, and an
environment is a Python interpreter in which parity is installed: other versions, another machine, a GPU.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from parity.errors import ParityError

PATIENCE = 120.0  # seconds in which a worker that was started has to be there
# Dask's workers may have no processes of their own unless it is said so; a fresh process is one.
WITH_CHILDREN = {"DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
ORPHANED = "20"  # seconds after which a worker whose scheduler was killed ends


@contextlib.contextmanager
def local(environments: Mapping[str, str], count: int) -> Iterator[Any]:
    """Give the client of a scheduler in this process, with `count` workers of each environment's interpreter.

    Raises ParityError where an interpreter cannot start them, or not within `PATIENCE` seconds.
    """
    distributed = imported()
    with contextlib.ExitStack() as stack:
        # No workers of its own, which would be of this interpreter; and TCP, by which those of others can join.
        cluster = distributed.LocalCluster(
            n_workers=0,
            processes=False,
            protocol="tcp",
            dashboard_address="127.0.0.1:0",
            silence_logs="ERROR",
            host="127.0.0.1",
        )
        client = stack.enter_context(distributed.Client(stack.enter_context(cluster)))
        address = cluster.scheduler.address
        started = {
            name: stack.enter_context(_started(name, python, address, count)) for name, python in environments.items()
        }
        _wait(client, started, count)
        yield client


@contextlib.contextmanager
def joined(address: str, environments: Sequence[str]) -> Iterator[Any]:
    """Give the client of a cluster that runs already. Raises ParityError where it has no worker of an environment."""
    distributed = imported()
    try:
        client = distributed.Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise ParityError(f"{address}: no Dask scheduler answers there ({type(error).__name__})") from error
    with client:
        for name in environments:
            if not workers(client, name):
                raise ParityError(
                    f"{address}: no worker offers {name!r}; start one where parity is installed: "
                    f"dask worker {address} --nthreads 1 --resources {name}=1"
                )
        yield client


def imported() -> Any:
    """Dask's distributed, with its notices about lost workers off. Raises ParityError where it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise ParityError('distributed is not installed: run python -m pip install "parity[sweep]"') from error
    return distributed


def workers(client: Any, environment: str) -> int:
    """How many workers offer an environment."""
    known = client.scheduler_info(n_workers=-1)["workers"].values()
    return sum(environment in worker["resources"] for worker in known)


@contextlib.contextmanager
def _started(name: str, python: str, address: str, count: int) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """Give a process that keeps `count` workers, and what they print; end it, and them, at the end."""
    command = [python, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--nworkers", str(count)]
    command += ["--resources", f"{name}=1", "--no-dashboard", "--death-timeout", ORPHANED, "--memory-limit", "0"]
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as space:
        try:
            process = subprocess.Popen(
                [*command, "--local-directory", space],
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own, so that its workers can be ended with it
                env=os.environ | WITH_CHILDREN,
            )
        except OSError as error:
            raise ParityError(f"environment {name}: {python} cannot be run ({error.strerror})") from error
        try:
            yield process, log
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(client: Any, started: Mapping[str, tuple["subprocess.Popen[bytes]", IO[bytes]]], count: int) -> None:
    """Wait until all workers are there. Raises ParityError, with the last that it printed, for one that is not."""
    end = time.monotonic() + PATIENCE
    for name, (process, log) in started.items():
        while workers(client, name) < count:
            if process.poll() is not None or time.monotonic() > end:
                log.seek(0)
                printed = log.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise ParityError(f"environment {name}: its workers did not start: {printed or 'no word from them'}")
            time.sleep(0.05)


def interpreters(texts: Sequence[str]) -> dict[str, str]:
    """Environment's name -> its interpreter, as `interpreter`. Raises ParityError for a name that is there twice."""
    python: dict[str, str] = {}
    for name, path in map(interpreter, texts):
        if name in python:
            raise ParityError(f"--env {name}: there are two of this name, {python[name]} and {path}")
        python[name] = path
    return python


def interpreter(text: str) -> tuple[str, str]:
    """The name and interpreter of an environment. Raises ParityError for another text than NAME=PYTHON."""
    name, equals, python = text.partition("=")
    if not (name.isidentifier() and equals and python):
        raise ParityError(f"--env {text or repr(text)}: should be NAME=PYTHON, such as tf219=venvs/tf219/bin/python")
    if os.sep in python and not Path(python).is_file():
        raise ParityError(f"--env {text}: there is no {python}")
    return name, python
