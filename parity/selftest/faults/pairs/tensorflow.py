"""The self-test's own models in Keras, beside torch.py."""

import importlib
from functools import partial

import keras
import tensorflow as tf

ROOMS = "parity.selftest.faults.pairs"

MEAN, VARIANCE = (0.5, 0.25, -0.125), (0.25, 1.0, 4.0)
NORM = {"momentum": 0.9, "epsilon": 1e-5}


class Block(keras.layers.Layer):
    """x + two convolutions of one shape, each normed."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, name="conv1")
        self.norm1 = keras.layers.BatchNormalization(**NORM, name="norm1")
        self.conv2 = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, name="conv2")
        self.norm2 = keras.layers.BatchNormalization(**NORM, name="norm2")

    def call(self, x):
        y = tf.nn.relu(self.norm1(self.conv1(x)))
        return tf.nn.relu(x + self.norm2(self.conv2(y)))


@keras.saving.register_keras_serializable("parity.faults")
class Image(keras.Model):
    """A picture (batch, 9, 8, 3) and its place (batch, 3) -> (batch, 3)."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.normalize = keras.layers.Normalization(mean=MEAN, variance=VARIANCE)
        self.pad = keras.layers.ZeroPadding2D(1)
        self.stem = keras.layers.Conv2D(5, 3, strides=2, name="stem")
        self.norm = keras.layers.BatchNormalization(**NORM, name="norm")
        self.pool = keras.layers.MaxPooling2D(2, name="pool")
        self.block = Block(5, name="block")
        self.dropout = keras.layers.Dropout(0.2, name="dropout")
        self.head = keras.layers.Dense(3, name="head")

    def build(self, *_):  # or Keras traces `call` to find the weights, and Normalization keeps the trace's mean
        self.call(keras.ops.zeros((1, 9, 8, 3)), keras.ops.zeros((1, 3)))

    def call(self, x, place, training=None):
        x = self.stem(self.pad(self.normalize(x)))
        x = self.pool(tf.nn.relu(self.norm(x, training=training)))  # (batch, 2, 2, 5)
        x = self.dropout(self.block(x, training=training), training=training)
        return self.head(tf.concat([tf.reduce_mean(x, (1, 2)), place], 1))


class Attention(keras.layers.Layer):
    """One head, by the formula: what is `visible` (batch, time) of x (batch, time, 10)."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.query, self.key, self.value = (keras.layers.Dense(6, name=name) for name in ("query", "key", "value"))
        self.out = keras.layers.Dense(10, name="out")
        self.scale = 6**-0.5

    def call(self, x, visible):
        query, key, value = self.query(x), self.key(x), self.value(x)
        scores = tf.matmul(query, key, transpose_b=True) * self.scale  # (batch, time, time)
        scores = tf.where(visible[:, None], scores, -float("inf"))
        return self.out(tf.nn.softmax(scores) @ value)


@keras.saving.register_keras_serializable("parity.faults")
class Sentence(keras.Model):
    """ids (batch, time), 0 being padding -> logits (batch, 4)."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(23, 10, name="embedding")
        self.attention = Attention(name="attention")
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, dtype="float32", name="norm")
        self.head = keras.layers.Dense(4, name="head")

    def call(self, ids):
        mask = ids != 0
        x = self.embedding(ids)
        x = x + self.attention(x, mask | (tf.range(tf.shape(ids)[1]) == 0))  # of padding alone, the first
        return self.head(self.pool(self.precisely(x), mask))

    def precisely(self, x):
        return tf.cast(self.norm(tf.cast(x, "float32")), x.dtype)

    def pool(self, x, mask):
        counts = tf.cast(mask, x.dtype)[..., None]
        return tf.reduce_sum(x * counts, 1) / tf.maximum(tf.reduce_sum(counts, 1), 1)


@keras.saving.register_keras_serializable("parity.faults")
class Carried(keras.Model):
    """A layer of every kind whose weights are laid out otherwise in torch. ids (batch, time) -> (batch, 23)."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(23, 10, name="embedding")
        self.conv = keras.layers.Conv1D(10, 3, padding="same", name="conv")
        self.bn = keras.layers.BatchNormalization(**NORM, name="bn")
        self.lstm = keras.layers.LSTM(6, return_sequences=True, name="lstm")
        self.gru = keras.layers.GRU(8, return_sequences=True, name="gru")
        self.attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")
        self.query, self.key = (keras.layers.Dense(12, name=name) for name in ("query", "key"))
        self.square = keras.layers.Dense(12, name="square")
        self.head = keras.layers.Dense(23, name="head")

    def call(self, ids, training=None):
        x = self.bn(self.conv(self.embedding(ids)), training=training)
        x = self.gru(self.lstm(x))
        x = self.norm(x + self.attention(x, x))
        x = tf.tanh(self.square(tf.tanh(self.query(x)) * self.key(x)))
        return self.head(tf.reduce_mean(x, 1))


class Own(keras.Model):
    """A model with a step of its own: a function of `code` or `otherwise` by its name, and what it is called with."""

    def __init__(self, code=("same", {}), **kwargs):
        super().__init__(**kwargs)
        self.code = [*code]

    @property
    def step(self):
        name, options = self.code
        room, name = name.split(".") if "." in name else ("code", name)
        return partial(getattr(importlib.import_module(f"{ROOMS}.{room}.tensorflow"), name), **options)

    def get_config(self):
        return {**super().get_config(), "code": [*self.code]}


@keras.saving.register_keras_serializable("parity.faults")
class Picture(Own):
    """A picture (batch, 10, 9, 3) -> (batch, 4); the step is between two convolutions."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = keras.layers.Conv2D(6, 2, name="conv1")
        self.conv2 = keras.layers.Conv2D(5, 2, name="conv2")
        self.head = keras.layers.Dense(4, name="head")

    def call(self, x):
        x = self.step(self.conv1(x))
        return self.head(tf.reduce_mean(tf.nn.relu(self.conv2(x)), (1, 2)))


@keras.saving.register_keras_serializable("parity.faults")
class Series(Own):
    """x (batch, 7, 5) -> (batch, 7, 4); the step is between two dense layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embed, self.head = keras.layers.Dense(12, name="embed"), keras.layers.Dense(4, name="head")

    def call(self, x):
        return self.head(self.step(self.embed(x)))


@keras.saving.register_keras_serializable("parity.faults")
class Reader(Own):
    """ids (batch, time), 0 being padding -> logits (batch, 3); the step is all before the head."""

    def __init__(self, code=("read", {}), **kwargs):
        super().__init__(code, **kwargs)
        self.table = keras.layers.Embedding(23, 4, name="table")
        recurrent = keras.layers.GRU(5, return_sequences=True, return_state=True)
        self.encoder = keras.layers.Bidirectional(recurrent, name="encoder")
        self.head = keras.layers.Dense(3, name="head")

    def call(self, ids):
        return self.head(self.step((self.table, self.encoder), ids))
