"""Every layer kind on JAX: twins agree, and a fault that is planted in Keras's layers is seen, and placed in them."""

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.diagnose.locate import locate
from parity.pair.models import PairModels
from tests.helpers import kinds

IDS = np.array([[5, 6, 7, 8, 9], [10, 11, 12, 13, 5]])


def gap(corners):
    """The largest difference of the float64 runs, as a share of the largest logit."""
    ours, theirs = (corners.models[side, "float64"].eager(IDS, False) for side in corners.sides)
    return np.abs(ours - theirs).max() / np.abs(ours).max()


@pytest.mark.parametrize("name", kinds.CASES)
def test_twins_of_a_kind_agree_on_jax_until_a_fault_is_in_one(name, small, record_property):
    corners = PairModels(kinds.pair(name, small, "jax"))
    corners.ensure(Weights(3, 1.0))
    clean = gap(corners)

    kinds.break_keras(name, corners)
    corners.ensure(Weights(3, 1.0))
    broken = gap(corners)
    layers = {layer.path for layer in corners.models["torch", "float64"].layers} - {"table", "head"}
    places = [segment.path for segment in locate(corners, IDS).introduces if segment.path]
    record_property("figures", f"{name}: {clean:.1e} {broken:.1e} {places}")
    assert clean < 1e-12
    assert broken > 1e-9
    assert places
    assert all(any(f"{layer}.".startswith(f"{place}.") for layer in layers) for place in places)
