"""Small ports that share no names, good and with one line wrong; a fresh process imports them from here."""

import parity
from parity import strategies


def torch_signal():
    import torch
    from torch import nn

    class Signal(nn.Module):
        def __init__(self):
            super().__init__()
            self.filter = nn.Conv1d(3, 7, 3)
            self.norm = nn.LayerNorm(7, eps=1e-3)
            self.head = nn.Linear(7, 5)

        def forward(self, x):
            x = self.filter(x.mT).mT  # (batch, time, 3) -> (batch, time - 2, 7)
            return self.head(torch.relu(self.norm(x)).mean(1))  # (batch, 5)

    return Signal()


def keras_signal(epsilon=1e-3):
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Conv1D(7, 3),
            layers.LayerNormalization(epsilon=epsilon),
            layers.ReLU(),
            layers.GlobalAveragePooling1D(),
            layers.Dense(5),
        ]
    )


def keras_signal_other_epsilon():
    return keras_signal(1e-5)


def torch_attention():
    """Calls key, query, value; its twin query, key, value."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))

        def forward(self, x):
            key, query, value = self.key(x), self.query(x), self.value(x)
            return x + torch.softmax(query @ key.mT, -1) @ value  # (batch, time, 8)

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(Block() for _ in range(2))
            self.head = nn.Linear(8, 5)

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return {"head": self.head(x), "mean": x.mean(1)}

    return Attention()


def keras_attention(names=("dense_a", "dense_b", "dense_c"), scale=1.0):
    import keras
    import tensorflow as tf

    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [keras.layers.Dense(8, name=name) for name in names]

        def call(self, x):
            query, key, value = (part(x) for part in self.parts)
            scores = tf.matmul(query, key, transpose_b=True) * tf.cast(scale, x.dtype)
            return x + tf.matmul(tf.nn.softmax(scores), value)  # (batch, time, 8)

    class Attention(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = Block(), Block()
            self.out = keras.layers.Dense(5)

        def call(self, x):
            x = self.second(self.first(x))
            return {"mean": tf.reduce_mean(x, 1), "head": self.out(x)}

    return Attention()


def keras_attention_scaled():
    return keras_attention(scale=0.5)


def torch_two():
    """Two inputs, one of ids, one of numbers."""
    import torch
    from torch import nn

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(11, 4)
            self.mix = nn.Linear(7, 3)

        def forward(self, ids, numbers):
            return self.mix(torch.cat([self.table(ids).mean(1), numbers], -1))  # (batch, 3)

    return Two()


def keras_two():
    import keras

    layers = keras.layers
    ids, numbers = keras.Input((5,), dtype="int64"), keras.Input((3,))
    x = layers.GlobalAveragePooling1D()(layers.Embedding(11, 4)(ids))
    return keras.Model((ids, numbers), layers.Dense(3)(layers.Concatenate()([x, numbers])))


def torch_call(model, inputs, training):  # noqa: ARG001 it has no dropout
    return model(inputs["ids"], inputs["numbers"])


def keras_call(model, inputs, training):
    return model((inputs["ids"], inputs["numbers"]), training=training)


def torch_loss(output, inputs):
    from torch.nn import functional

    return functional.cross_entropy(output, inputs["label"])


def keras_loss(output, inputs):
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=output.dtype)(inputs["label"], output)


def keras_loss_summed(output, inputs):
    return 2 * keras_loss(output, inputs)


def labelled(losses):
    arrays = strategies.arrays
    inputs = strategies.together(ids=arrays(5, below=11), numbers=arrays(3), label=arrays(below=3))
    calls = {"torch": torch_call, "tensorflow": keras_call}
    return parity.Pair("two", torch_two, keras_two, inputs=inputs, call=calls, loss=losses)


signal = parity.Pair("signal", torch_signal, keras_signal, inputs=strategies.arrays(11, 3))
attention = parity.Pair("attention", torch_attention, keras_attention, inputs=strategies.arrays(6, 8))
two = labelled({"torch": torch_loss, "tensorflow": keras_loss})
other_epsilon = parity.Pair("signal", torch_signal, keras_signal_other_epsilon, inputs=strategies.arrays(11, 3))
scaled = parity.Pair("attention", torch_attention, keras_attention_scaled, inputs=strategies.arrays(6, 8))
other_loss = labelled({"torch": torch_loss, "tensorflow": keras_loss_summed})
