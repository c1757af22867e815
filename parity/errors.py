"""The two ways parity stops: it was misused, or it found something. Imports nothing of parity."""

import contextlib
import difflib
import re
import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType


class ParityError(Exception):
    """The harness was misused: a bad argument, a missing file, a model that cannot be read.

    The text is one line that says what is wrong, where, and what to do. The command line exits 2.
    """

    def __str__(self) -> str:
        return visible(super().__str__()).replace("\n", " ")  # it may name what an untrusted file is full of


class KerasTaken(ParityError):
    """A side needs Keras on another backend, `wanted`, than this process has; `settled` says that the user set that."""

    def __init__(self, message: str, wanted: str, settled: bool) -> None:
        super().__init__(message)
        self.wanted, self.settled = wanted, settled

    def __reduce__(self) -> tuple[type, tuple[str, str, bool]]:
        """Exceptions cross from a fresh process by their arguments."""
        return type(self), (str(self), self.wanted, self.settled)


class Mismatch(AssertionError):
    """A finding: the two sides differ where they should agree. The command line exits 1."""

    __module__ = "parity"  # where users have it from, and read it in each line of a test session


DIGITS = 18  # of a whole number that a user gives, at the most: it is drawn by, counted by and printed
# What an error in a check or in a diagnosis may be: a user's code may call sys.exit(), which ends the process
# otherwise. Ctrl-C is none.
ERRORS = (Exception, SystemExit)


@contextlib.contextmanager
def users_own(what: str, advice: str = "") -> Iterator[None]:
    """Whatever a user's code raises inside is a ParityError of one line: what, the reason, and what to do."""
    try:
        yield
    except ParityError:
        raise
    except Exception as error:  # not ours to foresee; type and text are told, and the cause is kept
        raise ParityError(f"{what}: {reason(error)}{advice and f'; {advice}'}") from error


def reason(error: BaseException) -> str:
    """An error's type and text on one line, without colours and what a framework adds of the arguments."""
    text = re.split("Arguments received|Received args", re.sub(r"\x1b\[[\d;]*m", "", str(error)))[0]
    text = re.sub(r"Exception encountered when calling [\w.]+\(\)\.", "", text)
    if text.startswith("in user code:"):  # the frames of a graph, the error itself last
        text = text.rpartition(f"{type(error).__name__}: ")[2]
    return f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ")


def from_users_code(error: BaseException) -> TracebackType | None:
    """An error's traceback from the first frame that is neither parity's nor Hypothesis's: a model's, as a rule."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in ("parity", "hypothesis"):
        trace = trace.tb_next
    return trace or error.__traceback__


def origin(error: BaseException) -> str:
    """Where an error was raised, as Python prints it, from the user's code on; empty of misuse, which is one line."""
    if isinstance(error, ParityError):
        return ""
    return "".join(traceback.format_exception(type(error), error, from_users_code(error))).rstrip()


def visible(text: str) -> str:
    """A text of which each character can be seen: others, which steer a terminal or turn a line round, as escapes."""
    return re.sub(r"[^ -~\n]", lambda c: c[0] if c[0].isprintable() else repr(c[0])[1:-1], text)


def named(value: object) -> str:
    """What a user gave in a few words: a class by its name, anything else by that of its class."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """What is said of a name that is none of the known ones, with the one that was probably meant."""
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown {what} {name!r}; {hint}available: {', '.join(known)}"
