"""Golden values and noise, on documents: what rounding error accounts for moves nothing, and slow drifts add up."""

import copy

import numpy as np
import pytest

from parity.compare.judge import GROWTH, MAX_FLOAT64_ULPS
from parity.dtypes import EPS
from parity.gate.baseline import Baseline
from parity.gate.golden_differences import golden, kept, noise

OUTPUT, NORMS = np.array([0.5, -1.25, 2.0]), np.array([0.25, 1e-9])
FIGURES = {"scale": 2.0, "noise": 1e-8, "labels": []}
NAMED = {"scale": 0.25, "noise": 1e-9, "labels": ["head.kernel", "head.bias"]}
LIMIT = MAX_FLOAT64_ULPS * EPS["float64"] * 2.0


def run(both=0.0, torch=0.0, outputs=(1.9, 2.0, 2.1), **arrays):
    """A baseline: its outputs moved on both sides, or torch's alone."""
    values = {
        "torch output": OUTPUT + both + torch,
        "tensorflow output": OUTPUT + both,
        "torch gradient norms": NORMS,
        "torch greedy tokens": np.array([3, 1]),
        **{name.replace("_", " "): array for name, array in arrays.items()},
    }
    figures = {
        "torch output": FIGURES,
        "tensorflow output": FIGURES,
        "torch gradient norms": NAMED,
        "torch greedy tokens": {"labels": []},
    }
    return Baseline(copy.deepcopy({"golden": figures, "noise": {"torch outputs": list(outputs)}}), values)


def without(name):
    found = run()
    del found.document["golden"][name], found.arrays[name]
    return found


def lines(expected, found):
    return [difference.text for judge in (golden, noise) for difference in judge(expected, found)]


MOVED = {
    "both sides": (
        run(both=1e-3),
        "moved: golden output of both sides: expected 0.5 at 0, found 0.501, changed by 1.0e-03 (limit ",
    ),
    "one side": (
        run(torch=1e-9),
        "moved: golden output of torch alone: expected -1.25 at 1, found -1.24",
    ),
    "just more than rounding": (run(both=1.01 * LIMIT), "moved: golden output of both sides: expected "),
    "not a number": (
        run(torch=np.nan),
        "moved: golden output of torch alone: expected 0.5 at 0, found nan, changed by inf",
    ),
    "one parameter's gradient": (
        run(torch_gradient_norms=np.array([0.25, 1.001e-6])),
        "moved: golden gradient norms of torch alone: expected 1e-09 in head.bias, found 1.001e-06, changed by ",
    ),
    "tokens": (
        run(torch_greedy_tokens=np.array([3, 2])),
        "moved: golden greedy tokens of torch alone: expected [3, 1], found [3, 2]",
    ),
    "another shape": (
        run(torch_greedy_tokens=np.array([3])),
        "moved: golden greedy tokens of torch alone: expected int64 (2), found int64 (1)",
    ),
    "gone": (without("torch greedy tokens"), "vanished: golden torch greedy tokens: expected int64 (2), found none"),
    "noise that grew": (
        run(outputs=(9.0, 10.1, 11.0)),
        "noise: float32 noise of torch outputs: expected 1.9 to 2.1 times rounding, found 10.1",
    ),
}


@pytest.mark.parametrize(("found", "told"), MOVED.values(), ids=MOVED)
def test_what_moved_has_its_own_line(found, told):
    (line,) = lines(run(), found)

    assert line.startswith(told)
    assert all(difference.loosens for judge in (golden, noise) for difference in judge(run(), found))


BETTER = {
    "a new value": (
        without("torch greedy tokens"),
        run(),
        "new: golden torch greedy tokens: expected none, found int",
    ),
    "an improved figure": (
        run(outputs=(9.0, 10.0, 11.0)),
        run(),
        "improved: float32 noise of torch outputs: expected 9 to 11 times rounding, found 2",
    ),
}


@pytest.mark.parametrize(("old", "found", "told"), BETTER.values(), ids=BETTER)
def test_what_is_better_has_its_own_line(old, found, told):
    (line,) = lines(old, found)

    assert line.startswith(told)
    assert not any(difference.loosens for judge in (golden, noise) for difference in judge(old, found))


HARMLESS = {
    "rounding": (run(), run(both=0.99 * LIMIT)),
    "a norm that is nothing beside the others": (run(), run(torch_gradient_norms=np.array([0.25, 1.001e-9]))),
    "noise within its range": (run(outputs=(2.0, 2.5, 3.0)), run(outputs=(3.0, 6.0, 30.0))),
    "noise below a rounding": (run(outputs=(0.0, 0.1, 0.1)), run(outputs=(0.5, 0.9, 0.9))),
    "the same NaN": (run(torch=np.nan), run(torch=np.nan)),
}


@pytest.mark.parametrize(("old", "found"), HARMLESS.values(), ids=HARMLESS)
def test_what_rounding_explains_raises_nothing(old, found):
    assert lines(old, found) == []


def test_norms_are_compared_by_their_names():
    """A parameter that is gone is told of as a layer."""
    found = run(torch_gradient_norms=NORMS[:1].copy())
    found.document["golden"]["torch gradient norms"]["labels"].pop()

    assert lines(run(), found) == []
    found.arrays["torch gradient norms"][0] = 0.3
    (line,) = lines(run(), found)
    assert line.startswith("moved: golden gradient norms of torch alone: expected 0.25 in head.kernel, found 0.3, ")


def test_inputs_that_do_not_fit_are_told_and_nothing_else_is_compared():
    found = Baseline(run(both=1.0).document, run(both=1.0).arrays, misfit="IndexError: of 900")

    assert lines(run(), found) == [
        "vanished: golden inputs: expected those of the baseline, found that they do not fit: IndexError: of 900"
    ]
    assert kept(run(), found) is found


def test_a_slow_drift_is_caught_though_it_is_blessed_at_every_step():
    """Each step is less than a run can see, and what is blessed stays where it was."""
    blessed = run()
    for times in (1, 2):
        found = run(both=0.4 * times * LIMIT)
        assert lines(blessed, found) == []
        blessed = kept(blessed, found)
    (line,) = lines(blessed, run(both=1.2 * LIMIT))

    assert line.startswith("moved: golden output of both sides: expected ")


def test_a_slow_growth_of_noise_is_caught_though_it_is_blessed_at_every_step():
    blessed = run(outputs=(2.0, 2.0, 2.0))
    for figure in (4.0, 7.9):
        found = run(outputs=[figure] * 3)
        assert lines(blessed, found) == []
        blessed = kept(blessed, found)

    assert lines(blessed, run(outputs=[2.1 * GROWTH] * 3)) == [
        "noise: float32 noise of torch outputs: expected 2 to 2 times rounding, found 8.4"
    ]


def test_what_moved_is_blessed_as_found_and_the_rest_as_it_was():
    found = run(both=1e-15, torch=1e-3, outputs=(9.0, 10.0, 11.0))
    blessed = kept(run(), found)

    assert (blessed.arrays["torch output"] == found.arrays["torch output"]).all()
    assert (blessed.arrays["tensorflow output"] == OUTPUT).all()
    assert blessed.document["noise"]["torch outputs"] == [9.0, 10.0, 11.0]
    assert lines(blessed, found) == []
