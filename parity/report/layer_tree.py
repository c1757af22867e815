"""A model's linked layers and where they part, as a tree for a terminal and as JSON. Nothing here decides anything."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.checks.results import BETWEEN, Diagnosis, Layer, OperationPair, weaker
from parity.diagnose.locate import Located
from parity.diagnose.locate.hooks import SegmentResult
from parity.dtypes import finite, number
from parity.report import plain
from parity.report.charts import branch, label
from parity.report.document import layer_entry

SCHEMA = 1
SHOWN = {"clean": "ok", "inherits": "propagated", "amplifies": "amplified", "introduces": "source"}
STYLES = {"clean": "green", "inherits": "dim", "amplifies": "yellow", "introduces": "bold red"}
COMPARED = "end-to-end, isolated and backward"


def show(
    located: Located,
    diagnosis: Diagnosis,
    heading: Mapping[str, str],
    console: Console,
    pairs: Sequence[OperationPair] = (),
) -> None:
    """The heading, the tree, what introduces a difference and why, and the verdict last.

    `pairs` are both runs' operations side by side, where they were asked for. Of two files there are no linked layers,
    and so no tree.
    """
    grid = Table.grid(padding=(0, 2))
    for key, value in heading.items():
        grid.add_row(Text(key, style="dim"), Text(value))
    console.print(grid)
    console.print()
    if located.nodes:
        console.print(_table(located.layers))
        console.print(Text(_legend(located.sides), style="dim"), soft_wrap=True)
    for side, paths in located.unlinked.items():
        if paths:
            console.print(Text(f"only in {side}, not matched: {', '.join(paths)}", style="yellow"), soft_wrap=True)
    if located.weaker:
        console.print(Text(weaker(located.weaker), style="yellow"), soft_wrap=True)
    for error in located.errors:
        console.print(Text(error, style="yellow"), soft_wrap=True)
    for piece in located.introduces:
        console.print()
        console.print(Text(told(piece, located.sides)), soft_wrap=True)
    ruled_out = [f"ruled out: {tried}" for tried in diagnosis.ruled_out]
    unsearched = diagnosis.unsearched if located.introduces else ()
    first = (diagnosis.first,) if diagnosis.operations else ()
    for text in (*diagnosis.texts, *first, *ruled_out, *unsearched):
        console.print()
        console.print(Text(text), soft_wrap=True)
    if pairs:
        console.print()
        console.print(_side_by_side(pairs, located.sides))
    console.print()
    console.print(last_line(located), soft_wrap=True)


def lines(located: Located, diagnosis: Diagnosis, heading: Mapping[str, str]) -> list[str]:
    """The same as plain text."""
    return plain.lines(partial(show, located, diagnosis, heading))


def last_line(located: Located) -> Text:
    """The verdict in one line: what introduces a difference, or how much was compared and how.

    Yellow where nothing differs and not everything could be compared.
    """
    paths = list(dict.fromkeys(name(piece.path) for piece in located.introduces))
    if paths:
        return Text(f"{' and '.join(paths)} introduce{'' if len(paths) > 1 else 's'} a difference", style="bold red")
    how = "end-to-end and isolated, but not all gradients were compared" if located.errors else COMPARED
    how += ", in float32" if located.weaker else ""
    if not located.nodes:  # a file has none
        return Text(f"nothing differs: the outputs{', in float32' if located.weaker else ''}", style="bold green")
    style = "bold yellow" if located.errors else "bold green"
    return Text(f"nothing differs: {len(located.nodes)} matched layers, {how}", style=style)


def name(path: str) -> str:
    """A link's path; the model itself has none."""
    return path or BETWEEN


def _legend(sides: tuple[str, str]) -> str:
    """What the columns mean, in a line."""
    return f"end-to-end: both sides run by themselves; isolated: given the same, what {sides[0]}'s received"


def told(piece: SegmentResult, sides: tuple[str, str]) -> str:
    """A piece that fails, in words: its place, both values at the greatest difference, and the limit.

    An "unstable" one is within its limit in float64: what tells it are the sides' own errors in float32.
    """
    head = f"{name(piece.path)}: {piece.place} is {piece.word}, given the same"
    if piece.unlike:
        return f"{head}\n  {piece.unlike}"
    gap, (first, second) = piece.gap, sides
    lines = [head, f"  greatest difference at {gap.index}: {first} {gap.first!r}, {second} {gap.second!r}"]
    if piece.word == "unstable":
        one, other = piece.noise
        lines.append(f"  their own float32 errors are {one:.1e} ({first}) and {other:.1e} ({second})")
    else:
        dtype = "float64" if piece.whole else "float32"
        lines.append(
            f"  difference {gap.max_abs_diff:.1e} in {dtype}, but rounding error accounts for at most {piece.limit:.1e}"
        )
    return "\n".join(lines)


def document(
    located: Located, diagnosis: Diagnosis, heading: Mapping[str, Any], pairs: Sequence[OperationPair] = ()
) -> dict[str, Any]:
    """What `parity locate` writes as JSON, schema 1: layers in order of calls, what introduces a difference, causes.

    `heading` has the first entries: the pair, its inputs and versions; `pairs` are both sides' operations in a row.
    """
    return {
        "schema": SCHEMA,
        "holds": not located.introduces,
        **heading,
        "layers": [layer_entry(layer) for layer in located.layers],
        "introduces": [_introduced(piece, located.sides) for piece in located.introduces],
        "causes": [finite(vars(cause)) for cause in diagnosis.causes],
        "ruled_out": list(diagnosis.ruled_out),
        "errors": [*located.errors, *(diagnosis.unsearched if located.introduces else ())],
        "weaker": located.weaker,
        "unlinked": {side: list(paths) for side, paths in located.unlinked.items()},
        "operations": [asdict(operation) for operation in diagnosis.operations],
    } | ({"side_by_side": [_beside(pair, located.sides) for pair in pairs]} if pairs else {})


def _beside(pair: OperationPair, sides: tuple[str, str]) -> dict[str, Any]:
    """A row of `side_by_side`, its keys the names of the sides; empty text where a side has no such operation."""
    return {sides[0]: pair.ours, sides[1]: pair.theirs, "layer": pair.layer, "differs": pair.differs}


def _introduced(piece: SegmentResult, sides: tuple[str, str]) -> dict[str, Any]:
    """A piece that introduces a difference, as JSON; `unlike` is empty where its arrays can be compared."""
    return {
        "path": piece.path,
        "place": piece.place,
        "verdict": piece.word,
        "difference": number(piece.gap.max_abs_diff),
        "unlike": piece.unlike,
        "message": told(piece, sides),
    }


def _side_by_side(pairs: Sequence[OperationPair], sides: tuple[str, str]) -> Table:
    """Both sides' operations, those that make the same numbers in one row; the first that differ are marked."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in (*sides, "layer"):
        table.add_column(column, overflow="fold")
    for pair in pairs:
        style = "bold red" if pair.differs else "" if pair.ours and pair.theirs else "dim"
        mark = "✗ " if pair.differs else ""
        calls = (Text(f"{mark}{call}" if call else "") for call in (pair.ours, pair.theirs))
        table.add_row(*calls, pair.layer, style=style)
    return table


def _table(layers: Sequence[Layer]) -> Table:
    """The tree of layers with their differences, "-" where nothing was compared."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("layer", "kind"):
        table.add_column(column, no_wrap=True)
    for column in ("end-to-end", "isolated", "limit"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for place, layer in enumerate(layers):
        table.add_row(
            Text(branch(layers, place) + label(layers, place)),
            Text(layer.kind if layer.depth else "", style="dim"),
            *("-" if figure is None else _figure(figure) for figure in (layer.freely, layer.alone, layer.limit)),
            Text(SHOWN[layer.mark], style=STYLES[layer.mark]),
        )
    return table


def _figure(value: float) -> str:
    return f"{value:.1e}" if value else "0"
