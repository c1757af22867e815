"""The gate, on documents: every regression that it is for has its own line, and what is none raises nothing."""

import copy

import pytest

from parity.gate.baseline import Baseline
from parity.gate.differences import differences, versions
from parity.gate.golden_differences import CAUSES


def entry(name, verdict):
    figures = {"subject": "output", "corners": 4}
    return {"name": name, "verdict": verdict, "examples": 3, "elements": 45, "figures": figures, "findings": []}


CLEAN = {
    "dtypes": ["float64", "float32"],
    "report": {
        "seed": 0,
        "examples": 25,
        "environment": {"python": "3.11.7", "tensorflow": "2.21.0", "hypothesis": "6.170"},
        "tokenizer": None,
        "checks": [entry("weights", "identical"), entry("forward", "rounding")],
    },
    "layers": {"head.kernel": ["dense", 5, 7], "head.bias": ["dense", 5], "norm.gain": ["layer_norm", 7]},
    "texts": {},
    "golden": {},
    "noise": {},
}


def altered(change):
    document = copy.deepcopy(CLEAN)
    change(document)
    return Baseline(document)


def lines(expected, found):
    return [difference.text for difference in differences(expected, found)]


def check(document, name):
    return next(check for check in document["report"]["checks"] if check["name"] == name)


def set_check(name, **values):
    def change(document):
        entry = check(document, name)
        entry["figures"] |= {key: value for key, value in values.items() if key in ("subject", "corners")}
        entry |= {key: value for key, value in values.items() if key not in ("subject", "corners")}

    return change


def set_in(*path, to):
    """The document with one value changed; a None takes it away."""

    def change(document):
        *above, last = path
        for key in above:
            document = document[key]
        document[last] = to
        if to is None:
            del document[last]

    return change


def finding(message):
    return {"check": "forward", "message": message, "example": "Case()", "command": "parity check", "why": []}


FAILING = {"verdict": "different", "findings": [finding("output (2, 5): differs\n  more")]}
SHOWN = {"side": "torch", "name": "clipping", "cause": "adds 1e-6"}
ALONE = "known divergence torch clipping"


def without(name):
    def change(document):
        document["report"]["checks"] = [entry for entry in document["report"]["checks"] if entry["name"] != name]

    return change


def tokenizer(sha, pieces=1000):
    def change(document):
        document["report"]["tokenizer"] = {"sha256": sha * 32, "pieces": pieces}

    return change


def nothing(_):
    pass


def both(*changes):
    def change(document):
        for one in changes:
            one(document)

    return change


# What was done to the baseline and to the run -> the line that tells it, and whether accepting it needs a reason.
DATA = {
    "a check removed": (
        nothing,
        without("forward"),
        "vanished: check forward: expected rounding over 3 examples, 45 elements, found no such check",
        True,
    ),
    "a check added": (
        without("forward"),
        nothing,
        "new: check forward: expected no such check, found rounding over 3 examples, 45 elements",
        False,
    ),
    "a check that fails": (
        nothing,
        set_check("forward", **FAILING),
        "fails: check forward: expected rounding, found different: output (2, 5): differs",
        True,
    ),
    "a check that fails in another place": (
        set_check("forward", **FAILING, subject="output"),
        set_check("forward", **FAILING, subject="other"),
        "fails: check forward: expected different in output, found different: output (2, 5): differs",
        True,
    ),
    "a check that fails worse": (
        set_check("forward", **FAILING | {"verdict": "unstable"}),
        set_check("forward", **FAILING),
        "fails: check forward: expected unstable in output, found different: output (2, 5): differs",
        True,
    ),
    "a new check that fails": (
        without("forward"),
        set_check("forward", **FAILING),
        "fails: check forward: expected that it holds, found different: output (2, 5): differs",
        True,
    ),
    "unstable no more": (
        set_check("forward", **FAILING | {"verdict": "unstable"}),
        nothing,
        "improved: check forward: expected unstable in output, found rounding",
        False,
    ),
    "three corners": (
        nothing,
        set_check("forward", corners=3),
        "weaker: check forward: expected float64 on both sides, found float64 on one side only",
        True,
    ),
    "four corners": (
        set_check("forward", corners=3),
        nothing,
        "improved: check forward: expected float64 on one side only, found float64 on both sides",
        False,
    ),
    "fewer examples": (
        nothing,
        set_check("forward", examples=2, elements=30),
        "vanished: check forward: expected 3 examples, found 2",
        True,
    ),
    "fewer elements": (
        nothing,
        set_check("forward", elements=30),
        "vanished: check forward: expected 45 elements, found 30",
        True,
    ),
    "more elements": (
        set_check("forward", elements=30),
        nothing,
        "new: check forward: expected 30 elements, found 45",
        False,
    ),
    "a tokenizer trained anew": (
        tokenizer("ab"),
        tokenizer("cd"),
        "tokenizer: fingerprint: expected 1,000 pieces, sha256 abababababababab, "
        "found 1,000 pieces, sha256 cdcdcdcdcdcdcdcd",
        True,
    ),
    "a text of other ids": (
        set_in("texts", "caf\xe9", to=[5, 6]),
        set_in("texts", "caf\xe9", to=[5, 7]),
        "tokenizer: ids of 'caf\\xe9': expected [5, 6], found [5, 7]",
        True,
    ),
    "a layer that shrank": (
        nothing,
        set_in("layers", "head.bias", to=None),
        "vanished: layer head: expected dense kernel (5, 7), bias (5), found dense kernel (5, 7)",
        True,
    ),
    "a layer that grew": (
        set_in("layers", "head.bias", to=None),
        nothing,
        "new: layer head: expected dense kernel (5, 7), found dense kernel (5, 7), bias (5)",
        True,
    ),
    "a new layer": (
        nothing,
        set_in("layers", "extra.kernel", to=["dense", 3, 5]),
        "new: layer extra: expected no such layer, found dense kernel (3, 5)",
        False,
    ),
    "a known divergence that is gone": (
        set_check("weights", known=[SHOWN]),
        set_check("weights", verdict="different", findings=[finding("...") | {"expired": "torch clipping"}]),
        f"gone: {ALONE}: expected adds 1e-6, found that it does not occur",
        True,
    ),
    "a known divergence that was taken off the list": (
        set_check("weights", known=[SHOWN]),
        nothing,
        f"gone: {ALONE}: expected adds 1e-6, found that it does not occur",
        False,
    ),
    "a divergence that nobody knew": (
        nothing,
        set_check("weights", known=[SHOWN]),
        f"new: {ALONE}: expected no such divergence, found adds 1e-6",
        True,
    ),
}


@pytest.mark.parametrize(("was", "now", "line", "loosens"), DATA.values(), ids=DATA)
def test_a_regression_has_its_own_line(was, now, line, loosens):
    (found,) = differences(altered(was), altered(now))

    assert found.text.startswith(line)
    assert found.loosens is loosens
    assert found.cause in CAUSES


HARMLESS = {
    "other versions": (nothing, set_in("report", "environment", "tensorflow", to="2.19.0")),
    "fewer elements of other draws": (nothing, both(set_in("report", "seed", to=3), set_check("forward", elements=30))),
    "of another Hypothesis": (
        nothing,
        both(set_in("report", "environment", "hypothesis", to="7"), set_check("forward", elements=30)),
    ),
    "identical for rounding": (nothing, set_check("forward", verdict="identical")),
    "rounding for identical": (nothing, set_check("weights", verdict="rounding")),
    "a failure that was blessed": (set_check("forward", **FAILING), set_check("forward", **FAILING)),
}


@pytest.mark.parametrize(("was", "now"), HARMLESS.values(), ids=HARMLESS)
def test_what_is_no_regression_raises_nothing(was, now):
    assert lines(altered(was), altered(now)) == []


def test_changed_versions_are_told_apart_from_the_rest():
    changed = altered(set_in("report", "environment", "tensorflow", to="2.19.0"))

    assert list(versions(altered(nothing).report, changed.report)) == ["tensorflow"]


def test_of_nothing_blessed_only_failures_need_a_reason():
    assert differences(None, altered(nothing)) == []
    (difference,) = differences(None, altered(set_check("forward", **FAILING)))
    assert difference.text == "fails: check forward: expected that it holds, found different: output (2, 5): differs"
