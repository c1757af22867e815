"""Several inputs or outputs: two towers, siamese, wide and deep, factorization, images beside numbers."""

import keras
import torch
from keras import layers, ops
from torch import nn

from parity import Pair, strategies

ONE, TWO = strategies.arrays(6), strategies.arrays(4)
BOTH = strategies.together(a=ONE, b=TWO)
TABLE = strategies.together(kind=strategies.arrays(below=11), place=strategies.arrays(below=7), numbers=TWO)


class TorchTowers(nn.Module):
    """The cosine of two vectors."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 5), nn.Linear(4, 5)

    def forward(self, inputs):
        a, b = self.a(inputs["a"]), self.b(inputs["b"])
        return (a * b).sum(-1) / (1 + (a * a).sum(-1) * (b * b).sum(-1)).sqrt()


class KerasTowers(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.a, self.b = layers.Dense(5), layers.Dense(5)

    def call(self, inputs):
        a, b = self.a(inputs["a"]), self.b(inputs["b"])
        return ops.sum(a * b, -1) / ops.sqrt(1 + ops.sum(a * a, -1) * ops.sum(b * b, -1))


class TorchSiamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 5))
        self.head = nn.Linear(5, 1)

    def forward(self, inputs):
        return torch.sigmoid(self.head((self.tower(inputs["one"]) - self.tower(inputs["two"])).abs()))


def keras_siamese():
    tower = keras.Sequential([keras.Input((6,)), layers.Dense(9, activation="relu"), layers.Dense(5)], name="tower")
    one, two = keras.Input((6,), name="one"), keras.Input((6,), name="two")
    gap = ops.abs(tower(one) - tower(two))
    return keras.Model({"one": one, "two": two}, layers.Dense(1, activation="sigmoid", name="head")(gap))


class TorchWideDeep(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.hidden, self.deep = nn.Linear(6, 3), nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, inputs):
        return self.wide(inputs["a"]) + self.deep(torch.relu(self.hidden(inputs["b"])))


def keras_wide_deep():
    a, b = keras.Input((6,), name="a"), keras.Input((4,), name="b")
    deep = layers.Dense(3, name="deep")(layers.Dense(8, activation="relu", name="hidden")(b))
    return keras.Model({"a": a, "b": b}, layers.Add()([layers.Dense(3, name="wide")(a), deep]))


class TorchTable(nn.Module):
    """Categories and numbers: a recommender's first layers, with all products of two."""

    def __init__(self):
        super().__init__()
        self.kinds, self.places, self.numbers = nn.Embedding(11, 5), nn.Embedding(7, 5), nn.Linear(4, 5)
        self.head = nn.Linear(8, 2)

    def forward(self, inputs):
        kind, place = self.kinds(inputs["kind"]), self.places(inputs["place"])
        numbers = torch.relu(self.numbers(inputs["numbers"]))
        products = [
            (one * two).sum(-1, keepdim=True) for one, two in ((kind, place), (kind, numbers), (place, numbers))
        ]
        return self.head(torch.cat([numbers, *products], -1))


class KerasTable(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.kinds, self.places = layers.Embedding(11, 5), layers.Embedding(7, 5)
        self.numbers, self.head = layers.Dense(5, activation="relu"), layers.Dense(2)

    def call(self, inputs):
        kind, place = self.kinds(inputs["kind"]), self.places(inputs["place"])
        numbers = self.numbers(inputs["numbers"])
        pairs = ((kind, place), (kind, numbers), (place, numbers))
        return self.head(ops.concatenate([numbers, *(ops.sum(x * y, -1, keepdims=True) for x, y in pairs)], -1))


class TorchOutputs(nn.Module):
    """A class, a number, and what both stand on."""

    def __init__(self):
        super().__init__()
        self.trunk, self.kind, self.amount = nn.Linear(6, 9), nn.Linear(9, 4), nn.Linear(9, 1)

    def forward(self, x):
        trunk = torch.tanh(self.trunk(x))
        return {"kind": self.kind(trunk).log_softmax(-1), "amount": self.amount(trunk), "trunk": trunk}


def keras_outputs():
    x = keras.Input((6,))
    trunk = layers.Dense(9, activation="tanh", name="trunk")(x)
    kind = ops.log_softmax(layers.Dense(4, name="kind")(trunk))
    return keras.Model(x, {"kind": kind, "amount": layers.Dense(1, name="amount")(trunk), "trunk": trunk})


class TorchConditioned(nn.Module):
    """FiLM: a vector scales and shifts the channels of a signal."""

    def __init__(self):
        super().__init__()
        self.conv, self.film, self.head = nn.Conv1d(3, 5, 3), nn.Linear(4, 10), nn.Linear(5, 2)

    def forward(self, inputs):
        x = self.conv(inputs["signal"].transpose(1, 2)).transpose(1, 2)
        scale, shift = self.film(inputs["vector"])[:, None].chunk(2, -1)
        return self.head(torch.relu(x * (1 + scale) + shift))


class KerasConditioned(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv, self.film, self.head = layers.Conv1D(5, 3), layers.Dense(10), layers.Dense(2)

    def call(self, inputs):
        x = self.conv(inputs["signal"])
        scale, shift = ops.split(self.film(inputs["vector"])[:, None], 2, -1)
        return self.head(ops.relu(x * (1 + scale) + shift))


def whole(model, inputs, training):
    return model(inputs, training=training)


def whole_torch(model, inputs, _):
    return model(inputs)


SIDES = {
    "two-towers": (TorchTowers, KerasTowers, BOTH),
    "siamese": (TorchSiamese, keras_siamese, strategies.together(one=ONE, two=ONE)),
    "wide-deep": (TorchWideDeep, keras_wide_deep, BOTH),
    "factorization": (TorchTable, KerasTable, TABLE),
    "film": (TorchConditioned, KerasConditioned, strategies.together(signal=strategies.arrays(8, 3), vector=TWO)),
}
PAIRS = (
    *(
        Pair(name, ours, theirs, inputs=inputs, call={"torch": whole_torch, "tensorflow": whole})
        for name, (ours, theirs, inputs) in SIDES.items()
    ),
    Pair("several-outputs", TorchOutputs, keras_outputs, inputs=ONE),
)
