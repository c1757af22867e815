"""Twins that names and shapes do not settle, run: linked by what flows where, and of two kinds."""

from parity import strategies
from parity.canonical.weights import Weights
from parity.checks.results import Diagnosis
from parity.compare.judge import judge
from parity.diagnose.locate import locate
from parity.diagnose.wording import why
from parity.inputs.batch import Batch
from parity.pair.models import PairModels
from parity.pair.pair import Pair


def torch_branches():
    """Calls its longer branch first, and names its layers as Keras counts its own, from 1 on."""
    import torch
    from torch import nn

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense_1, self.dense_2, self.dense_3 = (nn.Linear(6, 6) for _ in range(3))
            self.norm, self.short, self.head = nn.LayerNorm(6, eps=1e-3), nn.LayerNorm(6, eps=1e-3), nn.Linear(6, 6)

        def forward(self, x):  # (batch, 6)
            x = self.dense_1(x)
            long = self.norm(torch.relu_(self.dense_3(self.dense_2(x).tanh())))
            both = torch.cat([long, self.short(x)])
            return {"head": self.head(sum(both.chunk(2)))}

    return Branches()


def keras_branches():
    import keras

    layers = keras.layers
    given = keras.Input((6,))
    x = layers.Dense(6)(given)
    short = layers.LayerNormalization()(x)
    y = layers.Dense(6, "tanh")(x)
    y = layers.Dense(6, "relu")(y)
    both = layers.Add()([short, layers.LayerNormalization()(y)])
    return keras.Model(given, {"head": layers.Dense(6, name="out")(both)})


def test_layers_are_linked_by_what_flows_though_keras_counts_them_otherwise():
    pair = Pair("branches", torch_branches, keras_branches, inputs=strategies.arrays(6))
    corners = PairModels(pair)

    assert corners.unproved == ()
    assert {link.ours: link.theirs for link in corners.links} == {
        "dense_1": "dense",
        "dense_2": "dense_1",
        "dense_3": "dense_2",
        "norm": "layer_normalization_1",
        "short": "layer_normalization",
        "head": "out",
    }


def torch_normed():
    from torch import nn

    return nn.Sequential(nn.Linear(6, 4), nn.GroupNorm(1, 4), nn.Linear(4, 2))


def keras_normed(axis=-1):
    import keras

    norm = keras.layers.LayerNormalization(axis=axis, epsilon=1e-5)
    return keras.Sequential([keras.layers.Dense(4), norm, keras.layers.Dense(2)])


def keras_shifted():
    import keras

    layers = keras.layers
    return keras.Sequential([layers.Dense(4), layers.GroupNormalization(2, epsilon=1e-5), layers.Dense(2)])


def torch_layered():
    from torch import nn

    return nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def test_layers_of_two_kinds_with_the_same_parameters_are_twins_and_a_finding_says_so():
    """GroupNorm of one group is LayerNorm of (batch, width); of two groups it is another norm."""
    equal = PairModels(Pair("normed", torch_normed, keras_normed, inputs=strategies.arrays(6)))
    assert equal.unlike == {"1": ("group_norm", "layer_norm")}
    equal.load(Weights(0, 1.0))
    batch = Batch(equal.pair.specimens[-1], None, None)
    assert not judge("output", equal.outputs(batch)["output"]).fails

    other = PairModels(Pair("normed", torch_layered, keras_shifted, inputs=strategies.arrays(6)))
    other.load(Weights(0, 1.0))
    assert judge("output", other.outputs(batch)["output"]).fails
    told = why(other, Diagnosis(tuple(piece.path for piece in locate(other, batch.ids).introduces)))
    assert told[1] == (
        "1 is a layer_norm in torch and a group_norm in tensorflow, with the same parameters: "
        "LayerNormalization is what Keras calls torch's"
    )
