"""A stack in PyTorch; line for line beside tensorflow.py."""

from collections import OrderedDict
from functools import partial
from typing import Any

from torch import nn
from torch.nn.functional import pad

from parity.reference.stack.config import KERNEL, columns, parts


def recurrent(layer, fan_in, fan_out, bias, **settings):
    """A recurrent layer that gives every time step, (batch, time, units)."""
    return layer(fan_in, fan_out, batch_first=True, bias=bias, **settings)


def separable(fan_in, fan_out, bias):
    """A separable convolution of the columns' channels."""
    channels = fan_in // columns(fan_in)
    depthwise = nn.Conv2d(channels, channels, KERNEL, padding=1, groups=channels, bias=False)
    pointwise = nn.Conv2d(channels, fan_out // columns(fan_in), 1, bias=bias)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))


def of_images(layer, fan_in, fan_out, bias):
    """A 2-D convolution, or its transpose, of the columns' channels."""
    return layer(fan_in // columns(fan_in), fan_out // columns(fan_in), KERNEL, padding=1, bias=bias)


# Kind -> the layer of an input's width, an output's width, with a bias or not.
MAKERS: dict[str, Any] = {
    "dense": lambda fan_in, fan_out, bias: nn.Linear(fan_in, fan_out, bias=bias),
    "gelu": lambda *_: nn.GELU(),
    "layer_norm": lambda fan_in, _, bias: nn.LayerNorm(fan_in, eps=1e-3, bias=bias),
    "rms_norm": lambda fan_in, *_: nn.RMSNorm(fan_in, eps=1e-6),
    "batch_norm": lambda fan_in, _, bias: nn.BatchNorm1d(fan_in, eps=1e-3, affine=bias),
    "group_norm": lambda fan_in, _, bias: nn.GroupNorm(parts(fan_in), fan_in, eps=1e-3, affine=bias),
    "prelu": lambda fan_in, *_: nn.PReLU(fan_in),
    "rnn": partial(recurrent, nn.RNN),
    "lstm": partial(recurrent, nn.LSTM),
    "gru": partial(recurrent, nn.GRU),
    "bidirectional": lambda fan_in, fan_out, bias: recurrent(nn.LSTM, fan_in, fan_out // 2, bias, bidirectional=True),
    "conv1d": lambda fan_in, fan_out, bias: nn.Conv1d(fan_in, fan_out, KERNEL, bias=bias),
    "conv1d_transposed": lambda fan_in, fan_out, bias: nn.ConvTranspose1d(fan_in, fan_out, KERNEL, bias=bias),
    "depthwise": lambda fan_in, fan_out, bias: nn.Conv1d(fan_in, fan_out, KERNEL, groups=fan_in, bias=bias),
    "conv2d": partial(of_images, nn.Conv2d),
    "conv2d_transposed": partial(of_images, nn.ConvTranspose2d),
    "separable": separable,
    "attention": lambda fan_in, _, bias: nn.MultiheadAttention(fan_in, parts(fan_in), bias=bias, batch_first=True),
}


def plain(layer, x):
    """Call the layer on (batch, time, width)."""
    return layer(x)


def first(layer, x):
    """Call a layer that gives its states too: its output alone."""
    return layer(x)[0]


def turned(layer, x):
    """Call a layer that has channels before time."""
    return layer(x.mT).mT  # (batch, channels, time) inside


def padded(layer, x):
    """Call a convolution padded with zeros on the left: causal."""
    return layer(pad(x, (0, 0, KERNEL - 1, 0)).mT).mT


def cut(layer, x):
    """Call a transposed convolution, and leave out what lies behind the last time step."""
    return layer(x.mT).mT[:, : x.shape[1]]


def image(layer, x):
    """Call a 2-D layer: the width as columns of channels."""
    x = x.unflatten(-1, (columns(x.shape[-1]), -1))  # (batch, time, columns, channels)
    x = layer(x.permute(0, 3, 1, 2))  # (batch, channels, time, columns)
    return x.permute(0, 2, 3, 1).flatten(-2)  # (batch, time, width)


def attended(layer, x):
    """Call an attention of a text by itself."""
    return layer(x, x, x, need_weights=False)[0]  # as its own encoder calls it: fused, where it can be


# Kind -> how its layer is called, unless as it is.
WAYS = {
    **dict.fromkeys(("batch_norm", "group_norm", "prelu"), turned),
    **dict.fromkeys(("rnn", "lstm", "gru", "bidirectional"), first),
    **dict.fromkeys(("conv1d", "depthwise"), padded),
    "conv1d_transposed": cut,
    **dict.fromkeys(("conv2d", "conv2d_transposed", "separable"), image),
    "attention": attended,
}


class Stacked(nn.Module):
    """Embedding, the layers of a random stack, logits: (batch, time) -> (batch, time, vocab)."""

    def __init__(self, stack, vocab):
        super().__init__()
        self.places = stack.places()
        self.embedding = nn.Embedding(vocab, stack.width)
        for place in self.places:
            self.add_module(place.name, MAKERS[place.step.kind](place.given, place.made, place.step.bias))
        self.head = nn.Linear(self.places[-1].made if self.places else stack.width, vocab)

    def forward(self, ids):
        x = self.embedding(ids)  # (batch, time) -> (batch, time, width)
        for place in self.places:
            way = WAYS.get(place.step.kind, plain)
            output = way(getattr(self, place.name), x)
            x = x + output if place.step.residual and place.given == place.made else output
        return self.head(x)  # (batch, time, width) -> (batch, time, vocab)
