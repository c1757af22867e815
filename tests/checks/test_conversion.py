"""A checkpoint that both builders load: what a wrong converter makes of it is found; another layout is no finding."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair, strategies
from parity.checks import checks_of, conversion, forward, runner
from parity.diagnose.explain import diagnose
from parity.diagnose.stages import conversion as explained
from parity.diagnose.wording import why
from parity.pair.carried import Carried, related
from parity.pair.models import PairModels
from parity.selftest.faults.conversion import FAULTS
from parity.selftest.faults.pairs import torch as models
from parity.selftest.faults.pairs.loading import checkpoint, parts, values

SHAPES = {"wide.kernel": (8, 5), "wide.bias": (8,), "narrow.kernel": (3, 8), "narrow.bias": (3,)}


def saved():
    random = np.random.default_rng(0)
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.narrow(self.wide(x).tanh())


def in_torch():
    model, given = Net(), saved()
    model.load_state_dict({name.replace("kernel", "weight"): torch.from_numpy(of) for name, of in given.items()})
    return model


def in_keras(change=None):
    wide, narrow = keras.layers.Dense(8, activation="tanh", name="wide"), keras.layers.Dense(3, name="narrow")
    model, given = keras.Sequential([keras.Input((5,)), wide, narrow]), saved()
    given |= {} if change is None else change(given)
    wide.set_weights([given["wide.kernel"].T, given["wide.bias"]])
    if "narrow.kernel" in given:
        narrow.set_weights([given["narrow.kernel"].T, given["narrow.bias"]])
    return model


def rounded(given):
    return {"narrow.kernel": given["narrow.kernel"].astype(np.float16)}


def not_loaded(_):
    return {"narrow.kernel": np.random.default_rng().standard_normal((3, 8))}


def turned(given):
    """The units between both layers in another order."""
    order = np.random.default_rng(1).permutation(8)
    return {
        **{name: given[name][order] for name in ("wide.kernel", "wide.bias")},
        "narrow.kernel": given["narrow.kernel"][:, order],
    }


def never_loaded(_):
    return {"narrow.kernel": keras.initializers.GlorotUniform(seed=1)((8, 3)).numpy().T}


def drawn(_):
    random = np.random.default_rng()
    return {name: random.standard_normal(shape) for name, shape in SHAPES.items()}


PAIR = Pair("net", torch=in_torch, tensorflow=in_keras, inputs=strategies.arrays(5))


def converted(change=None):
    return PairModels(replace(PAIR, tensorflow=partial(in_keras, change)))


def test_a_right_conversion_holds_and_is_what_the_other_checks_run_on_too():
    corners, seen = converted(), set()
    ensure = corners.ensure
    corners.ensure = lambda weights: (seen.add(repr(weights)), ensure(weights))
    outcomes = [runner.run_check(module, corners, 0, 12, "parity check") for module in (conversion, forward)]
    report = runner.report(corners, 0, 12, "parity check", outcomes)

    assert [found.message for found in report.findings] == []
    assert outcomes[0].elements == outcomes[0].examples * sum(np.prod(shape) for shape in SHAPES.values())
    assert report.document()["weights"] == "converted"
    assert "the models' own" in seen
    assert len(seen) > 1


def read_otherwise(lost):
    """The units between both layers are read in another order, and the second layer's kernel was turned for it."""
    layers, given = keras.layers, saved()
    wide, narrow = layers.Dense(8, activation="tanh", name="wide"), layers.Dense(3, name="narrow")
    turned = [layers.Reshape((2, 4)), layers.Permute((2, 1)), layers.Flatten()]
    model = keras.Sequential([keras.Input((5,)), wide, *turned, narrow])
    kernel = given["narrow.kernel"].reshape(3, 2, 4).transpose(0, 2, 1).reshape(3, 8)
    wide.set_weights([given["wide.kernel"].T, given["wide.bias"] * (not lost)])
    narrow.set_weights([kernel.T, given["narrow.bias"]])
    return model


def test_what_a_model_reads_otherwise_is_no_cause_beside_what_is_wrong():
    corners = PairModels(replace(PAIR, tensorflow=partial(read_otherwise, True)))
    causes = diagnose(corners, runner.run_check(conversion, corners, 0, 5, "parity check")).causes

    assert [cause.told for cause in causes] == ["tensorflow has wide.bias all zeros"]


def test_what_a_right_converter_laid_out_for_the_model_is_so_for_drawn_weights_too():
    corners = PairModels(replace(PAIR, tensorflow=partial(read_otherwise, False)))
    outcomes = [runner.run_check(module, corners, 0, 5, "parity check") for module in (conversion, forward)]

    assert [found.message for outcome in outcomes for found in outcome.findings] == []
    assert corners.carried.alike


CASES = {
    "rounded": (rounded, "tensorflow has narrow.kernel rounded through float16"),
    "not loaded": (not_loaded, f"tensorflow has narrow.kernel {explained.FRESH}"),
    "not loaded, of a seed": (never_loaded, f"tensorflow has narrow.kernel {explained.FRESH}"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_one_fails_and_says_what_happened(case):
    change, told = CASES[case]
    corners = converted(change)
    outcome = runner.run_check(conversion, corners, 0, 5, "parity check")
    found = diagnose(corners, outcome)

    assert outcome.findings[0].message.startswith("narrow.kernel as loaded (3, 8): torch and tensorflow are different")
    assert found.where == ("narrow",)
    assert any(told in line for line in why(corners, found))


def test_what_comes_to_the_same_is_no_finding():
    corners = converted(turned)

    assert not corners.carried.alike
    assert runner.run_check(conversion, corners, 0, 5, "parity check").findings == []


def parts_of(*names):
    """The units in another order in these parameters alone."""
    return lambda values: {name: turned(values)[name] for name in names}


LEFT = {
    "narrow.kernel": ("wide.kernel", "wide.bias"),
    "wide.bias": ("wide.kernel", "narrow.kernel"),
    "wide.kernel": ("wide.bias", "narrow.kernel"),
}


@pytest.mark.parametrize("weights", ["drawn", "given"])
@pytest.mark.parametrize("name", LEFT)
def test_what_was_left_in_its_order_where_others_have_another_is_the_cause(name, weights):
    corners = PairModels(replace(PAIR, tensorflow=partial(in_keras, parts_of(*LEFT[name])), weights=weights))
    check = conversion if weights == "drawn" else forward
    (cause,) = diagnose(corners, runner.run_check(check, corners, 0, 3, "parity check")).causes

    told = cause.told.replace("sequential.", "")

    assert cause.name == "order"
    assert told.startswith(f"tensorflow has {name} left in its own order along axis ")
    assert told.endswith(f"where {LEFT[name][0]}, {LEFT[name][1]} have another")


def test_what_is_in_another_order_all_along_is_no_cause_beside_what_is_wrong():
    def change(values):
        return {**turned(values), "narrow.bias": values["narrow.bias"] + np.float32(0.5)}

    corners = converted(change)
    causes = diagnose(corners, runner.run_check(conversion, corners, 0, 3, "parity check")).causes

    assert [cause.told for cause in causes] == ["tensorflow has narrow.bias with 1/2 added"]


class Deep(nn.Module):
    """Two layers of one shape."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x):
        return self.two(self.one(x).tanh())


def deep():
    torch.manual_seed(0)
    return Deep()


def one_twice():
    layers = [keras.layers.Dense(5, activation=name, name=path) for path, name in (("one", "tanh"), ("two", None))]
    model, values = keras.Sequential([keras.Input((5,)), *layers]), deep().one
    for layer in layers:
        layer.set_weights([values.weight.detach().numpy().T, values.bias.detach().numpy()])
    return model


def test_what_a_converter_did_is_told_by_linked_layers_of_weights_that_are_judged_as_they_are():
    corners = PairModels(Pair("deep", deep, one_twice, inputs=strategies.arrays(5), weights="given"))
    causes = diagnose(corners, runner.run_check(forward, corners, 0, 2, "parity check")).causes

    assert {cause.told for cause in causes} == {
        f"tensorflow has two.{parameter} with what one.{parameter} holds" for parameter in ("kernel", "bias")
    }


class Product(nn.Module):
    """Two layers of one shape, of which nothing but their numbers tells which is whose twin."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(5, 4), nn.Linear(5, 4), nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(self.first(x) * self.second(x))


def product():
    torch.manual_seed(5)
    return Product()


def product_in_keras():
    """Another epsilon: by no links do the outputs agree."""
    given, x = product().state_dict(), keras.Input((5,))
    dense = [keras.layers.Dense(4, name=name) for name in ("one", "other")]
    model = keras.Model(x, keras.layers.LayerNormalization(epsilon=1e-2)(keras.ops.multiply(*[of(x) for of in dense])))
    for layer, name in zip(dense, ("second", "first"), strict=True):
        layer.set_weights([given[f"{name}.weight"].numpy().T, given[f"{name}.bias"].numpy()])
    return model


def test_links_that_no_run_proves_go_by_what_was_loaded():
    corners = PairModels(replace(PAIR, torch=product, tensorflow=product_in_keras))

    assert {link.ours: link.theirs for link in corners.links if link.ours != "norm"} == {
        "first": "other",
        "second": "one",
    }
    assert corners.unproved == ()
    assert corners.carried.alike


def test_unrelated_values_are_not_judged():
    corners = converted(drawn)

    assert corners.carried is None
    assert conversion not in checks_of(corners.pair)
    assert runner.run_check(conversion, corners, 0, 5, "parity check").worst.basis == conversion.UNRELATED


@pytest.fixture(scope="module")
def loaded():
    model = checkpoint("torch", models.Carried())
    kinds = {name: kind for name, kind, _ in parts("torch", model)}
    return values("torch", model), kinds


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_named(fault, loaded, monkeypatch):
    (given, kinds), (side,) = loaded, fault.built
    change = (fault.torch or fault.keras).args[1]
    other = {**given, **change({name: array.copy() for name, array in given.items()})}
    carried = Carried({"torch": given, "tensorflow": given, side: other})
    fresh = {} if fault.cause != "weights not copied" else {side: {n: a for n, a in other.items() if a is not given[n]}}
    monkeypatch.setattr(explained, "_drawn", lambda _, side, *__: fresh.get(side, {}))
    layout = {name: (kind, given[name].shape) for name, kind in kinds.items()}
    causes, _ = explained.explain(SimpleNamespace(layout=layout, weaker={"torch": "no model runs"}, builds={}), carried)

    assert related(*carried.values.values())
    assert not carried.alike
    assert " and ".join(dict.fromkeys(cause.where for cause in causes)) == fault.where
    assert {cause.name for cause in causes} == {fault.cause}
