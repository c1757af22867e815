"""Reload of Keras models as users write them: names made anew, traces for other shapes, what Keras cannot make anew."""

import zipfile
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest

from parity import backends
from parity.backends.build import Build
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import Weights, draw
from parity.checks import reload, resume
from parity.pair import transfer

EXAMPLE = Weights(1, 1.0)
LEFT_OUT = {}
ROWS = np.random.default_rng(0).standard_normal((2, 4, 5)).astype(np.float32)


def unnamed():
    """Layers that Keras names itself: wrapped, nested, in two towers that give their layers the same names."""
    kl = keras.layers

    def tower():
        within = keras.Input((None, 6))
        return keras.Model(within, kl.Dense(3, name="out")(kl.Dense(6, name="hidden")(within)))

    inputs = keras.Input((None, 5))
    x = kl.Bidirectional(kl.SimpleRNN(3, return_sequences=True))(inputs)
    x = keras.Sequential([kl.Dense(6), kl.LayerNormalization()])(x)
    return keras.Model(inputs, kl.Concatenate()([tower()(x), tower()(x)]))


class Shaped(keras.Model):
    """Its output says whether its trace knows how many rows there are, as rounding may."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = keras.layers.Dense(2)

    def call(self, x):
        return self.head(x) * (1.0 + (x.shape[0] is None))


class Forgetful(keras.Model):
    """Its configuration lacks its units and its activation."""

    def __init__(self, units=2, activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.head = keras.layers.Dense(units, activation=activation)

    def call(self, x):
        return self.head(x)

    def get_config(self):
        return {"name": self.name}


def wider():
    return Forgetful(3)


def activated():
    return Forgetful(activation="tanh")


@pytest.fixture
def verify(monkeypatch):
    """The check of one Keras model. The process that reads is this one, which has built other models meanwhile."""

    def fresh(function, *given):
        keras.Sequential([keras.layers.Dense(2), keras.layers.SimpleRNN(2)])
        return function(*given)

    def verified(build, saving=None):
        model = backends.load()["tensorflow"].Model(Build(build, sample=ROWS), "float32", None)
        layout = transfer.layout("tensorflow", model)
        transfer.write(model, draw(layout, EXAMPLE), layout)
        if saving is not None:
            saving(model)
        for rows in (ROWS[:1], np.concatenate([ROWS, ROWS])):  # as the checks before it have done
            model.outputs(rows)
        return reload.verify(corners_of(build, model), (EXAMPLE, ROWS))

    monkeypatch.setattr(reload.process, "fresh", fresh)
    return verified


def corners_of(build, model=None):
    """A pair that has one side."""
    return SimpleNamespace(
        builds={"tensorflow": Build(build, sample=ROWS)},
        models={("tensorflow", "float32"): model},
        backends=backends.load(),
        pad=None,
        lean=False,
        ensure=lambda _: None,
        exercised=SimpleNamespace(leave_out=LEFT_OUT.__setitem__),
        given=lambda place: (np.resize(ROWS, (1 + place, 4, 5)), (np.zeros((1 + place, 4, 2), np.float32),)),
    )


def failing(verdicts):
    return {verdict.subject: verdict.message for verdict in verdicts if verdict.fails}


def test_layers_that_keras_names_anew_come_back(verify):
    verdicts = verify(unnamed)

    assert failing(verdicts) == {}
    assert verdicts[-1].elements == 4  # files


def test_a_swapped_weight_among_them_is_found(verify):
    """The kernels of both directions, in the file of the whole model."""

    def plant(model):
        save = model.save

        def saved(path):
            save(path)
            if path.suffix == ".keras":
                swap(path)

        model.save, model.refusals = saved, lambda: {".weights.h5": "", ".ckpt": ""}

    assert list(failing(verify(unnamed, plant))) == ["output of the reloaded tensorflow.keras"]


def swap(path):
    """Exchange the kernels of both directions in a .keras file."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    weights = path.with_name("weights.h5")
    weights.write_bytes(entries["model.weights.h5"])
    with h5py.File(weights, "r+") as stored:
        names = []
        stored.visit(lambda name: names.append(name) if name.endswith("cell/vars/0") else None)
        first, second = names
        kept = stored[first][()]
        stored[first][...], stored[second][...] = stored[second][()], kept
    entries["model.weights.h5"] = weights.read_bytes()
    weights.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def test_both_processes_run_a_trace_for_the_same_shapes(verify):
    assert failing(verify(Shaped)) == {}


def test_a_training_that_goes_on_is_traced_for_the_same_shapes(monkeypatch):
    """Its batches have one, two and three rows: the process that goes on sees the last alone."""
    monkeypatch.setattr(resume.process, "fresh", lambda function, *given: function(*given))
    example = resume.Training(EXAMPLE, Recipe("adam", 0.001), tuple(((place,),) for place in (0, 1, 2)))

    assert failing(resume.verify(corners_of(Shaped), example)) == {}


def test_a_configuration_that_makes_another_model_is_found_in_the_file_of_the_whole_model(verify):
    assert list(failing(verify(activated))) == ["output of the reloaded tensorflow.keras"]


def test_a_model_that_keras_cannot_make_anew_is_kept_in_the_other_formats(verify):
    verdicts = verify(wider)

    assert failing(verdicts) == {}
    assert verdicts[-1].elements == 3
    assert LEFT_OUT["reload of tensorflow.keras"].startswith("Keras cannot make the model anew: ")
