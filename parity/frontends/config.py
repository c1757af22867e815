"""`[tool.parity]` in a project's pyproject.toml: what to check, and how, where the command line does not say."""

import contextlib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from parity.errors import DIGITS, ParityError, unknown
from parity.files import MOST_PARSED, read_text
from parity.frontends.targets import one_line


@dataclass(frozen=True)
class Config:
    """What a project has set; a key that it leaves out has the value that stands here.

    `directory` is where the project is: its modules are found there, wherever parity is run below it, and
    `baselines` is the directory of its baselines, seen from there.
    """

    pairs: tuple[str, ...] = ("lstm",)
    seed: int = 0
    examples: int = 25
    dtypes: tuple[str, ...] = ("float64", "float32")
    baselines: str = "baselines"
    directory: Path = field(default_factory=Path.cwd)

    def but(self, **values: Any) -> "Config":
        """A copy in which each value that is neither None nor empty replaces the project's: the command line's."""
        return replace(self, **{key: value for key, value in values.items() if value not in (None, ())})


def load(start: Path | None = None) -> Config:
    """The configuration of the project in `start` or above it; by default the current directory.

    Only the nearest pyproject.toml is read, as other tools do. Raises ParityError for a file that is
    not TOML, a key that there is not, and a value of the wrong type.
    """
    start = start or Path.cwd()
    path = _nearest(start)
    if path is None:
        return Config(directory=start)
    try:
        document = tomllib.loads(read_text(path, MOST_PARSED))
    except (ValueError, RecursionError) as error:  # a plain ValueError of a number of thousands of digits
        raise ParityError(f"{path}: is not TOML: {one_line(error)}") from error
    tool = document.get("tool")
    table = tool.get("parity", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise ParityError(f"{path}: tool.parity is {one_line(repr(table))}, but should be a table: [tool.parity]")
    return Config(
        **{key: _value(f"{path}: [tool.parity]", key, value) for key, value in table.items()}, directory=path.parent
    )


def _nearest(start: Path) -> Path | None:
    """The pyproject.toml in a directory or the nearest above it; None where there is none, or none can be seen."""
    for directory in (start, *start.parents):
        with contextlib.suppress(OSError):  # a directory that may not be searched
            if (directory / "pyproject.toml").is_file():
                return directory / "pyproject.toml"
    return None


def _value(where: str, key: str, raw: Any) -> Any:
    """A key's value as `Config` has it. Raises ParityError, which begins with `where`, for a wrong key or value."""
    if key not in KEYS:
        raise ParityError(f"{where}: {unknown('key', key, list(KEYS))}")
    read, wanted = KEYS[key]
    try:
        value = read(raw)
    except ParityError as error:
        raise ParityError(f"{where}: {key}: {error}") from error
    if value is None:
        raise ParityError(f"{where}: {key} is {one_line(repr(raw))}, but should be {wanted}")
    return value


def _whole(least: int) -> Callable[[Any], int | None]:
    """What reads an integer from `least` on, of at most `DIGITS` digits."""
    return lambda value: value if type(value) is int and least <= value < 10**DIGITS else None  # True is no number


def _names(value: Any) -> tuple[str, ...] | None:
    """At least one, for nothing checked would prove nothing."""
    return tuple(value) if isinstance(value, list) and value and all(isinstance(n, str) for n in value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _dtypes(value: Any) -> tuple[str, ...] | None:
    from parity.dtypes import precisions  # imports numpy and more: only where the key is used

    names = _names(value)
    return names and precisions(names)


# Key -> how it is read, and what it should have been where that gives None.
KEYS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "pairs": (_names, 'a list of pairs, such as ["lstm", "acme.models:pair"]'),
    "seed": (_whole(0), "a non-negative integer"),
    "examples": (_whole(1), "a positive integer"),
    "dtypes": (_dtypes, 'a list of dtypes, such as ["float64", "float32", "bfloat16"]'),
    "baselines": (_text, 'a directory, such as "tests/baselines"'),
}
