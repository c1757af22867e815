"""Why what is reloaded differs: every cause proved on the side that has it, and none where every value comes back."""

from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

from parity.backends import SIDES
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import Weights
from parity.checks import resume
from parity.compare.judge import Verdict
from parity.diagnose import CAUSES
from parity.diagnose.stages import serialization

FAILED = Verdict("logits of the reloaded file", "different", 1, 1.0, 0.0, "")
TRAINED = resume.Training(Weights(1, 1.0), Recipe("adam", 0.001), (((1, 4, 2, 10), (3, 5)), ((7, 8, 9),), ((5, 9, 5),)))


def saving(change):
    """The torch side saves `change(values)` in place of its own."""

    def plant(patch, corners):
        model = corners.models["torch", "float32"]

        def faulty(path, save=model.save):
            values = model.read()
            model.write({**values, **change({name: array.copy() for name, array in values.items()})})
            save(path)
            model.write(values)

        patch.setattr(model, "save", faulty)

    return plant


def rounded(dtype):
    return lambda values: {name: array.astype(dtype).astype(array.dtype) for name, array in values.items()}


def one_bit(values):
    return {"head.bias": np.nextafter(values["head.bias"], np.float32(9))}


def stale(patch, corners):
    model = corners.models["torch", "float32"]
    kept = []

    def written(values, write=model.write):
        kept.append(model.read())
        write(values)

    def faulty(path, save=model.save, write=model.write):
        now = model.read()
        write(kept[-1])
        save(path)
        write(now)

    patch.setattr(model, "write", written)
    patch.setattr(model, "save", faulty)


def cut_short(patch, corners):
    model = corners.models["torch", "float32"]

    def faulty(path, save=model.save):
        save(path)
        path.write_bytes(path.read_bytes()[:-100])

    patch.setattr(model, "save", faulty)


FAULTS = {
    "float16": ("saved precision", "rounded to float16", saving(rounded(np.float16))),
    "one bit": ("saved precision", "one representable number off", saving(one_bit)),
    "zero": ("saved incompletely", "has zeros for head.bias", saving(lambda v: {"head.bias": v["head.bias"] * 0})),
    "of before": ("saved incompletely", "has values of before", stale),
    "cut short": ("saved incompletely", "cannot be read again", cut_short),
}


def proved(cause, name, told):
    assert (cause.name, cause.where) == (name, "files")
    assert told in cause.told
    assert name in CAUSES
    assert cause.fix
    assert cause.after == 0 < cause.before


@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_proved(fault, corners, monkeypatch):
    name, told, plant = FAULTS[fault]
    plant(monkeypatch, corners)
    (cause,), ruled = serialization.explain(corners, None, FAILED)

    proved(cause, name, told)
    assert cause.told.startswith("torch's file .")
    assert ruled == ["tensorflow: every value that was saved comes back"]


def test_parameters_in_each_others_place(references, monkeypatch):
    names = ("blocks.0.attention.query.kernel", "blocks.0.attention.key.kernel")
    corners = references("transformer")
    saving(lambda values: dict(zip(names, (values[names[1]], values[names[0]]), strict=True)))(monkeypatch, corners)
    (cause,), _ = serialization.explain(corners, None, FAILED)

    proved(cause, "weights swapped", "in each other's place")


def state(change):
    """TensorFlow's optimizer saves `change(arrays)`."""

    def plant(corners):
        def model(*given):
            made = corners.backends["tensorflow"].Model(*given)
            trainer = made.trainer
            made.trainer = lambda recipe: saves(trainer(recipe))
            return made

        def saves(trainer):
            save = trainer.save

            def faulty(path):
                save(path)
                safetensors.numpy.save_file(change(safetensors.numpy.load_file(path)), path)

            trainer.save = faulty
            return trainer

        own = corners.backends["tensorflow"]
        faulty = SimpleNamespace(Model=model, load=own.load, FORMATS=own.FORMATS)
        return SimpleNamespace(**{**vars(corners), "backends": {**corners.backends, "tensorflow": faulty}})

    return plant


def moments(change):
    return lambda arrays: {n: a if n == "step" else change(a) for n, a in arrays.items()}


STATES = {
    "float16": ("saved precision", "to float16", moments(lambda a: a.astype(np.float16).astype(a.dtype))),
    "zero": ("saved incompletely", "has zeros for", moments(np.zeros_like)),
    "count": ("saved incompletely", "after 2 steps, with 1 as their count", lambda a: {**a, "step": np.array(1)}),
    "one left out": (
        "saved incompletely",
        "cannot be read again",
        lambda arrays: {n: a for n, a in arrays.items() if not n.endswith("head.bias")},
    ),
}


@pytest.mark.parametrize("fault", STATES)
def test_the_cause_in_an_optimizers_state_is_proved(fault, corners):
    name, told, change = STATES[fault]
    (cause,), ruled = serialization.explain(state(change)(corners), TRAINED, FAILED)

    proved(cause, name, told)
    assert cause.told.startswith("tensorflow's optimizer")
    assert ruled == ["torch: every value that was saved comes back"]


@pytest.mark.parametrize("given", [None, TRAINED])
def test_clean_sides_have_no_cause(given, corners):
    causes, ruled = serialization.explain(corners, given, FAILED)

    assert causes == []
    assert ruled == [f"{side}: every value that was saved comes back" for side in SIDES]


def test_of_an_unknown_fault_it_is_said_what_was_tried(corners, monkeypatch):
    saving(lambda values: {"head.bias": values["head.bias"] * 1.5})(monkeypatch, corners)
    causes, ruled = serialization.explain(corners, None, FAILED)

    assert causes == []
    assert ruled[0] == f"torch: {FAILED.subject} is explained by none of {serialization.TRIED}"
