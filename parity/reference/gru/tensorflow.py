"""A next-token language model in Keras: the whole definition in this file, beside torch.py."""

import dataclasses

import keras

from parity.reference.gru.config import Config


@keras.saving.register_keras_serializable("parity.gru")
class LanguageModel(keras.Model):
    """ids (batch, time) -> logits (batch, time, vocab) of the token that follows each id.

    Padding stands on the right, so no token sees it; the loss leaves it out.
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.embedding = keras.layers.Embedding(config.vocab, config.width, name="embedding")
        # The reset gate acts on the state's part of the new gate after its product and its bias.
        self.gru = keras.layers.GRU(
            config.units, reset_after=True, return_sequences=True, return_state=True, name="gru"
        )
        self.head = keras.layers.Dense(config.vocab, name="head")
        self.build((None, None))  # creates the weights now, as torch does

    def build(self, shape):
        self.call(keras.ops.zeros([1 for _ in shape], "int64"))

    def call(self, ids):
        logits, _ = self.advance(ids)
        return logits  # (batch, time, vocab)

    def advance(self, ids, state=None):
        """Go on from the state that earlier ids left behind: streaming costs one step a token."""
        x = self.embedding(ids)  # (batch, time) -> (batch, time, width)
        x, state = self.gru(x, initial_state=state)  # (batch, time, width) -> (batch, time, units)
        logits = self.head(x)  # (batch, time, units) -> (batch, time, vocab)
        return logits, state  # state: hidden

    def get_config(self):
        return {**super().get_config(), "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, values):
        return cls(**{**values, "config": Config(**values["config"])})
