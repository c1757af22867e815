"""A next-token convolution in Keras: the whole definition in this file, beside torch.py."""

import dataclasses

import keras
from keras import ops

from parity.reference.conv.config import Config


@keras.saving.register_keras_serializable("parity.conv")
class LanguageModel(keras.Model):
    """ids (batch, time) -> logits (batch, time, vocab) of the token that follows each id.

    Padding stands on the right, so no token sees it; the loss leaves it out.
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.embedding = keras.layers.Embedding(config.vocab, config.width, name="embedding")
        first = keras.layers.Conv1D(config.inner, config.kernel, name="convs.0")
        second = keras.layers.Conv1D(config.outer, config.kernel, name="convs.1")
        self.convs = [first, second]
        self.head = keras.layers.Dense(config.vocab, name="head")
        self.build((None, None))  # creates the weights now, as torch does

    def build(self, shape):
        self.call(keras.ops.zeros([1 for _ in shape], "int64"))

    def call(self, ids):
        logits, _ = self.advance(ids)
        return logits  # (batch, time, vocab)

    def advance(self, ids, state=None):
        """Go on from the inputs that earlier ids left behind: streaming costs one step a token."""
        before = self.config.kernel - 1
        x = self.embedding(ids)  # (batch, time) -> (batch, time, width)
        after = []
        for conv, past in zip(self.convs, state or [None] * len(self.convs), strict=True):
            # (batch, time, channels) -> (batch, before + time, channels): zeros stand before a text
            x = ops.pad(x, ((0, 0), (before, 0), (0, 0))) if past is None else ops.concatenate([past, x], 1)
            after.append(x[:, -before:])
            x = ops.tanh(conv(x))  # (batch, before + time, channels) -> (batch, time, other channels)
        logits = self.head(x)  # (batch, time, outer) -> (batch, time, vocab)
        return logits, after  # state: the last inputs of each convolution

    def get_config(self):
        return {**super().get_config(), "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, values):
        return cls(**{**values, "config": Config(**values["config"])})
