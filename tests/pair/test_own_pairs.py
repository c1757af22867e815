"""A user's own pair: other inputs than texts, a call and a loss of its own, layers of other names."""

import json
import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import strategies as st

from parity import ParityError, api, strategies
from parity.checks import CHECKS, NEEDS_TOKENIZER, batching, conversion, forward, gradients, loss, runner, training
from parity.diagnose import explain
from parity.inputs.arrays import Sample
from parity.pair.models import PairModels
from tests.helpers import ports


@pytest.mark.parametrize("name", ["signal", "attention", "two"])
def test_every_check_that_needs_no_text_holds(name):
    report = api.check(getattr(ports, name), examples=2)

    assert [(found.check, found.message) for found in report.findings] == []
    left_out = [
        module for module in NEEDS_TOKENIZER if module is not loss or name != "two"
    ]  # that has a loss of its own
    assert [check.name for check in report.checks] == [name_of(m) for m in CHECKS if m not in (conversion, *left_out)]
    assert report.left_out == tuple(name_of(module) for module in CHECKS if module in left_out)
    assert json.loads(report.to_json())["tokenizer"] is None


def name_of(module):
    return module.__name__.rpartition(".")[2]


def first_failure(pair):
    corners = PairModels(pair)
    for module in (forward, loss, gradients, training):
        outcome = runner.run_check(module, corners, 0, 10, "parity check")
        if outcome.findings:
            api.explain(corners, [outcome])
            return outcome
    return None


def test_a_layer_is_blamed_by_its_torch_path():
    outcome = first_failure(ports.other_epsilon)

    assert outcome.name == "forward"
    assert outcome.findings[0].message.startswith("output (1, 5): torch and tensorflow are different")
    assert outcome.findings[0].why[0] == "introduced by norm"
    assert "torch epsilon 0.001, tensorflow epsilon 1e-05" in outcome.findings[0].why[1]
    assert re.search(r"inputs=float32 \(1, 11, 3\) crc32 [0-9a-f]{8}\)$", outcome.findings[0].example)


def test_every_output_of_several_is_judged():
    corners = PairModels(ports.scaled)
    (finding,) = runner.run_check(forward, corners, 0, 10, "parity check").findings
    corners.ensure(finding.given.weights)
    layers, _ = explain.located(corners, finding.given.inputs, whole=False)

    assert finding.message.startswith("output['head'] (1, 6, 5): torch and tensorflow are different")
    assert [piece.path for piece in layers.introduces] == ["blocks.0", "blocks.1"]


def test_a_loss_of_its_own_is_compared():
    outcome = first_failure(ports.other_loss)

    assert outcome.name == "loss"
    assert "loss: scale: torch gives what cross_entropy(" in outcome.findings[0].why[1]
    assert "; tensorflow applies Mul(" in outcome.findings[0].why[1]


def test_without_a_loss_every_parameter_has_a_gradient():
    corners = PairModels(ports.attention)
    corners.load(strategies.Weights(3, 1.0))
    found = corners.gradients(*corners.given(0))

    assert list(found) == list(corners.layout)
    assert all(np.abs(square.reference).max() > 0 for name, square in found.items() if name != "blocks.0.key.bias")


def test_samples_with_other_values_are_told_apart():
    """Their text is what the search for the smallest example knows them by."""
    weights, array = strategies.Weights(0, 1.0), np.zeros((4, 99), np.float32)
    other = array.copy()
    other[3, 50] = 1e-9

    assert repr(Sample(weights, array)) == repr(Sample(weights, array.copy()))
    assert repr(Sample(weights, array)) != repr(Sample(weights, other))
    assert repr(Sample(weights, {"x": np.array([[1, 2]])})).endswith("inputs={'x': int64 [[1, 2]]})")


WRONG = {
    "neither": ({"inputs": None}, "signal: give either a tokenizer or inputs, batches or a Hypothesis strategy"),
    "no strategy": (
        {"inputs": 3},
        "signal: inputs is int; it must be a strategy, strategies.arrays(11) say, arrays whose first axis is the "
        "batch, alone or in a tuple or a dict, or yield such batches: a DataLoader, a tf.data.Dataset",
    ),
    "one loss": (
        {"loss": {"torch": ports.torch_loss}},
        "signal: give the loss of both sides, or of none",
    ),
    "no side": ({"call": {"keras": len}}, 'signal: give call as {"torch": function, "tensorflow": function}'),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_pair_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ParityError, match=f"^{re.escape(message)}$"):
        replace(ports.signal, **change)


def without_one_number(model, x, training):
    import tensorflow as tf

    return model(tf.where(x == 5e3, tf.zeros_like(x), x), training=training)


def test_a_batch_of_ones_own_shows_what_drawn_numbers_do_not():
    own = np.random.default_rng(0).uniform(0, 9e3, (9, 11, 3))
    other = np.where(own == own[4, 5, 1], 5e3, own)
    pair = replace(ports.signal, call={"tensorflow": without_one_number})
    found = [PairModels(replace(pair, inputs=batch)) for batch in (own, other)]

    assert [bool(runner.run_check(forward, of, 0, 3, "parity check").findings) for of in found] == [False, True]


DRAWN = {
    "nothing": (st.just({}), "inputs drew no array; let the strategy give an array, or a tuple or dict of arrays"),
    "a list": (st.just([1.0]), "inputs drew a float; let the strategy give NumPy arrays of numbers"),
    "float64": (st.just(np.ones((2, 3))), "inputs drew float64; give float32, which every precision can hold"),
    "rows": (
        st.just((np.ones((2, 3), np.float32), np.ones((3, 3), np.float32))),
        "inputs drew arrays of shapes (2, 3), (3, 3); the first axis of each is the batch, one row or more",
    ),
    "an error": (st.builds(int, st.just("x")), "signal: inputs cannot be drawn: ValueError: invalid literal"),
    "another shape": (
        st.just(np.ones((2, 11, 4), np.float32)),
        "the torch model cannot be called on float32 (2, 11, 4): RuntimeError: ",
    ),
}


@pytest.mark.parametrize(("inputs", "message"), DRAWN.values(), ids=DRAWN)
def test_inputs_that_no_model_takes_are_refused(inputs, message):
    with pytest.raises(ParityError, match=f"^{re.escape(message)}"):
        PairModels(replace(ports.signal, inputs=inputs))


def summed(model, inputs, training):  # noqa: ARG001
    return model(inputs).sum(0)


def test_an_output_without_rows_is_refused():
    message = r"^the torch model gives output \([\d, ]+\) for [1-4] rows; the first axis of an output is the batch"
    with pytest.raises(ParityError, match=message):
        PairModels(replace(ports.signal, call={"torch": summed}))


def with_mean(model, inputs, training):  # noqa: ARG001
    outputs = model(inputs)
    return {"outputs": outputs, "mean": outputs.mean() if hasattr(outputs, "mean") else keras.ops.mean(outputs)}


def test_a_number_beside_the_outputs_is_of_all_rows():
    corners = PairModels(replace(ports.signal, call={"torch": with_mean, "tensorflow": with_mean}))
    outcomes = [runner.run_check(module, corners, 0, 4, "parity check") for module in (forward, batching)]

    assert [finding.message for outcome in outcomes for finding in outcome.findings] == []


def test_a_loss_beside_a_tokenizer_is_refused(lstm):
    with pytest.raises(ParityError, match="a loss goes with inputs"):
        replace(lstm, loss={"torch": ports.torch_loss, "tensorflow": ports.keras_loss})


def test_a_pair_of_arrays_takes_no_text(project, here):
    (project / "mine.py").write_text(Path(ports.__file__).read_text())

    assert here("locate", "mine:signal", "--text", "so") == (
        2,
        "",
        "parity: signal has no tokenizer and takes no text; leave --text out\n",
    )
