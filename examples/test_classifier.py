"""An LSTM classifier, whose Keras side is a subclass with an LSTM that is written out by hand."""

import keras
from keras import ops
from torch import nn

from parity import TRANSPOSED, Pair, parametrize, strategies

VOCAB, TIME, WIDTH, UNITS, CLASSES = 97, 4, 11, 13, 5


class TorchClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, WIDTH)
        self.lstm = nn.LSTM(WIDTH, UNITS, batch_first=True)
        self.lstm.bias_hh_l0.requires_grad_(False)  # Keras has one bias; two that are trained move twice as fast
        self.head = nn.Linear(UNITS, CLASSES)

    def forward(self, ids):
        _, (hidden, _) = self.lstm(self.embedding(ids))
        return self.head(hidden[0])  # (batch, time) -> (batch, classes)


class HandLSTM(keras.layers.Layer):
    """The last state of an LSTM with the gates input, forget, cell and output."""

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 4 * UNITS))
        self.recurrent = self.add_weight(name="recurrent", shape=(UNITS, 4 * UNITS))
        self.bias = self.add_weight(name="bias", shape=(4 * UNITS,))

    def call(self, x):
        hidden = cell = ops.zeros((ops.shape(x)[0], UNITS), x.dtype)
        for step in range(TIME):
            gates = x[:, step] @ self.kernel + hidden @ self.recurrent + self.bias
            i, f, g, o = ops.split(gates, 4, axis=-1)
            cell = ops.sigmoid(f) * cell + ops.sigmoid(i) * ops.tanh(g)
            hidden = ops.sigmoid(o) * ops.tanh(cell)
        return hidden  # (batch, time, width) -> (batch, units)


class KerasClassifier(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(VOCAB, WIDTH)
        self.lstm = HandLSTM()
        self.head = keras.layers.Dense(CLASSES)

    def call(self, ids):
        return self.head(self.lstm(self.embedding(ids)))  # (batch, time) -> (batch, classes)


def parts(layer):
    kernels = {"input_kernel": (layer.kernel, TRANSPOSED), "recurrent_kernel": (layer.recurrent, TRANSPOSED)}
    return {**kernels, "bias": layer.bias}


ids = strategies.arrays(TIME, below=VOCAB)
pair = Pair("classifier", TorchClassifier, KerasClassifier, inputs=ids, custom={HandLSTM: parts})


@parametrize(pair, examples=5)
def test_parity(check):
    check()
