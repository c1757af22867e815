"""What is asked of a pair: which checks run, in which order, and what is told of each while others still run."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

import parity
from parity import api, checks
from parity.backends.build import Build
from parity.checks import CHECKS, FOLLOWS, OWN, chosen, name_of
from parity.checks.results import SCRIPT, Diagnosis, Failure, Finding, Layer, Outcome
from parity.compare.judge import judge
from parity.compare.square import PrecisionSquare
from parity.errors import ParityError
from parity.report import html, terminal
from tests.diagnose.test_errors import CORNERS, _toys, equal, failing
from tests.helpers import ports, reports
from tests.report.test_html import Parsed

pytestmark = pytest.mark.usefixtures("ran")
toys = _toys  # every check as it is called, without its work
NAMES = list(map(name_of, CHECKS))
FOLLOWING = list(map(name_of, FOLLOWS))


def differing(*_):
    return [judge("output", reports.square(1e-4))]


WRONG = differing()[0]
HEADLINE = f"outputs differ, max |diff| 1.0e-04 (limit {WRONG.limit:.1e})"


def unstable(*_):
    right = np.random.default_rng(0).normal(size=12)
    runs = [(right + noise).astype(np.float32) for noise in (1e-3, 1e-9)]
    return [judge("output", PrecisionSquare.of([*runs, right, right]))]


@pytest.fixture
def ran(monkeypatch):
    """The names of the checks that a run tries, in their order."""
    seen = []

    def noting(module):
        verify = module.verify

        def noted(corners, example):
            if name_of(module) not in seen:
                seen.append(name_of(module))
            return verify(corners, example)

        monkeypatch.setattr(module, "verify", noted)

    for module in CHECKS:
        noting(module)
    monkeypatch.setattr(api, "diagnose", lambda *_: reports.diagnosis())
    monkeypatch.setattr(api.process, "warm", lambda: seen.append("a server"))
    return seen


def examined(watch=None, **asked):
    return api.run_checks(CORNERS, api.Asked(examples=1, **asked), watch)


def test_forward_runs_first_and_is_reported_in_its_place(ran):
    """The server that serves the last checks is asked for behind it: it takes as long as all that stands before."""
    report = examined()

    rest = [name for name in NAMES if name not in ("conversion", "forward")]
    assert list(dict.fromkeys(ran)) == ["conversion", "forward", "a server", *rest]
    assert [check.name for check in report.checks] == NAMES
    assert (report.not_run, "not_run" in report.document()) == ({}, False)


def test_what_follows_from_a_failed_forward_is_not_run(ran, monkeypatch, valid):
    monkeypatch.setattr(checks.forward, "verify", differing)
    report = examined()
    document, console = valid("report", report.to_json()), Console(file=io.StringIO(), width=100)
    terminal.show(report, console)

    assert not {*ran} & {*FOLLOWING}
    assert [check.name for check in report.checks] == list(map(name_of, OWN))
    assert document["not_run"] == dict.fromkeys(FOLLOWING, "forward failed")
    assert f"not run, forward failed: {', '.join(FOLLOWING)} (--all runs them)\n" in console.file.getvalue()
    assert f"not run {', '.join(FOLLOWING)}: forward failed" in Parsed(html.checked(document)).text
    assert [check.name for check in examined(run_all=True).checks] == NAMES


@pytest.mark.parametrize("verify", [unstable, failing], ids=lambda verify: verify.__name__)
def test_what_only_loses_precision_or_raises_in_forward_may_still_hold_elsewhere(verify, monkeypatch):
    monkeypatch.setattr(checks.forward, "verify", verify)
    report = examined()

    assert [check.name for check in report.failed] == ["forward"]
    assert len(report.checks) == len(CHECKS)


def test_fail_fast_ends_with_the_first_that_fails(monkeypatch):
    monkeypatch.setattr(checks.weights, "verify", failing)
    report = examined(fail_fast=True)

    assert [check.name for check in report.checks] == ["conversion", "tokenizer", "feeds", "weights", "forward"]
    assert {*report.not_run.values()} == {"a check before it failed"}


@pytest.mark.parametrize("module", ["__main__", "acme"])
def test_of_a_script_only_what_needs_no_fresh_process_is_run(module, ran, monkeypatch):
    """Nor is there a server for such; a builder of a module that is none is misuse, which `prepare` tells."""

    def builder():
        raise AssertionError

    builder.__module__ = module
    monkeypatch.setattr(CORNERS, "builds", {"torch": Build(builder)})
    report = examined()
    alone = ["determinism", "reload", "resume"] if module == "__main__" else []

    assert report.not_run == dict.fromkeys(alone, SCRIPT)
    assert (report.holds, "a server" in ran) == (True, not alone)


def test_some_checks_can_be_asked_for(ran, valid):
    """The report and its last line say that they are not all; none needs a process of its own, so no server is."""
    report = examined(checks=["loss", "forward"], target="toy")
    document = valid("report", report.to_json())

    assert ran == ["forward", "loss"]
    assert document["not_run"] == {name: "not asked for" for name in NAMES if name not in (*ran, "conversion")}
    assert document["command"] == "parity check toy --seed 0 --examples 1 --check loss --check forward"
    assert terminal.last_line(report).plain == "PASS: models match: 2 of 17 checks were run, 2 elements compared"


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("acme:pair", "parity check acme:pair --seed 0 --examples 1 --check forward"),
        ("", "parity.check(pair, seed=0, examples=1, checks=['forward'])"),
    ],
)
def test_a_finding_is_rerun_by_its_one_check(target, command, monkeypatch):
    monkeypatch.setattr(checks.forward, "verify", differing)

    assert examined(target=target, fail_fast=True).findings[0].command == command


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["forwrd"],
            "unknown check 'forwrd'; did you mean forward? available: conversion, tokenizer, feeds, weights, ",
        ),
        (["masking"], "signal cannot be asked for masking; it has conversion, forward, weights, calls, batching, "),
    ],
)
def test_a_check_that_there_is_not_is_refused(names, message):
    with pytest.raises(ParityError) as caught:
        chosen(ports.signal, names)

    assert str(caught.value).startswith(message)


def test_each_row_is_printed_while_the_next_check_has_not_begun(monkeypatch):
    """And a finding is all there by then, with its place."""
    console = Console(file=io.StringIO(), width=100)
    before = {}

    class Watching(api.Watch):
        begun, ended, settled = terminal.Printed.begun, terminal.Printed.ended, terminal.Printed.settled

        def __init__(self):
            self._console, self._print = console, terminal.Printed(console)._print

        def tick(self, check):
            before.setdefault(check, console.file.getvalue())

    monkeypatch.setattr(checks.forward, "verify", differing)
    examined(Watching())

    assert before["conversion"].splitlines()[-1].startswith("check  ")
    assert "\nforward     different  " in before["tokenizer"]
    assert f"\nforward: {HEADLINE}; first in layer norm\n" in before["tokenizer"]
    assert "  rerun: parity.check(pair, " in before["tokenizer"]
    assert before["weights"].splitlines()[-1].startswith("feeds       identical  ")


def test_what_fails_for_reasons_of_its_own_is_explained_too(monkeypatch):
    for module in (checks.forward, checks.calls, checks.reload):
        monkeypatch.setattr(module, "verify", differing)
    report = examined(run_all=True)

    assert [(found.check, bool(found.why)) for found in report.findings] == [
        ("forward", True),
        ("calls", False),
        ("reload", True),
    ]


def outcome(verdict, diagnosis=None):
    found = Outcome("forward", "", failed="outputs differ")
    found.see(verdict)
    found.findings.append(Finding("forward", verdict.message, "5", "", 5, diagnosis=diagnosis))
    return found


LAYERS = (Layer("a.norm", "layer_norm", 1, 1, "introduces", 1.0),)
PLACES = {
    "; first in layer a.norm": Diagnosis(("a.norm",), layers=LAYERS),
    "; first in the code between layers": Diagnosis(("",), layers=LAYERS),
    "; first in optimizer": Diagnosis(("optimizer",)),
    "": Diagnosis(),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_headline_says_what_happened_and_where(place):
    (verdict,) = differing()

    assert outcome(verdict, PLACES[place]).headline == f"{HEADLINE}{place}"


def test_a_headline_of_other_verdicts():
    numbers = np.arange(6.0)
    shapes = judge("output", PrecisionSquare.of([numbers.astype(np.float32)] * 2 + [numbers, numbers[:3]]))
    nan = judge(
        "output", PrecisionSquare.of([numbers.astype(np.float32)] * 2 + [numbers, np.where(numbers == 2, np.nan, 1.0)])
    )
    raised = Outcome("loss", "", error=Failure.of(ZeroDivisionError("in the model"), "5", ""))
    gone = Outcome("loss", "", findings=[Finding("loss", "loss: compared nothing\nat all", "none", "")])

    assert outcome(*unstable()).headline.startswith("torch loses precision in float32: its error is ")
    assert outcome(equal(2)).headline == "outputs differ: 1 of 1 elements are not bitwise equal"
    assert (
        outcome(shapes).headline
        == "output: shapes differ: torch32 (6), tensorflow32 (6), torch64 (6), tensorflow64 (3)"
    )
    assert outcome(nan).headline == "outputs differ: one side is not finite"
    assert raised.headline == "did not finish: ZeroDivisionError: in the model"
    assert gone.headline == "compared nothing"
    assert replace(gone, findings=[]).headline == ""


def test_a_report_is_read_at_a_glance_and_by_name(monkeypatch, tmp_path):
    monkeypatch.setattr(checks.forward, "verify", differing)
    report = examined(target="toy")

    assert repr(report) == "<Report of toy: FAIL: 1 of 8 checks failed: forward>"
    assert repr(report["forward"]) == f"<forward: different, {report['forward'].headline}>"
    assert repr(report["weights"]) == "<weights: identical>"
    assert str(report).splitlines()[-1] == "FAIL: 1 of 8 checks failed: forward"
    assert f"\nforward: {HEADLINE}; first in layer norm\n" in str(report)
    assert (report["forward"].max_abs_diff, report["forward"].limit) == (WRONG.figure, WRONG.limit)
    assert (report["weights"].max_abs_diff, report["weights"].limit) == (None, None)
    with pytest.raises(KeyError, match="loss was not run: forward failed"):
        report["loss"]
    with pytest.raises(KeyError, match="unknown check 'forwad'; did you mean forward"):
        report["forwad"]
    report.save(tmp_path / "a.json")
    report.save(str(tmp_path / "a.html"))
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == report.to_json()
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == report.to_html()
    assert report._repr_html_().startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    with pytest.raises(ParityError, match=r"is no \.json or \.html file"):
        report.save(tmp_path / "a.txt")


def test_assert_parity_raises_all_that_was_found(monkeypatch):
    monkeypatch.setattr(api, "run", lambda *given: api.run_checks(CORNERS, given[2]))
    pair = CORNERS.pair

    assert parity.assert_parity(pair, examples=1, checks=["forward"])["forward"].verdict == "identical"
    monkeypatch.setattr(checks.forward, "verify", differing)
    monkeypatch.setattr(checks.reload, "verify", failing)
    with pytest.raises(parity.Mismatch) as caught:
        parity.assert_parity(pair, examples=1)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"forward: {HEADLINE}; first in layer norm"
    assert lines[1].startswith("  output (12): mismatched elements: 1 / 12; ")
    assert "reload: did not finish: ZeroDivisionError: in the model" in lines
