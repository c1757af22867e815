"""Steps of a model in TensorFlow, beside torch.py: terms, masks, orders of operations."""

import numpy as np
import tensorflow as tf


def pooled_and_cut(x, cut_first=True):
    if cut_first:
        return tf.nn.avg_pool2d(tf.nn.relu(x), 3, 1, "VALID")
    return tf.nn.relu(tf.nn.avg_pool2d(x, 3, 1, "VALID"))


def resized(x, method="bilinear"):
    return tf.cast(tf.image.resize(x, (12, 11), method), x.dtype)


def patches(x, size=2):
    folded = tf.nn.space_to_depth(tf.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0))), size)
    folded = tf.reshape(folded, (-1, 5, 4, size * size, 6))
    return tf.reduce_sum(folded * tf.range(size * size, dtype=x.dtype)[:, None], 3)


def with_places(x, centred=True):
    down = np.linspace(-1, 1, 9) if centred else np.linspace(0, 1, 9)
    return x + tf.constant(down[:, None, None], x.dtype)


def weighed_channels(x, softened=True):
    shares = tf.reduce_mean(x, (1, 2), keepdims=True)
    shares = tf.sigmoid(shares) if softened else shares
    return x * shares


def by_groups(x, groups=3):
    parts = tf.reshape(x, (-1, 9, 8, groups, 6 // groups))
    mean, variance = tf.nn.moments(parts, (1, 2, 4), keepdims=True)
    return tf.reshape((parts - mean) * tf.math.rsqrt(variance + 1e-5), (-1, 9, 8, 6))


def crossed(x, power=2):
    return x / tf.sqrt(1 + tf.abs(x) ** power)


def deviation(x, root=True):
    variance = tf.math.reduce_variance(x, (1, 2), keepdims=True) + 1e-3
    return x / (tf.sqrt(variance) if root else variance)


def by_distance(x, sign=1, slope=0.5):
    place = tf.range(7, dtype=x.dtype)
    bias = sign * slope * (place[:, None] - place)
    return tf.nn.softmax(tf.matmul(x, x, transpose_b=True) / 4 + bias) @ x


def in_a_window(x, width=2):
    place = np.arange(7)
    far = np.abs(place[:, None] - place) > width
    scores = tf.matmul(x, x, transpose_b=True) / 4
    return tf.nn.softmax(tf.where(far, tf.constant(-np.inf, x.dtype), scores)) @ x


def normed_before(x, before=True):
    def norm(z):
        mean, variance = tf.nn.moments(z, -1, keepdims=True)
        return (z - mean) * tf.math.rsqrt(variance + 1e-5)

    return x + tf.tanh(norm(x)) if before else norm(x + tf.tanh(x))


def smoothed(x, share=0.9):
    steps = [x[:, 0]]
    for place in range(1, 7):
        steps.append(share * steps[-1] + (1 - share) * x[:, place])
    return tf.stack(steps, 1)


def differences(x, forward=True):
    change = x[:, 1:] - x[:, :-1] if forward else x[:, :-1] - x[:, 1:]
    return tf.concat([x[:, :1], change], 1)


def causal(x, left=2, right=0):
    kernel = tf.constant(np.array([0.5, 1.0, -0.25])[:, None, None, None] * np.ones((1, 1, 12, 1)), x.dtype)
    x = tf.pad(x, ((0, 0), (left, right), (0, 0)))[:, :, None]
    return tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), "VALID")[:, :, 0]


def enlarged(x, factor=12**0.5):
    return tf.tanh(x * factor)


def scaled_branch(x, branch=True):
    change = tf.sin(x)
    return x + 0.1 * change if branch else 0.1 * x + change


def logarithm(x, one=True):
    return tf.math.log1p(tf.abs(x)) if one else tf.math.log(tf.abs(x) + 1e-2)


def progress(x, last=6):
    return x * (tf.range(7, dtype=x.dtype) / last)[:, None]


def counted_heads(x, heads=3):
    split = tf.transpose(tf.reshape(x, (-1, 7, heads, 12 // heads)), (0, 2, 1, 3))
    scores = tf.matmul(split, split, transpose_b=True) * (12 // heads) ** -0.5
    return tf.reshape(tf.transpose(tf.nn.softmax(scores) @ split, (0, 2, 1, 3)), (-1, 7, 12))


def largest(layers, ids, hidden=True):
    table, encoder = layers
    x = encoder(table(ids))[0]
    gone = ((ids == 0) & (tf.range(tf.shape(ids)[1]) > 0))[..., None]
    return tf.reduce_max(tf.where(gone, tf.constant(-10, x.dtype), x) if hidden else x, 1)


def last_read(layers, ids, valid=True):
    table, encoder = layers
    x = encoder(table(ids))[0]
    counts = tf.maximum(tf.reduce_sum(tf.cast(ids != 0, tf.int32), 1), 1)
    return tf.gather(x, counts - 1, axis=1, batch_dims=1) if valid else x[:, -1]


def summed_read(layers, ids, mask=True):
    table, encoder = layers
    x = encoder(table(ids))[0]
    return tf.reduce_sum(x * tf.cast(ids != 0, x.dtype)[..., None] if mask else x, 1) / 9
