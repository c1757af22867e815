"""What computes in float32 inside is found by moving all parameters at once."""

import numpy as np
import pytest

from parity.pair import validation


class Chain:
    """A model of NumPy's own: `depth` layers, one of which may pass its output through float32; it counts its runs."""

    dtype = "float64"

    def __init__(self, depth, leaky=None):
        random = np.random.default_rng(7)
        self.values = {f"layer{at}": random.standard_normal((5, 5)) for at in range(depth)}
        self.drawn, self.leaky, self.runs = dict(self.values), leaky, 0

    def write(self, values):
        self.values |= dict(values)

    def outputs(self):
        self.runs += 1
        x = np.linspace(-1, 1, 5)
        for at, name in enumerate(self.values):
            x = x + np.tanh(self.values[name] @ x)
            x = x.astype(np.float32).astype(np.float64) if at == self.leaky else x
        return x


def test_however_deep_a_model_is_it_is_run_as_often():
    models = Chain(4), Chain(100)

    assert [validation.leaks(model, model.drawn, {"output": model.outputs}) for model in models] == [{}, {}]
    assert models[0].runs == models[1].runs <= 5


def test_what_cancels_under_large_weights_is_no_float32():
    """As a derivative through a saturated function does."""
    model = Chain(2)
    model.drawn = {name: 20 * array for name, array in model.values.items()}

    def slope():
        x = np.linspace(-1, 1, 5)
        for array in model.values.values():
            x = 1 - np.tanh(array @ x) ** 2
        return x

    assert validation.leaks(model, model.drawn, {"output": slope}) == {}
    assert all(np.array_equal(model.values[name], array) for name, array in model.drawn.items())


@pytest.mark.parametrize("leaky", [0, 1, 7, 15])
def test_wherever_float32_is_the_first_parameter_that_it_hides_is_named(leaky):
    model = Chain(16, leaky)

    problem = validation.leaks(model, model.drawn, {"output": model.outputs, "other": lambda: np.ones(1)})

    assert list(problem) == ["output"]
    assert problem["output"].endswith("since moving layer0 by 2^-36 does not move its output")
    assert model.runs < 2 * 16
    assert all(np.array_equal(model.values[name], array) for name, array in model.drawn.items())
