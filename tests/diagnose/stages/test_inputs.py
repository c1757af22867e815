"""What call= gives the models: one side's inputs as a relation of the other's, found on some and proved on others."""

from dataclasses import replace

import numpy as np
import pytest

from parity import Pair, strategies
from parity.canonical.weights import Weights
from parity.diagnose import explain as blame
from parity.diagnose.locate import locate
from parity.diagnose.stages.inputs import explain, parted
from parity.inputs.arrays import Sample
from parity.pair.models import PairModels
from parity.report import layer_tree

RANDOM = np.random.default_rng(0)
IDS = [RANDOM.integers(0, 50, (rows, 6)) for rows in (1, 3, 2)]
PICTURES = [RANDOM.standard_normal((rows, 5, 5, 3)) for rows in (1, 2, 3)]
COLOURS = np.array([0.2, 0.5, 0.7])

RELATIONS = {
    "ids one lower": (IDS, lambda x: x - 1, "offset", "with -1 added"),
    "reversed colours": (PICTURES, lambda x: x[..., ::-1], "order", "in reverse order along axis 3, as BGR for RGB"),
    "colours turned": (PICTURES, lambda x: x[..., [1, 2, 0]], "order", "in the order 1, 2, 0 along axis 3"),
    "time reversed": (IDS, lambda x: x[:, ::-1], "order", "in reverse order along axis 1"),
    "rows for columns": (PICTURES, lambda x: x.swapaxes(1, 2), "transposed", "with its axes 1 and 2 exchanged"),
    "a factor": (PICTURES, lambda x: x / 4, "scale", "times 0.25"),
    "a factor and a constant": (PICTURES, lambda x: 2 * x - 1, "scale", "times 2, plus -1"),
    "of each colour": (PICTURES, lambda x: (x - 0.5) / COLOURS, "scale", "times 5, 2, 1.42857, plus -2.5, -1,"),
}


@pytest.mark.parametrize(("inputs", "changed", "name", "told"), RELATIONS.values(), ids=RELATIONS)
def test_a_relation_that_holds_of_all_inputs_is_the_cause(inputs, changed, name, told):
    causes, ruled_out = explain("input of the model", [(x, changed(x)) for x in inputs], whole=True)

    assert ([cause.name for cause in causes], ruled_out) == ([name], [])
    assert causes[0].where == "call="
    assert causes[0].told.startswith(f"input of the model: tensorflow's is torch's {told}")
    assert causes[0].after < 1e-12 < causes[0].before


OTHERS = {
    "what holds of one alone": [(PICTURES[0], 2 * PICTURES[0]), (PICTURES[1], 3 * PICTURES[1])],
    "a function that is none of them": [(x, x**3) for x in PICTURES],
    "one input, given again": [(IDS[0], IDS[0] + 1)] * 2,
    "ids that one side lacks": [(x, np.where(x == 3, 0, x)) for x in IDS],
    "other shapes": [(x, x[:, 1:]) for x in IDS],
}


@pytest.mark.parametrize("pairs", OTHERS.values(), ids=OTHERS)
def test_nothing_else_is_a_cause(pairs):
    causes, ruled_out = explain("input of the model", pairs, whole=True)

    assert (causes, len(ruled_out)) == ([], 1)


def torch_model():
    import torch
    from torch import nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x, unused):  # noqa: ARG002
            return self.head(torch.tanh(self.hidden(x)))

    return Model()


def keras_model():
    import keras

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.head = keras.layers.Dense(5, "tanh", name="hidden"), keras.layers.Dense(3, name="head")

        def call(self, x, unused):  # noqa: ARG002
            return self.head(self.hidden(x))

    return Model()


def call(model, inputs, training):  # noqa: ARG001
    return model(inputs, inputs)


@pytest.fixture(scope="module")
def clean():
    calls = {"torch": call, "tensorflow": call}
    return PairModels(Pair("called", torch_model, keras_model, inputs=strategies.arrays(4), call=calls))


@pytest.fixture
def calling(clean, monkeypatch):
    """The pair whose TensorFlow model is called otherwise, and inputs of it."""

    def changed(call):
        for (side, _), model in clean.models.items():
            if side == "tensorflow":
                monkeypatch.setattr(model, "_build", replace(model._build, call=call))
        clean.load(Weights(1, 1.0))
        return clean, clean.given(0)[0]

    return changed


def test_other_inputs_are_told_as_what_call_gives(calling):
    corners, inputs = calling(lambda model, inputs, _: model(0.5 * inputs, inputs))
    found, diagnosis = blame.located(corners, inputs)

    assert [(piece.path, piece.place) for piece in found.introduces] == [("call=", "input of the model")]
    assert layer_tree.last_line(found).plain == "call= introduces a difference"
    assert diagnosis.where == ("call=",)
    assert [(cause.name, cause.where) for cause in diagnosis.causes] == [("scale", "call=")]


def test_what_call_does_is_told_by_its_operation_and_line(calling):
    corners, inputs = calling(lambda model, inputs, _: model(0.5 * inputs, inputs))
    _, diagnosis = blame.located(corners, inputs, whole=False)
    [cause] = blame.by_operation(corners, diagnosis, Sample(Weights(1, 1.0), inputs)).causes

    assert (diagnosis.causes, diagnosis.open) == ((), ("call=",))
    assert (cause.name, cause.where) == ("scale", "call=")
    assert "(test_inputs.py:" in cause.told


def test_other_inputs_that_change_nothing_are_none(calling):
    found = locate(*calling(lambda model, inputs, _: model(inputs, 0.5 * inputs)))

    assert [piece.place for piece in found.given if piece.fails] == ["input 2 of the model"]
    assert found.introduces == []


def test_other_inputs_do_not_hide_what_a_layer_introduces(calling, monkeypatch):
    corners, inputs = calling(lambda model, inputs, _: model(0.5 * inputs, inputs))
    for (side, _), model in corners.models.items():
        if side == "tensorflow":
            head = model.module.head
            monkeypatch.setattr(head, "call", lambda x, call=head.call: 2 * call(x))

    assert {piece.path for piece in locate(corners, inputs).introduces} == {"head"}


def test_what_call_makes_of_outputs_is_told_of_it(calling):
    corners, inputs = calling(lambda model, inputs, _: 2 * model(inputs, inputs))
    found = locate(corners, inputs)

    assert found.introduces == []
    assert parted(corners, inputs, found).endswith("call= makes something else of their outputs")
    corners, inputs = calling(call)
    assert parted(corners, inputs, locate(corners, inputs)) == ""
