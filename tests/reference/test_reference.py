"""The reference pairs: twins in every digit, streaming as the whole run, no dimension twice; and faults of each."""

import dataclasses
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.stacks import rewritten
from parity.backends import SIDES
from parity.canonical import weights
from parity.canonical.weights import Weights
from parity.checks import CHECKS, forward, name_of, reload, resume, runner
from parity.compare.judge import judge
from parity.dtypes import EPS, PRECISIONS

WEIGHTS = Weights(5, 1.0)
IDS = np.array([[5, 6, 7, 7, 5, 0, 11], [9, 8, 999, 3, 0, 0, 0]], np.int64)
ELSEWHERE = (reload, resume)  # of every pair in files of their own
CORNERS = [(side, dtype) for side in SIDES for dtype in PRECISIONS]


@pytest.mark.parametrize("module", [module for module in CHECKS if module not in ELSEWHERE], ids=name_of)
def test_every_check_holds(module, twins):
    outcome = runner.run_check(module, twins, 0, 5, "parity check")

    assert outcome.findings == []
    assert outcome.elements > 0
    assert outcome.verdict in ("identical", "rounding")


def test_logits_agree_to_the_last_digits_of_float64(twins):
    twins.ensure(WEIGHTS)
    square = twins.logits(IDS, np.ones_like(IDS, bool))

    assert square.float64_difference.scale > 0.5
    assert square.float64_difference.max_abs_diff < 16 * EPS["float64"] * square.float64_difference.scale


@pytest.mark.parametrize("corner", CORNERS)
def test_streaming_gives_what_the_whole_text_gives(corner, twins):
    twins.ensure(WEIGHTS)
    model = twins.models[corner]
    steps, state = [], None
    for column in range(IDS.shape[1]):
        logits, state = model.advance(IDS[:, column : column + 1], state)
        steps.append(logits)
    whole = model.logits(IDS)

    assert np.abs(np.concatenate(steps, 1) - whole).max() < 16 * np.finfo(corner[1]).eps * np.abs(whole).max()


def test_every_earlier_token_is_seen(twins):
    """Of the convolutions, as far as their kernels reach."""
    twins.ensure(WEIGHTS)
    changed = IDS.copy()
    changed[:, 4] = 17
    for model in twins.models.values():
        assert np.abs(model.logits(IDS) - model.logits(changed)).max((0, 2))[4:].min() > 1e-3


def test_no_dimension_is_there_twice_and_no_weight_is_square(twins):
    dimensions = dataclasses.astuple(twins.models["tensorflow", "float32"].module.config)
    shapes = {name: shape for name, (_, shape) in twins.layout.items()}

    assert len(set(dimensions)) == len(dimensions)
    assert [name for name, shape in shapes.items() if len(set(shape)) < len(shape)] == []


@pytest.mark.parametrize("side", SIDES)
def test_every_variable_is_named_after_its_place_in_the_model(side, twins):
    """The path of a layer is the attributes that lead to it."""
    model = twins.models[side, "float32"]
    for layer in model.layers:
        found = model.module
        for step in layer.path.split("."):
            found = found[int(step)] if step.isdigit() else getattr(found, step)
        assert any(part.variables[0] is variable for part in layer.parts for variable in held_by(found))


def held_by(layer):
    return list(layer.parameters()) if hasattr(layer, "parameters") else layer.variables


@pytest.mark.parametrize("seed", range(3))
def test_gains_are_drawn_away_from_one_and_biases_from_zero(seed, twins):
    values = weights.draw(twins.layout, Weights(seed, 1.0))
    identities = {"gain": 1, "bias": 0}
    away = {n: np.abs(a - identities[k]) for n, a in values.items() if (k := n.rpartition(".")[2]) in identities}

    assert all(distance.all() for distance in away.values())
    assert 0.23 < np.concatenate([distance.ravel() for distance in away.values()]).mean() < 0.27


def is_caught(corners):
    """Whether the forward check calls the sides different."""
    findings = runner.run_check(forward, corners, 0, 25, "parity check", shrink=False).findings
    return any("torch and tensorflow are different" in finding.message for finding in findings)


def hidden(corners):
    """Whether float32 shows no more than rounding, where float64 shows the fault."""
    corners.load(WEIGHTS)
    square = corners.logits(IDS, np.ones_like(IDS, bool))
    assert judge("logits", square).word == "different"
    return square.float32_difference.max_abs_diff < 16 * np.finfo(np.float32).eps * square.float32_difference.scale


# transformer


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_more_ids_than_positions_are_refused(side, dtype, references):
    model = references("transformer").models[side, dtype]
    ids = np.full((2, 41), 5)
    assert model.logits(ids[:, :40]).shape == (2, 40, 1000)
    with pytest.raises(Exception, match="more ids than the 40 positions; give a shorter text"):
        model.logits(ids)

    _, state = model.advance(ids[:, :40], None)
    with pytest.raises(Exception, match="more ids than the 40 positions; give a shorter text"):
        model.advance(ids[:, 40:], state)


def test_another_epsilon_of_layer_norm_is_caught_though_float32_hides_it(broken):
    def alter(model):
        model.norm.epsilon = 1e-6

    corners = broken("transformer", tensorflow=alter)

    assert is_caught(corners)
    assert hidden(corners)


def test_a_mask_of_minus_20_is_caught_though_float32_hides_it(broken, monkeypatch):
    from parity.reference.transformer import torch

    corners = broken("transformer")
    monkeypatch.setattr(torch, "math", SimpleNamespace(inf=20.0))

    assert is_caught(corners)
    assert hidden(corners)


def test_gelu_by_tanh_is_caught(broken, monkeypatch):
    import torch

    corners = broken("transformer")
    monkeypatch.setattr(torch.nn.functional, "gelu", partial(torch.nn.functional.gelu, approximate="tanh"))

    assert is_caught(corners)


# gru


def test_gates_of_torch_in_keras_order_are_caught(broken):
    def alter(model):
        cell, units = model.gru.cell, model.config.units
        order = np.r_[units : 2 * units, :units, 2 * units : 3 * units]
        for variable in (cell.kernel, cell.recurrent_kernel, cell.bias):
            rewritten(variable, lambda value: value[..., order])

    assert is_caught(broken("gru", tensorflow=alter))


def test_biases_that_were_summed_are_caught(broken):
    """The second bias of the new gate comes out from behind the reset gate."""

    def alter(model):
        rewritten(model.gru.cell.bias, lambda value: np.stack([value[0] + value[1], np.zeros_like(value[1])]))

    assert is_caught(broken("gru", tensorflow=alter))


def test_reset_before_the_product_is_caught(broken):
    def alter(model):
        import tensorflow as tf

        cell = model.gru.cell

        def call(x, states, training=False):  # noqa: ARG001 its signature is Keras's
            (state,) = states
            given, kept = x @ cell.kernel + cell.bias[0], cell.recurrent_kernel
            update, reset, new = tf.split(given, 3, -1)
            of_update, of_reset, of_new = tf.split(kept, 3, -1)
            more_update, more_reset, more_new = tf.split(cell.bias[1], 3)
            update = tf.sigmoid(update + state @ of_update + more_update)
            reset = tf.sigmoid(reset + state @ of_reset + more_reset)
            new = tf.tanh(new + (reset * state) @ of_new + more_new)
            state = update * state + (1 - update) * new
            return state, [state]

        cell.call = call

    assert is_caught(broken("gru", tensorflow=alter))


# conv


def test_a_kernel_reversed_in_time_is_caught(broken):
    def alter(model):
        rewritten(model.convs[1].kernel, lambda value: value[::-1])

    assert is_caught(broken("conv", tensorflow=alter))


def test_causal_padding_off_by_one_is_caught(broken, monkeypatch):
    """One zero too few before the text, and one behind it: a token sees the one that follows."""
    import torch

    pad = torch.nn.functional.pad
    corners = broken("conv")
    monkeypatch.setattr(torch.nn.functional, "pad", lambda x, sides: pad(x, (0, 0, sides[2] - 1, 1)))

    assert is_caught(corners)
