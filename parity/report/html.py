"""A document, as it is written as JSON, as one HTML page that needs nothing beside it. Nothing here decides anything.

The page has no script and asks for no file: it forbids itself both, so that no text in it can do anything. Texts are
escaped by the templates, and cut where they are endless. It holds no times: the same document gives the same page.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from parity.checks.results import ASIDE, ERROR, Layer, reasons
from parity.compare import messages
from parity.compare.square import NAMES
from parity.compare.verdict import ORDER
from parity.errors import visible
from parity.report import charts, pictures, plots, sweep
from parity.report.charts import Decades, branch, label
from parity.report.layer_tree import SHOWN

Document = Mapping[str, Any]

NEAR = 5  # operations before and behind the first that differ
LONGEST = 4000  # characters of a text; JSON has all of it


def checked(document: Document) -> str:
    """The page of what `parity check` found of one pair or several."""
    reports = [_report(entry) for entry in document.get("reports", [document])]
    return _render("check.html", reports=reports, holds=document["holds"], unchecked=document.get("unchecked", {}))


def located(document: Document) -> str:
    """The page of what `parity locate` found."""
    layers = document["layers"]
    drawn = {"drawing": pictures.layers(layers), "aligned": _aligned(document.get("side_by_side", []))}
    return _render("locate.html", found=document, tree=_tree(layers), **drawn)


def gated(document: Document) -> str:
    """The page of what `parity gate` found of one pair or several, with the history of their baselines."""
    pairs = [{**entry, "report": _report(entry["report"]), "drawing": _runs(entry)} for entry in document["pairs"]]
    return _render("gate.html", pairs=pairs, holds=document["holds"], unchecked=document.get("unchecked", {}))


def tried(document: Document) -> str:
    """The page of what `parity selftest` found."""
    total = {key: sum(row[key] for row in document["families"].values()) for key in _first(document["families"])}
    return _render("selftest.html", found=document, total=total)


def swept(document: Document) -> str:
    """The page of what `parity sweep` found."""
    helpers = {"fleet": sweep.fleet(document), "show": sweep.cell, "share": sweep.share, "width": sweep.width}
    return _render("sweep.html", found=document, **helpers)


def summary(document: Document) -> str:
    """The summary of the same on a job's page: Markdown, but of HTML elements alone, in which nothing is marked up."""
    reports = [_report(entry) for entry in document.get("reports", [document])]
    return _render("summary.html", reports=reports, unchecked=document.get("unchecked", {}))


# A page is drawn from a document alone, so that the one in a file gives the page of the run that wrote it.
def _aligned(rows: Sequence[Document]) -> dict[str, Any] | None:
    """The operations of both runs around the first that differ, `NEAR` on either side; None where none differs."""
    first = next((at for at, row in enumerate(rows) if row["differs"]), None)
    if first is None:
        return None
    sides = [key for key in rows[0] if key not in ("layer", "differs")]
    return {"sides": sides, "rows": rows[max(0, first - NEAR) : first + NEAR + 1]}


def _runs(document: Document) -> pictures.Drawing | None:
    """How a pair's differences went over its accepted runs."""
    return pictures.history(document["history"], charts.shares(document["report"]["checks"]))


def _first(families: Mapping[str, Mapping[str, int]]) -> Mapping[str, int]:
    """Any family's row, by which the keys are known; none of a self-test of equivalent mutants alone."""
    return next(iter(families.values()), {})


@cache
def _environment() -> Environment:
    """Jinja's environment: strict, so that a key that a document lacks is an error and no empty cell."""
    environment = Environment(
        loader=PackageLoader("parity.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "figure": figure,
        "count": "{:,}".format,
        "cut": cut,
        "line": lambda text: cut(" ".join(text.split())),
        "reasons": reasons,
        "rows": lambda columns: zip(*columns, strict=True),
    }  # autoescape stays on behind all of these: none of them gives Markup
    environment.filters |= filters
    return environment


def _render(name: str, **values: Any) -> str:
    """Fill a template, and leave no character that cannot be seen: a name may have half of one in it, or one that turns
    the line round.
    """
    page = _environment().get_template(name).render(drawable=plots.available(), **values)
    return visible(plots.numbered(page))


def figure(value: float | str) -> str:
    """A figure as the terminal shows it."""
    return f"{float(value):.1e}" if float(value) else "0"


def cut(text: str) -> str:
    """A text, or its beginning where it is endless."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}… and {len(text) - LONGEST:,} characters more, which --json has"


def _report(document: Document) -> dict[str, Any]:
    """A document with what is drawn of it, as the templates name it.

    `first` is the finding that the page begins with, `shown` the check whose square it draws where all hold: the one
    nearest to its limit. `words` counts the verdicts, and `differing` and `errors` are parts of `failed`.
    """
    drawn = [check for check in document["checks"] if check["figures"]]
    rooms = dict(zip(map(_name, drawn), charts.rooms([check["figures"] for check in drawn]), strict=True))
    checks = [{**check, **_drawn(check), "room": rooms.get(check["name"])} for check in document["checks"]]
    failed = [check for check in checks if check["findings"] or check["error"] or not check["elements"]]
    closest = max((c for c in checks if c["square"]), key=lambda check: check["room"].filled, default=None)
    return {
        **document,
        "names": list(document.get("sides", NAMES)),
        "checks": checks,
        "failed": failed,
        "first": next((finding for check in failed for finding in check["findings"]), None),
        "findings": sum(len(check["findings"]) for check in failed),
        "differing": [check for check in failed if check["findings"] or not check["error"]],
        "errors": [check for check in failed if check["error"]],
        "words": {word: n for word in (*ORDER, ERROR) if (n := [check["verdict"] for check in checks].count(word))},
        "elements": sum(check["elements"] for check in checks),
        "shown": closest,
        "dtypes": list(dict.fromkeys(row["dtype"] for check in drawn for row in check["figures"]["rows"])),
    }


def _name(check: Document) -> str:
    return str(check["name"])


def _drawn(check: Document) -> dict[str, Any]:
    """What is drawn of a check: its square, the plots of a training, and what its findings show."""
    curve = check["curve"]
    drawing = charts.square(check["figures"])
    return {
        "square": drawing,
        "plots": pictures.training(curve) if curve else [],
        "findings": [_finding(finding, check["figures"]) for finding in check["findings"]],
    }


def _finding(finding: Document, figures: Document) -> dict[str, Any]:
    """A finding without the drawing in its message, since the page has its own; `figures` may be of another."""
    message, diagnosis = finding["message"], finding["diagnosis"]
    # Figures are of a check's worst comparison: another finding of it has none of its own.
    own = bool(figures) and message.startswith(figures["subject"])
    for drawing in _texts(figures):
        message = message.removesuffix("\n" + drawing)
    # What the page has sections of its own for; in a terminal these are lines among the others.
    drawn = ("introduced by ", "cause: ", "first operations ", ASIDE)
    reasons = [line for line in finding["why"] if not diagnosis or not line.startswith(drawn)]
    whole = {"text": finding["message"], "told": finding["why"], "apart": figures["apart"] if own else None}
    whole["aside"] = ASIDE if ASIDE in finding["why"] else ""
    whole["square"] = charts.square(figures) if own else None
    sides = tuple(figures["apart"]["sides"]) if own and figures["apart"] else NAMES
    whole["pictures"] = pictures.pictures(figures, sides) if own else []
    whole["beside"] = pictures.beside(figures, sides) if own else None
    layers = diagnosis["layers"] if diagnosis else []
    tree = {"tree": _tree(layers), "layers": pictures.layers(layers)}
    return {**finding, **whole, **tree, "message": message, "why": reasons}


def _texts(figures: Document) -> list[str]:
    """The square as a message may draw it: once for each precision, and of three corners with either side's float64."""
    drawing = charts.square(figures)
    if drawing is None:
        return []
    drawn = []
    for row in figures["square"]["rows"]:
        one, two = map(float, row["errors"])
        for own in [(True, True)] if drawing.meaning is not None else [(True, False), (False, True)]:
            meaning = drawing.meaning or 0.0
            drawn.append(messages.drawing(drawing.sides, row["dtype"], float(row["apart"]), (one, two), meaning, own))
    return drawn


def _tree(layers: Sequence[Document]) -> list[dict[str, Any]]:
    """Layers with their place in the tree, what they are called there, and their bars, all on one axis."""
    figures = [float(layer[key]) for layer in layers for key in ("freely", "alone", "limit") if key in layer]
    axis = Decades.around(figures)
    axis = Decades(axis.low - 1, axis.high)  # so that the smallest figure has a bar, too
    nodes = [Layer(**layer) for layer in layers]
    return [
        {
            **layer,
            "branch": branch(nodes, place),
            "label": label(nodes, place),
            "shown": SHOWN[layer["mark"]],
            "bars": {key: axis.at(float(layer[key])) for key in ("freely", "alone", "limit") if key in layer},
        }
        for place, layer in enumerate(layers)
    ]
