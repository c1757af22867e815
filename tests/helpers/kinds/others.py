"""Norms, attention, and what is left."""

import numpy as np

from tests.helpers.kinds.ways import (
    FOLDED,
    SEQUENCE,
    Case,
    attended,
    attended_keras,
    crossed,
    crossed_keras,
    plain,
    rolled,
    setting,
    turned,
    written,
)

NORMS = {
    "layer_norm": Case(
        lambda nn: {"a": nn.LayerNorm(24, eps=1e-3)},
        lambda keras: [keras.LayerNormalization(name="a")],
        (plain, plain),
        24,
        setting("epsilon", 1e-5),
    ),
    "layer_norm of neither gain nor bias": Case(
        lambda nn: {"a": nn.LayerNorm(24, eps=1e-3, elementwise_affine=False)},
        lambda keras: [keras.LayerNormalization(center=False, scale=False, name="a")],
        (plain, plain),
        24,
        setting("epsilon", 1e-5),
    ),
    "rms_norm": Case(
        lambda nn: {"a": nn.RMSNorm(24, eps=1e-6)},
        lambda keras: [keras.RMSNormalization(name="a")],
        (plain, plain),
        24,
        setting("epsilon", 1e-3),
    ),
    "group_norm": Case(
        lambda nn: {"a": nn.GroupNorm(2, 6, eps=1e-3)},
        lambda keras: [keras.GroupNormalization(2, name="a")],
        FOLDED,
        24,
        setting("groups", 3),
    ),
    "batch_norm": Case(
        lambda nn: {"a": nn.BatchNorm1d(24, eps=1e-3)},
        lambda keras: [keras.BatchNormalization(name="a")],
        SEQUENCE,
        24,
        written("moving_mean", np.negative),
    ),
    "batch_norm of images": Case(
        lambda nn: {"a": nn.BatchNorm2d(6, eps=1e-3)},
        lambda keras: [keras.BatchNormalization(name="a")],
        FOLDED,
        24,
        written("moving_variance", np.sqrt),
    ),
}
OTHERS = {
    "dense without bias": Case(
        lambda nn: {"a": nn.Linear(24, 24, bias=False)},
        lambda keras: [keras.Dense(24, use_bias=False, name="a")],
        (plain, plain),
        24,
        written("kernel", turned),
    ),
    "attention": Case(
        lambda nn: {"a": nn.MultiheadAttention(24, 3, batch_first=True)},
        lambda keras: [keras.MultiHeadAttention(3, 8, name="a")],
        (attended, attended_keras),
        24,
        written("query_dense.kernel", lambda kernel: kernel.reshape(24, 8, 3).swapaxes(1, 2)),
    ),
    "attention without bias": Case(
        lambda nn: {"a": nn.MultiheadAttention(24, 3, bias=False, batch_first=True)},
        lambda keras: [keras.MultiHeadAttention(3, 8, use_bias=False, name="a")],
        (attended, attended_keras),
        24,
        written("output_dense.kernel", lambda kernel: kernel[::-1]),
    ),
    "attention of three widths": Case(
        lambda nn: {
            "a": nn.MultiheadAttention(24, 3, kdim=10, vdim=14, batch_first=True),
            "b": nn.Linear(24, 10),
            "c": nn.Linear(24, 14),
        },
        lambda keras: [keras.MultiHeadAttention(3, 8, name="a"), keras.Dense(10, name="b"), keras.Dense(14, name="c")],
        (crossed, crossed_keras),
        24,
        written("value_dense.bias", lambda bias: bias.reshape(8, 3).T),
    ),
    "prelu of one slope": Case(
        lambda nn: {"a": nn.PReLU()},
        lambda keras: [keras.PReLU(shared_axes=(1, 2), name="a")],
        (plain, plain),
        24,
        written("alpha", np.sqrt),
    ),
    "prelu": Case(
        lambda nn: {"a": nn.PReLU(24)},
        lambda keras: [keras.PReLU(shared_axes=(1,), name="a")],
        SEQUENCE,
        24,
        written("alpha", rolled),
    ),
}
