"""A next-token transformer in Keras: the whole definition in this file, beside torch.py."""

import dataclasses
import math

import keras
import numpy as np
from keras import ops

from parity.reference.transformer.config import Config

LAST = np.int64(-1)  # the axis of the keys; of an int Keras warns where there is one key, as for a text of one id


class Attention(keras.layers.Layer):
    """Causal self-attention: softmax(query key' / sqrt(head_width)) value in every head, over what is visible.

    Vaswani et al., Attention Is All You Need, 2017, section 3.2: https://arxiv.org/abs/1706.03762
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.query = keras.layers.Dense(config.heads * config.head_width, name="query")
        self.key = keras.layers.Dense(config.heads * config.head_width, name="key")
        self.value = keras.layers.Dense(config.heads * config.head_width, name="value")
        self.out = keras.layers.Dense(config.width, name="out")

    def build(self, shape):  # or Keras traces `call` to find the weights
        for project in (self.query, self.key, self.value):
            project.build(shape)
        self.out.build((*shape[:-1], self.config.heads * self.config.head_width))

    def call(self, x, visible, past):
        """Attend from x (batch, time, width) where `visible` (time, seen) is true; `past` has earlier keys and values.

        Returns (batch, time, width), and all keys and values for the next call; `past` is None at a text's beginning.
        """
        batch, time, _ = ops.shape(x)
        # Each (batch, time, width) -> (batch, heads, time, head_width)
        query, key, value = (self.split(project(x)) for project in (self.query, self.key, self.value))
        if past is not None:
            key = ops.concatenate([past[0], key], 2)  # -> (batch, heads, seen, head_width)
            value = ops.concatenate([past[1], value], 2)  # -> (batch, heads, seen, head_width)
        scores = query @ ops.swapaxes(key, -1, -2) / self.config.head_width**0.5  # (batch, heads, time, seen)
        scores = ops.where(visible, scores, -math.inf)
        x = ops.softmax(scores, LAST) @ value  # (batch, heads, time, head_width)
        x = ops.transpose(x, (0, 2, 1, 3))  # (batch, time, heads, head_width)
        x = ops.reshape(x, (batch, time, self.config.heads * self.config.head_width))
        return self.out(x), (key, value)  # (batch, time, width)

    def split(self, x):
        batch, time, _ = ops.shape(x)
        x = ops.reshape(x, (batch, time, self.config.heads, self.config.head_width))
        return ops.transpose(x, (0, 2, 1, 3))  # (batch, heads, time, head_width)


class Block(keras.layers.Layer):
    """x + attention(norm(x)), then x + MLP(norm(x)): the norms stand before, so the sum itself is never normed.

    Xiong et al., On Layer Normalization in the Transformer Architecture, 2020: https://arxiv.org/abs/2002.04745
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="attention_norm")
        self.attention = Attention(config, name="attention")
        self.mlp_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="mlp_norm")
        self.expand = keras.layers.Dense(config.inner, name="expand")
        self.contract = keras.layers.Dense(config.width, name="contract")

    def build(self, shape):  # or Keras traces `call` to find the weights
        for layer in (self.attention_norm, self.attention, self.mlp_norm, self.expand):
            layer.build(shape)
        self.contract.build(self.expand.compute_output_shape(shape))

    def call(self, x, visible, past):
        change, past = self.attention(self.attention_norm(x), visible, past)
        x = x + change
        inner = keras.activations.gelu(self.expand(self.mlp_norm(x)))  # (batch, time, width) -> (batch, time, inner)
        return x + self.contract(inner), past  # -> (batch, time, width)


@keras.saving.register_keras_serializable("parity.transformer")
class LanguageModel(keras.Model):
    """ids (batch, time) -> logits (batch, time, vocab) of the token that follows each id.

    Padding stands on the right, so no token sees it; the loss leaves it out. Raises an error for
    more ids than there are positions.
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.embedding = keras.layers.Embedding(config.vocab, config.width, name="embedding")
        self.positions = keras.layers.Embedding(config.length, config.width, name="positions")
        self.blocks = [Block(config, name=f"blocks.{place}") for place in range(config.blocks)]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")
        self.head = keras.layers.Dense(config.vocab, name="head")
        self.build((None, None))  # creates the weights now, as torch does

    def build(self, shape):
        self.call(keras.ops.zeros([1 for _ in shape], "int64"))

    def call(self, ids):
        logits, _ = self.advance(ids)
        return logits  # (batch, time, vocab)

    def advance(self, ids, state=None):
        """Go on from the keys and values that earlier ids left behind: streaming costs one step a token."""
        start = 0 if state is None else ops.shape(state[0][0])[2]
        seen = start + ops.shape(ids)[1]
        places = self.places(start, seen)  # (time,)
        visible = ops.arange(seen) <= places[:, None]  # (time, seen): each id sees itself and those before it
        x = self.embedding(ids) + self.positions(places)  # (batch, time) -> (batch, time, width)
        after = []
        for block, past in zip(self.blocks, state or [None] * len(self.blocks), strict=True):
            x, past = block(x, visible, past)
            after.append(past)
        logits = self.head(self.norm(x))  # (batch, time, width) -> (batch, time, vocab)
        return logits, after  # state: each block's keys and values

    def places(self, start, seen):
        """Each id's place in a text of which so many have been seen, behind the first ones."""
        message = f"more ids than the {self.config.length} positions; give a shorter text"
        if not isinstance(seen, int):  # in a graph of TensorFlow's, which serves texts of any length
            import tensorflow as tf

            enough = tf.debugging.assert_less_equal(seen, self.config.length, message)
            with tf.control_dependencies([enough]):  # or positions may be looked up first
                return tf.range(start, seen)
        if seen > self.config.length:
            raise ValueError(message)
        return ops.arange(start, seen)

    def get_config(self):
        return {**super().get_config(), "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, values):
        return cls(**{**values, "config": Config(**values["config"])})
