"""Recurrent layers: LSTM, GRU and RNN, one way and both, stacked, with their last state or all of them."""

from functools import partial

import keras
import torch
from keras import layers
from torch import nn

from parity import Pair, strategies

TIME, IN, UNITS, OUT = 6, 4, 7, 3
TORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
KERAS = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}


def one_bias(recurrent):
    """Keras has one bias in an LSTM and an RNN; torch's second is not trained."""
    if not isinstance(recurrent, nn.GRU):
        for name, parameter in recurrent.named_parameters():
            parameter.requires_grad_(not name.startswith("bias_hh"))
    return recurrent


class TorchRecurrent(nn.Module):
    def __init__(self, kind, depth=1, both=False, all_steps=True):
        super().__init__()
        self.recurrent = one_bias(TORCH[kind](IN, UNITS, depth, batch_first=True, bidirectional=both))
        self.head, self.all_steps = nn.Linear(UNITS * (1 + both), OUT), all_steps

    def forward(self, x):
        outputs, states = self.recurrent(x)
        if self.all_steps:
            return self.head(outputs)
        hidden = states[0] if isinstance(states, tuple) else states
        last = torch.cat([hidden[-2], hidden[-1]], -1) if self.recurrent.bidirectional else hidden[-1]
        return self.head(last)


def keras_recurrent(kind, depth=1, both=False, all_steps=True):
    parts = []
    for level in range(depth):
        one = KERAS[kind](UNITS, return_sequences=all_steps or level < depth - 1)
        parts.append(layers.Bidirectional(one) if both else one)
    return keras.Sequential([keras.Input((TIME, IN)), *parts, layers.Dense(OUT)])


class TorchEncoded(nn.Module):
    """A convolution, then a GRU, then the mean over time."""

    def __init__(self):
        super().__init__()
        self.conv, self.gru = nn.Conv1d(IN, 5, 3, padding=1), nn.GRU(5, UNITS, batch_first=True)
        self.norm, self.head = nn.LayerNorm(UNITS), nn.Linear(UNITS, OUT)

    def forward(self, x):
        x = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.head(self.norm(self.gru(x)[0].mean(1)))


def keras_encoded():
    return keras.Sequential(
        [
            keras.Input((TIME, IN)),
            layers.Conv1D(5, 3, padding="same", activation="relu", name="conv"),
            layers.GRU(UNITS, return_sequences=True, name="gru"),
            layers.GlobalAveragePooling1D(),
            layers.LayerNormalization(epsilon=1e-5, name="norm"),
            layers.Dense(OUT, name="head"),
        ]
    )


class TorchSkipped(nn.Module):
    """Two LSTMs with what came in added to each."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(IN, UNITS)
        self.lstms = nn.ModuleList(one_bias(nn.LSTM(UNITS, UNITS, batch_first=True)) for _ in range(2))

    def forward(self, x):
        x = self.enter(x)
        for lstm in self.lstms:
            x = x + lstm(x)[0]
        return x


class KerasSkipped(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.enter = layers.Dense(UNITS)
        self.lstms = [layers.LSTM(UNITS, return_sequences=True) for _ in range(2)]

    def call(self, x):
        x = self.enter(x)
        for lstm in self.lstms:
            x = x + lstm(x)
        return x


SEQUENCES = strategies.arrays(TIME, IN)
FORMS = {
    "steps": {},
    "last": {"all_steps": False},
    "stacked": {"depth": 2},
    "both": {"both": True},
}
PAIRS = (
    *(
        Pair(
            f"{kind}-{name}",
            partial(TorchRecurrent, kind, **how),
            partial(keras_recurrent, kind, **how),
            inputs=SEQUENCES,
        )
        for kind in TORCH
        for name, how in FORMS.items()
    ),
    Pair(
        "lstm-both-last",
        partial(TorchRecurrent, "lstm", both=True, all_steps=False),
        partial(keras_recurrent, "lstm", both=True, all_steps=False),
        inputs=SEQUENCES,
    ),
    Pair("conv-gru", TorchEncoded, keras_encoded, inputs=SEQUENCES),
    Pair("lstm-residual", TorchSkipped, KerasSkipped, inputs=SEQUENCES),
)
