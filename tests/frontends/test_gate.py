"""`parity gate` and `parity bless`: nothing is blessed silently, and nothing looser without a reason."""

import copy
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from parity import checks, reference
from parity.checks import forward, weights
from parity.checks.runner import EXAMPLES
from parity.errors import ParityError
from parity.frontends import cli
from parity.frontends.cli import gate
from parity.gate.baseline import Baseline, place, read
from tests.helpers import ports

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clean():
    """What a run of two checks finds of the signal pair, drawn as the command line draws it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "CHECKS", (weights, forward))
        from parity.pair.models import PairModels

        return gate.measured(PairModels(ports.signal), "acme:signal", 0, 25, None)


@pytest.fixture
def found(clean):
    """What the next runs find: a document that a test may alter."""
    return Baseline(copy.deepcopy(clean.document), dict(clean.arrays))


@pytest.fixture
def here(tmp_path, monkeypatch, capsys, found):
    """Run a verb in a project whose runs find `found`: args -> (status, lines); None where it is misuse."""
    (tmp_path / "pyproject.toml").write_text('[tool.parity]\npairs = ["acme:signal"]\nbaselines = "kept"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate, "resolve", lambda *_: ports.signal)
    drawn = []

    def measure(*_, seed, examples, old, **__):
        drawn.append((seed, examples, old is not None))
        found.document["report"] |= {"seed": seed, "examples": examples}
        return found

    monkeypatch.setattr(gate, "measure", measure)

    def call(*args):
        try:
            status = cli.cli.main(list(args), standalone_mode=False)
        except ParityError as error:
            return None, [str(error)]
        return status, [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]

    call.drawn = drawn
    return call


def names(tmp_path):
    return sorted(path.suffix for path in (tmp_path / "kept").iterdir())


def test_a_missing_baseline_is_written_beside_its_place_and_the_gate_fails(here, tmp_path):
    status, lines = here("gate")

    assert status == 1
    assert lines[2:] == [
        "missing: baseline: expected kept/acme.signal.json, found none; this run is in acme.signal.json.new",
        "if this is intended: parity bless acme:signal",
        "acme:signal: the gate failed: 1 difference: missing",
    ]
    assert names(tmp_path) == [".new", ".safetensors"]
    assert here("gate")[0] == 1  # and again: only bless accepts it


def test_what_was_blessed_holds_until_something_differs(here, found, tmp_path):
    status, lines = here("bless")
    assert status == 0
    assert lines[2:] == [
        "new: 2 checks, 3 layers, 8 golden values",
        "acme:signal: accepted, in kept/acme.signal.json",
    ]
    assert names(tmp_path) == [".json", ".safetensors"]
    status, lines = here("gate")
    assert (status, lines[-1]) == (
        0,
        "acme:signal: the gate passed: 2 checks, 3 layers, 8 golden values, as in its baseline",
    )

    found.document["report"]["environment"]["tensorflow"] = "3.0"
    status, lines = here("gate")
    assert status == 0
    assert "versions    tensorflow 2." in lines[3]
    assert lines[3].endswith(" -> 3.0")

    found.document["layers"].pop("head.bias")
    status, lines = here("gate")
    assert status == 1
    assert lines[-3:] == [
        "vanished: layer head: expected dense kernel (5, 7), bias (5), found dense kernel (5, 7)",
        "if this is intended: parity bless acme:signal --reason TEXT",
        "acme:signal: the gate failed: 1 difference: vanished",
    ]
    assert here("gate", "--quiet") == (1, lines[-1:])


def test_what_is_looser_is_blessed_for_a_reason_only(here, found, tmp_path):
    here("bless")
    before = (tmp_path / "kept" / "acme.signal.json").read_bytes()
    found.arrays["torch losses"] = found.arrays["torch losses"] * 1.5
    assert here("bless") == (
        None,
        ["nothing is accepted: this loosens the gate; say why by --reason TEXT (acme:signal)"],
    )
    assert here("bless", "--reason", " ")[0] is None
    assert (tmp_path / "kept" / "acme.signal.json").read_bytes() == before

    status, lines = here("bless", "--reason", "another loss")
    assert status == 0
    assert lines[3].startswith("moved: golden losses of torch alone: expected ")
    history = read(tmp_path / "kept" / "acme.signal.json").document["history"]
    assert [entry["reason"] for entry in history] == ["", "another loss"]
    assert (history[1]["accepted"], history[1]["shares"]["forward"] < 1) == ([lines[3]], True)
    assert len(history[1]["date"]) == len("2026-01-01")
    status, lines = here("gate")
    assert status == 0
    assert lines[2].startswith("baseline ")
    assert lines[2].endswith(": another loss")


def test_what_is_better_is_blessed_without_a_reason(here, found, tmp_path):
    here("bless")
    found.document["layers"]["extra.kernel"] = ["dense", 3, 5]
    assert here("gate")[1][-2] == "if this is intended: parity bless acme:signal"
    assert here("bless")[0] == 0
    (first, second) = read(tmp_path / "kept" / "acme.signal.json").document["history"]

    assert second["accepted"] == ["new: layer extra: expected no such layer, found dense kernel (3, 5)"]
    assert here("bless", "--quiet") == (0, ["acme:signal: accepted, in kept/acme.signal.json"])
    assert read(tmp_path / "kept" / "acme.signal.json").document["history"] == [first, second]


def test_a_first_baseline_of_what_fails_needs_a_reason(here, found):
    (entry,) = [check for check in found.document["report"]["checks"] if check["name"] == "forward"]
    finding = {"check": "forward", "example": "Case()", "command": "parity check acme:signal", "diagnosis": None}
    texts = {"message": "output differs", "why": ["cause: x"]}, {"message": "states differ\n  figures", "why": []}
    entry |= {"verdict": "different", "findings": [finding | text for text in texts]}
    status, lines = here("gate")

    assert status == 1
    assert lines[-2] == "if this is intended: parity bless acme:signal --reason TEXT"
    assert lines[3:9] == [
        "fails: check forward: expected that it holds, found different: output differs",
        *("  cause: x", "  example: Case()", "  rerun: parity check acme:signal"),
        *("  states differ", "  rerun: parity check acme:signal"),
    ]
    assert here("bless")[0] is None
    assert here("bless", "--reason", "known since 3.0")[0] == 0
    assert here("gate")[0] == 0  # as blessed


@pytest.mark.parametrize("first", [True, False])
def test_what_ended_in_an_error_is_never_blessed(first, here, clean, found, monkeypatch, tmp_path):
    """A check, or the golden values; exit status 3, the other checks are there, and nothing is written."""
    if not first:
        here("bless")
    before = sorted((tmp_path / "kept").iterdir()) if not first else []
    told = {"type": "TypeError", "message": "TypeError: no", "traceback": "at 1", "example": "7", "command": "parity c"}
    found.document["report"]["checks"][1] |= {"verdict": "error", "error": told}
    status, lines = here("gate", "--json", "gate.json")

    assert status == 3
    assert "error: check forward: expected that it comes to its end, found TypeError: no" in lines
    assert [line for line in lines if line.startswith("  at 1")]
    assert not [line for line in lines if "intended: " in line]
    assert here("bless", "--reason", "none")[0] == 3
    found.document["report"] = clean.document["report"]
    monkeypatch.setattr(gate, "measure", lambda *_, **__: replace(found, error="TypeError: no"))
    status, lines = here("bless", "--reason", "none")
    assert (status, lines[-2:]) == (3, [GOLDEN, REFUSED])
    assert (sorted((tmp_path / "kept").iterdir()) if (tmp_path / "kept").exists() else []) == before


GOLDEN = "error: golden values: expected that they are computed, found TypeError: no"
REFUSED = "nothing is accepted: a check ended in an error (acme:signal)"


def test_a_run_draws_what_was_blessed_unless_it_is_told(here):
    here("bless", "--seed", "3", "--examples", "5")
    here("gate")
    here("gate", "--seed", "4")

    assert here.drawn == [(3, 5, False), (3, 5, True), (4, 5, True)]


def test_a_damaged_baseline_is_refused_before_anything_runs(here, tmp_path):
    here("bless")
    path = tmp_path / "kept" / "acme.signal.json"
    path.write_text(path.read_text().replace('"holds": true', '"holds": false'))
    for verb in ("gate", "bless"):
        status, (line,) = here(verb)
        assert status is None
        assert line.startswith("kept/acme.signal.json: line 7 was changed by hand ('\"holds\": false,'); put the ")
    assert len(here.drawn) == 1


def test_what_was_found_as_json(here, found, tmp_path):
    here("bless")
    found.document["layers"].pop("head.bias")
    here("gate", "--json", "gate.json")
    document = json.loads((tmp_path / "gate.json").read_text())
    (pair,) = document["pairs"]

    assert (document["schema"], document["holds"], pair["pair"], pair["holds"]) == (1, False, "acme:signal", False)
    assert pair["differences"] == [
        {
            "cause": "vanished",
            "what": "layer head",
            "expected": "dense kernel (5, 7), bias (5)",
            "found": "dense kernel (5, 7)",
            "accept": "parity bless acme:signal --reason TEXT",
        }
    ]
    assert (pair["versions"], pair["report"]) == ({}, found.document["report"])


def test_two_runs_side_by_side(here, found, tmp_path):
    """Two reports; or two baselines, of which more is known."""
    (tmp_path / "a.json").write_text(json.dumps(found.document["report"]))
    here("bless")
    found.document["report"]["environment"]["tensorflow"] = "3.0"
    (tmp_path / "b.json").write_text(json.dumps(found.document["report"]))
    found.document["report"]["checks"].pop()
    (tmp_path / "c.json").write_text(json.dumps({"schema": 1, "holds": True, "reports": [found.document["report"]]}))
    found.document["layers"].pop("head.bias")
    kept = "kept/acme.signal.json"
    assert here("gate", "--compare", "a.json", "b.json")[0] == 0
    assert here("gate", "--compare", "a.json", kept)[0] == 0
    status, lines = here("gate", "--compare", "a.json", "c.json")

    assert status == 1
    assert lines[0] == "signal: a.json and c.json"
    assert lines[2].split()[0] == "tensorflow"
    assert lines[2].split()[2] == "3.0"
    assert lines[4].split()[0] == "forward"
    assert lines[4].endswith("-")
    assert lines[5].startswith("vanished: check forward: expected rounding over 25 examples, ")
    (tmp_path / "old").mkdir()
    for path in (tmp_path / "kept").iterdir():
        path.rename(tmp_path / "old" / path.name)
    here("bless")
    assert "vanished: layer head: expected" in "\n".join(here("gate", "--compare", "old/acme.signal.json", kept)[1])


def test_the_verbs_run_the_checks_for_real(tmp_path, monkeypatch, capsys, valid):
    """From the first blessing to a held gate."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate, "resolve", lambda *_: ports.signal)
    monkeypatch.setattr(checks, "CHECKS", (weights, forward))
    assert cli.cli.main(["bless", "acme:signal", "--examples", "2"], standalone_mode=False) == 0
    files = ["--json", "gate.json", "--html", "gate.html"]
    assert cli.cli.main(["gate", "acme:signal", "--quiet", *files], standalone_mode=False) == 0
    out = capsys.readouterr().out
    document = valid("gate", (tmp_path / "gate.json").read_text())

    assert out.endswith("acme:signal: the gate passed: 2 checks, 3 layers, 8 golden values, as in its baseline\n")
    assert read(tmp_path / "baselines" / "acme.signal.json").report["examples"] == 2
    assert [len(pair["history"]) for pair in document["pairs"]] == [1]
    assert "the gate passed" in (tmp_path / "gate.html").read_text()


@pytest.mark.parametrize("name", reference.PAIRS)
def test_every_reference_pair_is_blessed_with_all_its_checks(name):
    """A check that is added or taken away is blessed in the same commit."""
    blessed = gate._blessed_before(place(ROOT / "fixtures" / "baselines", name))

    drawn = [checks.name_of(module) for module in checks.CHECKS if module is not checks.conversion]
    assert [check["name"] for check in blessed.report["checks"]] == drawn
    assert blessed.report["holds"] is True
    assert (blessed.report["seed"], blessed.report["examples"]) == (0, EXAMPLES)


@pytest.mark.parametrize("file", ["constraints-tf219.txt", "constraints-tf220.txt"])
def test_another_tensorflow_is_gated_on_the_same_draws(file):
    """What figures hang on is pinned as ever, but for TensorFlow and what it asks for."""
    texts = ((ROOT / name).read_text() for name in ("constraints.txt", file))
    pins, ours = (dict(re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)) for text in texts)
    differing = {name for name, version in ours.items() if pins[name] != version}

    assert {"hypothesis", "keras", "torch"} <= set(ours) - differing
    assert {"tensorflow-cpu"} <= differing <= {"tensorflow-cpu", "numpy", "protobuf", "sentencepiece"}
    assert f"{{tox_root}}/{file}" in (ROOT / "tox.ini").read_text()
