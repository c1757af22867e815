"""A Report as JSON, which `schema.json`, beside this file, describes, and what JSON holds of figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from parity.checks.results import Diagnosis, Finding, Layer, Outcome, Report
from parity.compare.picture import Picture
from parity.compare.verdict import Curve, PrecisionResult, Verdict
from parity.dtypes import finite, number

SCHEMA = 1
FINDING = ("check", "message", "example", "command", "why")  # what of a finding is text
FAILURE = ("type", "message", "traceback", "example", "command")  # and of an error


def document(report: Report) -> dict[str, Any]:
    """A report as JSON holds it, and pages are made from it: `schema.json` describes it. Keys may be added, no more."""
    return {
        "schema": SCHEMA,
        "holds": report.holds,
        "weaker": report.weaker,
        "pair": report.pair,
        "seed": report.seed,
        "examples": report.examples,
        "command": report.command,
        "environment": report.environment,
        "tokenizer": report.tokenizer,
        "checks": [_entry(check) for check in report.checks],
        "left_out": list(report.left_out),
        "not_exercised": list(report.not_exercised),
        "weights": report.weights,
    } | {name: dict(of) for name, of in (("not_run", report.not_run), ("sides", report.named)) if of}


def documents(reports: Sequence[Report], unchecked: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One report's document; of several, one that holds if each does, with `reports`.

    `unchecked` are pairs that have no report, by name, and why: with any the document does not hold.
    """
    entries = [document(report) for report in reports]
    if len(entries) == 1 and not unchecked:
        return entries[0]
    holds = not unchecked and all(entry["holds"] for entry in entries)
    return {"schema": SCHEMA, "holds": holds, "reports": entries, "unchecked": dict(unchecked or {})}


def _entry(check: Outcome) -> dict[str, Any]:
    """A check's entry: its verdict, counts, figures of the worst comparison, rows by precision, findings.

    `figures` are empty where nothing was compared; their `rows` have the worst of each precision over all comparisons,
    the `square` those of the worst comparison alone.
    """
    worst = check.worst
    figures = {}
    if worst is not None:
        figures = {
            "subject": worst.subject,
            "worst": number(worst.figure),
            "limit": number(worst.limit),
            "basis": worst.basis,
            "corners": 3 if check.weaker else 4,
            "nonfinite": check.nonfinite,
            "ties": check.ties,
            "rows": [_row(row) for row in check.rows.values()],
            "square": {"sides": list(worst.sides), "rows": [_row(row) for row in worst.rows]} if worst.rows else None,
            "apart": _apart(worst),
        } | ({"picture": _picture(worst.picture)} if worst.picture else {})
    return {
        "name": check.name,
        "claim": check.claim,
        "verdict": check.verdict,
        "examples": check.examples,
        "elements": check.elements,
        "figures": figures,
        "findings": [_finding(finding) for finding in check.findings],
        "known": [finite(vars(shown)) for shown in check.known],  # NaN and infinity are no JSON: they become text
        "curve": _curve(check.curve) if check.curve else None,
        "error": {name: getattr(check.error, name) for name in FAILURE} if check.error else None,
    } | ({"headline": check.headline} if check.headline else {})


def _apart(worst: Verdict) -> dict[str, Any] | None:
    """Both sides' values at the worst place, where there are such."""
    if worst.values is None:
        return None
    return {"sides": list(worst.sides), "place": list(worst.place), "values": list(worst.values)}


def _picture(picture: Picture) -> dict[str, Any]:
    """A picture's figures, in few digits: it is to be looked at, not computed with."""
    return {
        "shape": list(picture.shape),
        "axes": list(picture.axes),
        "cells": [[number(float(f"{cell:.2e}")) for cell in row] for row in picture.cells],
        "values": [[float(f"{value:.6e}") for value in pair] for pair in picture.values],
        "decades": [list(decade) for decade in picture.decades],
        "equal": picture.equal,
        "around": {
            "place": list(picture.around.place),
            "start": list(picture.around.start),
            "values": [[[number(float(f"{v:.6g}")) for v in pair] for pair in row] for row in picture.around.values],
        },
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """A finding's texts, and where it comes from, as data; `expired` only where a known divergence is."""
    entry: dict[str, Any] = {name: getattr(finding, name) for name in FINDING}
    entry["why"] = list(finding.why)
    expired = {"expired": finding.expired} if finding.expired else {}
    return entry | {"diagnosis": _diagnosis(finding.diagnosis) if finding.diagnosis else None} | expired


def _diagnosis(diagnosis: Diagnosis) -> dict[str, Any]:
    """Where and why, as data: its keys are those of `Diagnosis`, and stay."""
    return {
        "where": list(diagnosis.where),
        "causes": [finite(asdict(cause)) for cause in diagnosis.causes],
        "ruled_out": list(diagnosis.ruled_out),
        "layers": [layer_entry(layer) for layer in diagnosis.layers],
        "errors": list(diagnosis.errors),
        "weaker": diagnosis.weaker,
        "operations": [asdict(operation) for operation in diagnosis.operations],
    }


def _curve(curve: Curve) -> dict[str, Any]:
    """The losses of a training by corner, "torch32", one a step."""
    losses = {corner: [number(loss) for loss in losses] for corner, losses in curve.losses.items()}
    return {"subject": curve.subject, "losses": losses}


def _row(row: PrecisionResult) -> dict[str, Any]:
    """What one precision came to, as JSON: a figure that is not finite is text (`dtypes.number`)."""
    return {
        "dtype": row.dtype,
        "verdict": row.word,
        "apart": number(row.apart),
        "errors": [number(error) for error in row.errors],
        "ratio": number(row.ratio),
    }


def text(document: Mapping[str, Any]) -> str:
    """A document as JSON, with two spaces of indentation. Raises ValueError for NaN and infinity (`dtypes.number`).

    A value of another type than JSON's, such as a NumPy scalar, does not raise: it is written as the nearest that is.
    """
    return json.dumps(document, indent=2, allow_nan=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """A value as JSON has it: a NumPy scalar as a number, what is no number as text."""
    try:
        item = value.item()  # of a NumPy scalar
    except (AttributeError, ValueError):
        return str(value)
    return number(item) if isinstance(item, float) else item


def layer_entry(layer: Layer) -> dict[str, Any]:
    """A layer as JSON holds it; one that was compared with nothing has no figures of that."""
    return {name: value for name, value in finite(asdict(layer)).items() if value is not None}
