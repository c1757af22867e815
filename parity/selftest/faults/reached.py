"""Whether what is planted has run: a fault whose code nobody calls is none, and would be missed without a word.

A fault takes the place of a function by its name. Where a model no longer calls that name, the fault stands there and
nothing comes of it; so each planted function notes that it was called. One trial is noted at a time, in its process.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

LOCK = threading.Lock()
_calls: dict[str, bool] = {}  # what has been planted -> whether it was called


def begin() -> None:
    """Forget what was planted before."""
    _calls.clear()


def missed() -> list[str]:
    """What has been planted since and was never called, in words."""
    return [words for words, called in _calls.items() if not called]


def expect(words: str) -> None:
    """Note that something has been planted: `words` name it in a message. It counts as missed until it is called."""
    _calls.setdefault(words, False)


@dataclass(frozen=True)
class Noted:
    """A planted function, which notes that it is called."""

    words: str
    function: Callable[..., Any]

    def __post_init__(self) -> None:
        expect(self.words)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the function gives."""
        _calls[self.words] = True
        return self.function(*arguments, **named)


class _Stand:
    """In the place of a module's name: in each thread what is planted there, or the original.

    By threads, since a side that locates a difference runs beside the other, which may be of the same framework's
    module. `uses` counts the runs that have something planted, so that the last one puts the original back.
    """

    def __init__(self, original: Any) -> None:
        self.original, self.uses, self.own = original, 0, threading.local()

    def _now(self) -> Any:
        values = getattr(self.own, "values", None)
        if not values:
            return self.original
        words, value = values[-1]
        _calls[words] = True
        return value

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._now()(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now(), name)


@contextlib.contextmanager
def standing_in(owner: Any, name: str, value: tuple[str, Any]) -> Iterator[None]:
    """While this lasts, a module's name has another value, with the words that tell it."""
    with LOCK:
        stand = getattr(owner, name)
        if not isinstance(stand, _Stand):
            stand = _Stand(stand)
            setattr(owner, name, stand)
        stand.uses += 1
    stand.own.values = [*getattr(stand.own, "values", []), value]
    try:
        yield
    finally:
        stand.own.values.pop()
        with LOCK:
            stand.uses -= 1
            if not stand.uses:
                setattr(owner, name, stand.original)
