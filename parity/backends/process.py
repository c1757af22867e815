"""Run a function in a process that has never run an operation of either framework.

The process is forked from a server that has imported both frameworks and done nothing else: that
costs a tenth of a new interpreter, and a fork after an operation would hang.
"""

import atexit
import contextlib
import json
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast
from unittest.mock import patch

from parity import scratch
from parity.errors import ParityError

Given = ParamSpec("Given")
Result = TypeVar("Result")
BEFORE = "PARITY_ENVIRONMENT_BEFORE"  # variables that are others while the fork server starts, as JSON


def fresh(function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """`function(*args)` in a fresh process; its exceptions come back.

    Raises ParityError when something that has to cross over is not importable there, or the process dies.
    """
    with begun(function, *args, **kwargs) as result:
        return result()


@contextlib.contextmanager
def begun(
    function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
) -> Iterator[Callable[[], Result]]:
    """As `fresh`, of a process that runs while this one goes on: inside, the function that is given waits for the
    result.

    Behind the context the process has ended; where it is left by an exception, at once.
    """
    warm()
    with _running(multiprocessing.get_context("forkserver"), crossing(function, *args, **kwargs)) as result:
        yield cast(Callable[[], Result], result)


def rehashed(seed: int, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """As `fresh`, in an interpreter of its own, in which Python's hashes of strings are those of a seed.

    By these goes the order of a set. It takes as long as importing the frameworks.
    """
    call, context = crossing(function, *args, **kwargs), multiprocessing.get_context("spawn")
    with patch.dict(os.environ, PYTHONHASHSEED=str(seed)), _running(context, call) as result:
        return cast(Result, result())


@contextlib.contextmanager
def _running(context: Any, call: bytes) -> Iterator[Callable[[], Any]]:
    """A process of this context that makes a pickled call; inside, the function that is given waits for the result."""
    with scratch.scratch() as place:
        pipe, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_serve, args=(call, place, theirs))
        with main_module_hidden():
            child.start()
        theirs.close()
        try:
            yield lambda: _received(pipe, child)
        except BaseException:  # Ctrl-C above all
            child.kill()
            raise
        finally:
            pipe.close()
            child.join()


def _received(pipe: Any, child: Any) -> Any:
    """Wait for what a fresh process comes to: return its result or raise its exception."""
    try:
        succeeded, result = pipe.recv()
    # It closed the pipe without an answer: killed, or crashed in a framework's C++.
    except EOFError:
        child.join()
        raise ParityError(f"a fresh process died, exit status {child.exitcode}") from None
    if not succeeded:
        raise result
    return result


def crossing(*things: Any, **named: Any) -> bytes:
    """Pickle a function and its arguments for a fresh process. Raises ParityError when that could not import one."""
    try:
        with main_module_hidden():
            return pickle.dumps((things[0], things[1:], named))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ParityError(
            f"a fresh process must be able to import the models ({error}); define builders at the top of a module"
        ) from error


@contextlib.contextmanager
def main_module_hidden() -> Iterator[None]:
    """Keep a child from running the caller's script again, as it would to find what is defined in it."""
    # multiprocessing reads it there, to run it in the child.
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _serve(call: bytes, place: Path, pipe: Any) -> None:
    """Run in the fresh process: send (True, result), or (False, exception) with its traceback as a note."""
    scratch.contain(place)
    try:
        function, args, kwargs = pickle.loads(call)  # our own bytes, from this machine and this run
        answer = True, function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 raised again where it was asked for
        error.add_note(f"in a fresh process: {traceback.format_exc()}")
        answer = False, error
    # The answer is pickled as a whole: what cannot cross is raised here, in the process that made it.
    with contextlib.suppress(BrokenPipeError):  # whoever asked was killed
        pipe.send(answer)


def warm() -> None:
    """Start the fork server now, so that it imports the frameworks while this process goes on.

    A process that was forked from a server uses that one. Harmless when called again.
    """
    if forkserver.get_inherited_fds() is not None:  # forked from a server, which serves it; Python would start another
        # No public name says that the server is there already; Python would start one beside it, and import all again.
        vars(forkserver)["_forkserver"].ensure_running = lambda: None
        return
    multiprocessing.set_forkserver_preload(["parity.backends.preload", "parity.checks"])
    # The server inherits the mask: Ctrl-C is this process's business, and ends the server with it.
    resource_tracker.ensure_running()  # would lift the mask if the server were the first to start it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _importing_as_here():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    _ending_with_us(os.getpid())


@contextlib.contextmanager
def _importing_as_here() -> Iterator[None]:
    """Have an interpreter that is started inside import from where this process does.

    By itself it would look first into the directory that it is started in, and take a checkout's parity, or a user's
    file with the name of a library, for what this process has. `parity.backends.preload` puts the variables back.
    """
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    others = {"PYTHONSAFEPATH": "1", "PYTHONPATH": paths}
    before = {name: os.environ.get(name) for name in others}
    os.environ |= {**others, BEFORE: json.dumps(before)}
    try:
        yield
    finally:
        restore()


def restore() -> None:
    """Put back what `_importing_as_here` changed of the environment; in the server, too, for what it starts."""
    for name, value in json.loads(os.environ.pop(BEFORE, "{}")).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@cache
def _ending_with_us(owner: int) -> None:
    """Kill the fork server when this process exits, once registered.

    It would end by itself, but only when it is through with its imports; until then whoever reads this process's
    output has to wait.
    """

    def end() -> None:
        server = vars(forkserver)["_forkserver"]._forkserver_pid  # no public name has it
        if server is not None and os.getpid() == owner:
            with contextlib.suppress(ProcessLookupError):
                os.kill(server, signal.SIGKILL)

    atexit.register(end)
