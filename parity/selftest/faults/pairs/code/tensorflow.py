"""Steps of a model of one's own in TensorFlow, beside torch.py: pictures (batch, 9, 8, 6), series (batch, 7, 12)."""

import math

import numpy as np
import tensorflow as tf


def same(x):
    return x


# pooling and resizing


def max_pooled(x, kernel=2, stride=2, padding="VALID"):
    return tf.nn.max_pool2d(x, kernel, stride, padding)


def mean_pooled(x):
    return tf.nn.avg_pool2d(x, 3, 1, "SAME")


def strongest(x, mean=False):
    peaks = tf.nn.avg_pool2d(x, 3, 1, "VALID") if mean else tf.nn.max_pool2d(x, 3, 1, "VALID")
    return peaks * 0.5


def resized(x, method="bilinear", antialias=False):
    return tf.cast(tf.image.resize(x, (7, 5), method, antialias=antialias), x.dtype)


def doubled(x, tiled=False):
    return tf.tile(x, (1, 2, 2, 1)) if tiled else tf.repeat(tf.repeat(x, 2, 1), 2, 2)


def with_peaks(x):
    return x + tf.reduce_max(x, (1, 2), keepdims=True)


# padding and slices


def padded(x, rows=(1, 1), columns=(2, 2), mode="CONSTANT"):
    return tf.pad(x, ((0, 0), rows, columns, (0, 0)), mode)


def cropped(x, start=1, end=9):
    return x[:, start:end, 1:7]


def every_second(x, start=0):
    return x[:, start::2]


def flipped(x, axis=2):
    return tf.reverse(x, (axis,))


def turned(x, turn=True):
    return tf.transpose(x, (0, 2, 1, 3)) if turn else x


def halves_joined(x, first=0):
    parts = tf.tanh(x), tf.sigmoid(x)
    return tf.concat([parts[first][..., :3], parts[1 - first][..., 3:]], -1)


def gated(x, gate=1):
    parts = tf.split(x, 2, -1)
    return tf.concat([parts[1 - gate] * tf.sigmoid(parts[gate])] * 2, -1)


def dealt(x, groups=2):
    rows, columns = x.shape[1:3]
    parts = tf.reshape(x, (-1, rows, columns, groups, 6 // groups))
    return tf.reshape(tf.transpose(parts, (0, 1, 2, 4, 3)), (-1, rows, columns, 6))


def edges(x, turned=False):
    kernel = np.array([[1.0, 2.0, 0.5], [0.0, 0.25, 0.0], [-1.0, -2.0, -3.0]])
    kernel = kernel[::-1, ::-1] if turned else kernel
    kernel = tf.constant(np.broadcast_to(kernel[:, :, None, None], (3, 3, 6, 1)).copy(), x.dtype)
    return tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), "VALID")


# norms and functions


def normed(x, axes=(1, 2), epsilon=1e-5):
    mean, variance = tf.nn.moments(x, axes, keepdims=True)
    return (x - mean) / tf.sqrt(variance + epsilon)


def centred(x, axes=(1, 2)):
    return x - tf.reduce_mean(x, axes, keepdims=True)


def of_length_one(x, axis=-1):
    return x / tf.sqrt(tf.reduce_sum(tf.square(x), axis, keepdims=True) + 1e-4)


def shares(x, axis=-1):
    return tf.nn.softmax(x, axis)


def clipped(x, bound=0.25):
    return tf.clip_by_value(x, -bound, bound)


def leaky(x, slope=0.2):
    return tf.maximum(x, 0.0) + slope * tf.minimum(x, 0.0)


def brighter(x, gamma=2.2):
    return tf.abs(x) ** gamma


def centred_pixels(x, shift=True):
    x = x / 2
    return x - 1 if shift else x


def in_steps(x, down=False):
    steps = x * 8
    return x + (tf.floor(steps) if down else tf.round(steps)) / 8


def in_half(x, half=False):
    return x + (tf.cast(tf.cast(x, tf.float16), x.dtype) if half else x)


# series: positions, attention, sums over time


def with_positions(x, start=0, base=1e4, paired=False):
    angles = np.arange(start, start + 7)[:, None] / base ** (np.arange(6) / 6)
    waves = np.stack([np.sin(angles), np.cos(angles)], -1 if paired else 1).reshape(7, 12)
    return x + tf.constant(waves, x.dtype)


def rotated(x, paired=False):
    angles = tf.constant(np.arange(7)[:, None] / 100 ** (np.arange(6) / 6), x.dtype)
    one, two = (x[..., ::2], x[..., 1::2]) if paired else tf.split(x, 2, -1)
    cos, sin = tf.cos(angles), tf.sin(angles)
    return tf.concat([one * cos - two * sin, one * sin + two * cos], -1)


def attended(x, scale=0.5, diagonal=1, hidden=True, axis=-1):
    later = tf.constant(np.triu(np.ones((7, 7), bool), diagonal))
    later = later if hidden else tf.logical_not(later)
    scores = tf.where(later, tf.constant(-1e4, x.dtype), tf.matmul(x, x, transpose_b=True) * scale)
    return tf.nn.softmax(scores, axis) @ x


def in_heads(x, heads_first=True):
    split = tf.reshape(x, (-1, 7, 3, 4) if heads_first else (-1, 7, 4, 3))
    split = tf.transpose(split, (0, 2, 1, 3) if heads_first else (0, 3, 1, 2))
    seen = tf.nn.softmax(tf.matmul(split, split, transpose_b=True)) @ split
    return tf.reshape(tf.transpose(seen, (0, 2, 1, 3)), (-1, 7, 12))


def biased_twice(x, rounds=(0, 1)):
    bias = tf.reshape(tf.range(49, dtype=x.dtype), (7, 7)) / 24 - 1
    for place in range(2):
        scores = tf.matmul(x, x, transpose_b=True) * 0.25
        x = x + tf.nn.softmax(scores + bias if place in rounds else scores) @ x
    return x


def normed_thrice(x, epsilon=1e-3):
    for _ in range(3):
        x = tf.tanh(x) + x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + epsilon)
    return x


def summed(x, backwards=False):
    return tf.cumsum(x, 1, reverse=backwards)


def rolled(x, by=1):
    return x + tf.roll(x, by, 1)


def before(x, by=1):
    past = tf.pad(x[:, :-by], ((0, 0), (by, 0), (0, 0)))
    return x + tf.tanh(past)


def with_last(x, place=-1):
    return x + x[:, place][:, None]


def reordered(x, order=(3, 0, 6, 1, 5, 2, 4)):
    return tf.tanh(tf.gather(x, order, axis=1))


def weighed(x, heat=2.0):
    return tf.nn.softmax(x / heat, 1) * x


def distances(x, root=True):
    squares = tf.reduce_sum(tf.square(x[:, :, None] - x[:, None]), -1) + 1e-3
    return tf.nn.softmax(tf.sqrt(squares) if root else squares) @ x


def spread(x, squared=True):
    mean = tf.reduce_mean(x, 1, keepdims=True)
    return tf.reduce_mean(tf.square(x), 1, keepdims=True) - (tf.square(mean) if squared else mean) + x


def related(x, equation="btc,bsc->bts"):
    return tf.einsum(equation, x, tf.cumsum(x, 1)) @ x


def with_residual(x, factor=1.0, residual=True):
    change = tf.tanh(x * 1.5)
    return x + change * factor if residual else change


def mixed(x, share=0.3):
    return share * tf.sin(x) + (1 - share) * x


def loudest(x, axis=-1):
    return x / (tf.reduce_max(tf.abs(x), axis, keepdims=True) + math.e)


# ids: what is read of padding


def read(layers, ids, masked=True, backward_first=False):
    table, encoder = layers
    mask = (ids != 0) | (tf.range(tf.shape(ids)[1]) == 0)
    output = encoder(table(ids), mask=mask if masked else None)
    _, forward, backward = output
    return tf.concat([backward, forward] if backward_first else [forward, backward], -1)


def mean_read(layers, ids, counted=False):
    table, encoder = layers
    x, _, _ = encoder(table(ids))
    mask = tf.cast(ids != 0, x.dtype)[..., None]
    if counted:
        return tf.reduce_mean(x, 1)
    return tf.reduce_sum(x * mask, 1) / tf.maximum(tf.reduce_sum(mask, 1), 1)
