"""Layer kinds: every transform is exact there and back, and a layer that has no twin is refused."""

from functools import partial

import numpy as np
import pytest

from parity import backends
from parity.backends import SIDES
from parity.canonical import transforms, weights
from parity.canonical.weights import Weights
from parity.errors import ParityError
from parity.pair import transfer
from parity.reference import pair as reference


def test_gru_gates_arrive_in_order_and_return(small):
    """torch has reset, update, new; Keras update, reset, new; canonical is torch's, and both biases stay."""
    pair = reference("gru", small)
    torch, keras = (backends.load()[side].Model(pair.builds[side], "float32", 0) for side in SIDES)
    units = keras.module.config.units
    gates = {"reset": slice(0, units), "update": slice(units, 2 * units), "new": slice(2 * units, 3 * units)}
    places = {"reset": gates["update"], "update": gates["reset"], "new": gates["new"]}
    values = weights.draw(transfer.layout("torch", torch), Weights(5, 1.0))
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


def torch_refused(nn):
    yield (
        nn.LSTM(5, 7, proj_size=3),
        "LSTM: a projection is not supported: Keras has none; put a Linear",
    )
    yield (
        nn.MultiheadAttention(6, 2, add_bias_kv=True),
        "MultiheadAttention: add_bias_kv is not supported: Keras has",
    )


def test_a_torch_layer_that_has_no_twin_is_refused():
    from torch import nn

    for layer, message in torch_refused(nn):
        with pytest.raises(ParityError) as caught:
            backends.load()["torch"].Model(partial(nn.Sequential, nn.Embedding(9, 5), layer), "float32", 0)
        assert str(caught.value).startswith(f"1: {message}")
        assert "\n" not in str(caught.value)


def keras_unlike(layers):
    import keras

    class Cell(layers.Layer):
        state_size = output_size = 6

        def build(self, shape):
            self.step = self.add_weight(shape=(shape[-1],))

        def call(self, x, states):
            return x * self.step, states

    keras.saving.register_keras_serializable()(Cell)  # two directions copy their layers
    x, attention = layers.Input((4, 6)), layers.MultiHeadAttention(2, 3, value_dim=4)
    ways = [layers.RNN(Cell(name="cell"), go_backwards=back, name=f"rnn{back}") for back in (False, True)]
    both = layers.Bidirectional(ways[0], backward_layer=ways[1])
    yield layers.RNN(Cell(name="cell")), [x], {"rnn.cell": ["step"]}
    yield layers.PReLU(), [x], {"p_re_lu": ["alpha"]}
    parts = ("query", "key", "value", "attention_output")
    yield attention, [x, x], {f"multi_head_attention.{part}": ["kernel", "bias"] for part in parts}
    yield both, [x], {f"bidirectional.{way}.cell": ["step"] for way in ("forward_rnnFalse", "rnnTrue")}


def test_a_keras_layer_that_is_unlike_torchs_is_read_as_what_it_holds():
    import keras

    backend = backends.load()["tensorflow"]
    for layer, inputs, parts in keras_unlike(keras.layers):
        with backend.modules.names_anew():
            model = keras.Model(inputs[0], layer(*inputs))
        found = {of.path: [part.parameter for part in of.parts] for of in backend.layers.layers(model, {})}
        assert found == {path.replace(path.split(".")[0], layer.name, 1): names for path, names in parts.items()}


def test_a_keras_layer_that_is_never_called_holds_nothing():
    import keras

    class Forgetful(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="forgetful")
            self.inner = keras.layers.Dense(3, name="inner")

        def build(self, _):
            self.built = True

        def call(self, x):
            return x

    model = keras.Sequential([keras.layers.Embedding(9, 5), Forgetful()])
    found = backends.load()["tensorflow"].Model(lambda: model, "float32", 0)
    assert [(layer.path, layer.parts) for layer in found.own][1:] == [("forgetful.inner", ())]


TRANSFORMS = {
    "TRANSPOSED of a matrix": (transforms.TRANSPOSED, [(5, 12)], (12, 5)),
    "TRANSPOSED of a convolution": (transforms.TRANSPOSED, [(3, 5, 12)], (12, 5, 3)),
    "SWAPPED": (transforms.SWAPPED, [(2, 12)], (2, 12)),
    "TRANSPOSED_SWAPPED": (transforms.TRANSPOSED_SWAPPED, [(5, 12)], (12, 5)),
    "STACKED": (transforms.STACKED, [(12,), (12,)], (2, 12)),
    "CHANNELS_FIRST of a sequence": (transforms.CHANNELS_FIRST, [(3, 5, 12)], (12, 5, 3)),
    "CHANNELS_FIRST of an image": (transforms.CHANNELS_FIRST, [(3, 2, 5, 12)], (12, 5, 3, 2)),
    "multiplied": (transforms.multiplied(5), [(3, 2, 5, 4)], (20, 1, 3, 2)),
    "shared": (transforms.shared(2), [(1, 1, 5)], (5,)),
    "rows of heads": (transforms.rows(4, False), [(12, 5)], (4, 3, 5)),
    "stacked rows of heads": (transforms.rows(4, True), [(36, 5)], (3, 4, 3, 5)),
    "stacked rows of a bias": (transforms.rows(4, True), [(36,)], (3, 4, 3)),
    "columns of heads": (transforms.columns(4), [(5, 12)], (5, 4, 3)),
    "LAST_FIRST": (transforms.LAST_FIRST, [(4, 3, 5)], (5, 4, 3)),
    "FIRST_LAST": (transforms.FIRST_LAST, [(5, 4, 3)], (4, 3, 5)),
    "STACKED_FIRST_LAST": (transforms.STACKED_FIRST_LAST, [(5, 4, 3)] * 3, (3, 4, 3, 5)),
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


def test_the_gradient_of_what_is_not_trained_is_zero_beside_what_is():
    array = np.ones((2, 3))

    np.testing.assert_array_equal(transforms.STACKED.gradient(None, array), [np.zeros((2, 3)), array])
    np.testing.assert_array_equal(transforms.SUMMED.gradient(None, array), array)
    np.testing.assert_array_equal(transforms.SUMMED.gradient(array, None), array)


def test_what_is_drawn_fits_its_parameter():
    """Variances are positive, nothing is at its identity, and a kernel's variance is that of its fan-in."""
    layout = {f"{kind}.{parameter}": (kind, shape) for kind, parameter, shape in DRAWN}
    for name, array in weights.draw(layout, Weights(5, 1.0)).items():
        low, high, fan_in = DRAWN[(*name.split("."), layout[name][1])]
        if fan_in:
            assert 0.9 < array.std() * fan_in**0.5 < 1.1
        else:
            assert low < array.min() < low + 0.1 * (high - low)
            assert high - 0.1 * (high - low) < array.max() < high
        assert not np.isin(array, (0.0, 1.0)).any()


# (kind, parameter, shape) -> the least and the largest value, or the fan-in
DRAWN = {
    ("batch_norm", "variance", (200,)): (0.5, 1.5, 0),
    ("batch_norm", "mean", (200,)): (-0.5, 0.5, 0),
    ("rms_norm", "gain", (200,)): (0.5, 1.5, 0),
    ("attention", "input_bias", (3, 10, 20)): (-0.5, 0.5, 0),
    ("prelu", "slope", (200,)): (0.0, 0.5, 0),
    ("attention", "input_kernel", (3, 4, 8, 30)): (0, 0, 30),
    ("attention", "key_kernel", (4, 8, 30)): (0, 0, 30),
    ("attention", "output_kernel", (30, 4, 8)): (0, 0, 32),
    ("conv2d", "kernel", (20, 10, 3, 2)): (0, 0, 60),
    ("conv2d_transposed", "kernel", (10, 20, 3, 2)): (0, 0, 60),
    ("gru", "recurrent_kernel", (60, 20)): (0, 0, 20),
}


def test_a_count_of_batches_is_no_weight():
    from torch import nn

    model = backends.load()["torch"].Model(partial(nn.BatchNorm1d, 5), "float32", 0)

    assert list(transfer.layout("torch", model)) == [".gain", ".bias", ".mean", ".variance"]
    assert "num_batches_tracked" in model.module.state_dict()
