"""Steps of a model of one's own in PyTorch, beside tensorflow.py: pictures (batch, 6, 9, 8), series (batch, 7, 12).

What they are called with is as in TensorFlow; another value of an argument, or another form of the line, is a fault.
"""

import math

import torch
from torch.nn import functional


def same(x):
    return x


# pooling and resizing


def max_pooled(x, kernel=2, stride=2, **options):
    return functional.max_pool2d(x, kernel, stride, **options)


def mean_pooled(x, counted=False):
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=counted)


def strongest(x, mean=False):
    peaks = functional.avg_pool2d(x, 3, 1) if mean else functional.max_pool2d(x, 3, 1)
    return peaks * 0.5


def resized(x, mode="bilinear", **options):
    return functional.interpolate(x, (7, 5), mode=mode, **options)


def doubled(x, tiled=False):
    return x.repeat(1, 1, 2, 2) if tiled else x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def with_peaks(x, mean=False):
    return x + (x.mean((2, 3), True) if mean else x.amax((2, 3), True))


# padding and slices


def padded(x, pad=(2, 2, 1, 1), mode="constant", value=0.0):
    return functional.pad(x, pad, mode, value) if mode == "constant" else functional.pad(x, pad, mode)


def cropped(x, start=1, end=9):
    return x[:, :, start:end, 1:7]


def every_second(x, start=0):
    return x[:, :, start::2]


def flipped(x, axis=3):
    return x.flip(axis)


def turned(x, turn=True):
    return x.transpose(2, 3) if turn else x


def halves_joined(x, first=0):
    parts = x.tanh(), x.sigmoid()
    return torch.cat([parts[first][:, :3], parts[1 - first][:, 3:]], 1)


def gated(x, gate=1):
    parts = x.chunk(2, 1)
    return torch.cat([parts[1 - gate] * parts[gate].sigmoid()] * 2, 1)


def dealt(x, groups=2):
    batch, _, rows, columns = x.shape
    return x.reshape(batch, groups, 6 // groups, rows, columns).transpose(1, 2).reshape(x.shape)


def edges(x, turned=False):
    kernel = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.25, 0.0], [-1.0, -2.0, -3.0]], dtype=x.dtype)
    kernel = kernel.flip(0, 1) if turned else kernel
    return functional.conv2d(x, kernel.expand(6, 1, 3, 3), groups=6)


# norms and functions


def normed(x, axes=(2, 3), unbiased=False, epsilon=1e-5):
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, unbiased=unbiased)
    return (x - mean) / torch.sqrt(variance + epsilon)


def centred(x, axes=(2, 3)):
    return x - x.mean(axes, keepdim=True)


def of_length_one(x, axis=1):
    return x / x.square().sum(axis, keepdim=True).add(1e-4).sqrt()


def shares(x, axis=1):
    return x.softmax(axis)


def clipped(x, bound=0.25):
    return x.clamp(-bound, bound)


def leaky(x, slope=0.2):
    return functional.leaky_relu(x, slope)


def brighter(x, gamma=2.2):
    return x.abs() ** gamma


def centred_pixels(x, shift=True):
    x = x / 2
    return x - 1 if shift else x


def in_steps(x, down=False):
    steps = x * 8
    return x + (steps.floor() if down else steps.round()) / 8


def in_half(x, half=False):
    return x + (x.half().to(x.dtype) if half else x)


# series: positions, attention, sums over time


def with_positions(x, start=0, base=1e4, paired=False):
    angles = torch.arange(start, start + 7).to(x.dtype)[:, None] / base ** (torch.arange(6).to(x.dtype) / 6)
    return x + torch.stack([angles.sin(), angles.cos()], -1 if paired else 1).flatten(1)


def rotated(x, paired=False):
    angles = torch.arange(7).to(x.dtype)[:, None] / 100 ** (torch.arange(6).to(x.dtype) / 6)
    one, two = (x[..., ::2], x[..., 1::2]) if paired else x.chunk(2, -1)
    return torch.cat([one * angles.cos() - two * angles.sin(), one * angles.sin() + two * angles.cos()], -1)


def attended(x, scale=0.5, diagonal=1, hidden=True, axis=-1):
    later = torch.ones(7, 7, dtype=torch.bool).triu(diagonal)
    later = later if hidden else ~later
    scores = (x @ x.mT * scale).masked_fill(later, -1e4)
    return scores.softmax(axis) @ x


def in_heads(x, heads_first=True):
    split = x.unflatten(-1, (3, 4)) if heads_first else x.unflatten(-1, (4, 3)).mT
    split = split.transpose(1, 2)
    return ((split @ split.mT).softmax(-1) @ split).transpose(1, 2).flatten(2)


def biased_twice(x, rounds=(0, 1)):
    bias = torch.arange(49).to(x.dtype).reshape(7, 7) / 24 - 1
    for place in range(2):
        scores = x @ x.mT * 0.25
        x = x + (scores + bias if place in rounds else scores).softmax(-1) @ x
    return x


def normed_thrice(x, epsilon=1e-3):
    for _ in range(3):
        x = torch.tanh(x) + x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon)
    return x


def summed(x, backwards=False):
    return x.flip(1).cumsum(1).flip(1) if backwards else x.cumsum(1)


def rolled(x, by=1):
    return x + torch.roll(x, by, 1)


def before(x, by=1):
    past = torch.cat([torch.zeros_like(x[:, :by]), x[:, :-by]], 1)
    return x + past.tanh()


def with_last(x, place=-1):
    return x + x[:, place][:, None]


def reordered(x, order=(3, 0, 6, 1, 5, 2, 4)):
    return x[:, list(order)].tanh()


def weighed(x, heat=2.0):
    return (x / heat).softmax(1) * x


def distances(x, root=True):
    squares = (x[:, :, None] - x[:, None]).square().sum(-1) + 1e-3
    return (squares.sqrt() if root else squares).softmax(-1) @ x


def spread(x, squared=True):
    mean = x.mean(1, keepdim=True)
    return x.square().mean(1, keepdim=True) - (mean.square() if squared else mean) + x


def related(x, equation="btc,bsc->bts"):
    return torch.einsum(equation, x, x.cumsum(1)) @ x


def with_residual(x, factor=1.0, residual=True):
    change = torch.tanh(x * 1.5)
    return x + change * factor if residual else change


def mixed(x, share=0.3):
    return share * x.sin() + (1 - share) * x


def loudest(x, axis=-1):
    return x / (x.abs().amax(axis, keepdim=True) + math.e)


# ids: what is read of padding


def read(layers, ids, packed=True, backward_first=False):
    table, encoder = layers
    lengths = (ids != 0).sum(1).clamp(min=1)
    x = table(ids)
    if packed:
        x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    _, states = encoder(x)
    return torch.cat([states[1], states[0]] if backward_first else [states[0], states[1]], -1)


def mean_read(layers, ids, counted=False):
    table, encoder = layers
    x, _ = encoder(table(ids))
    mask = (ids != 0)[..., None].to(x.dtype)
    return x.mean(1) if counted else (x * mask).sum(1) / mask.sum(1).clamp(min=1)
