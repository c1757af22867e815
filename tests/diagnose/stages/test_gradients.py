"""Why gradients differ: the side, the layer and the cause, proved; none on a clean pair or of an unknown fault."""

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import gradients as check
from parity.diagnose import CAUSES
from parity.diagnose.stages import gradients
from parity.strategies import Case

GIVEN = Case(Weights(3, 1.0), ((5, 6, 7, 7, 0, 8), (9, 10, 11)))


def changed(side, *names, by):
    """A side whose gradients of these parameters pass through `by(gradient, ids)`."""

    def plant(patch, corners):
        for (of, _), model in corners.models.items():
            if of == side:

                def found(ids, targets, own=model.gradients):
                    return {n: by(a, ids).astype(a.dtype) if n in names else a for n, a in own(ids, targets).items()}

                patch.setattr(model, "gradients", found)

    return plant


def rows_by_frequency(gradient, ids):
    return gradient / np.maximum(np.bincount(ids.ravel(), minlength=len(gradient)), 1)[:, None]


def without_padding(gradient, _):
    return np.where(np.arange(len(gradient))[:, None] == 0, 0, gradient)


LSTM = ("lstm.input_kernel", "lstm.recurrent_kernel", "lstm.bias")
TABLE = "embedding.table"
FAULTS = {
    "none to the table": ("gradient stopped", "embedding", changed("torch", TABLE, by=lambda a, _: 0 * a)),
    "none below the head": ("gradient stopped", "lstm", changed("tensorflow", TABLE, *LSTM, by=lambda a, _: 0 * a)),
    "none between steps": ("gradient stopped", "lstm", changed("torch", LSTM[1], by=lambda a, _: 0 * a)),
    "half": ("gradient scaled", "lstm", changed("tensorflow", TABLE, *LSTM, by=lambda a, _: a / 2)),
    "the other sign": ("gradient scaled", "embedding", changed("torch", TABLE, by=lambda a, _: -a)),
    "a millionth": ("gradient scaled", "embedding", changed("torch", TABLE, by=lambda a, _: a * (1 + 1e-6))),
    "frequency": ("gradient scaled", "embedding", changed("torch", TABLE, by=rows_by_frequency)),
    "padding": ("pad row", "embedding", changed("tensorflow", TABLE, by=without_padding)),
}


def explained(corners):
    return gradients.explain(corners, GIVEN, next(v for v in check.verify(corners, GIVEN) if v.fails))


def proved(corners, name, where):
    (cause,), ruled = explained(corners)

    assert (cause.name, cause.where, ruled) == (name, where, [])
    assert name in CAUSES
    assert cause.fix
    assert cause.after < 1e-12 < 1e-9 < cause.before
    return cause


@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_proved(fault, corners, monkeypatch):
    name, where, plant = FAULTS[fault]
    plant(monkeypatch, corners)
    cause = proved(corners, name, where)

    assert cause.told.startswith("torch's" if plant.__closure__[2].cell_contents == "torch" else "tensorflow's")


def stopped(model):
    import tensorflow as tf

    call = model.embedding.call
    model.embedding.call = lambda *given, **options: tf.stop_gradient(call(*given, **options))


def indexed(model):
    model.embedding.padding_idx = 0


def frozen(model):
    model.head.trainable = False


@pytest.mark.parametrize(
    ("name", "where", "told", "alter"),
    [
        ("gradient stopped", "embedding", "tensorflow's gradient of embedding.table is zero", {"tensorflow": stopped}),
        ("pad row", "embedding", "torch's gradient of embedding.table is zero in the row", {"torch": indexed}),
    ],
)
def test_as_a_model_has_it(name, where, told, alter, broken):
    assert proved(broken(**alter), name, where).told.startswith(told)


def test_a_frozen_layer(broken):
    (cause,), _ = explained(broken(tensorflow=frozen))

    assert (cause.name, cause.where) == ("gradient stopped", "head")
    assert cause.told == "tensorflow does not train head.bias: it is frozen"
    assert 0 < cause.after < 1e-9 * cause.before  # measured, by the loss beside those weights


def test_clean_sides_have_no_cause(twins):
    found = gradients.explain(twins, GIVEN, check.verify(twins, GIVEN)[0])

    assert found == ([], ["both sides give the same gradients"])


def test_the_weights_are_the_drawn_ones_again(corners, monkeypatch):
    FAULTS["half"][-1](monkeypatch, corners)
    explained(corners)
    corners.ensure(GIVEN.weights)
    found = corners.models["torch", "float64"].read()

    for name, array in corners.load(GIVEN.weights).items():
        np.testing.assert_array_equal(found[name], array)


def test_of_an_unknown_fault_it_is_said_what_was_tried(corners, monkeypatch):
    changed("torch", *LSTM, by=lambda a, _: np.clip(a, -1e-3, 1e-3))(monkeypatch, corners)
    causes, (told,) = explained(corners)

    assert causes == []
    assert "torch's gradient is no derivative of its loss, and none of no gradient, a multiple" in told
