"""Convolutions of sequences and of images."""

from tests.helpers.kinds.ways import (
    FOLDED,
    PADDED,
    SEQUENCE,
    Case,
    cut,
    cut_keras,
    flipped,
    multiplier_first,
    plain,
    rolled,
    written,
)

CONVOLUTIONS = {
    "conv1d": Case(
        lambda nn: {"a": nn.Conv1d(24, 10, 3, padding=1)},
        lambda keras: [keras.Conv1D(10, 3, padding="same", name="a")],
        SEQUENCE,
        10,
        written("kernel", flipped),
    ),
    "conv1d in groups": Case(
        lambda nn: {"a": nn.Conv1d(24, 10, 3, padding=1, groups=2, bias=False)},
        lambda keras: [keras.Conv1D(10, 3, padding="same", groups=2, use_bias=False, name="a")],
        SEQUENCE,
        10,
        written("kernel", rolled),
    ),
    "conv1d transposed": Case(
        lambda nn: {"a": nn.ConvTranspose1d(24, 10, 3)},
        lambda keras: [keras.Conv1DTranspose(10, 3, name="a")],
        (cut, cut_keras),
        10,
        written("kernel", flipped),
    ),
    "depthwise conv1d": Case(
        lambda nn: {"a": nn.Conv1d(24, 48, 3, padding=1, groups=24)},
        lambda keras: [keras.DepthwiseConv1D(3, padding="same", depth_multiplier=2, name="a")],
        SEQUENCE,
        48,
        written("kernel", multiplier_first),
    ),
    "conv2d": Case(
        lambda nn: {"a": nn.Conv2d(6, 5, (3, 2))},
        lambda keras: [keras.Conv2D(5, (3, 2), name="a")],
        PADDED,
        15,
        written("kernel", flipped),
    ),
    "conv2d in groups": Case(
        lambda nn: {"a": nn.Conv2d(6, 4, 3, padding=1, groups=2, bias=False)},
        lambda keras: [keras.Conv2D(4, 3, padding="same", groups=2, use_bias=False, name="a")],
        FOLDED,
        16,
        written("kernel", lambda kernel: kernel.swapaxes(0, 1)),
    ),
    "conv2d transposed": Case(
        lambda nn: {"a": nn.ConvTranspose2d(6, 5, (3, 2), stride=(1, 2))},
        lambda keras: [keras.Conv2DTranspose(5, (3, 2), strides=(1, 2), name="a")],
        FOLDED,
        40,
        written("kernel", flipped),
    ),
    "depthwise conv2d": Case(
        lambda nn: {"a": nn.Conv2d(6, 18, 3, padding=1, groups=6)},
        lambda keras: [keras.DepthwiseConv2D(3, padding="same", depth_multiplier=3, name="a")],
        FOLDED,
        72,
        written("kernel", multiplier_first),
    ),
    "separable conv2d": Case(
        lambda nn: {
            "a": nn.ModuleDict(
                {"depthwise": nn.Conv2d(6, 12, (3, 2), groups=6, bias=False), "pointwise": nn.Conv2d(12, 5, 1)}
            )
        },
        lambda keras: [keras.SeparableConv2D(5, (3, 2), depth_multiplier=2, name="a")],
        (lambda a, x: PADDED[0](a["depthwise"], a["pointwise"], x), PADDED[1]),
        15,
        written("depthwise_kernel", multiplier_first),
    ),
    "separable conv1d": Case(
        lambda nn: {
            "a": nn.ModuleDict(
                {"depthwise": nn.Conv1d(24, 24, 3, padding=1, groups=24, bias=False), "pointwise": nn.Conv1d(24, 5, 1)}
            )
        },
        lambda keras: [keras.SeparableConv1D(5, 3, padding="same", name="a")],
        (lambda a, x: a["pointwise"](a["depthwise"](x.mT)).mT, plain),
        5,
        written("pointwise_kernel", rolled),
    ),
}
