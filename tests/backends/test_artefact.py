"""A deployed file as a side: a backend that can only run, what such a pair is asked, and what is left out and why."""

import json

import pytest
import torch
from torch import nn

from parity import Pair, ParityError, api, checks
from parity.backends import BACKENDS, Entry, protocol
from parity.checks import chosen, lacking
from parity.frontends.cli import gate
from parity.pair.models import PairModels
from parity.strategies import arrays

EXPORTED = Entry("tests.helpers.exported", "torch", "torch", offers=(protocol.Runnable,), after=("torch",))


class Net(nn.Module):
    def __init__(self, bias=0.0):
        super().__init__()
        torch.manual_seed(3)
        self.hidden, self.head, self.bias = nn.Linear(5, 7), nn.Linear(7, 4), bias

    def forward(self, x):
        return self.head(self.hidden(x).relu()) + self.bias


def shifted():
    return Net(bias=1e-3)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The program of a net."""
    path, rows = tmp_path_factory.mktemp("acme") / "net.pt2", torch.export.Dim("rows", min=1, max=4096)
    torch.export.save(torch.export.export(Net().eval(), (torch.ones(3, 5),), dynamic_shapes=({0: rows},)), path)
    return path


@pytest.fixture
def program(monkeypatch, written):
    """The program, whose backend is registered meanwhile."""
    monkeypatch.setitem(BACKENDS, "exported", EXPORTED)
    return written


def test_a_file_is_held_against_its_source(program):
    pair = Pair("acme", torch=Net, exported=program, inputs=arrays(5))
    report = api.check(pair, examples=2)
    document = json.loads(report.to_json())

    assert pair.sides == ("torch", "exported")
    assert report.holds, str(report)
    assert [check.name for check in report.checks] == ["forward", "batching"]
    assert document["weights"] == "given"
    assert document["not_run"]["gradients"] == document["not_run"]["training"] == "exported is not trainable"
    assert document["not_run"]["reload"] == "exported is not savable"
    assert "not run, exported is not trainable: weights, calls," in str(report).replace("conversion, ", "")
    assert "exported cannot run in float64: a saved program computes in the precision that it was saved in" in str(
        report
    )


def test_a_fault_is_found_and_what_cannot_be_seen_is_said(program):
    pair = Pair("acme", torch=shifted, exported=program, inputs=arrays(5))
    report = api.check(pair, examples=1)

    assert report["forward"].verdict == "different"
    assert "exported is not traceable: nothing inside of it was seen" in str(report)


def test_a_program_that_a_builder_loads_has_four_corners_and_its_differences_a_cause(written):
    """What a builder reads from a file in float32 is raised to float64, as long as nothing is asked of it before."""

    def program():
        return torch.export.load(written).module()

    def against(source):
        pair = Pair("acme", torch={"source": source, "program": program}, weights="given", inputs=arrays(5))
        return api.check(pair, examples=1, checks=["forward", "calls"])

    right, wrong = against(Net), against(shifted)

    assert right.holds, str(right)
    assert not right.weaker
    assert wrong["forward"].verdict == "different"
    assert [cause.name for cause in wrong["forward"].findings[0].diagnosis.causes] == ["offset"]


def test_what_it_cannot_do_is_not_asked_of_it(program):
    pair = Pair("acme", torch=Net, exported=str(program), inputs=arrays(5))

    with pytest.raises(ParityError, match=r"^acme cannot be asked for gradients: exported is not trainable$"):
        chosen(pair, ["gradients"])
    assert not lacking(Pair("acme", torch={"old": Net, "new": Net}, inputs=arrays(5)))
    with pytest.raises(ParityError, match=r"none\.pt2: is no program of torch\.export$"):
        PairModels(Pair("acme", torch=Net, exported=program.with_name("none.pt2"), inputs=arrays(5)))


def test_the_gate_keeps_what_it_gives(program, monkeypatch):
    monkeypatch.setattr(checks, "CHECKS", (checks.forward,))
    pair = Pair("acme", torch=Net, exported=program, inputs=arrays(5))
    measured = gate.measured(PairModels(pair), "acme:pair", 0, 1, None)

    assert not measured.error
    assert {name.partition(" ")[0] for name in measured.document["golden"]} == {"torch"}


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_a_backend_offers_what_it_is_registered_with(name):
    from parity.backends import load

    model = load([name])[name].Model
    needed = {verb for of in BACKENDS[name].offers for verb in vars(of) if not verb.startswith("_")}

    assert [verb for verb in needed if not hasattr(model, verb)] == []


def test_a_runtime_that_is_missing_is_named_with_its_extra(monkeypatch):
    from parity import backends

    monkeypatch.setattr(backends, "_installed", lambda package: package != "onnxruntime")

    with pytest.raises(ParityError, match=r'^onnxruntime is not installed: run .* "parity\[onnx\]"$'):
        backends.load(["onnx"])
