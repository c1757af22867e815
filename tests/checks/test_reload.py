"""Reload: every format on every reference pair, and what is saved wrong."""

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.checks import reload
from parity.compare.judge import judge
from parity.compare.square import PrecisionSquare
from parity.errors import ParityError
from parity.pair.models import PairModels

EXAMPLE = (Weights(1, 1.0), ["import os", "def main(argv):"])
IDS = np.array([[1, 4, 2, 10], [3, 3, 0, 5]])
FILES = ["tensorflow.ckpt", "tensorflow.keras", "tensorflow.saved_model", "tensorflow.weights.h5"]
FILES += ["torch.pt2", "torch.pth", "torch.safetensors"]


def test_every_format_gives_identical_bits(twins):
    verdicts = reload.verify(twins, EXAMPLE)

    assert sorted(v.subject for v in verdicts) == ["files reloaded", *(f"logits of the reloaded {n}" for n in FILES)]
    assert {v.word for v in verdicts} == {"identical"}
    assert verdicts[-1].elements == len(FILES)


def test_an_eager_run_differs_from_a_served_graph_by_rounding_at_most(twins, tmp_path):
    """Which is why the check compares a graph with a graph: the transformer's are not the same bits."""
    from parity.backends.tensorflow import precision

    twins.ensure(EXAMPLE[0])
    rows = {}
    for dtype in ("float32", "float64"):
        model = twins.models["tensorflow", dtype]
        model.export(IDS, tmp_path / dtype)
        served = twins.backends["tensorflow"].program(tmp_path / dtype)(IDS)[""]
        with precision(dtype):
            eager = model.module(IDS, training=False).numpy()
        np.testing.assert_array_equal(served, model.logits(IDS))
        rows[dtype] = (eager, served)
    verdict = judge("logits", PrecisionSquare(rows, ("eager", "served")))

    assert verdict.word == ("rounding" if twins.pair.name == "transformer" else "identical")


# faults in what is saved


class Saving:
    """A corner whose values are changed just before they are saved, and restored after it."""

    def __init__(self, corner, change):
        self._corner, self._change = corner, change

    def __getattr__(self, name):
        return getattr(self._corner, name)

    def save(self, path):
        values = self._corner.read()
        self._corner.write(self._change({name: array.copy() for name, array in values.items()}))
        self._corner.save(path)
        self._corner.write(values)

    def export(self, ids, path):
        values = self._corner.read()
        self._corner.write(self._change({name: array.copy() for name, array in values.items()}))
        self._corner.export(ids, path)
        self._corner.write(values)


def one_bit(values):
    array = values["head.bias"]
    array[-1] = np.nextafter(array[-1], np.inf, dtype=array.dtype)
    return values


def swapped(values):
    """Two layers of one shape change places."""
    swap = {"query": "key", "key": "query"}
    parts = {name: name.split(".") for name in values}
    return {name: values[".".join(swap.get(step, step) for step in steps)] for name, steps in parts.items()}


def with_corner(corners, side, corner):
    found = object.__new__(PairModels)
    found.__dict__.update(corners.__dict__, models={**corners.models, (side, "float32"): corner})
    return found


@pytest.fixture
def conv(references):
    """The quickest to save."""
    return references("conv")


@pytest.mark.parametrize(
    ("name", "side", "change"), [("conv", "torch", one_bit), ("transformer", "tensorflow", swapped)]
)
def test_a_fault_in_what_one_side_saves_is_caught_in_each_of_its_formats(name, side, change, references):
    clean = references(name)
    faulty = with_corner(clean, side, Saving(clean.models[side, "float32"], change))
    failing = {v.subject: v.message for v in reload.verify(faulty, EXAMPLE) if v.fails}

    assert sorted(failing) == [f"logits of the reloaded {name}" for name in FILES if name.startswith(side)]
    assert all("saved and reloaded are different" in message for message in failing.values())


def test_a_save_that_drops_a_variable_is_caught(conv):
    import torch

    class Dropping(Saving):
        def save(self, path):
            self._corner.save(path)
            if path.suffix == ".pth":
                torch.save({k: v for k, v in torch.load(path).items() if k != "head.bias"}, path)

    dropping = Dropping(conv.models["torch", "float32"], dict)
    (verdict,) = reload.verify(with_corner(conv, "torch", dropping), EXAMPLE)

    assert verdict.message == (
        "a fresh process cannot reload torch.pth: head.bias is missing, but should be (1000,) torch.float32"
    )


def test_a_model_that_cannot_be_exported_has_no_program(conv):
    class Refusing(Saving):
        def export(self, ids, path):  # noqa: ARG002
            raise ParityError("torch.export refuses the model")

    refusing = Refusing(conv.models["torch", "float32"], dict)
    verdicts = reload.verify(with_corner(conv, "torch", refusing), EXAMPLE)

    assert verdicts[-1].elements == len(FILES) - 1
    assert not any(v.fails or "pt2" in v.subject for v in verdicts)


@pytest.mark.xfail(strict=True, reason="https://github.com/keras-team/keras/issues/18398 holds for checkpoints still")
def test_a_checkpoint_of_the_model_itself_holds_layers_in_a_list(references, tmp_path):
    import tensorflow as tf

    model, path = references("transformer").models["tensorflow", "float32"], str(tmp_path / "model")
    tf.train.Checkpoint(model=model.module).write(path)

    assert len(tf.train.list_variables(path)) > len(model.module.weights)
