"""`parity gate --compare`: what was written is read back with one clear line, whatever a file holds."""

import copy
import json
from pathlib import Path

import pytest

from parity.errors import ParityError
from parity.frontends import cli
from parity.gate.baseline import Baseline, read, write
from parity.gate.differences import blessed
from tests.helpers import reports


@pytest.fixture
def compared(tmp_path, monkeypatch, capsys):
    """Compare a text with a report that holds: text -> (status, printed), or the one line of its refusal."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.json").write_text(reports.passing().to_json())

    def call(text):
        (tmp_path / "a.json").write_text(text)
        try:
            status = cli.cli.main(["gate", "--compare", "a.json", "b.json"], standalone_mode=False)
        except ParityError as error:
            return None, str(error)
        return status, capsys.readouterr().out

    return call


def altered(**given):
    """The text of a report that holds, but for some of its keys; `check` has those of its first check."""
    document = reports.passing().document()
    document["checks"][0] |= given.pop("check", {})
    return json.dumps(document | given)


NEITHER = "a.json: is neither a report of parity check --json nor a baseline"
FILES = {
    "other pairs": (altered(pair="gru"), "a.json has gru and b.json has acme-lm; give two runs of the same "),
    "a word for a number": (altered(check={"elements": "many"}), f"{NEITHER} ($.checks[0].elements: 'many' is not "),
    "another verdict": (altered(check={"verdict": "fine"}), f"{NEITHER} ($.checks[0].verdict: 'fine' is not "),
    "figures of nothing": (altered(check={"figures": None}), f"{NEITHER} ($.checks[0].figures: None is not "),
    "no check": (altered(checks=[]), "a.json: has no check in it, so that nothing can be compared"),
    "no report at all": ('{"schema": 1, "holds": true, "reports": []}', "a.json: has no check in it"),
    "two reports of one": (
        json.dumps({"schema": 1, "holds": True, "reports": [reports.passing().document()] * 2}),
        "a.json: has two reports of one pair, or two checks of one name",
    ),
    "two checks of one name": (altered(checks=reports.passing().document()["checks"][:1] * 2), "a.json: has two "),
    "a number without end": (altered(seed=0).replace('"seed": 0', f'"seed": {"9" * 5000}'), NEITHER),
    "a long number": (altered(seed=10**4000), f"{NEITHER} ($.seed: 1000"),
    "a number beyond a float": (altered().replace('"elements": 6', '"elements": 1e999'), f"{NEITHER} ($.checks[0]."),
    "no number": (altered().replace('"seed": 0', '"seed": NaN'), NEITHER),
    "depth without end": ("[" * 100_000, NEITHER),
    "no report": ('{"holds": true}', "a.json: is neither a report of parity check --json nor a baseline"),
    "no JSON": ("parity", "a.json: is neither a report of parity check --json nor a baseline"),
    "a number": ("3", "a.json: is neither a report of parity check --json nor a baseline"),
    "an edited baseline": ('{"baseline": "a", "schema": 1, "seal": ""}', "a.json: line 1 is not the end of a baseline"),
}


@pytest.mark.parametrize(("text", "told"), FILES.values(), ids=FILES)
def test_what_cannot_be_compared_is_one_line(text, told, compared):
    status, line = compared(text)

    assert status is None
    assert line.startswith(told)
    assert "\n" not in line


BLESSED = Path(__file__).parents[2] / "fixtures" / "baselines" / "lstm.json"
GOLDEN = {
    "a value that is not there": lambda document, arrays: arrays.pop("torch losses"),
    "a value of other labels": lambda document, _: document["golden"]["torch gradient norms"]["labels"].pop(),
    "a value without its scale": lambda document, _: document["golden"]["torch losses"].pop("scale"),
}


@pytest.mark.parametrize("alter", GOLDEN.values(), ids=GOLDEN)
def test_a_baseline_has_the_golden_values_that_it_names(alter, tmp_path):
    """Sealed as it may be; else the run that it is for would end in an error, behind all its checks."""
    old = read(BLESSED)
    document, arrays = copy.deepcopy(dict(old.document)), dict(old.arrays)
    alter(document, arrays)
    write(tmp_path / "lstm.json", Baseline(document, arrays))

    assert blessed(BLESSED).document == old.document
    with pytest.raises(ParityError, match=r"lstm\.json: golden torch .* is not what the file beside it has; put"):
        blessed(tmp_path / "lstm.json")


def test_text_that_was_read_cannot_steer_the_terminal(compared):
    """Nor turn its line round: such characters are shown as escapes."""
    status, printed = compared(altered(environment={"torch\x1b[2J": "2.13\r\x07\x9b31m\u202e"}))

    assert status == 0
    assert "torch\\x1b" in printed
    assert "2.13\\x9b31m\\u202e" in printed
    assert {c for c in printed if not c.isprintable()} == {"\n"}


@pytest.mark.parametrize("more", [["lstm"], ["--json", "c.json"], ["--html", "c.html"], ["--seed", "1"]])
def test_what_compare_would_leave_undone_is_refused(more, compared, tmp_path):
    compared(altered())
    with pytest.raises(ParityError, match="--compare shows two files and writes none"):
        cli.cli.main(["gate", *more, "--compare", "a.json", "b.json"], standalone_mode=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_two_reports_of_the_same_run_agree(compared):
    assert compared(altered())[0] == 0
    assert compared(altered(check={"verdict": "different", "error": None}))[0] == 1
