"""Where bars stand in a page's tables, and the square."""

import math

import numpy as np

from parity.compare.judge import judge, judge_exact
from parity.report import charts
from tests.helpers import reports


def figures(worst, limit, basis="equal bits"):
    return {"worst": worst, "limit": limit, "basis": basis}


def test_bars_show_the_headroom_on_one_axis():
    below, near, above, none, exactly, unequal = charts.rooms(
        [
            figures(1e-12, 1e-8),
            figures(9e-9, 1e-8),
            figures(1e-2, 1e-8),
            figures(0.0, 1e-8),
            figures(0.0, 0.0),
            figures("inf", 0.0, "equal shapes"),
        ]
    )

    assert below.filled < near.filled < near.limit == below.limit < above.filled < unequal.filled == 100
    assert none.filled == exactly.filled == 0
    assert [room.told for room in (below, near)] == ["10,000 x under limit", "1.1 x under limit"]
    assert [room.told for room in (above, unequal)] == ["1,000,000 x over limit", "expected equal shapes"]
    assert [room.told for room in (none, exactly)] == ["bitwise equal", "bitwise equal"]


def test_an_axis_never_leaves_itself():
    axis = charts.Decades.around([1e-8, 1e-4, 0.0, math.inf])

    assert (axis.low, axis.high) == (-8, -4)
    assert [axis.at(value) for value in (1e-6, 0.0, 1e-99, math.inf, math.nan)] == [50, 0, 0, 100, 100]
    assert charts.Decades.around([]).at(1.0) == 0


def test_a_square_has_the_four_figures_of_one_comparison():
    verdict = judge("logits", reports.square(1e-4))
    document = reports.report([reports.outcome("forward", verdict)]).document()
    found = charts.square(document["checks"][0]["figures"])
    float64, float32 = verdict.rows

    assert (found.user, found.noise, found.meaning) == (float32.apart, float32.errors, float64.apart)


def test_equal_bits_have_no_square():
    verdict = judge_exact("ids", np.arange(3), np.arange(3), ("drawn", "torch"))
    document = reports.report([reports.outcome("weights", verdict)]).document()

    assert charts.square(document["checks"][0]["figures"]) is None
    assert charts.square({}) is None
