"""The self-test: what stands in the registry, a small family through the command line, and a fault in itself."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

import parity
from parity import selftest
from parity.canonical.weights import Weights
from parity.checks import CHECKS, determinism, feeds, loss, tokenizer, training
from parity.diagnose import CAUSES
from parity.errors import ParityError
from parity.frontends.cli import cli
from parity.report.selftest import last_line, show
from parity.selftest import faults, trial
from parity.selftest.faults import FAMILIES
from parity.selftest.faults.fault import BenignTwin, Fault
from parity.selftest.other_tools import RULES, flagged
from parity.selftest.twins import TWINS
from parity.selftest.visibility import visible, watched

FAULTS = [fault for family in FAMILIES.values() for fault in family]
NAMES = [module.__name__.rpartition(".")[2] for module in CHECKS]
FEW = 8
HELPERS = {"activations", "fault", "inject_layers", "inject_stages", "optimizer_rules", "reached", "recurrent"}


# Who does what


def test_of_a_pair_those_that_alter_the_same_sides_come_together():
    altering = ("torch", "keras", "corners", "keras", "torch")
    plan = selftest._Plan([trial.Trial("lstm", BenignTwin("", "lstm", **{of: lambda _: None})) for of in altering])
    left, order = dict(enumerate(plan.trials)), []
    while left:
        order.append(plan.choose(0, left))
        del left[order[-1]]

    assert order == [2, 1, 3, 0, 4]


# The registry


def test_no_check_without_a_fault():
    assert set(NAMES) - {fault.check for fault in FAULTS} == set()


def test_no_fault_without_check_layer_and_cause():
    assert {fault.check for fault in FAULTS} <= set(NAMES)
    assert {cause for fault in FAULTS for cause in (fault.cause, *fault.also)} <= set(CAUSES)
    assert all(fault.sides for fault in FAULTS)


def test_names_are_unique():
    assert max(Counter(planted.name for planted in (*FAULTS, *TWINS)).values()) == 1


def test_there_are_as_many_as_were_promised():
    assert len(FAULTS) >= 447
    assert len(TWINS) >= 66


def test_every_file_of_faults_is_registered():
    files = {path.stem for path in (Path(parity.__file__).parent / "selftest" / "faults").glob("*.py")}

    assert files - HELPERS - {"__init__"} == set(FAMILIES)
    assert {name for name in vars(faults) if name in FAMILIES} == set(FAMILIES)


# What a check can see


def test_a_check_sees_what_it_reads(lstm, corners, monkeypatch):
    """Measured on the clean pair: the tokenizer check never asks a model, the loss check no trainer."""
    monkeypatch.setattr(trial, "EXAMPLES", FEW)
    monkeypatch.setattr(trial, "CHECKS", (tokenizer, feeds, loss, training, determinism))
    tried = trial._before(lstm)
    assert tried.entry["check"] == ""
    reads = tried.reads

    assert "tokenizer.encode" in reads["tokenizer"]
    assert not [name for name in reads["tokenizer"] if name.startswith("model.")]
    assert "model.losses" in reads["loss"]
    assert "model.trainer" not in reads["loss"]
    assert "model.trainer" in reads["training"]
    assert "backend.feed" in reads["feeds"]
    assert "backend.Model" in reads["determinism"]
    assert type(corners.tokenizer).__name__ == "Tokenizer"
    assert "encode" not in vars(corners.tokenizer)


SEEN = {
    "torch's state lost": {"model.advance"},
    "decay missing": {"model.trainer"},
    "summed": {"model._loss"},
    "tensorflow pads with 3": {"backend.feed"},
    "moments not saved": {"backend.Model"},
    "decoding strips": {"tokenizer.decode"},
    "embedding times 2": {"model.logits"},
}


@pytest.mark.parametrize("name", SEEN)
def test_a_difference_is_seen_through_what_it_replaces(name, references):
    fault = next(fault for fault in FAULTS if fault.name == name)
    clean = references(fault.pair)
    shows = visible(fault, clean, fault.inject(clean.pair))

    assert shows(SEEN[name])
    assert not shows({"corners.nothing"})


def test_reading_is_recorded_and_changes_nothing(lstm, corners):
    others, seen = watched(lstm)
    others.load(Weights(0, 1.0))
    seen.clear()
    others.models["torch", "float32"].read()

    assert "model.read" in seen
    assert "model.logits" not in seen
    assert type(corners.models["torch", "float32"]).__name__ == "Model"


# What other rules find


def test_other_rules_agree_on_the_clean_pair(corners):
    assert flagged(corners) == []


def test_other_rules_judge_a_pair_without_a_tokenizer(references):
    clean = references("sentence")
    summed, attended = (
        next(fault for fault in FAULTS if fault.name == name).inject(clean.pair, clean)
        for name in ("own loss summed", "padding is attended to")
    )

    assert (flagged(clean), flagged(summed)) == ([], list(RULES))
    assert flagged(attended) == []  # their batch has no padding


def test_other_rules_judge_a_pair_without_a_loss_of_its_own(references):
    assert flagged(references("carried")) == []


def test_a_large_fault_is_found_by_every_rule_but_a_small_one_by_none(broken):
    import tensorflow as tf

    def off(size):
        def alter(model):
            call = model.head.call
            model.head.call = lambda x, **given: call(x, **given) + tf.cast(size, x.dtype)

        return alter

    assert flagged(broken(tensorflow=off(1.0))) == list(RULES)
    assert flagged(broken(tensorflow=off(1e-7))) == []


# The whole


def invoked(*args):
    """The command line in this process, where the frameworks are loaded and a test may alter it."""
    return CliRunner().invoke(cli, ["selftest", *map(str, args)], standalone_mode=False)


@pytest.fixture
def here(monkeypatch):
    """In this process, which alone knows what a test has altered."""
    monkeypatch.setattr(selftest, "cores", lambda: 1)


@pytest.mark.usefixtures("here")
def test_a_small_family_through_the_command_line(monkeypatch, tmp_path, valid):
    small = FAMILIES["data"][:2]
    monkeypatch.setattr(selftest, "FAMILIES", {"data": small})
    monkeypatch.setattr(trial, "EXAMPLES", 5)  # enough for these faults, as are these checks
    monkeypatch.setattr(trial, "CHECKS", CHECKS[1:5])
    result = invoked("--family", "data", "--json", tmp_path / "found.json", "--html", tmp_path / "found.html")
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [f"{n} of 4" for n in range(1, 5)]
    assert result.return_value == 0
    document = valid("selftest", (tmp_path / "found.json").read_text())
    assert "<h1>the self-test passed</h1>" in (tmp_path / "found.html").read_text()
    row = document["families"]["data"]

    assert row["faults"] == row["detected"] == row["check"] == len(small)
    assert document["benign"] == {"twins": 0, "clean": 2, "flagged": 0}
    assert {row["detected"] for row in document["people"].values()} == {0}
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["family", "faults", "detected", "right", "check", "right", "place", "right", "cause"]
    assert lines[1].split()[:4] == ["data", *[str(row["faults"])] * 3]
    found = f"{row['faults']} of {row['faults']} faults detected"
    assert lines[-1] == f"the self-test passed: {found}, 0 of 2 equivalent mutants and clean pairs flagged"


def test_an_unknown_family_is_misuse(parity):
    result = parity("selftest", "--family", "loose")

    assert result.returncode == 2
    assert result.stderr.startswith("parity: unknown family 'loose'; available: layers, ")
    with pytest.raises(ParityError):
        selftest.chosen("loose")


def few_examples():
    """What a process starts with: the same work, but for two checks, and a few examples of each."""
    trial.CHECKS, trial.EXAMPLES = CHECKS[1:3], FEW
    return trial.Worker()


@pytest.mark.usefixtures("here", "few_checks")
def test_as_many_processes_as_cores_find_the_same_in_the_same_order(monkeypatch):
    monkeypatch.setattr(selftest, "Worker", few_examples)
    small, ticks = {"tokenizer": FAMILIES["tokenizer"][:3]}, []
    alone = selftest.run(small, [], ticks.append)
    monkeypatch.setattr(selftest, "cores", lambda: 2)
    together = selftest.run(small, [], ticks.append)

    assert together == alone
    assert [entry["name"] for entry in alone["faults"]] == [fault.name for fault in small["tokenizer"]]
    assert Counter(ticks) == {"clean pairs": 4, "tokenizer": 6}


NOTHING = Fault(
    "nothing at all", "conv", corners=lambda _: None, check="tokenizer", where="tokenizer", cause="tokenizer"
)


def lower_case(corners):
    """No benign twin."""
    next(fault for fault in FAMILIES["tokenizer"] if fault.name == "text in lower case").corners(corners)


@pytest.fixture
def few_checks(monkeypatch):
    """Two checks, and a few examples of each, are enough to be missed by."""
    monkeypatch.setattr(trial, "CHECKS", CHECKS[1:3])
    monkeypatch.setattr(trial, "EXAMPLES", FEW)


def test_a_cause_as_true_as_the_expected_one_counts():
    fault = Fault("two names", "conv", check="forward", where="", cause="residual", also=("offset",))
    found = [{"check": "forward", "where": [""], "cause": cause} for cause in ("residual", "offset", "order")]
    entries = [trial._entry(fault) | {"family": "layers", "found": one} for one in found]
    document = selftest._document(entries, [], {})

    assert document["families"]["layers"]["cause"] == 2
    assert [trial._missed(fault, "forward", [""], one["cause"]) for one in found] == [
        "",
        "",
        "cause order, not residual",
    ]


@pytest.mark.usefixtures("here", "few_checks")
def test_a_fault_that_is_none_is_listed_as_missed():
    document = selftest.run({"tokenizer": [NOTHING]}, [BenignTwin("lower", "conv", corners=lower_case)], lambda _: None)
    told = io.StringIO()
    show(document, Console(file=told, width=100))

    assert not document["holds"]
    assert document["families"]["tokenizer"] == {"faults": 1, "detected": 0, "check": 0, "place": 0, "cause": 0}
    assert document["benign"] == {"twins": 1, "clean": 2, "flagged": 1}
    assert "tokenizer: nothing at all: no check fails" in told.getvalue().splitlines()
    assert "benign: lower (conv): tokenizer fails" in told.getvalue().splitlines()
    assert last_line(document).plain == (
        "the self-test failed: 0 of 1 faults detected, 1 of 3 equivalent mutants and clean pairs flagged"
    )


@pytest.mark.usefixtures("here", "few_checks")
def test_a_fault_that_cannot_be_planted_is_no_end():
    def raises(_):
        raise ZeroDivisionError("in the fault")

    fault = Fault("raises", "conv", corners=raises, check="feeds", where="data", cause="pad id")
    document = selftest.run({"data": [fault]}, [], lambda _: None)

    assert document["faults"][0]["told"] == "cannot be planted: ZeroDivisionError: in the fault"
    assert not document["holds"]


@pytest.mark.usefixtures("here", "few_checks")
def test_the_status_is_1_and_the_last_line_alone_is_printed(monkeypatch, tmp_path):
    monkeypatch.setattr(selftest, "chosen", lambda _: ({"tokenizer": [NOTHING]}, []))
    result = invoked("--quiet", "--json", tmp_path / "x.json")

    assert result.return_value == 1
    assert json.loads((tmp_path / "x.json").read_text())["holds"] is False
