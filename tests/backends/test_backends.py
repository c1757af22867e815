"""Backends: precisions that take turns, the protocol's verbs."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from parity import backends
from parity.backends import SIDES
from parity.canonical import weights
from parity.canonical.weights import Weights
from parity.checks import runner
from parity.compare.square import norm
from parity.dtypes import EPS, PRECISIONS
from parity.pair import transfer
from parity.pair.models import PairModels

WEIGHTS = Weights(5, 1.0)
IDS = np.array([[5, 6, 7, 7, 5], [9, 8, 0, 0, 0]], np.int64)
TARGETS = np.array([[6, 7, 7, 5, 1], [8, 3, 0, 0, 0]], np.int64)
CORNERS = [(side, dtype) for side in SIDES for dtype in PRECISIONS]


@pytest.fixture(scope="module")
def loaded(corners):
    corners.load(WEIGHTS)
    return corners


@pytest.mark.parametrize("corner", CORNERS)
def test_results_have_the_corners_dtype_and_shape(corner, loaded):
    model = loaded.models[corner]
    loaded.ensure(WEIGHTS)

    assert model.logits(IDS).dtype == corner[1]
    assert model.logits(IDS).shape == (2, 5, 1000)
    assert (model.loss(IDS, TARGETS).dtype, model.loss(IDS, TARGETS).shape) == (corner[1], ())
    assert {g.dtype.name for g in model.gradients(IDS, TARGETS).values()} == {corner[1]}
    for found in (model.losses(IDS, TARGETS, 0.0), model.losses(IDS, TARGETS, 0.1)):
        assert (found.dtype, found.shape) == (corner[1], IDS.shape)
    for found in (model.eager(IDS, False), model.eager(IDS, True)):
        assert (found.dtype, found.shape) == (corner[1], (2, 5, 1000))
    assert model.can_stream()


def test_training_mode_ends_with_the_call(loaded):
    model = loaded.models["torch", "float32"]
    model.eager(IDS, True)

    assert not model.module.training


@pytest.mark.parametrize("side", SIDES)
def test_precisions_take_turns_in_one_process(side, lstm):
    """float32, float64, float32: the two float32 models give identical bits."""
    backend = backends.load()[side]
    results = []
    for dtype in ("float32", "float64", "float32"):
        model = backend.Model(lstm.builds[side], dtype, 0)
        layout = transfer.layout(side, model)
        values = {name: a.astype(dtype) for name, a in weights.draw(layout, WEIGHTS).items()}
        transfer.write(model, values, layout)
        results.append([model.logits(IDS), model.loss(IDS, TARGETS), *model.gradients(IDS, TARGETS).values()])

    for first, third in zip(results[0], results[2], strict=True):
        assert first.dtype == np.float32
        np.testing.assert_array_equal(first, third)


def test_the_surroundings_are_restored(lstm):
    import keras
    import tensorflow as tf
    import torch

    before = torch.get_default_dtype(), keras.config.floatx(), keras.config.dtype_policy().name, tf.cast
    PairModels(lstm)

    assert before == (torch.get_default_dtype(), keras.config.floatx(), keras.config.dtype_policy().name, tf.cast)


def test_logits_agree_to_the_last_digits_of_float64(loaded):
    loaded.ensure(WEIGHTS)
    square = loaded.logits(IDS, np.ones_like(IDS, bool))

    assert square.float64_difference.max_abs_diff < 16 * EPS["float64"] * square.float64_difference.scale


@pytest.mark.parametrize("corner", CORNERS)
def test_what_was_read_does_not_follow_the_model(corner, loaded):
    model = loaded.models[corner]
    before = model.read()
    kept = {name: array.copy() for name, array in before.items()}
    loaded.load(Weights(6, 1.0))

    for name, array in before.items():
        np.testing.assert_array_equal(array, kept[name])


@pytest.mark.parametrize("side", SIDES)
def test_advancing_gives_what_the_whole_text_gives(side, loaded):
    loaded.ensure(WEIGHTS)
    model = loaded.models[side, "float64"]
    first, state = model.advance(IDS[:, :2], None)
    second, _ = model.advance(IDS[:, 2:], state)
    whole = model.logits(IDS)

    assert np.abs(np.concatenate([first, second], 1) - whole).max() < 16 * EPS["float64"] * np.abs(whole).max()


def test_an_operation_before_the_threads_are_settled_is_named_and_stops_nothing(monkeypatch):
    """TensorFlow refuses another number of threads, as it does where a program has run one first."""
    import tensorflow as tf

    settle = tf.config.threading.set_intra_op_parallelism_threads
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", lambda threads: settle(threads + 1))
    monkeypatch.setattr(backends, "UNSETTLED", [])
    told = "TensorFlow has run an operation before parity, and keeps its threads"
    tf.constant(1.0) + 1
    with pytest.warns(UserWarning, match=f"^{told}: checks may be slower$"):
        backends.load()
    backends.load()  # which is said once

    assert runner.apart({}) == f"{told}, as no fresh process does"


@pytest.mark.parametrize(
    ("there", "order"),
    [
        (False, ["parity.backends.torch", "triton", "parity.backends.tensorflow"]),
        (True, ["parity.backends.torch", "parity.backends.tensorflow"]),
    ],
)
def test_triton_comes_before_tensorflow_or_not_at_all(there, order, monkeypatch, tmp_path):
    """A stand-in wheel: the real one, imported behind TensorFlow, kills the process."""
    backends.load()
    (tmp_path / "triton.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    if not there:
        monkeypatch.delitem(sys.modules, "tensorflow")
    imported = []
    stub = SimpleNamespace(prepare=lambda: "")
    monkeypatch.setattr(backends.importlib, "import_module", lambda name: imported.append(name) or stub)
    backends.load()
    hidden = "triton" in sys.modules and sys.modules.pop("triton") is None

    assert imported == order
    assert hidden == there


def test_a_triton_that_cannot_be_imported_stops_nothing(monkeypatch, tmp_path):
    (tmp_path / "triton.py").write_text("import seen\nraise ImportError")
    (tmp_path / "seen.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    backends._import_triton()

    assert "seen" in sys.modules
    del sys.modules["seen"]


def test_loading_twice_is_nothing():
    assert backends.load() == backends.load()


def test_gradients_sum_over_repeated_tokens(loaded):
    loaded.ensure(WEIGHTS)
    gradients = loaded.gradients(np.full((1, 6), 7), np.full((1, 6), 8))
    table = gradients["embedding.table"]

    assert np.flatnonzero(np.abs(table.reference).max(1)).tolist() == [7]
    assert table.float64_difference.max_abs_diff < 16 * EPS["float64"] * norm(gradients)


@pytest.mark.parametrize("place", range(2))
def test_a_nudge_moves_the_weights_by_float32_rounding_and_leaves_no_trace(loaded, place):
    loaded.load(WEIGHTS)
    ids = np.array([[5, 6, 7]])
    model = loaded.models[SIDES[place], "float64"]
    before, logits = model.read(), loaded.logits(ids, np.ones_like(ids, bool))
    first, again, other = (logits.again(place, "float32", draw) for draw in (0, 0, 1))
    moved = np.abs(first - logits.reference).max() / logits.float64_difference.scale

    assert EPS["float32"] / 100 < moved < 100 * EPS["float32"]
    assert (first == again).all()
    assert not (first == other).all()
    assert all((before[name] == values).all() for name, values in model.read().items())
    loaded.load(Weights(9, 1.0))
    with pytest.raises(RuntimeError, match="judge an answer before other weights are loaded"):
        logits.again(place, "float32", 2)


def test_what_a_model_gives_is_taken_apart_without_autograph(loaded):  # noqa: ARG001 the frameworks are there
    """Which would rewrite that code in each process, for half a second; a model's own it has to see."""
    import tensorflow as tf

    from parity.backends.tensorflow import running

    def status():
        return tf.__internal__.autograph.control_status_ctx().status.name

    seen = []
    tf.function(lambda: running.tensors_only(1, lambda _: seen.append(status())) and seen.append(status()))()

    assert seen == ["DISABLED", "ENABLED"]


def test_inside_vmap_nothing_is_recorded():
    """By which libraries make masks: no tensor has numbers of its own there."""
    import contextlib

    import torch

    from parity.backends.torch.operations import Recorded

    rows = torch.arange(6.0).reshape(2, 3)
    run = Recorded(lambda: torch.vmap(lambda row: row * 2)(rows) + 1, contextlib.nullcontext, {}, {"rows": rows})

    assert [operation.name for operation in run.trace.operations] == ["add"]
