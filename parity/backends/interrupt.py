"""A signal that asks this process to end, as Ctrl-C does: noted, beside being raised as KeyboardInterrupt.

What the exception hits may swallow it, as a finalizer does, or raise something else, as an import may. Whoever goes on
with the next piece of work asks `interrupt` first.
"""

import signal
import sys
from collections.abc import Callable


class Interrupt:
    """Whether this process was asked to end. It is true from then on, and nothing takes that back."""

    def __init__(self) -> None:
        self._asked = False

    def __bool__(self) -> bool:
        return self._asked

    def listen(self, number: int, before: Callable[[], None] | None = None) -> None:
        """Take a signal, by its number, for the wish to end; `before` is called in front of the raise."""

        def note(_: int, __: object) -> None:
            self._asked = True
            if before is not None:
                before()
            sys.unraisablehook = lambda _: None  # what swallows the exception would print it
            raise KeyboardInterrupt

        signal.signal(number, note)


interrupt = Interrupt()  # of this process, which has one of each signal
