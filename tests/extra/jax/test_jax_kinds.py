"""Every layer kind on JAX: twins agree, and a fault that is planted in Keras's layers is seen, and placed in them."""

import numpy as np
import pytest

from parity.canonical.weights import Weights
from parity.diagnose.locate import locate
from parity.pair.models import PairModels
from tests.helpers import kinds

# One layer here is two there, so that no call of one is the other's: there the place is the model.
PARTED = {"deep bidirectional gru", "separable conv1d", "separable conv2d"}
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
    layers = [*corners.models["torch", "float64"].module.made]
    places = [segment.path for segment in locate(corners, IDS).introduces if segment.path]
    record_property("figures", f"{name}: {clean:.1e} {broken:.1e} {places}")
    assert clean < 1e-12
    assert broken > 1e-9
    assert places or name in PARTED
    assert all(place.partition(".")[0] in layers for place in places)
