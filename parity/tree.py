"""A model's linked layers and where they part, as a tree for a terminal and as JSON. Nothing here decides anything."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.diagnose import Diagnosis
from parity.locate import Located, Node
from parity.report import number
from parity.watches import Piece, within

SCHEMA = 1
STYLES = {"clean": "green", "inherits": "dim", "amplifies": "yellow", "introduces": "bold red"}
LEGEND = "freely: both sides run by themselves; alone: TensorFlow's is given what its torch twin received"


def show(located: Located, diagnosis: Diagnosis, heading: Mapping[str, str], console: Console) -> None:
    """The heading, the tree, what introduces a difference and why, and the verdict last."""
    grid = Table.grid(padding=(0, 2))
    for label, value in heading.items():
        grid.add_row(Text(label, style="dim"), Text(value))
    console.print(grid)
    console.print()
    console.print(_table(located.nodes))
    console.print(Text(LEGEND, style="dim"), soft_wrap=True)
    for side, paths in located.unlinked.items():
        if paths:
            console.print(Text(f"{side} alone has {', '.join(paths)}", style="yellow"), soft_wrap=True)
    for piece in located.introduces:
        console.print()
        console.print(Text(told(piece)), soft_wrap=True)
    ruled_out = [f"ruled out: {tried}" for tried in diagnosis.ruled_out]
    for text in (*(cause.text for cause in diagnosis.causes), *ruled_out):
        console.print()
        console.print(Text(text), soft_wrap=True)
    console.print()
    console.print(last_line(located), soft_wrap=True)


def last_line(located: Located) -> Text:
    """The verdict in one line."""
    paths = list(dict.fromkeys(name(piece.path) for piece in located.introduces))
    if paths:
        return Text(f"{' and '.join(paths)} introduce{'' if len(paths) > 1 else 's'} a difference", style="bold red")
    return Text(f"nothing differs: {len(located.nodes)} linked layers, freely, alone and backward", style="bold green")


def name(path: str) -> str:
    """A link's path; the model itself has none."""
    return path or "the model's own code"


def told(piece: Piece) -> str:
    """A piece that fails, in words."""
    head = f"{name(piece.path)}: {piece.place} is {piece.word}, given the same"
    if piece.unlike:
        return f"{head}\n  {piece.unlike}"
    gap = piece.gap
    lines = [head, f"  worst at {gap.index}: torch {gap.first!r}, tensorflow {gap.second!r}"]
    if piece.word == "unstable":
        one, other = piece.noise
        lines.append(f"  their own float32 errors are {one:.1e} (torch) and {other:.1e} (tensorflow)")
    else:
        lines.append(f"  difference {gap.worst:.1e} in float64, but rounding explains at most {piece.limit:.1e}")
    return "\n".join(lines)


def to_json(located: Located, diagnosis: Diagnosis, pair: str) -> str:
    """Schema 1: nodes in order of calls, what introduces a difference, and the causes."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "holds": not located.introduces,
        "pair": pair,
        "layers": [_layer(node) for node in located.nodes],
        "introduces": [
            {"path": p.path, "place": p.place, "verdict": p.word, "difference": number(p.gap.worst), "unlike": p.unlike}
            for p in located.introduces
        ],
        "causes": [
            {**vars(cause), "before": number(cause.before), "after": number(cause.after)} for cause in diagnosis.causes
        ],
        "ruled_out": list(diagnosis.ruled_out),
        "unlinked": {side: list(paths) for side, paths in located.unlinked.items()},
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _layer(node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": node.path, "kind": node.kind, "depth": node.depth, "calls": node.calls}
    entry |= {"mark": node.mark, "freely": number(node.free)}
    if node.alone is not None:
        entry |= {"alone": number(node.alone.gap.worst), "limit": number(node.alone.limit)}
    return entry


def _table(nodes: Sequence[Node]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("layer", "kind"):
        table.add_column(column, no_wrap=True)
    for column in ("freely", "alone", "limit"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for place, node in enumerate(nodes):
        alone = node.alone
        table.add_row(
            Text(_branch(nodes, place) + (within(node.path, _parent(nodes, place)) if node.depth else node.kind)),
            Text(node.kind if node.depth else "", style="dim"),
            _figure(node.free),
            _figure(alone.gap.worst) if alone else "-",
            _figure(alone.limit) if alone else "-",
            Text(node.mark, style=STYLES[node.mark]),
        )
    return table


def _parent(nodes: Sequence[Node], place: int) -> str:
    return next(node.path for node in reversed(nodes[:place]) if node.depth < nodes[place].depth)


def _branch(nodes: Sequence[Node], place: int) -> str:
    """The lines of a tree in front of a node."""
    depth, drawn = nodes[place].depth, ""
    for level in range(1, depth + 1):
        later = (node.depth for node in nodes[place + 1 :])
        more = next((d == level for d in later if d <= level), False)
        drawn += ("├ " if more else "└ ") if level == depth else ("│ " if more else "  ")
    return drawn


def _figure(value: float) -> str:
    return f"{value:.1e}" if value else "0"
