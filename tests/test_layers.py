"""Layer kinds: every transform is exact there and back, and a layer that has no twin is refused."""

import numpy as np
import pytest

from parity import backends, layers, transfer
from parity.backends import SIDES
from parity.errors import ParityError
from parity.layers import Weights
from parity.reference import pair as reference


def test_gru_gates_arrive_in_order_and_return(small):
    """torch has reset, update, new; Keras update, reset, new; canonical is torch's, and both biases stay."""
    pair = reference("gru", small)
    torch, keras = (backends.load()[side].Model(pair.builds[side], "float32", 0) for side in SIDES)
    units = keras.module.config.units
    gates = {"reset": slice(0, units), "update": slice(units, 2 * units), "new": slice(2 * units, 3 * units)}
    places = {"reset": gates["update"], "update": gates["reset"], "new": gates["new"]}
    values = layers.draw(transfer.layout("torch", torch), Weights(5, 1.0))
    for model in (torch, keras):
        model.write(values)
    for gate, rows in gates.items():
        columns = places[gate]
        for ours, theirs in (
            (torch.module.gru.weight_ih_l0[rows].T, keras.module.gru.cell.kernel[:, columns]),
            (torch.module.gru.weight_hh_l0[rows].T, keras.module.gru.cell.recurrent_kernel[:, columns]),
            (torch.module.gru.bias_ih_l0[rows], keras.module.gru.cell.bias[0, columns]),
            (torch.module.gru.bias_hh_l0[rows], keras.module.gru.cell.bias[1, columns]),
        ):
            np.testing.assert_array_equal(ours.detach().numpy(), theirs.numpy())
    for model in (torch, keras):
        for name, array in model.read().items():
            np.testing.assert_array_equal(array, values[name])


UNSUPPORTED = {
    "two layers": {"num_layers": 2},
    "two directions": {"bidirectional": True},
    "a projection": {"proj_size": 3},
    "no bias": {"bias": False},
}


@pytest.mark.parametrize("options", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_an_lstm_that_has_no_twin_is_refused(options, broken):
    import torch

    def replace(model):
        model.lstm = torch.nn.LSTM(64, 128, batch_first=True, **options)

    with pytest.raises(ParityError, match=r"^lstm: (only LSTM of one layer|LSTM without bias is not)"):
        broken(torch=replace)


def test_a_gru_of_two_layers_is_refused():
    import torch

    with pytest.raises(ParityError, match=r"^0: only GRU of one layer, one direction and no projection is supported"):
        backends.load()["torch"].Model(lambda: torch.nn.Sequential(torch.nn.GRU(5, 7, 2)), "float32", 0)


def test_a_keras_gru_that_resets_before_the_product_is_refused():
    import keras

    model = keras.Sequential([keras.layers.Embedding(9, 5), keras.layers.GRU(7, reset_after=False, name="gru")])
    with pytest.raises(ParityError, match=r"^gru: only GRU with reset_after=True is supported; torch has no other"):
        backends.load()["tensorflow"].Model(lambda: model, "float32", 0)


TRANSFORMS = {
    "TRANSPOSED of a matrix": (layers.TRANSPOSED, [(5, 12)], (12, 5)),
    "TRANSPOSED of a convolution": (layers.TRANSPOSED, [(3, 5, 12)], (12, 5, 3)),
    "SWAPPED": (layers.SWAPPED, [(2, 12)], (2, 12)),
    "TRANSPOSED_SWAPPED": (layers.TRANSPOSED_SWAPPED, [(5, 12)], (12, 5)),
    "STACKED": (layers.STACKED, [(12,), (12,)], (2, 12)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_is_exact_there_and_back_for_values_and_gradients(name):
    transform, shapes, canonical = TRANSFORMS[name]
    random = np.random.default_rng(0)
    held = [random.random(shape) for shape in shapes]
    packed = transform.pack(*held)
    back = transform.unpack(packed)

    assert packed.shape == canonical
    assert [array.shape for array in back] == shapes
    for ours, theirs in zip(held, back, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(transform.gradient(*held), packed)
    assert sorted(packed.flat) == sorted(np.concatenate([array.ravel() for array in held]))


WITHOUT = {
    "torch": ("LayerNorm", {"elementwise_affine": False}, "gain"),
    "torch bias": ("LayerNorm", {"bias": False}, "bias"),
    "tensorflow": ("LayerNormalization", {"scale": False}, "gain"),
    "tensorflow bias": ("LayerNormalization", {"center": False}, "bias"),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_a_layer_without_one_of_its_parameters_is_refused(case):
    import keras
    import torch

    name, options, parameter = WITHOUT[case]
    side = case.partition(" ")[0]
    if side == "torch":
        built = torch.nn.Sequential(torch.nn.Embedding(1000, 11), torch.nn.LayerNorm(11, **options))
    else:
        built = keras.Sequential(
            [keras.layers.Embedding(1000, 11), keras.layers.LayerNormalization(**options, name="1")]
        )

    with pytest.raises(ParityError, match=rf"^1: {name} without {parameter} is not supported"):
        backends.load()[side].Model(lambda: built, "float32", 0)
