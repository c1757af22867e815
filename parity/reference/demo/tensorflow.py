"""The same classifier as it was ported to Keras: read torch.py beside it, one setting is forgotten."""

import keras


class Classifier(keras.Model):
    """x (batch, 11) -> logits (batch, 5)."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(7)
        self.norm = keras.layers.LayerNormalization()
        self.head = keras.layers.Dense(5)

    def call(self, x):
        x = keras.ops.gelu(self.hidden(x), approximate=False)  # (batch, 11) -> (batch, 7)
        x = self.norm(x)
        return self.head(x)  # (batch, 7) -> (batch, 5)
