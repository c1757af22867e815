"""Run a function in a process that has never run an operation of either framework.

The process is forked from a server that has imported both frameworks and done nothing else: that
costs a tenth of a new interpreter, and a fork after an operation would hang.
"""

import contextlib
import multiprocessing
import pickle
import signal
import sys
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver, resource_tracker
from typing import Any, ParamSpec, TypeVar

from parity.errors import ParityError

Given = ParamSpec("Given")
Result = TypeVar("Result")


def fresh(function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """`function(*args)` in a fresh process; its exceptions come back.

    Raises ParityError when something that has to cross over is not importable there.
    """
    warm()
    call = crossing(function, *args, **kwargs)
    context = multiprocessing.get_context("forkserver")
    with hidden_script(), ProcessPoolExecutor(1, mp_context=context) as pool:
        result: Result = pool.submit(_call, call).result()
        return result


def crossing(*things: Any, **named: Any) -> bytes:
    """What a fresh process is given. Raises ParityError when it could not import something of it."""
    try:
        with hidden_script():
            return pickle.dumps((things[0], things[1:], named))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ParityError(
            f"a fresh process cannot import what it needs ({error}); define builders at the top of a module"
        ) from error


@contextlib.contextmanager
def hidden_script() -> Iterator[None]:
    """Keep a child from running the caller's script again, as it would to find what is defined in it."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _call(call: bytes) -> Any:
    function, args, kwargs = pickle.loads(call)  # our own bytes, from this machine and this run
    return function(*args, **kwargs)


def warm() -> None:
    """Start the server now, so that it imports the frameworks while this process goes on."""
    multiprocessing.set_forkserver_preload(["parity.backends.preload", "parity.checks"])
    # The server inherits the mask: Ctrl-C is this process's business, and ends the server with it.
    resource_tracker.ensure_running()  # would lift the mask if the server were the first to start it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
