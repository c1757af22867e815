"""Models that are judged with the weights that they have: nothing is written to them, and no layer needs a twin."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair, ParityError, strategies
from parity.checks import SHARED, checks_of, forward, name_of, reload, runner
from parity.compare.square import PrecisionSquare
from parity.diagnose.explain import diagnose
from parity.pair.answer import Answer
from parity.pair.link_table import survey
from parity.pair.models import PairModels

SIDES = ("torch", "tensorflow")
PLACES, WIDTH, IDS = 7, 6, 11


class Scaled(nn.Module):
    """A table, an addend that the model itself holds, and a product that no kind of layer knows."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.table = nn.Embedding(IDS, WIDTH)
        self.shift = nn.Parameter(torch.randn(PLACES, WIDTH))
        self.mix = nn.Parameter(torch.randn(WIDTH, 3))
        self.register_buffer("factor", torch.tensor(factor))

    def forward(self, ids):
        return ((self.table(ids) + self.shift) * self.factor).tanh() @ self.mix


def source(factor=1.0):
    torch.manual_seed(3)
    return Scaled(factor)


@keras.saving.register_keras_serializable("tests.given")
class Ported(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.table = self.add_weight(shape=(IDS, WIDTH), name="table")
        self.shift = self.add_weight(shape=(PLACES, WIDTH), name="shift")
        self.mix = self.add_weight(shape=(3, WIDTH), name="mix")

    def call(self, ids):
        x = keras.ops.take(self.table, ids, 0) + self.shift
        return keras.ops.tanh(x) @ keras.ops.transpose(self.mix)


def ported(dropped=False):
    model, values = Ported(), source()
    model.table.assign(values.table.weight.detach().numpy())
    model.shift.assign(values.shift.detach().numpy() * (0 if dropped else 1))
    model.mix.assign(values.mix.detach().numpy().T)
    return model


def wrong():
    return ported(dropped=True)


IDS_OF = strategies.ids(PLACES, IDS, pad=0)
PAIR = Pair("own", torch=source, tensorflow=ported, inputs=IDS_OF, weights="given")


@pytest.fixture(scope="module")
def corners():
    return PairModels(PAIR)


def test_every_check_holds_that_needs_no_twins(corners, valid):
    modules = [module for module in checks_of(PAIR) if module is not reload]  # whose files have tests of their own
    outcomes = [runner.run_check(module, corners, 0, 1, "parity check") for module in modules]
    report = runner.report(corners, 0, 1, "parity check", outcomes)

    assert [(found.check, found.message) for found in report.findings] == []
    assert report.holds
    assert report.weaker == ""
    assert {*report.left_out} >= {name_of(module) for module in SHARED}
    assert valid("report", report.to_json())["weights"] == "given"


def test_the_models_keep_what_their_builders_gave_them(corners):
    corners.ensure(strategies.Weights(5, 30.0))
    wanted, own = source().shift.detach().numpy(), {side: corners.models[side, "float32"].read() for side in SIDES}

    for side in SIDES:
        np.testing.assert_array_equal(own[side][f"{'model' if side == 'torch' else 'ported'}.shift"], wanted)
        exact = corners.models[side, "float64"].read()
        assert all(
            np.array_equal(exact[name], array) and exact[name].dtype == "f8" for name, array in own[side].items()
        )


def scaled():
    model = ported()
    model.mix.assign(2 * model.mix.numpy())
    return model


def exchanged():
    model = ported()
    rows = model.table.numpy()
    rows[[1, 2]] = rows[[2, 1]]
    model.table.assign(rows)
    return model


CAUSES = {
    wrong: "tensorflow has ported.shift without what the other side has in model.shift",
    scaled: "tensorflow has ported.mix multiplied by 2",
    exchanged: "tensorflow has ported.table in another order",
}


@pytest.mark.parametrize("build", CAUSES, ids=lambda build: build.__name__)
def test_what_happened_to_weights_that_no_layer_names_is_a_cause(build):
    corners = PairModels(replace(PAIR, tensorflow=build))
    found = diagnose(corners, runner.run_check(forward, corners, 0, 2, "parity check"))

    assert [cause.told for cause in found.causes] == [CAUSES[build]]
    assert found.causes[0].after < 1e-12 < found.causes[0].before
    assert found.errors == ()


def another():
    torch.manual_seed(4)
    return Scaled()


def test_weights_of_another_training_are_the_cause_where_nothing_else_differs():
    pair = Pair("own", torch={"old": source, "new": another}, inputs=IDS_OF, weights="given")
    (cause,) = diagnose(*failing(pair)).causes

    assert cause.name == "weights changed"
    assert cause.told.startswith(
        "new has other numbers than old in model.shift, model.mix, table.weight; old with these"
    )
    assert cause.after == 0.0 < 0.1 < cause.before


def dense():
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def keras_dense(activation="tanh"):
    keras.utils.set_random_seed(4)
    layers = [keras.Input((5,)), keras.layers.Dense(7, activation), keras.layers.Dense(3)]
    return keras.Sequential(layers)


def keras_relu():
    return keras_dense("relu")


def test_weights_that_nobody_carried_over_are_the_cause_where_the_models_are_the_same():
    pair = Pair("own", torch=dense, tensorflow=keras_dense, inputs=strategies.arrays(5), weights="given")
    (cause,) = diagnose(*failing(pair)).causes

    assert cause.name == "weights not copied"
    assert cause.told.startswith("nothing in tensorflow was made from torch's weights; with the same weights in both")
    assert cause.after < 1e-12 < 0.1 < cause.before
    assert diagnose(*failing(replace(pair, tensorflow=keras_relu))).causes == ()


def failing(pair):
    """The models of a pair, and what becomes of its forward check."""
    corners = PairModels(pair)
    return corners, runner.run_check(forward, corners, 0, 2, "parity check")


def rounded(off=0.0):
    """As a converter's own arithmetic rounds."""
    model = ported()
    for weight in model.weights:
        weight.assign(np.nextafter(weight.numpy(), np.float32(np.inf)))
    model.mix.assign(model.mix.numpy() * np.float32(1 + off))
    return model


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rounded_weights_that_give_nothing_finite_excuse_no_difference(value):
    exact, off = np.arange(4.0), np.arange(4.0) + 1e-3
    square = PrecisionSquare.of([exact.astype("f4"), off.astype("f4"), exact, off])
    answer = Answer(square.rows, own_weights=True, again=lambda *_: exact + value)

    assert answer.judge("output").word == "different"


def a_little_off():
    return rounded(off=1e-5)


def test_weights_may_be_apart_by_a_rounding_and_no_more():
    first, second = (
        runner.run_check(forward, PairModels(replace(PAIR, tensorflow=build)), 0, 2, "parity check")
        for build in (rounded, a_little_off)
    )

    assert first.findings == []
    assert first.worst.basis == "4 * what rounding the weights to float32 moves"
    assert second.findings


def exchanged_and_rounded():
    model = exchanged()
    model.mix.assign(np.nextafter(model.mix.numpy(), np.float32(np.inf)))
    return model


def test_a_cause_is_proved_beside_what_a_converters_own_arithmetic_rounds():
    corners = PairModels(replace(PAIR, tensorflow=exchanged_and_rounded))
    (cause,) = diagnose(corners, runner.run_check(forward, corners, 0, 2, "parity check")).causes

    assert cause.told == CAUSES[exchanged]
    assert 1e-12 < cause.after < 1e-6 < cause.before


def through_float16():
    model = ported()
    for weight in (model.table, model.mix):
        weight.assign(weight.numpy().astype(np.float16))
    return model


def test_weights_that_went_through_a_lower_precision_are_named():
    corners = PairModels(replace(PAIR, tensorflow=through_float16))
    before = corners.models["torch", "float64"].read()
    (cause,) = diagnose(corners, runner.run_check(forward, corners, 0, 2, "parity check")).causes

    assert cause.told == "tensorflow has ported.table, ported.mix rounded through float16"
    assert cause.after < 1e-14 < cause.before
    assert all(map(np.array_equal, before.values(), corners.models["torch", "float64"].read().values()))


def test_what_weights_are_not():
    with pytest.raises(ParityError, match=r"^own: weights is 'own'; give 'drawn' or 'given'$"):
        replace(PAIR, weights="own")
    with pytest.raises(ParityError, match=r'^own: weights="given" judges the models without links; leave it out'):
        survey(PAIR)
