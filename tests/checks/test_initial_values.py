"""What a builder draws from a fixed seed and does not load is told as that, and nothing else is."""

from functools import partial

import keras
import pytest
import torch

from parity import Pair, strategies
from parity.checks import conversion, runner
from parity.diagnose.explain import diagnose
from parity.diagnose.stages.conversion import FRESH
from parity.pair.models import PairModels
from tests.checks.test_conversion import SHAPES, Net, in_keras, in_torch, saved


def keras_with(values):
    """A Keras model with these values, which draws what is not among them."""
    wide, narrow = keras.layers.Dense(8, "tanh", name="wide"), keras.layers.Dense(3, name="narrow")
    model = keras.Sequential([keras.Input((5,)), wide, narrow])
    for layer in (wide, narrow):
        kernel, bias = layer.get_weights()
        layer.set_weights([values.get(f"{layer.name}.kernel", kernel.T).T, values.get(f"{layer.name}.bias", bias)])
    return model


def keras_that_seeds(values):
    keras.utils.set_random_seed(1)
    return keras_with(values)


def torch_that_seeds(values):
    torch.manual_seed(1)
    model = Net()
    state = {name.replace("kernel", "weight"): torch.from_numpy(array) for name, array in values.items()}
    model.load_state_dict(state, strict=False)
    return model


def causes_of(pair):
    corners = PairModels(pair)
    return diagnose(corners, runner.run_check(conversion, corners, 0, 3, "parity check")).causes


@pytest.mark.parametrize("side", ["tensorflow", "torch"])
def test_what_a_builder_draws_from_a_fixed_seed_was_not_loaded(side):
    values = {name: array for name, array in saved().items() if name != "narrow.kernel"}
    sides = {"torch": in_torch, "tensorflow": in_keras}
    sides[side] = partial(keras_that_seeds if side == "tensorflow" else torch_that_seeds, values)
    (cause,) = causes_of(Pair("net", **sides, inputs=strategies.arrays(5)))

    assert (cause.name, cause.told) == ("weights not copied", f"{side} has narrow.kernel {FRESH}")


def both_drawn(factor, multiplied, loaded):
    """All but what is `loaded` is drawn from a seed; then these are multiplied."""
    torch.manual_seed(3)
    model = Net()
    with torch.no_grad():
        for own, parameter in model.named_parameters():
            name = own.replace("weight", "kernel")
            if name in loaded:
                parameter.copy_(torch.from_numpy(saved()[name]))
            if name in multiplied:
                parameter.mul_(factor)
    return model


@pytest.mark.parametrize(("multiplied", "loaded"), [(["narrow.kernel"], ["wide.kernel"]), ([*SHAPES], [])])
def test_what_is_made_from_a_model_that_both_builders_draw_is_no_initial_value(multiplied, loaded):
    sides = {"source": partial(both_drawn, 1, multiplied, loaded), "port": partial(both_drawn, 3, multiplied, loaded)}
    causes = causes_of(Pair("own", torch=sides, inputs=strategies.arrays(5)))

    assert {cause.name for cause in causes} == {"scale"}
