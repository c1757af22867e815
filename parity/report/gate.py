"""What the gate found as text for a terminal and as JSON, and two runs side by side. Nothing here decides anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.errors import ParityError, users_own
from parity.files import MOST_PARSED, read_text
from parity.gate import documents
from parity.gate.baseline import Baseline
from parity.gate.differences import GateResult, blessed, differences, versions

SCHEMA = 1
NEITHER = "is neither a report of parity check --json nor a baseline"
STYLES = {"improved": "yellow", "new": "yellow", "gone": "yellow"}


def show(result: GateResult, console: Console, quiet: bool = False) -> None:
    """A run and its baseline: the cause first, each difference, how to accept them, and the verdict last."""
    if not quiet:
        console.print(_context(result))
        for cause in _causes(result.found.report):
            console.print(Text(cause, style="bold red"), soft_wrap=True)
        _tell(result, console)
        console.print()
        if command := result.differences and result.accept(result.loosens):
            console.print(f"if this is intended: {command}", soft_wrap=True)
    console.print(last_line(result), soft_wrap=True)


def show_accepted(result: GateResult, console: Console) -> None:
    """What a blessing accepts: each difference from the old baseline, or what a first one has.

    Without the last line of a gate: whether anything is written is known behind this.
    """
    console.print(_context(result))
    _tell(result, console)
    if not result.differences:
        console.print("nothing differs" if result.expected else f"new: {_size(result.found)}", soft_wrap=True)


def last_line(result: GateResult) -> Text:
    """The verdict in one line."""
    if result.holds:
        return Text(f"{result.target}: the gate passed: {_size(result.found)}, as in its baseline", style="bold green")
    causes = ", ".join(dict.fromkeys(of.cause for of in result.differences))
    count = len(result.differences)
    return Text(f"{result.target}: the gate failed: {count} difference{'s' * (count > 1)}: {causes}", style="bold red")


def document(results: Sequence[GateResult], unchecked: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Schema 1: of each pair whether it holds, how it differs, which versions changed, its history and its report.

    `unchecked` are pairs that could not be run, by name, and why.
    """
    pairs = [
        {
            "pair": result.target,
            "holds": result.holds,
            "differences": [
                {
                    "cause": of.cause,
                    "what": of.what,
                    "expected": of.expected,
                    "found": of.found,
                    "accept": result.accept(of.loosens),
                }
                for of in result.differences
            ],
            "versions": {name: list(pair) for name, pair in _versions(result).items()},
            "history": list(result.expected.document["history"]) if result.expected else [],
            "report": result.found.report,
        }
        for result in results
    ]
    holds = not unchecked and all(result.holds for result in results)
    return {"schema": SCHEMA, "holds": holds, "pairs": pairs, "unchecked": dict(unchecked or {})}


def compare(first: Path, second: Path, console: Console) -> int:
    """Two reports, or baselines, side by side; 0 if they differ in nothing that the gate would tell, else 1.

    Raises ParityError for files that hold anything else, and for two without a check: they agree in nothing.
    """
    ours, theirs = _runs(first), _runs(second)
    if set(ours) != set(theirs):
        parts = " and ".join(f"{file} has {', '.join(of)}" for file, of in ((first, ours), (second, theirs)))
        raise ParityError(f"{parts}; give two runs of the same pairs")
    status = 0
    for pair, one in ours.items():
        other = theirs[pair]
        # Of two baselines all is compared; of a report, which has no golden values, the checks alone.
        if not (one.seal and other.seal):
            one, other = _alone(one.report), _alone(other.report)
        with users_own(f"{first} and {second} cannot be compared"):
            rows = differences(one, other)
        console.print(Text(f"{pair}: {first.name} and {second.name}", style="bold"), soft_wrap=True)
        console.print(_beside(one.report, other.report))
        for of in rows:
            console.print(Text(of.text, style=STYLES.get(of.cause, "red")), soft_wrap=True)
        status = max(status, bool(rows))
    return int(status)


def _context(result: GateResult) -> Table:
    """The lines above the differences: the pair, the draws, the last blessing, and versions that changed since."""
    grid = Table.grid(padding=(0, 2))
    report = result.found.report
    rows = {"pair": result.target, "drawn from": f"seed {report['seed']}, {report['examples']} examples per check"}
    if result.expected and result.expected.document["history"]:
        last = result.expected.document["history"][-1]
        rows["baseline"] = ": ".join(filter(None, (last["date"], last["reason"])))
    if changed := _versions(result):
        rows["versions"] = ", ".join(f"{name} {then} -> {now}" for name, (then, now) in changed.items())
    for label, value in rows.items():
        grid.add_row(Text(label, style="dim"), Text(value))
    return grid


def _versions(result: GateResult) -> dict[str, tuple[str, str]]:
    """Name -> (then, now) of the versions that changed since the baseline; none without one."""
    return versions(result.expected.report, result.found.report) if result.expected else {}


def _causes(report: Mapping[str, Any]) -> list[str]:
    """The causes of what a report found, each once, with what corrects it."""
    diagnoses = [finding["diagnosis"] for check in report["checks"] for finding in check["findings"]]
    causes = [cause for diagnosis in filter(None, diagnoses) for cause in diagnosis["causes"]]
    rows = [(of["where"] or "the code between layers", of["name"], of["told"], of["fix"]) for of in causes]
    return [f"cause: {where}: {name}: {what}\n  fix: {fix}" for where, name, what, fix in dict.fromkeys(rows)]


def _tell(result: GateResult, console: Console) -> None:
    """Each difference, with what there is to read of it: in red what is worse, in yellow what only wants accepting."""
    for of in result.differences:
        console.print(Text(of.text, style=STYLES.get(of.cause, "red")), soft_wrap=True)
        if of.detail:
            console.print(Text(indent(of.detail, "  ")), soft_wrap=True)


def _size(baseline: Baseline) -> str:
    """How much a baseline holds: "17 checks, 3 layers, 24 golden values"."""
    layers = {name.rpartition(".")[0] for name in baseline.document["layers"]}
    golden = baseline.document["golden"]
    return f"{len(baseline.report['checks'])} checks, {len(layers)} layers, {len(golden)} golden values"


def _runs(path: Path) -> dict[str, Baseline]:
    """Pair -> run of a file: a baseline, or the report of one or several pairs.

    Raises ParityError for a file that is neither, names a pair or a check twice, or has no check.
    """
    try:
        document = documents.parse(read_text(path, MOST_PARSED))
    except ValueError as error:
        raise ParityError(f"{path}: {NEITHER}") from error
    if isinstance(document, dict) and "baseline" in document:
        baseline = blessed(path)
        return {baseline.report["pair"]: baseline}
    several = isinstance(document, dict) and "reports" in document
    documents.check(path, document, "reports" if several else "report", NEITHER)
    reports = document["reports"] if several else [document]
    runs = {report["pair"]: _alone(report) for report in reports}
    if len(runs) < len(reports) or any(len(_names(of)) < len(of["checks"]) for of in reports):
        raise ParityError(f"{path}: has two reports of one pair, or two checks of one name; write it again")
    if not any(report["checks"] for report in reports):
        raise ParityError(f"{path}: has no check in it, so that nothing can be compared")
    return runs


def _names(report: Mapping[str, Any]) -> set[str]:
    return {check["name"] for check in report["checks"]}


def _alone(report: Mapping[str, Any]) -> Baseline:
    """A report as a run of which nothing else is known."""
    return Baseline({"report": report, "dtypes": [], "layers": {}, "texts": {}, "golden": {}, "noise": {}})


def _beside(first: Mapping[str, Any], second: Mapping[str, Any]) -> Table:
    """Versions that differ, then every check: verdict, elements and worst figure of both."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "A", "B"):
        table.add_column(name, no_wrap=True)
    for name, pair in versions(first, second).items():
        table.add_row(name, *pair)
    rows = [{check["name"]: check for check in report["checks"]} for report in (first, second)]
    for name in dict.fromkeys((*rows[0], *rows[1])):
        table.add_row(name, *(_told(row.get(name)) for row in rows))
    return table


def _told(check: Mapping[str, Any] | None) -> str:
    """A check's verdict, elements and worst figure in columns; "-" where a run has no such check."""
    if check is None:
        return "-"
    worst = check["figures"].get("worst", "-")
    worst = f"{worst:.1e}" if isinstance(worst, float) and worst else str(worst)
    return f"{check['verdict']:<10} {check['elements']:>13,}  {worst}"
