"""Pairs of two models of one framework, each side by a name of its own: an old one and what was made of it."""

import json
import re
from dataclasses import replace
from functools import partial

import keras
import pytest
import tensorflow as tf
import torch
from torch import nn

from parity import Pair, ParityError, api, checks
from parity.checks import forward
from parity.diagnose.operators import side_by_side
from parity.diagnose.specimens import specimen
from parity.frontends.cli import gate
from parity.gate.differences import differences
from parity.pair.link_table import survey
from parity.pair.models import PairModels
from parity.report import layer_tree, links
from parity.strategies import arrays
from tests.helpers.pairs import small


class Old(nn.Module):
    def __init__(self, epsilon=1e-5, residual=True):
        super().__init__()
        self.first, self.norm = nn.Linear(5, 6), nn.LayerNorm(6, epsilon)
        self.inner, self.last, self.residual = nn.Linear(6, 6), nn.Linear(6, 4), residual

    def forward(self, x):
        x = self.first(x)
        y = self.inner(self.norm(x)).tanh()
        return self.last(x + y if self.residual else y)


class New(nn.Module):
    """The same, with a block of its own and other names."""

    def __init__(self, **options):
        super().__init__()
        self.model = Old(**options)

    def forward(self, x):
        return self.model(x)


def keras_model(epsilon=1e-5, residual=True):
    first = x = keras.Input((5,))
    x = keras.layers.Dense(6)(x)
    y = keras.layers.LayerNormalization(epsilon=epsilon)(x)
    y = keras.layers.Dense(6, activation="tanh")(y)
    return keras.Model(first, keras.layers.Dense(4)(x + y if residual else y))


refactored = Pair("refactored", torch={"old": Old, "new": New}, inputs=arrays(5))
rewritten = Pair("rewritten", tensorflow={"old": keras_model, "new": keras_model}, inputs=arrays(5))
FAULTS = {"epsilon": {"epsilon": 1e-3}, "residual": {"residual": False}}


def faulty(pair, fault):
    builders = pair.torch or pair.tensorflow
    changed = {**builders, "new": partial(builders["new"], **FAULTS[fault])}
    return replace(pair, torch=changed) if pair.torch else replace(pair, tensorflow=changed)


def told(report):
    return "\n".join(cause.text for finding in report.findings for cause in finding.diagnosis.causes)


@pytest.mark.parametrize("pair", [refactored, rewritten], ids=lambda pair: pair.name)
def test_two_models_of_one_framework_match(pair):
    report = api.check(pair, examples=1, checks=["weights", "forward", "gradients"])

    assert report.holds, str(report)
    framework = "torch" if pair.torch else "tensorflow"
    assert json.loads(report.to_json())["sides"] == {"old": framework, "new": framework}
    assert f"old ({framework}), new ({framework})" in str(report)
    assert report.environment.keys().isdisjoint({"torch", "tensorflow"} - {framework})


def test_two_language_models_match():
    pair = Pair("texts", torch={"old": small.torch, "new": small.torch}, tokenizer=small.tokenizer)
    report = api.check(pair, examples=1, checks=["feeds", "forward", "padding", "generation"])

    assert report.holds, str(report)
    assert {check.name for check in report.checks} == {"feeds", "forward", "padding", "generation"}


@pytest.mark.parametrize(("fault", "where"), [("epsilon", "norm"), ("residual", "")])
def test_a_fault_of_a_torch_module_has_a_place_and_a_cause(fault, where):
    before = torch.get_default_dtype(), torch.backends.cuda.flash_sdp_enabled()
    report = api.check(faulty(refactored, fault), examples=1, checks=["forward"])
    found = report.findings[0].diagnosis

    assert found.where == (where,)
    assert [operation.side for operation in found.operations][:2] == ["old", "new"]
    assert "old32" in report.findings[0].message
    assert re.search(r"\bold\b", told(report))
    assert not re.search(r"\btorch\b|tensorflow", told(report))
    assert (torch.get_default_dtype(), torch.backends.cuda.flash_sdp_enabled()) == before
    assert ">old<" in report.to_html()


@pytest.mark.parametrize(("fault", "where"), [("epsilon", "layer_normalization"), ("residual", "")])
def test_a_fault_of_a_keras_model_has_a_place(fault, where):
    before = keras.config.floatx(), tf.config.functions_run_eagerly()
    report = api.check(faulty(rewritten, fault), examples=1, checks=["forward"])
    found = report.findings[0].diagnosis

    assert found.where == (where,)
    assert {operation.side for operation in found.operations} <= {"old", "new"}
    uneditable = "a run of tensorflow cannot be edited, so no change to an operation of old was tried"
    assert bool(found.causes) != (uneditable in str(report))
    assert (keras.config.floatx(), tf.config.functions_run_eagerly()) == before


def test_tables_and_documents_have_the_names():
    corners, table = PairModels(refactored), survey(refactored)
    corners.load(specimen(corners, 0)[0])
    rows = side_by_side(corners, *specimen(corners, 0))
    document = links.document(table)
    found = layer_tree._beside(rows[0], corners.sides)

    assert document["links"][0]["old"] == "first"
    assert document["links"][0]["new"] == "model.first"
    assert document["links"][0]["parameters"]["kernel"].keys() == {"shape", "old", "new"}
    assert found.keys() == {"old", "new", "layer", "differs"}


def test_a_release_is_held_against_what_was_blessed(monkeypatch):
    """What moves is a side, by its name."""
    monkeypatch.setattr(checks, "CHECKS", (forward,))
    blessed = gate.measured(PairModels(refactored), "acme:refactored", 0, 1, None)
    moved = gate.measured(PairModels(faulty(refactored, "epsilon")), "acme:refactored", 0, 1, blessed)

    assert not [*differences(blessed, blessed)]
    assert any("of new alone" in str(difference) for difference in differences(blessed, moved))


def test_models_with_weights_of_their_own_are_judged():
    def seeded():
        torch.manual_seed(1)
        return Old()

    pair = Pair("own", torch={"old": seeded, "new": seeded}, inputs=arrays(5), weights="given")

    assert api.check(pair, examples=1, checks=["forward"]).holds


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({}, "it has none"),
        ({"torch": Old}, "it has torch"),
        ({"torch": {"old": Old}}, "it has old"),
        ({"torch": {"old": Old, "new": New, "newer": New}}, "it has old, new, newer"),
        ({"torch": {"old": Old, "new": New}, "tensorflow": keras_model}, "it has old, new, tensorflow"),
        ({"torch": {"a": Old}, "tensorflow": {"a": keras_model}}, "two sides would be called a"),
        ({"torch": {"tensorflow": Old, "new": New}}, "two sides would be called tensorflow"),
        ({"torch": {"a side": Old, "new": New}}, "'a side' cannot be the name of a side"),
        ({"torch": {"kind": Old, "new": New}}, "'kind' cannot be the name of a side"),
        ({"torch": {"old": Old, "new": 3}}, "new is a int; give the function that builds a model"),
        (
            {"torch": {"old": Old, "new": New}, "call": {"torch": Old}},
            'give call as {"old": function, "new": function}',
        ),
    ],
)
def test_what_makes_no_two_sides_is_told_in_a_line(sides, message):
    with pytest.raises(ParityError, match=re.escape(message)) as raised:
        Pair("acme", inputs=arrays(5), **sides)

    assert "\n" not in str(raised.value)


def test_options_go_by_the_names_of_sides():
    def doubled(model, inputs, _):
        return 2 * model(inputs)

    pair = replace(refactored, call={"new": doubled}, links={"inner": "model.inner"})
    report = api.check(pair, examples=1, checks=["forward"])

    assert [link.how for link in PairModels(pair).links if link.ours == "inner"] == ["given"]
    assert not report.holds
