"""What is drawn of a document's figures."""

import inspect
import math
import re

import numpy as np
import pytest

from parity.compare.judge import judge
from parity.compare.square import PrecisionSquare
from parity.report import html as page
from parity.report import pictures, plots
from tests.helpers import reports
from tests.report.test_html import Parsed

SIDES = ("torch", "tensorflow")


def figures(first, second):
    """A check's figures, of two arrays."""
    corners = [array.astype(np.float32) for array in (first, second)]
    verdict = judge("logits", PrecisionSquare.of([*corners, first, second]))
    return reports.report([reports.outcome("forward", verdict)]).document()["checks"][0]["figures"]


def dots(svg, colour):
    """How many dots a drawing has in one of the page's colours; its ticks have a line around them."""
    return len(re.findall(rf"<use (?![^>]*stroke-width: 0.8)[^>]*fill: var\(--{colour}\)", svg))


def test_values_around_the_largest_difference_stand_beside_each_other():
    first = np.arange(3 * 8 * 9, dtype=float).reshape(3, 8, 9)
    second = first.copy()
    second[1, 7, 2] += 1
    second[1, 6, 2] += 0.5
    beside = pictures.beside(figures(first, second), SIDES)
    (down, cells) = beside.rows[-1]
    (largest,) = [cell for _, row in beside.rows for cell in row if cell.largest]

    assert ("(1, 7, 2)" in beside.caption, down, len(cells)) == (True, "7", len(beside.columns))
    assert (largest.values, largest.apart) == (("137", "138"), True)
    assert sum(cell.apart for _, row in beside.rows for cell in row) == 2


def test_dots_and_bars_tell_what_is_more_than_rounding():
    first = np.linspace(-1, 1, 24)
    second = first.copy()
    second[3] += 1e-3
    whole = figures(first, second)
    heat, histogram, scatter = pictures.pictures(whole, SIDES)
    *_, within = pictures.pictures({**whole, "limit": 1.0}, SIDES)

    assert (dots(scatter.svg, "bad"), dots(scatter.svg, "muted")) == (1, 23)
    assert dots(within.svg, "bad") == 0
    assert "limit" in histogram.svg
    assert "23 of 24 elements are equal" in heat.caption
    assert pictures.pictures(reports.passing().document()["checks"][1]["figures"], SIDES) == []


@pytest.mark.parametrize("shape", [(2,), (40,), (3, 50), (2, 3, 4, 5)])
def test_arrays_of_any_shape_are_drawn(shape):
    first = np.zeros(shape)
    second = first.copy()
    second.flat[-1] = math.inf

    assert len(pictures.pictures(figures(first, second), SIDES)) >= 1


def test_curves_have_a_gap_where_there_is_nothing_to_draw():
    losses = {"torch32": [3.0, 2.0, "nan", 1.0, 0.5], "tensorflow32": [3.0, 2.5, 2.0, 1.0, 0.5]}
    run, apart = pictures.training({"subject": "losses", "losses": losses})

    assert dots(run.svg, "first") == dots(run.svg, "second") - 1
    assert dots(apart.svg, "muted") == 1 + 1  # equal before and behind; and the one of the legend


def test_layers_are_drawn_in_order_and_the_source_is_marked():
    found = reports.failing().document()["checks"][0]["findings"][0]["diagnosis"]["layers"]
    drawing = pictures.layers(found)

    assert drawing.svg.index("blocks.0") < drawing.svg.index("blocks.1") < drawing.svg.index(">norm<")
    assert "var(--bad)" in drawing.svg
    assert "var(--bad)" not in pictures.layers([{**layer, "mark": "clean"} for layer in found]).svg


def test_a_name_in_a_drawing_stays_text():
    svg = plots.lines("a <b>", (("x <i> $y$", (1.0, 2.0), plots.INK, "-"),), "$z$")

    assert "x &lt;i&gt; $y$" in svg
    assert 'aria-label="a &lt;b&gt;"' in svg


def test_a_page_of_the_gate_has_the_history_of_what_was_accepted():
    found = reports.gated()
    for day, entry in enumerate(found["pairs"][0]["history"]):
        entry["shares"] = {"forward": 1e-3 * 10**-day}
    drawn = [drawing.get("aria-label") for drawing in Parsed(page.gated(found)).all("svg")]

    assert drawn.count("Difference / limit over runs") == 2  # two pairs


def test_operations_stand_side_by_side_around_the_first_that_differ():
    alike = [{"torch": f"add({n})", "tensorflow": f"Add({n})", "layer": "norm", "differs": False} for n in range(20)]
    document = reports.located()
    document["side_by_side"] = alike[:10] + document["side_by_side"] + alike[10:]
    text = Parsed(page.located(document)).text

    assert "add(5)" in text
    assert "Add(14)" in text
    assert "add(4)" not in text
    assert "Add(15)" not in text


@pytest.mark.parametrize("count", [1, 3, 5, 8])
def test_a_legend_of_any_length_is_inside_of_the_drawing(count):
    curves = tuple((f"a check of some length {at}", (1.0, 2.0), plots.INK, "-") for at in range(count))
    axes = inspect.unwrap(plots.lines)(curves, "step")
    axes.figure.draw_without_rendering()

    assert axes.get_legend().get_window_extent().y1 <= axes.figure.bbox.y1
