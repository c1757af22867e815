"""Running a check: seeds, shrinking, nothing compared, errors, and what the surroundings may not change."""

import io
import json
from types import ModuleType, SimpleNamespace

import hypothesis
import numpy as np
import pytest
from hypothesis import configuration
from hypothesis import strategies as st

import parity
from parity import checks
from parity.checks import CHECKS, conversion, name_of, runner
from parity.checks.results import Outcome, Report
from parity.compare.judge import judge_exact, same_text
from parity.errors import ParityError
from parity.pair.models import PairModels
from parity.report.terminal import last_line, show
from tests.helpers import pairs

CORNERS = SimpleNamespace(pair=SimpleNamespace(name="toy"))


def check_of(verify, strategy=None, doc="The claim.\n\nMore."):
    """A check module made of a function."""
    module = ModuleType("parity.checks.toy", doc)
    module.examples = lambda corners: strategy if strategy is not None else st.integers(0, 1000)
    module.verify = lambda corners, example: verify(example)
    return module


def outcome_of(verify, strategy=None, seed=0, examples=50):
    return runner.run_check(check_of(verify, strategy), CORNERS, seed, examples, "parity check toy --seed 0")


def fails_from(limit):
    return lambda n: [judge_exact("number", np.array([True]), np.array([n < limit]), ("wanted", "found"))]


def test_a_check_that_holds():
    outcome = outcome_of(fails_from(2000))

    assert (outcome.verdict, outcome.examples, outcome.elements, outcome.findings) == ("identical", 50, 50, [])
    assert (outcome.name, outcome.claim) == ("toy", "The claim.")


def test_a_failure_is_shrunk_and_told_once():
    (finding,) = outcome_of(fails_from(10)).findings

    assert finding.example == "10"
    assert finding.message.startswith("number (1): wanted and found are different")
    assert finding.command == "parity check toy --seed 0"


def test_shrinking_stays_affordable():
    tried = []

    def verify(text):
        tried.append(text)
        return [same_text("text", "", text.replace("a", ""), ("wanted", "found"))]

    (finding,) = outcome_of(verify, st.text(min_size=30)).findings

    assert len(tried) <= runner.SHRINKS + 50
    assert len(finding.example) == min(len(repr(text)) for text in tried if text.strip("a"))


def test_no_example_is_run_twice_when_it_fails():
    tried = []

    def verify(n):
        tried.append(n)
        return fails_from(10)(n)

    outcome_of(verify)
    failed = [n for n in tried if n >= 10]

    assert len(failed) == len(set(failed))


def drawn(seed, examples=20):
    seen = []

    def verify(n):
        seen.append(n)
        return fails_from(10**9)(n)

    outcome_of(verify, st.integers(), seed, examples)
    return seen


def test_the_seed_decides_what_is_drawn():
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


@pytest.mark.parametrize("profile", ["ci", "strict"])
def test_a_profile_of_the_surroundings_changes_nothing(profile):
    """Hypothesis's own for CI derandomises: every seed would draw the same there."""
    before = drawn(1), drawn(2)
    hypothesis.settings.register_profile("strict", derandomize=True, max_examples=3, deadline=1)
    try:
        hypothesis.settings.load_profile(profile)

        assert hypothesis.settings().derandomize
        assert (drawn(1), drawn(2)) == before
    finally:
        hypothesis.settings.load_profile("tests")


def test_a_directory_that_the_surroundings_chose_for_hypothesis_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(configuration, "__hypothesis_home_directory", None)  # put back behind the test
    configuration.set_hypothesis_home_dir(tmp_path)
    drawn(1)

    assert configuration.storage_directory("examples").path == tmp_path / "examples"


def test_nothing_compared_is_a_finding():
    outcome = outcome_of(lambda n: [])

    assert outcome.verdict == "different"
    assert outcome.findings[0].message == "toy: compared nothing in 50 examples; it proves nothing"


def test_an_unexpected_error_comes_through_with_its_example():
    def verify(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        outcome_of(verify)
    assert caught.value.__notes__ == ["in check toy of toy, example 0"]


def test_misuse_inside_a_check_stays_misuse():
    def verify(_):
        raise ParityError("no such file")

    with pytest.raises(ParityError, match="no such file"):
        outcome_of(verify)


def test_shares_divide_the_examples_but_never_to_none():
    module = check_of(fails_from(1))
    module.COST = 10

    assert [runner.count(module, examples) for examples in (1, 10, 25, 100)] == [1, 1, 2, 10]


@pytest.fixture(scope="module")
def report(lstm):
    return parity.check(lstm, seed=4, examples=2)


def test_a_report_holds_and_counts(report):
    assert report.holds
    assert report.findings == []
    assert [check.name for check in report.checks] == [name_of(m) for m in CHECKS if m is not conversion]
    assert all(check.elements > 0 for check in report.checks)


def test_the_same_seed_gives_the_same_json(report, lstm, monkeypatch):
    """Of the checks that take no process of their own."""
    again = [module for module in CHECKS if module not in (conversion, *checks.FRESH_PROCESS)]
    monkeypatch.setattr(checks, "CHECKS", tuple(again))
    before, found = json.loads(report.to_json()), json.loads(parity.check(lstm, seed=4, examples=2).to_json())
    names = list(map(checks.name_of, again))

    assert {**before, "checks": [entry for entry in before["checks"] if entry["name"] in names]} == found
    assert [entry["name"] for entry in found["checks"]] == names


def test_json_has_the_agreed_keys(report, small, valid):
    document = valid("report", report.to_json())

    keys = "schema holds weaker pair seed examples command environment tokenizer checks left_out not_exercised weights"
    assert " ".join(document) == keys
    assert (document["schema"], document["holds"], document["pair"], document["seed"]) == (1, True, "lstm", 4)
    assert document["tokenizer"]["sha256"] == small.fingerprint
    assert {"torch", "tensorflow", "keras", "numpy", "python", "parity"} <= set(document["environment"])
    for entry in document["checks"]:
        assert " ".join(entry) == "name claim verdict examples elements figures findings known curve error"
        assert entry["figures"]["worst"] <= entry["figures"]["limit"]


def test_the_page_shows_every_check_and_the_longest_training(report):
    html = report.to_html()
    curve = next(check.curve for check in report.checks if check.name == "training")

    assert html == report.to_html()
    for check in report.checks:
        assert f'<th scope="row">{check.name}<span' in html
        assert f"{check.elements:,}" in html
    assert {*curve.losses} == {"torch32", "tensorflow32", "torch64", "tensorflow64"}
    assert f"The longest training that was tried: {curve.subject}." in html


def test_a_report_without_checks_or_elements_does_not_hold():
    def made(*checks):
        return Report("toy", 0, 1, {}, {"pieces": 1, "sha256": ""}, list(checks))

    assert not made().holds
    assert not made(Outcome("toy", "The claim.")).holds
    assert last_line(made(Outcome("toy", "The claim."))).plain == "FAIL: 1 of 1 check failed: toy"


def test_infinity_is_told_in_json():
    outcome = Outcome("toy", "The claim.")
    outcome.see(same_text("text", "a", "b", ("wanted", "found")))
    document = json.loads(Report("toy", 0, 1, {}, {}, [outcome]).to_json())

    assert document["checks"][0]["figures"]["worst"] == "inf"


def test_the_terminal_shows_every_check_and_the_verdict_last(report):
    from rich.console import Console

    console = Console(record=True, width=100, file=io.StringIO())
    show(report, console)
    lines = [line.rstrip() for line in console.export_text().splitlines()]

    assert lines[0].startswith("pair        lstm: seed ")
    for check in report.checks:
        assert any(line.startswith(check.name) and check.verdict in line for line in lines)
    assert lines[-1].startswith(f"PASS: models match: {len(CHECKS) - 1} checks, ")


def test_the_terminal_shows_a_finding_as_it_was_written():
    from rich.console import Console

    outcome = outcome_of(lambda n: [same_text("text", "[bold]", "[/x]" * 60, ("wanted", "found"))])
    report = Report("toy", 0, 50, {}, {"pieces": 1, "sha256": ""}, [outcome])
    console = Console(record=True, width=80, file=io.StringIO())
    show(report, console)
    text = console.export_text()

    assert f"  found '{'[/x]' * 60}'" in text.replace("  " + "  found", "  found")
    assert "rerun: parity check toy --seed 0" in text
    assert text.rstrip().endswith("FAIL: 1 of 1 check failed: toy")


def test_a_check_finds_alone_what_it_finds_behind_another():
    """So the command that runs one test again shows what the whole run showed."""
    corners = PairModels(pairs.off_by_a_millionth)
    alone = runner.run_check(checks.forward, corners, 0, 4, "")
    assert runner.run_check(checks.weights, corners, 0, 4, "").findings
    behind = runner.run_check(checks.forward, corners, 0, 4, "")

    assert (behind.examples, behind.elements) == (alone.examples, alone.elements) == (1, 1000)
    assert behind.findings == alone.findings
