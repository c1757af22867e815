"""What the parameters of a port were made from, as text and as JSON: those that are alike in one row."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from parity.compare.messages import few
from parity.diagnose.relations import CONSTANT, LAYOUTS, Origins, tied, unused

EQUAL, UNKNOWN = "equal bits", "unlike any number of the source"
MISSING, TIED = "in the source only", "tied in the port to what was made from {}"
SETTINGS = ("setting", "changed", "the port", "how far")
WITHOUT = "without effect"
HEAD = ("parameter", "shape", "made from", "how")
ANY = "any of this one number"  # which of several such arrays it was does not show


def show(origins: Sequence[Origins], source: Mapping[str, Any], names: tuple[str, str], console: Console) -> None:
    """A row for all parameters that are alike, and a line that counts; `names` are of the source and the port."""
    lines = [(HEAD, "dim")]
    for name, shape, sources, how, count in rows(origins):
        style = "red" if not sources else "" if set(how) <= set(LAYOUTS) else "yellow"
        words = (", ".join(how) or EQUAL) if sources else UNKNOWN
        lines.append(((_counted(name, count), str(shape), sources, words), style))
    lines += [(("-", "", name, TIED.format(other)), "yellow") for name, other in tied(source, origins).items()]
    lines += [(("-", "", _counted(name, count), MISSING), "yellow") for name, count in _left(origins, source)]
    widths = [max(map(len, column)) for column in zip(*(row for row, _ in lines), strict=True)]
    for row, style in lines:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        console.print(Text(line, style=style), soft_wrap=True)
    console.print(counted(origins, source, names), soft_wrap=True)
    console.print()


def counted(origins: Sequence[Origins], source: Mapping[str, Any], names: tuple[str, str]) -> str:
    """How many parameters were made from the source's, and how many of either side have no part in that."""
    known, same = [of for of in origins if of.sources], [of for of in origins if of.exact]
    if not known:
        return f"nothing in {names[1]} was made from {names[0]}"
    text = f"{len(known)} of {len(origins)} parameters were made from the source's, {len(same)} of them bit for bit"
    left = sum(count for _, count in _left(origins, source))
    return text + (f"; {left} of the source have no part in the port" if left else "")


def show_settings(fields: Sequence[Any], console: Console) -> None:
    """A row for each field that matters, those that fail first, and a line with the others."""
    if not fields:
        return
    rows = sorted((of for of in fields if of.verdict != WITHOUT), key=lambda of: not of.fails)
    lines = [(of.name, f"{of.value} -> {of.other}", of.verdict, of.told) for of in rows]
    widths = [max(map(len, column)) for column in zip(*(lines or [SETTINGS]), SETTINGS, strict=True)]
    console.print()
    for row, of in zip((SETTINGS, *lines), (None, *rows), strict=True):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        console.print(Text(line, style="dim" if of is None else "red" if of.fails else ""), soft_wrap=True)
    for of in rows:
        if of.assumed is not None:
            console.print(f"cause: the port computes as if {of.name} were {of.assumed!r}, not {of.value!r}")
    left = [of.name for of in fields if of.verdict == WITHOUT]
    console.print(Text(f"without effect here: {', '.join(left)}" if left else "", style="dim"), soft_wrap=True)
    failing = [of.name for of in rows if of.fails]
    told_last = f"FAIL: {len(failing)} of {len(rows)} settings that matter are dropped: {', '.join(failing)}"
    console.print(Text(told_last if failing else f"PASS: all {len(rows)} settings that matter are followed or refused"))


def document(origins: Sequence[Origins], source: Mapping[str, Any], fields: Sequence[Any] = ()) -> dict[str, Any]:
    """As JSON: `parameters` of the port, those `unused` of the source, and what became of `settings`."""
    parameters = [
        {"name": of.name, "shape": list(of.shape), "sources": list(of.sources), "how": list(of.how)} for of in origins
    ]
    settings = [
        {"name": of.name, "value": of.value, "other": of.other, "verdict": of.verdict}
        | ({"assumed": of.assumed} if of.assumed is not None else {})
        for of in fields
    ]
    return {"parameters": parameters, "unused": unused(source, origins)} | ({"settings": settings} if fields else {})


def rows(origins: Sequence[Origins]) -> list[tuple[str, tuple[int, ...], str, tuple[str, ...], int]]:
    """A row for all that are alike but for their numbers: name, shape, sources, how, and how many they are.

    `how` is that of `Origins`: empty of equal bits, and of what has no sources.
    """
    alike: dict[tuple[str, tuple[int, ...], str, tuple[str, ...]], list[Origins]] = {}
    for of in origins:
        sources = ANY if CONSTANT in of.how else _sources(map(_pattern, of.sources))
        alike.setdefault((_pattern(of.name), of.shape, sources, of.how), []).append(of)
    return [
        (*row, len(group))
        if len(group) > 1
        else (group[0].name, row[1], row[2] if row[2] == ANY else _sources(group[0].sources), row[3], 1)
        for row, group in alike.items()
    ]


def _counted(name: str, count: int) -> str:
    """A name, with how many go by it, if several do."""
    return f"{name} ({count})" if count > 1 else name


def _left(origins: Sequence[Origins], source: Mapping[str, Any]) -> list[tuple[str, int]]:
    """(name or pattern, how many) of the source's parameters that have no part in the port, but for tied ones.

    Nor those that repeat one number where the port has such an array of it, which may be this one.
    """
    numbers = {of.plain.flat[0] for of in origins if CONSTANT in of.how and of.plain is not None}
    others = tied(source, origins)
    alike: dict[str, list[str]] = {}
    for name in unused(source, origins):
        same = {*np.unique(source[name])}
        if name not in others and not (len(same) == 1 and same <= numbers):
            alike.setdefault(_pattern(name), []).append(name)
    return [(pattern if len(names) > 1 else names[0], len(names)) for pattern, names in alike.items()]


def _pattern(name: str) -> str:
    """A parameter's name with its numbers as stars: layers.0.weight and layers.1.weight are alike, conv1 is not."""
    return re.sub(r"(?<![a-zA-Z])\d+|(?<=_)\d+", "*", name)


def _sources(names: Iterable[str]) -> str:
    """The names, each once, of which the first few are written out."""
    return few([*dict.fromkeys(names)])
