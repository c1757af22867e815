"""A stack in Keras; line for line beside torch.py."""

from functools import partial
from typing import Any

import keras
from keras import ops

from parity.reference.stack.config import KERNEL, columns, parts


def recurrent(layer, _, fan_out, bias, name):
    """A recurrent layer that gives every time step, (batch, time, units)."""
    return layer(fan_out, use_bias=bias, return_sequences=True, name=name)


def separable(fan_in, fan_out, bias, name):
    """A separable convolution of the columns' channels."""
    return keras.layers.SeparableConv2D(fan_out // columns(fan_in), KERNEL, padding="same", use_bias=bias, name=name)


def of_images(layer, fan_in, fan_out, bias, name):
    """A 2-D convolution, or its transpose, of the columns' channels."""
    return layer(fan_out // columns(fan_in), KERNEL, padding="same", use_bias=bias, name=name)


def normalization(layer, bias, name, **settings):
    """A norm with gain and bias, or with neither."""
    return layer(center=bias, scale=bias, name=name, **settings)


def bidirectional(fan_in, fan_out, bias, name):
    """An LSTM in each direction, each of half the width."""
    return keras.layers.Bidirectional(recurrent(keras.layers.LSTM, fan_in, fan_out // 2, bias, "lstm"), name=name)


def attention(fan_in, _, bias, name):
    """A multi-head attention of the input's width."""
    return keras.layers.MultiHeadAttention(parts(fan_in), fan_in // parts(fan_in), use_bias=bias, name=name)


# Kind -> the layer of an input's width, an output's width, with a bias or not, of a name.
MAKERS: dict[str, Any] = {
    "dense": lambda _, fan_out, bias, name: keras.layers.Dense(fan_out, use_bias=bias, name=name),
    "gelu": lambda *_, name: keras.layers.Activation("gelu", name=name),
    "layer_norm": lambda _, __, bias, name: keras.layers.LayerNormalization(center=bias, name=name),
    "rms_norm": lambda *_, name: keras.layers.RMSNormalization(name=name),
    "batch_norm": lambda _, __, bias, name: normalization(keras.layers.BatchNormalization, bias, name),
    "group_norm": lambda fan_in, _, bias, name: normalization(
        keras.layers.GroupNormalization, bias, name, groups=parts(fan_in)
    ),
    "prelu": lambda *_, name: keras.layers.PReLU(shared_axes=(1,), name=name),
    "rnn": partial(recurrent, keras.layers.SimpleRNN),
    "lstm": partial(recurrent, keras.layers.LSTM),
    "gru": partial(recurrent, keras.layers.GRU),
    "bidirectional": bidirectional,
    "conv1d": lambda _, fan_out, bias, name: keras.layers.Conv1D(
        fan_out, KERNEL, padding="causal", use_bias=bias, name=name
    ),
    "conv1d_transposed": lambda _, fan_out, bias, name: keras.layers.Conv1DTranspose(
        fan_out, KERNEL, use_bias=bias, name=name
    ),
    "depthwise": lambda fan_in, fan_out, bias, name: keras.layers.DepthwiseConv1D(
        KERNEL, depth_multiplier=fan_out // fan_in, use_bias=bias, name=name
    ),
    "conv2d": partial(of_images, keras.layers.Conv2D),
    "conv2d_transposed": partial(of_images, keras.layers.Conv2DTranspose),
    "separable": separable,
    "attention": attention,
}


def plain(layer, x):
    """Call the layer on (batch, time, width)."""
    return layer(x)


def padded(layer, x):
    """Call a convolution padded with zeros on the left: causal."""
    return layer(ops.pad(x, ((0, 0), (KERNEL - 1, 0), (0, 0))))


def cut(layer, x):
    """Call a transposed convolution, and leave out what lies behind the last time step."""
    return layer(x)[:, : ops.shape(x)[1]]


def image(layer, x):
    """Call a 2-D layer: the width as columns of channels."""
    batch, time, wide = ops.shape(x)[0], ops.shape(x)[1], columns(x.shape[-1])
    x = ops.reshape(x, (batch, time, wide, x.shape[-1] // wide))  # (batch, time, columns, channels)
    x = layer(x)
    return ops.reshape(x, (batch, time, wide * x.shape[-1]))  # (batch, time, width)


def attended(layer, x):
    """Call an attention of a text by itself."""
    return layer(x, x)


# Kind -> how its layer is called, unless as it is.
WAYS = {
    "depthwise": padded,
    "conv1d_transposed": cut,
    **dict.fromkeys(("conv2d", "conv2d_transposed", "separable"), image),
    "attention": attended,
}


class Stacked(keras.Model):
    """Embedding, the layers of a random stack, logits: (batch, time) -> (batch, time, vocab)."""

    def __init__(self, stack, vocab, **kwargs):
        super().__init__(**kwargs)
        self.places = stack.places()
        self.embedding = keras.layers.Embedding(vocab, stack.width, name="embedding")
        self.made = [
            MAKERS[place.step.kind](place.given, place.made, place.step.bias, name=place.name) for place in self.places
        ]
        self.head = keras.layers.Dense(vocab, name="head")
        self.build((None, None))

    def build(self, shape):
        self.call(keras.ops.zeros([1 for _ in shape], "int64"))

    def call(self, ids):
        x = self.embedding(ids)  # (batch, time) -> (batch, time, width)
        for place, layer in zip(self.places, self.made, strict=True):
            way = WAYS.get(place.step.kind, plain)
            output = way(layer, x)
            x = x + output if place.step.residual and place.given == place.made else output
        return self.head(x)  # (batch, time, width) -> (batch, time, vocab)
